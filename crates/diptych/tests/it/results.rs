//! From answers to figures, datasets and files of other people's.

use std::path::Path;

use serde_json::{Value, json};

use crate::kit::{Served, Sprint, program};

/// A small demo: it has answers.
fn demo() -> Sprint {
    let sprint = Sprint::empty();
    sprint.ok(&["demo", ".", "--prompts", "10", "--no-serve", "--quiet"]);
    sprint
}

#[test]
fn a_demo_goes_on_where_it_was() {
    let sprint = demo();
    let status = sprint.status();
    let answered = status.0["responses"]["submitted"].as_u64().unwrap();
    assert!(answered > 0 && answered < status.0["responses"]["wanted"].as_u64().unwrap(), "{}", status.0);
    let again = sprint.ok(&["demo", ".", "--no-serve", "--quiet"]);
    assert!(again.contains("No new answers"), "{again}");
    assert_eq!(sprint.status().0, status.0);
    let people = sprint.ok(&["users", "list"]);
    assert_eq!(people.matches("Simulated annotator").count(), 3, "{people}");
}

#[test]
fn the_report_adds_up() {
    let sprint = demo();
    let report: Value = serde_json::from_str(&sprint.ok(&["report", "--json"])).unwrap();
    let number = |value: &Value| value.as_u64().unwrap();
    let answers: u64 = report["answers"].as_object().unwrap().values().map(number).sum();
    assert_eq!(answers, number(&report["responses"]));
    assert_eq!(report["provisional"], true);
    let agreement = report["agreement"].as_object().unwrap();
    let shares: f64 = agreement.values().map(|share| share["value"].as_f64().unwrap()).sum();
    assert!((shares - 1.0).abs() < 1e-9, "{report}");
    let categories = report["categories"].as_array().unwrap();
    for count in ["pairs", "responses"] {
        let sum: u64 = categories.iter().map(|category| number(&category[count])).sum();
        assert_eq!(sum, number(&report[count]), "{count}");
    }
    for (place, model) in report["models"].as_array().unwrap().iter().enumerate() {
        let sum: u64 = categories.iter().map(|category| number(&category["models"][place]["wins"])).sum();
        assert_eq!(sum, number(&model["wins"]));
        let reference = model["win_ratio"]["reference"]["value"].as_f64().unwrap();
        assert!((reference - sum as f64 / answers as f64).abs() < 1e-9);
    }
    let verdicts: Vec<&str> =
        categories.iter().map(|category| category["verdict"].as_str().unwrap()).collect();
    assert!(verdicts.contains(&"not decided"), "{verdicts:?}");

    let printed = sprint.ok(&["report", "--html", "report.html"]);
    assert!(printed.contains("not screened"), "{printed}");
    let page = std::fs::read_to_string(sprint.path("report.html")).unwrap();
    assert!(page.contains("<style>") && !page.contains("src=\"/") && !page.contains("href=\"/assets"));
}

#[test]
fn the_report_is_printed_as_it_was() {
    // The demo's people and pairs come from seeds, so its figures are the same everywhere.
    insta::assert_snapshot!("report", demo().ok(&["report"]));
}

#[test]
fn sql_sees_every_table() {
    let sprint = demo();
    let rows = |query: &str| -> Vec<Value> {
        serde_json::from_str(&sprint.ok(&["sql", query, "--format", "json"])).unwrap()
    };
    let status = sprint.status();
    let pairs = rows("SELECT COUNT(*) AS n, COUNT(DISTINCT id) AS ids FROM results");
    assert_eq!(pairs[0], json!({"n": status.pairs(), "ids": status.pairs()}));
    let submitted = &status.0["responses"]["submitted"];
    assert_eq!(&rows("SELECT COUNT(*) AS n FROM responses")[0]["n"], submitted);
    assert_eq!(&rows("SELECT SUM(responses) AS n FROM annotators")[0]["n"], submitted);
    assert_eq!(&rows("SELECT SUM(cardinality(\"preference.responses\")) AS n FROM train")[0]["n"], submitted);
    assert!(rows("SELECT prompt FROM prompts").len() >= 8);
    assert!(!rows("SELECT chosen_model FROM binarized WHERE chosen_model <> rejected_model").is_empty());

    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/data/category-report.sql");
    let table = sprint.ok(&["sql", "--file", file.to_str().unwrap()]);
    assert!(table.lines().count() > 3, "{table}");
    let csv = sprint.ok(&["sql", "SELECT id, category FROM results ORDER BY id LIMIT 2", "--format", "csv"]);
    assert_eq!((csv.lines().next(), csv.lines().count()), (Some("id,category"), 3));
}

