//! What people get wrong: each is told plainly or recorded as a drop, and nothing is lost.

use std::io::Write as _;

use crate::kit::{Served, Sprint, program};

/// The error of collecting this file.
fn collect_fails(name: &str, content: &[u8]) -> String {
    let sprint = Sprint::with(name, content);
    let error = sprint.fails(&["run", "--until", "clean", "--quiet"], 1);
    assert!(error.contains(name), "it names the file: {error}");
    error
}

#[test]
fn a_source_that_cannot_be_read_stops_the_run() {
    let sprint = Sprint::new(3);
    std::fs::remove_file(sprint.path("prompts.jsonl")).unwrap();
    let error = sprint.fails(&["run", "--quiet"], 1);
    assert!(error.contains("prompts.jsonl") && error.contains("no such file"), "{error}");

    let error = collect_fails("broken.parquet", b"PAR1 and then nothing of use");
    assert!(error.to_lowercase().contains("parquet"), "{error}");
    let error = collect_fails("broken.jsonl.gz", b"not gzip");
    assert!(error.contains("gz"), "{error}");
    let error = collect_fails("wrong.csv", b"text,author\na red fox,me\n");
    assert!(error.contains("`prompt`") && error.contains("text") && error.contains("author"), "{error}");
    let error = collect_fails("wrong.jsonl", b"{\"text\": \"a red fox\"}\n");
    assert!(error.contains("`prompt`") && error.contains("text"), "{error}");
    let utf16: Vec<u8> = "\u{feff}a red fox\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let error = collect_fails("utf16.txt", &utf16);
    assert!(error.contains("UTF-16") || error.contains("UTF-8"), "{error}");
    for empty in ["empty.txt", "empty.jsonl", "empty.csv"] {
        let error = collect_fails(empty, b"");
        assert!(error.contains("empty") || error.contains("no prompt"), "{error}");
    }
}

