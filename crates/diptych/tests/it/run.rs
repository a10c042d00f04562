//! From a prompt list to pairs, again and again.

use std::process::Stdio;

use crate::kit::{Sprint, until};

const STAGES: [&str; 8] =
    ["collect", "clean", "screen-prompts", "enhance", "screen-variants", "generate", "screen-images", "pair"];

#[test]
fn new_writes_a_sprint_once() {
    let sprint = Sprint::empty();
    let folder = sprint.path("a-sprint");
    std::fs::write(sprint.path("prompts.txt"), "a red fox\n").unwrap();
    sprint.ok(&["new", "a-sprint", "--prompts", "prompts.txt"]);
    let text = std::fs::read_to_string(folder.join("sprint.toml")).unwrap();
    let sources: Vec<&str> = text.lines().filter(|line| line.starts_with("sources")).collect();
    assert_eq!(sources.len(), 1, "{text}");
    assert!(sources[0].contains("prompts.txt") && sources[0].ends_with(']'), "{}", sources[0]);

    let error = sprint.fails(&["new", "a-sprint"], 2);
    assert!(error.contains("sprint.toml exists already"), "{error}");
    assert_eq!(std::fs::read_to_string(folder.join("sprint.toml")).unwrap(), text);

    // Without a file of prompts there are some to try it with, where there is none of one's own.
    assert!(sprint.ok(&["new", "a-trial"]).contains("prompts.txt holds prompts to try it with"));
    assert!(sprint.ok(&["-C", "a-trial", "run", "collect", "clean"]).contains("60"));
    std::fs::create_dir(sprint.path("mine")).unwrap();
    std::fs::write(sprint.path("mine/prompts.txt"), "a heron\n").unwrap();
    assert!(!sprint.ok(&["new", "mine"]).contains("to try it with"));
    assert_eq!(std::fs::read_to_string(sprint.path("mine/prompts.txt")).unwrap(), "a heron\n");

    let error = sprint.fails(&["new", "another", "--prompts", "nowhere.txt"], 2);
    assert!(error.contains("nowhere.txt") && error.contains("no such file"), "{error}");
    assert!(!sprint.path("another").exists());

    let error = sprint.fails(&["run"], 2);
    assert!(error.contains("there is no sprint.toml") && error.contains("diptych new"), "{error}");
}

#[test]
fn real_prompts_become_pairs_and_a_second_run_does_nothing() {
    let sprint = Sprint::new(25);
    let printed = sprint.ok(&["run", "--quiet"]);
    assert!(STAGES.iter().all(|stage| printed.contains(stage)), "{printed}");
    let status = sprint.status();
    let named: Vec<&str> =
        status.0["stages"].as_array().unwrap().iter().map(|s| s["stage"].as_str().unwrap()).collect();
    assert_eq!(named, STAGES);
    assert_eq!(status.count("collect", "in"), 25);
    assert_eq!(status.dropped("clean", "duplicate"), 1);
    let prompts = status.count("screen-prompts", "out");
    assert!(prompts >= 20, "{}", status.0);
    assert_eq!(status.count("enhance", "in"), prompts * 2);
    assert_eq!(status.count("generate", "in"), status.count("screen-variants", "out") * 2);
    assert_eq!(status.pairs(), status.count("pair", "out"));
    assert_eq!(status.0["responses"]["wanted"], status.pairs() * 3);
    assert_eq!(status.0["responses"]["submitted"], 0);
    assert_eq!(status.0["pairs"]["completed"], 0);
    let blobs = sprint.blobs();
    assert_eq!(blobs.len() as u64, status.count("generate", "out"));

    let again = sprint.run();
    assert_eq!(again.0, status.0);
    assert_eq!(sprint.blobs(), blobs);
}

