//! Classifiers that answer badly, late or not at all, and files that change under them.

use serde_json::json;

use crate::kit::{Sprint, Status};
use crate::server::{Asked, Reply, Server};

/// A sprint whose texts a server moderates, with further keys of its classifier.
fn moderated(server: &Server, keys: &str) -> Sprint {
    let sprint = Sprint::new(6);
    sprint.edit("text = [\"lexicon\"]", "text = [\"mod\"]");
    let section = format!(
        "[classifiers.mod]\nengine = \"openai-moderation\"\nurl = \"{}\"\nretries = 0\ntimeout_s = 1\n{keys}\n\n[review]",
        server.url
    );
    sprint.edit("[review]", &section);
    sprint
}

fn scores(scores: &serde_json::Value) -> Reply {
    let body = json!({"results": [{"category_scores": scores}]});
    (200, "content-type: application/json\r\n", body.to_string().into_bytes())
}

fn run(sprint: &Sprint, args: &[&str]) -> (String, Status) {
    let output = sprint.output(&[&["run", "--until", "screen-prompts"], args].concat());
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    (said, sprint.status())
}

#[test]
fn a_classifier_that_does_not_answer_leaves_items_to_people_until_it_does() {
    let server = Server::start();
    let sprint = moderated(&server, "");
    server.does(|_: &Asked| (503, "", Vec::new()));
    let (said, status) = run(&sprint, &[]);
    let count = |status: &Status, what: &str| status.count("screen-prompts", what);
    let all = count(&status, "in");
    assert!(all > 0 && count(&status, "review") == all && count(&status, "out") == 0, "{}", status.0);
    assert!(said.contains("mod failed on") && said.contains("503") && said.contains("asks again"), "{said}");
    // An answer that comes too late is none.
    server.does(|_: &Asked| {
        std::thread::sleep(std::time::Duration::from_millis(1500));
        scores(&json!({"sexual": 0.0}))
    });
    let (_, status) = run(&sprint, &[]);
    assert_eq!(count(&status, "review"), all);
    // It is asked again by itself. Where no labels are named, all count.
    server.does(|_: &Asked| scores(&json!({"sexual": 0.01, "violence": 0.02})));
    let (_, status) = run(&sprint, &[]);
    assert_eq!((count(&status, "out"), count(&status, "review")), (all, 0));
    server.does(|_: &Asked| panic!("nobody is asked twice"));
    assert_eq!(count(&run(&sprint, &["--retry-failed"]).1, "out"), all);
}

#[test]
fn an_answer_about_other_things_than_were_asked_is_none() {
    let server = Server::start();
    let sprint = moderated(&server, "positive = [\"sexual\", \"violence/graphic\"]");
    server.does(|_: &Asked| scores(&json!({"sexual": 0.01})));
    let (said, status) = run(&sprint, &[]);
    let all = status.count("screen-prompts", "in");
    assert_eq!(status.count("screen-prompts", "review"), all);
    assert!(
        said.contains("it gave no score for `violence/graphic`") && said.contains("--retry-failed"),
        "{said}"
    );
    server.does(|_: &Asked| scores(&json!({"sexual": 0.01, "violence/graphic": 0.9})));
    let (said, status) = run(&sprint, &[]);
    assert_eq!(status.count("screen-prompts", "review"), all, "what it failed on is asked again on request");
    assert!(said.contains("--retry-failed"), "{said}");
    let (_, status) = run(&sprint, &["--retry-failed"]);
    assert_eq!(status.dropped("screen-prompts", "mod"), all);
}