#[test]
fn other_peoples_results_need_no_sprint() {
    let folder = tempfile::tempdir().unwrap();
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/data");
    let sample = data.join("results-sample.jsonl");
    let sql = |args: &[&str]| {
        let output = program(folder.path()).arg("sql").args(args).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let query = data.join("category-report.sql");
    let report =
        sql(&["--file", query.to_str().unwrap(), "--train", sample.to_str().unwrap(), "--format", "json"]);
    let rows: Vec<Value> = serde_json::from_str(&report).unwrap();
    assert_eq!(rows.len(), 1, "{report}");
    let expected = json!({
        "Category": "Manga", "Total Responses": 3, "Win Ratio (FLUX dev)": 2.0 / 3.0,
        "Win Ratio (Stable Diffusion)": null,
    });
    assert_eq!(rows[0], expected);
    assert!(std::fs::read_dir(folder.path()).unwrap().next().is_none(), "nothing is written");
}

#[test]
fn what_is_published_is_what_was_answered() {
    let sprint = demo();
    let printed = sprint.ok(&["publish", "--to", "out"]);
    assert_eq!(printed.lines().count(), 3, "{printed}");
    for name in ["preferences", "results", "binarized"] {
        let card = std::fs::read_to_string(sprint.path(&format!("out/{name}/README.md"))).unwrap();
        assert!(
            card.starts_with("---\n")
                && card.contains("license: \"apache-2.0\"")
                && card.contains("not screened")
        );
        assert!(card.to_lowercase().contains("simulated"), "{card}");
    }
    let pattern = sprint.path("out/results/data/*.parquet");
    let query = "SELECT SUM(cardinality(\"preference.responses\")) AS n FROM train";
    let rows = sprint.ok(&["sql", query, "--train", pattern.to_str().unwrap(), "--format", "json"]);
    let rows: Vec<Value> = serde_json::from_str(&rows).unwrap();
    assert_eq!(rows[0]["n"], sprint.status().0["responses"]["submitted"]);

    let error = sprint.fails(&["publish", "--to", "hf://datasets/me/it"], 2);
    assert!(error.contains("rehearsal"), "{error}");
    let error = sprint.fails(&["publish", "--to", "out", "--only", "everything"], 2);
    assert!(error.contains("no dataset `everything`") && error.contains("binarized"), "{error}");
}

#[test]
fn two_folders_of_images_become_a_sprint() {
    let sprint = Sprint::empty();
    for (model, stems) in [("a", ["one", "two", "three"]), ("b", ["one", "two", "four"])] {
        let folder = sprint.path(model);
        std::fs::create_dir(&folder).unwrap();
        for stem in stems {
            let colour = [stem.len() as u8 * 40, model.as_bytes()[0], 90];
            let png = diptych_picture::plain_png(16, 16, colour).unwrap();
            std::fs::write(folder.join(format!("{stem}.png")), png).unwrap();
        }
    }
    std::fs::write(sprint.path("a/one.txt"), "a red fox").unwrap();
    std::fs::write(sprint.path("b/two.txt"), "a blue\nheron").unwrap();
    let args = ["-C", "mine", "import", "images", "--model", "dev=a", "--model", "sd=b"];
    let printed = sprint.ok(&args);
    let left_out: Vec<&str> = printed.lines().filter(|line| line.starts_with("left out")).collect();
    assert_eq!(left_out.len(), 2, "{printed}");
    assert!(left_out.iter().any(|line| line.contains("three")));
    assert!(left_out.iter().any(|line| line.contains("four")));
    let status: Value = serde_json::from_str(&sprint.ok(&["-C", "mine", "status", "--json"])).unwrap();
    assert_eq!(status["pairs"]["total"], 2);
    let query = "SELECT images['prompt'] AS prompt FROM results ORDER BY id";
    let rows = sprint.ok(&["-C", "mine", "sql", query, "--format", "json"]);
    assert!(rows.contains("a blue heron") && rows.contains("a red fox"), "{rows}");
    sprint.fails(&args, 2);
}

#[test]
fn a_person_of_the_sprint_is_counted_once() {
    let sprint = Sprint::new(1);
    sprint.run();
    let served = Served::start(&sprint);
    let (first, second) = (served.person(&sprint, "Ada"), served.person(&sprint, "Ada"));
    let slug = sprint.status().0["sprint"].as_str().unwrap().to_owned();
    assert_eq!(first.take(&slug, 1), second.take(&slug, 1), "two tokens, one person");
    let people = sprint.ok(&["users", "list"]);
    assert_eq!(people.matches("Ada").count(), 1, "{people}");
}

#[test]
fn help_says_what_there_is() {
    let folder = tempfile::tempdir().unwrap();
    let mut all = String::new();
    for words in [&["--help"][..], &["run", "--help"], &["sql", "--help"], &["publish", "--help"]] {
        let output = program(folder.path()).args(words).env("COLUMNS", "100").output().unwrap();
        all.push_str(&format!(
            "$ diptych {}\n{}\n",
            words.join(" "),
            String::from_utf8_lossy(&output.stdout)
        ));
    }
    insta::assert_snapshot!("help", all);
}