#[test]
fn the_first_prompts_come_with_a_contact_sheet() {
    let sprint = Sprint::new(12);
    let printed = sprint.ok(&["run", "--first", "3", "--quiet"]);
    let files: Vec<&str> = printed.lines().collect();
    let find = |end: &str| {
        let name = files.iter().find(|name| name.ends_with(end)).unwrap_or_else(|| panic!("{printed}"));
        std::fs::read(sprint.path(name)).unwrap()
    };
    assert!(find(".png").starts_with(b"\x89PNG"));
    let page = String::from_utf8(find(".html")).unwrap();
    assert!(page.contains("<img"), "{page}");
    let status = sprint.status();
    assert_eq!(status.pairs(), 6, "{}", status.0);
    assert_eq!(sprint.blobs().len(), 12);
    assert_eq!(status.count("enhance", "pending"), 18, "{}", status.0);
}

#[test]
fn stages_are_chosen_by_name() {
    let sprint = Sprint::new(6);
    sprint.ok(&["run", "--until", "clean", "--quiet"]);
    let status = sprint.status();
    assert_eq!((status.count("clean", "out"), status.pairs()), (6, 0));
    assert!(sprint.blobs().is_empty());

    let dry = sprint.ok(&["run", "--dry-run"]);
    let generate: Vec<&str> =
        dry.lines().find(|line| line.starts_with("generate")).unwrap().split_whitespace().collect();
    assert!(generate.contains(&"24"), "{dry}");
    assert_eq!(sprint.status().0, status.0);

    sprint.ok(&["run", "--until", "generate", "--quiet"]);
    let made = sprint.status();
    assert_eq!((made.count("generate", "out"), made.count("screen-images", "out")), (24, 24));
    assert_eq!(made.count("pair", "pending"), 12, "{}", made.0);

    let error = sprint.fails(&["run", "generat"], 2);
    assert!(error.contains("no stage `generat`") && error.contains("screen-variants"), "{error}");
    sprint.fails(&["run", "--until", "nowhere"], 2);
    sprint.fails(&["walk"], 2);
}

#[test]
fn looking_makes_nothing() {
    let sprint = Sprint::new(3);
    let before = sprint.files();
    let dry = sprint.ok(&["run", "--dry-run"]);
    assert!(dry.contains("nothing is collected yet"), "{dry}");
    assert_eq!(sprint.status().pairs(), 0);
    sprint.ok(&["report"]);
    sprint.ok(&["report", "--safety"]);
    assert!(sprint.ok(&["sql", "select count(*) as pairs from results"]).contains('0'));
    assert_eq!(sprint.files(), before);
}

#[test]
fn a_source_spelled_otherwise_is_the_same_source() {
    let sprint = Sprint::new(5);
    let whole = sprint.run();
    sprint.edit("\"prompts.jsonl\"", "\"./prompts.jsonl\"");
    let blobs = sprint.blobs();
    let dry = sprint.ok(&["run", "--dry-run"]);
    assert_eq!(sprint.run().0, whole.0, "{dry}");
    assert_eq!(sprint.blobs(), blobs);
    let rows = sprint.ok(&["sql", "--format", "json", "select distinct id from results order by id"]);
    assert!(rows.contains("\"0-"), "indexes are kept: {rows}");
}

/// The whole way on the other database, shared by two sprints' folders, and again after it is there.
#[test]
#[ignore = "needs PostgreSQL: cargo xtask ci"]
fn a_sprint_runs_on_postgresql_as_on_sqlite() {
    let url = std::env::var("DIPTYCH_TEST_POSTGRES").expect("DIPTYCH_TEST_POSTGRES names a database");
    let slug = format!("black-box-{}", std::process::id());
    let on = |database: Option<&str>| {
        let mut sprint = Sprint::new(12);
        let text = std::fs::read_to_string(sprint.path("sprint.toml")).unwrap();
        let old = text.lines().find(|line| line.starts_with("slug = ")).unwrap();
        sprint.edit(old, &format!("slug = \"{slug}\""));
        if let Some(url) = database {
            sprint.set("DIPTYCH_STORAGE__DATABASE", url);
        }
        let first = sprint.run();
        assert_eq!(sprint.run().0, first.0, "a second run does nothing");
        sprint.ok(&["publish", "--to", "out", "--only", "results", "--quiet"]);
        let rows = [
            "sql",
            "--format",
            "json",
            "select id, images, evolution, category, sub_category from results order by id",
        ];
        (first.0, sprint.ok(&rows), sprint.path("diptych.db").exists())
    };
    let (here, rows, file) = on(None);
    assert!(file);
    let (there, same_rows, file) = on(Some(&url));
    assert!(!file, "nothing is kept beside the sprint");
    assert_eq!(there, here);
    assert_eq!(same_rows, rows);
}