#[test]
fn a_prompt_that_is_not_of_use_is_a_counted_drop() {
    let mut file = Vec::new();
    writeln!(file, r#"{{"prompt": "a red fox in the snow"}}"#).unwrap();
    writeln!(file, r#"{{"prompt": "{}"}}"#, "very long words ".repeat(6_400)).unwrap();
    writeln!(file, r#"{{"other": "no prompt in this row"}}"#).unwrap();
    writeln!(file, r#"{{"prompt": null}}"#).unwrap();
    writeln!(file, r#"{{"prompt": 17}}"#).unwrap();
    writeln!(file, "this is no JSON").unwrap();
    file.extend_from_slice(b"{\"prompt\": \"caf\xe9 at night\"}\n");
    writeln!(file, r#"{{"prompt": "A  RED fox in the snow"}}"#).unwrap();
    let sprint = Sprint::with("mixed.jsonl", &file);
    let output = sprint.output(&["run", "--until", "clean"]);
    assert!(output.status.success());
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("mixed.jsonl") && said.contains('6'), "a malformed row is named: {said}");
    let status = sprint.status();
    assert_eq!(status.count("collect", "in"), 8, "{}", status.0);
    assert_eq!(status.count("collect", "out"), 3, "{}", status.0);
    assert_eq!((status.dropped("clean", "too_long"), status.dropped("clean", "duplicate")), (1, 1));
    assert_eq!(status.count("clean", "out"), 1, "{}", status.0);

    let sprint = Sprint::with("all-bad.txt", b"a\nb\n\n");
    let error = sprint.fails(&["run", "--quiet"], 1);
    assert!(error.contains("dropped every prompt") && error.contains("diptych status"), "{error}");
}

#[test]
fn configuration_errors_point_at_the_line() {
    let wrong = |from: &str, to: &str, says: &[&str]| {
        let sprint = Sprint::new(1);
        sprint.edit(from, to);
        let text = std::fs::read_to_string(sprint.path("sprint.toml")).unwrap();
        let error = sprint.fails(&["run"], 2);
        for word in says {
            assert!(error.contains(word), "{word} is not in: {error}");
        }
        assert!(error.contains("sprint.toml"), "{error}");
        let line = to.lines().last().unwrap();
        let lines: Vec<&str> = text.lines().collect();
        let line = lines.iter().rposition(|known| known.starts_with(line)).unwrap() + 1;
        assert!(error.contains(&format!(":{line}:")), "line {line}: {error}");
        assert!(!sprint.path("diptych.db").exists(), "nothing was made");
    };
    wrong("overlap = 3 ", "overlapp = 3 ", &["overlapp", "overlap"]);
    wrong("[enhance]", "[enhence]", &["enhence", "enhance"]);
    wrong("overlap = 3 ", "overlap = \"three\" ", &["overlap"]);
    wrong("held_out = 0.05 ", "held_out = 1.5 ", &["held_out"]);
    wrong("engine = \"rules\" ", "engine = \"rulez\" ", &["rulez", "rules"]);
    wrong("key = \"sd\"", "key = \"dev\"", &["dev", "twice"]);
    wrong("text = [\"lexicon\"] ", "text = [\"lexikon\"] ", &["lexikon", "lexicon"]);
    wrong("seed = 42", "seed = 42 43", &["seed"]);
    wrong("license = \"Apache-2.0\" ", "api_key = \"hunter2\" ", &["api_key"]);
}

#[test]
fn a_file_of_ones_own_is_never_written_over() {
    let sprint = Sprint::empty();
    std::fs::write(sprint.path("prompts.txt"), "my own prompt\n").unwrap();
    let error = sprint.fails(&["demo", ".", "--no-serve"], 2);
    assert!(error.contains("prompts.txt"), "{error}");
    assert_eq!(std::fs::read_to_string(sprint.path("prompts.txt")).unwrap(), "my own prompt\n");
    let sprint = Sprint::new(1);
    std::fs::write(sprint.path("sprint.toml"), b"[sprint]\ntitle = \"caf\xe9\"\n").unwrap();
    let error = sprint.fails(&["run"], 2);
    assert!(error.contains("sprint.toml") && error.contains("UTF-8"), "{error}");
}

#[test]
fn overrides_are_checked_like_files() {
    let mut sprint = Sprint::new(1);
    sprint.set("DIPTYCH_ANNOTATE__OVERLAP", "5");
    assert_eq!(sprint.run().0["responses"]["wanted"], 10);
    for (name, value, says) in [
        ("DIPTYCH_ANNOTATE__OVERLAP", "many", "DIPTYCH_ANNOTATE__OVERLAP"),
        ("DIPTYCH_ANNOTATE__OVERLAPS", "5", "overlap"),
        ("DIPTYCH_ANOTATE__OVERLAP", "5", "annotate"),
    ] {
        sprint.env.clear();
        sprint.set(name, value);
        let error = sprint.fails(&["status"], 2);
        assert!(error.contains(says) && error.contains(name), "{name}={value}: {error}");
    }
}

#[test]
fn a_database_that_is_not_ours_is_left_alone() {
    let sprint = Sprint::new(1);
    let file = sprint.path("diptych.db");
    std::fs::write(&file, "this is a letter, and not a database at all; please leave it as it is").unwrap();
    let before = std::fs::read(&file).unwrap();
    let error = sprint.fails(&["run"], 1);
    assert!(error.contains("diptych.db") && error.contains("not a database"), "{error}");
    assert_eq!(std::fs::read(&file).unwrap(), before);
    // One table, `people (shoe_size INTEGER)`, made by another program.
    let others = include_bytes!("data/another-program.db");
    std::fs::write(&file, others).unwrap();
    let error = sprint.fails(&["run"], 1);
    assert!(error.contains("another program") && error.contains("people"), "{error}");
    assert_eq!(std::fs::read(&file).unwrap(), others);
    let mut sprint = Sprint::new(1);
    sprint.set("DIPTYCH_STORAGE__DATABASE", "mysql://root@localhost/x");
    let error = sprint.fails(&["run"], 2);
    assert!(error.contains("mysql") && error.contains("sqlite:") && error.contains("postgres:"), "{error}");
    sprint.set("DIPTYCH_STORAGE__DATABASE", "postgres://nobody:secret@127.0.0.1:1/none");
    let error = sprint.fails(&["status"], 1);
    assert!(error.contains("127.0.0.1:1") && !error.contains("secret"), "{error}");
}

#[test]
fn queries_and_destinations_that_cannot_be_are_told_so() {
    let sprint = Sprint::new(2);
    let error = sprint.fails(&["publish", "--to", "out"], 1);
    assert!(error.contains("diptych run"), "{error}");
    sprint.run();
    let report = sprint.ok(&["report"]);
    assert!(report.contains("0 responses"), "{report}");
    let printed = sprint.ok(&["publish", "--to", "out"]);
    assert!(printed.contains("binarized: not written"), "{printed}");
    assert!(!sprint.path("out/binarized").exists());

    let error = sprint.fails(&["sql", "SELEC 1"], 1);
    assert!(error.to_lowercase().contains("selec"), "{error}");
    let error = sprint.fails(&["sql", "SELECT * FROM nowhere"], 1);
    assert!(error.contains("nowhere") && error.contains("results"), "{error}");
    sprint.fails(&["sql"], 2);
    sprint.fails(&["sql", "--file", "nowhere.sql"], 1);
    let error = sprint.fails(&["sql", "SELECT 1", "--train", "nowhere/*.parquet"], 1);
    assert!(error.contains("nowhere/*.parquet"), "{error}");
    std::fs::write(sprint.path("bad.parquet"), "no").unwrap();
    let error = sprint.fails(&["sql", "SELECT 1", "--train", "bad.parquet"], 1);
    assert!(error.contains("bad.parquet"), "{error}");

    std::fs::write(sprint.path("file"), "a file").unwrap();
    let error = sprint.fails(&["publish", "--to", "file"], 1);
    assert!(error.contains("file"), "{error}");
    std::fs::create_dir_all(sprint.path("mine/results")).unwrap();
    std::fs::write(sprint.path("mine/results/thesis.txt"), "years of work").unwrap();
    let error = sprint.fails(&["publish", "--to", "mine"], 1);
    assert!(error.contains("mine"), "{error}");
    assert_eq!(std::fs::read_to_string(sprint.path("mine/results/thesis.txt")).unwrap(), "years of work");
}

#[test]
fn people_and_addresses_that_cannot_be_are_told_so() {
    let sprint = Sprint::new(1);
    sprint.run();
    let error = sprint.fails(&["users", "role", "Ada", "king"], 2);
    assert!(error.contains("king") && error.contains("organizer"), "{error}");
    sprint.fails(&["users", "token", " "], 2);
    let served = Served::start(&sprint);
    let error = sprint.fails(&["serve", "--addr", &served.address], 1);
    assert!(error.contains(&served.address) && error.contains("--addr"), "{error}");
    sprint.fails(&["serve", "--addr", "everywhere"], 2);

    let folder = tempfile::tempdir().unwrap();
    for model in ["a", "b"] {
        std::fs::create_dir(folder.path().join(model)).unwrap();
    }
    for (args, says) in [
        (&["import", "images", "--model", "dev=a"][..], "two models"),
        (&["import", "images", "--model", "dev=a", "--model", "dev=b"], "twice"),
        (&["import", "images", "--model", "a", "--model", "dev=b"], "KEY=DIR"),
        (&["import", "images", "--model", "dev=a", "--model", "sd=nowhere"], "nowhere"),
        (&["import", "images", "--model", "dev=a", "--model", "sd=b"], "nothing matches"),
    ] {
        let output = program(folder.path()).args(args).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && error.contains(says), "{args:?}: {error}");
    }
}

#[test]
fn a_demo_is_not_made_of_somebodys_sprint() {
    let sprint = Sprint::new(2);
    let said = sprint.fails(&["demo", ".", "--no-serve", "--quiet"], 2);
    assert!(said.contains("a sprint of yours") && said.contains("nothing was changed"), "{said}");
}

#[test]
fn check_shows_no_password() {
    let mut sprint = Sprint::new(2);
    sprint.set("DIPTYCH_STORAGE__DATABASE", "postgres://me:hunter2@127.0.0.1:1/none?password=hunter2");
    let output = sprint.output(&["check"]);
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("me@127.0.0.1") && !said.contains("hunter2"), "{said}");
    sprint.set("DIPTYCH_STORAGE__DATABASE", "mysql://me:hunter2@host/none");
    let said = sprint.fails(&["check"], 2);
    assert!(said.contains("mysql:") && !said.contains("hunter2"), "{said}");
}

#[test]
fn a_file_in_another_encoding_is_told_as_one() {
    let said = collect_fails("prompts.txt", b"caf\xE9 au lait\nna\xEFve fox\n");
    assert!(said.contains("not UTF-8") && said.contains("row 1"), "{said}");
}

#[test]
fn an_empty_file_of_results_is_told_by_name() {
    let sprint = Sprint::empty();
    std::fs::write(sprint.path("none.csv"), "").unwrap();
    let said = sprint.fails(&["sql", "--train", "none.csv", "SELECT 1"], 1);
    assert!(said.contains("none.csv") && said.contains("empty"), "{said}");
}