#[test]
fn labels_that_a_classifier_does_not_have_are_an_error_before_anybody_is_asked() {
    let server = Server::start();
    let sprint = moderated(&server, "");
    sprint.edit(
        "engine = \"openai-moderation\"",
        "engine = \"chat\"\nmodel = \"judge\"\npositive = [\"sexual\", \"gore\"]",
    );
    server.does(|_: &Asked| panic!("nobody is asked"));
    let check = sprint.output(&["check"]);
    assert!(!check.status.success());
    let table = String::from_utf8(check.stdout).unwrap();
    assert!(table.contains("no label `gore`") && table.contains("self_harm"), "{table}");
    let (said, status) = run(&sprint, &[]);
    assert!(said.contains("mod cannot be asked") && said.contains("no label `gore`"), "{said}");
    assert_eq!(status.count("screen-prompts", "out"), 0);
    // Put right, the judge works; without `positive`, all that it judges counts.
    sprint.edit("\npositive = [\"sexual\", \"gore\"]", "");
    server.does(|_: &Asked| {
        crate::server::chat(
            "{\"sexual\": 0, \"violence\": 0, \"hate\": 0.1, \"self_harm\": 0, \"minors\": 0}",
        )
    });
    let (_, status) = run(&sprint, &[]);
    assert_eq!(status.count("screen-prompts", "out"), status.count("screen-prompts", "in"));
}

#[test]
fn a_classifier_is_all_that_its_folder_says() {
    let sprint = Sprint::new(6);
    let model = sprint.path("model");
    let fixture = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../nn/tests/models/bert-onnx");
    std::fs::create_dir_all(model.join("onnx")).unwrap();
    for file in ["config.json", "tokenizer.json", "onnx/model.onnx"] {
        std::fs::copy(fixture.join(file), model.join(file)).unwrap();
    }
    let config = std::fs::read_to_string(model.join("config.json")).unwrap();
    let labels: serde_json::Value = serde_json::from_str(&config).unwrap();
    let label = |number: &str| labels["id2label"][number].as_str().unwrap().to_owned();
    sprint.edit("text = [\"lexicon\"]", "text = [{ use = \"mine\", threshold = 0.0 }]");
    sprint.edit(
        "[review]",
        &format!(
            "[classifiers.mine]\nengine = \"folder\"\nurl = \"model\"\npositive = [\"{}\"]\n\n[review]",
            label("1")
        ),
    );
    let (_, status) = run(&sprint, &[]);
    let all = status.count("screen-prompts", "in");
    assert_eq!(status.dropped("screen-prompts", "mine"), all, "a threshold of 0 removes everything");
    let before = sprint.ok(&["report", "--safety", "--json"]);

    // Other labels are another classifier: it is asked anew, under another version.
    let swapped = config
        .replace(&label("0"), "swapped")
        .replace(&label("1"), &label("0"))
        .replace("swapped", &label("1"));
    std::fs::write(model.join("config.json"), &swapped).unwrap();
    assert_eq!(sprint.status().count("screen-prompts", "pending"), all);
    let (_, status) = run(&sprint, &[]);
    assert_eq!(
        (status.count("screen-prompts", "pending"), status.dropped("screen-prompts", "mine")),
        (0, all)
    );
    assert_ne!(sprint.ok(&["report", "--safety", "--json"]), before);

    // A damaged file lets nothing pass, and a good one is taken up by the next run.
    sprint.edit("threshold = 0.0", "threshold = 1.0");
    assert_eq!(sprint.status().count("screen-prompts", "out"), all);
    std::fs::write(model.join("tokenizer.json"), "{").unwrap();
    let (said, status) = run(&sprint, &[]);
    assert_eq!(status.count("screen-prompts", "review"), all);
    assert!(said.contains("mine failed on") && said.contains("tokenizer.json"), "{said}");
    std::fs::copy(fixture.join("tokenizer.json"), model.join("tokenizer.json")).unwrap();
    assert_eq!(run(&sprint, &[]).1.count("screen-prompts", "out"), all);

    // On a machine without its files, what it has passed stays passed, and what is new waits for people.
    std::fs::remove_dir_all(&model).unwrap();
    assert_eq!(run(&sprint, &[]).1.count("screen-prompts", "out"), all);
    let file = sprint.path("prompts.jsonl");
    let more = std::fs::read_to_string(&file).unwrap()
        + "{\"prompt\": \"a heron that nobody has ever seen before\"}\n";
    std::fs::write(file, more).unwrap();
    let (said, status) = run(&sprint, &[]);
    assert_eq!(
        (status.count("screen-prompts", "out"), status.count("screen-prompts", "review")),
        (all, 1),
        "{said}"
    );
    assert!(said.contains("mine cannot be asked"), "{said}");
}