#[test]
fn a_second_run_at_the_same_time_is_refused() {
    let sprint = Sprint::new(25);
    sprint.edit("size = [64, 64]", "size = [768, 768]");
    let mut first = sprint.command(&["run", "--quiet"]).stdout(Stdio::null()).spawn().unwrap();
    until("the first run draws", || !sprint.blobs().is_empty());
    let error = sprint.fails(&["run"], 1);
    assert!(error.contains("another `diptych run` is at work"), "{error}");
    sprint.status();
    crate::kit::signal(&first, "INT");
    assert_eq!(first.wait().unwrap().code(), Some(130));
    let status = sprint.status();
    assert!(status.count("generate", "pending") > 0, "{}", status.0);
    assert_eq!(status.count("generate", "out"), sprint.blobs().len() as u64);
}

#[test]
fn a_threshold_that_is_changed_during_a_run_is_not_overrun() {
    let sprint = Sprint::new(12);
    sprint.edit("size = [64, 64]", "size = [768, 768]");
    let run =
        sprint.command(&["run", "--quiet"]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    until("the run draws", || !sprint.blobs().is_empty());
    sprint.edit("\"lexicon\"]", "{ use = \"lexicon\", threshold = 0.0 }]");
    let output = run.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("sprint.toml was changed") && said.contains("run again"), "{said}");
    assert_eq!(sprint.run().pairs(), 0, "every text is removed now");
}

#[test]
fn a_configuration_that_failed_and_was_put_back_leaves_no_trace() {
    let sprint = Sprint::new(8);
    let whole = sprint.run();
    for (good, bad, what) in [
        ("length = { min = 3,", "length = { min = 990,", "dropped every prompt"),
        (
            "sources = [\"prompts.jsonl\"]",
            "sources = [\"prompts.jsonl\", \"more.jsonl\", \"broken.parquet\"]",
            "broken.parquet",
        ),
    ] {
        std::fs::write(sprint.path("more.jsonl"), "{\"prompt\": \"a lighthouse in a storm\"}\n").unwrap();
        std::fs::write(sprint.path("broken.parquet"), b"PAR1 no more").unwrap();
        sprint.edit(good, bad);
        let said = sprint.fails(&["run", "--quiet"], 1);
        assert!(said.contains(what), "{said}");
        sprint.edit(bad, good);
        assert_eq!(sprint.run().0, whole.0, "after: {what}");
    }
}

#[test]
fn what_is_held_out_is_published_as_such_also_when_it_is_changed_later() {
    let sprint = Sprint::new(12);
    sprint.edit("held_out = 0.05", "held_out = 0.0");
    sprint.run();
    sprint.edit("held_out = 0.0", "held_out = 0.99");
    sprint.run();
    sprint.ok(&["publish", "--to", "out", "--only", "results", "--quiet"]);
    let files: Vec<String> = std::fs::read_dir(sprint.path("out/results/data"))
        .unwrap()
        .map(|file| file.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    assert_eq!(files, ["test-00000-of-00001.parquet"], "no split without rows");
}

#[test]
fn a_second_sprint_of_a_new_server_may_run_at_the_same_time() {
    let server = Sprint::empty();
    std::fs::write(server.path("diptych.toml"), "").unwrap();
    let sprints = [Sprint::below(&server.path(""), 3), Sprint::below(&server.path(""), 3)];
    let runs: Vec<_> = sprints
        .iter()
        .map(|sprint| {
            sprint.command(&["run", "--quiet"]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    for run in runs {
        let output = run.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}
