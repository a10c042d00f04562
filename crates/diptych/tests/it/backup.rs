//! A server in one file, taken while it serves, and back.

use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::Value;

use crate::kit::{Client, Served, Sprint, until};

fn again(served: &Served, person: &Client) -> Client {
    Client { address: served.address.clone(), ..person.clone() }
}

fn repeated(person: &Client, assignment: &Value) {
    let answer = person.answer(assignment, "left");
    assert_eq!(
        (answer.status, answer.json()["saved"].as_str()),
        (200, Some("repeated")),
        "{}",
        answer.text()
    );
}

/// Fills a server, keeps it while people go on answering, and brings it back into another one.
fn there_and_back(sprint: &Sprint, other: &Sprint) {
    let slug = sprint.run().0["sprint"].as_str().unwrap().to_owned();
    sprint.ok(&["users", "role", "Org", "organizer"]);
    let file = sprint.path("server.zip");
    let file = file.to_str().unwrap();
    let served = Served::start(sprint);
    let (ada, ben) = (served.person(sprint, "Ada"), served.person(sprint, "Ben"));
    let before = ada.take(&slug, 10);
    for held in &before {
        assert_eq!(ada.answer(held, "left").status, 201);
    }
    let (done, taken_in) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                for held in ben.take(&slug, 10) {
                    assert_eq!(ben.answer(&held, "right").status, 201);
                    taken_in.fetch_add(1, Ordering::Relaxed);
                    ben.delete(&format!("/api/v1/assignments/{}/response", held["id"].as_str().unwrap()));
                }
            }
        });
        until("people answer", || taken_in.load(Ordering::Relaxed) > 0);
        let before = taken_in.load(Ordering::Relaxed);
        let said = sprint.ok(&["backup", file]);
        assert!(taken_in.load(Ordering::Relaxed) > before, "answers came in meanwhile");
        done.store(true, Ordering::Relaxed);
        assert!(said.contains("1 sprints") && said.contains("images"), "{said}");
    });
    assert!(sprint.fails(&["backup", file], 1).contains("is there already"));
    drop(served);

    let said = other.ok(&["restore", file]);
    assert!(said.contains("sprint.toml"), "{said}");
    let (status, was) = (other.status(), sprint.status());
    assert_eq!(status.0["stages"], was.0["stages"]);
    assert_eq!(status.pairs(), was.pairs());
    assert!(status.0["responses"]["submitted"].as_u64().unwrap() >= before.len() as u64);
    let twice = "SELECT COUNT(*) AS twice FROM (SELECT pair_id, pseudonym FROM responses GROUP BY 1, 2 HAVING COUNT(*) > 1)";
    assert!(other.ok(&["sql", twice, "--format", "csv"]).contains("\n0\n"), "nobody stands twice on a pair");
    let tables = |sprint: &Sprint| {
        let query =
            "SELECT prompt, category, style_prompt, image_quality_dev FROM preferences ORDER BY prompt";
        sprint.ok(&["sql", query, "--format", "json"])
    };
    assert_eq!(tables(other), tables(sprint));
    // Who was known is known, what they answered is there, and they go on.
    let served = Served::start(other);
    let ada = again(&served, &ada);
    before.iter().for_each(|held| repeated(&ada, held));
    for side in ["left", "right"] {
        let next = ada.take(&slug, 1).remove(0);
        assert_eq!(ada.get(next[side]["url"].as_str().unwrap()).status, 200, "images came along");
    }
    assert!(other.fails(&["restore", file], 1).contains("has nothing yet"), "and not twice");
    drop(served);
    // Nothing is made anew. (The files that prompts were read from are no part of a server.)
    let images = other.blobs();
    other.ok(&["run", "generate", "screen-images", "pair", "--quiet"]);
    assert_eq!((other.status().pairs(), other.blobs()), (was.pairs(), images));
}

#[test]
fn a_server_comes_back_as_it_was_while_people_went_on() {
    there_and_back(&Sprint::new(8), &Sprint::empty());
}

#[test]
#[ignore = "needs PostgreSQL: cargo xtask ci"]
fn a_server_moves_from_sqlite_to_postgres_and_back() {
    let server = std::env::var("DIPTYCH_TEST_POSTGRES").expect("DIPTYCH_TEST_POSTGRES names a server");
    let name = format!("diptych_backup_{}", std::process::id());
    let sql = |statement: String| {
        let ended = Command::new("psql").args([&server, "-qc", &statement]).status().unwrap();
        assert!(ended.success(), "{statement}");
    };
    sql(format!("CREATE DATABASE {name}"));
    let (rest, _) = server.rsplit_once('/').expect("an address with a database");
    let (sqlite, mut postgres) = (Sprint::new(8), Sprint::empty());
    postgres.set("DIPTYCH_STORAGE__DATABASE", &format!("{rest}/{name}"));
    there_and_back(&sqlite, &postgres);
    let home = Sprint::empty();
    let file = postgres.path("back.zip");
    postgres.ok(&["backup", file.to_str().unwrap()]);
    home.ok(&["restore", file.to_str().unwrap()]);
    assert_eq!(home.status().0, postgres.status().0);
    sql(format!("DROP DATABASE {name} WITH (FORCE)"));
}

/// Several sprints come back as one server, for every command.
#[test]
fn a_server_of_several_sprints_comes_back_as_one() {
    let root = tempfile::tempdir().unwrap();
    let sprints = [Sprint::below(root.path(), 2), Sprint::below(root.path(), 3)];
    let server = Sprint { dir: root, env: Default::default() };
    let said = server.fails(&["serve", "--addr", "127.0.0.1:0"], 2);
    assert!(said.contains("has no diptych.toml"), "{said}");
    std::fs::write(server.path("diptych.toml"), "").unwrap();
    let statuses = sprints.each_ref().map(|sprint| sprint.run().0);
    server.ok(&["backup", "server.zip"]);
    let back = Sprint::empty();
    let said = back.ok(&["restore", server.path("server.zip").to_str().unwrap()]);
    assert!(said.contains("diptych.toml"), "{said}");
    for (sprint, was) in sprints.iter().zip(statuses) {
        let name = sprint.dir.path().file_name().unwrap().to_str().unwrap();
        let status = back.ok(&["-C", name, "status", "--json"]);
        assert_eq!(serde_json::from_str::<Value>(&status).unwrap(), was);
        assert!(!back.path(name).join("diptych.db").exists());
    }
    drop(Served::start(&back));
}

#[test]
fn what_is_no_whole_backup_is_not_brought_back() {
    let sprint = Sprint::new(2);
    assert!(sprint.fails(&["backup", "too-early.zip"], 2).contains("nothing"), "there is no database yet");
    sprint.run();
    sprint.ok(&["backup", "whole.zip"]);
    let rows_only = sprint.ok(&["backup", "rows.zip", "--no-blobs"]);
    assert!(rows_only.contains("0 images"), "{rows_only}");
    let whole = std::fs::read(sprint.path("whole.zip")).unwrap();
    let size = |name: &str| std::fs::metadata(sprint.path(name)).unwrap().len();
    assert!(size("rows.zip") < size("whole.zip"));
    // A byte in the midst of an image.
    let mut damaged = whole.clone();
    let place =
        whole.windows(4).position(|bytes| bytes == b"IDAT" || bytes == b"JFIF").expect("an image") + 40;
    damaged[place] ^= 0xff;
    for (name, bytes, says) in [
        ("cut.zip", &whole[..whole.len() / 2], "no backup"),
        ("other.zip", &b"PK but no archive"[..], "no backup"),
        ("damaged.zip", &damaged[..], "damaged.zip"),
    ] {
        std::fs::write(sprint.path(name), bytes).unwrap();
        let fresh = Sprint::empty();
        let said = fresh.fails(&["restore", sprint.path(name).to_str().unwrap()], 1);
        assert!(said.contains(says), "{name}: {said}");
        assert!(!fresh.path("sprint.toml").exists());
        // Nothing was brought back, so the good one still can be.
        fresh.ok(&["restore", sprint.path("whole.zip").to_str().unwrap()]);
        assert_eq!(fresh.status().0, sprint.status().0);
    }
    let missing = sprint.fails(&["restore", "nowhere.zip"], 1);
    assert!(missing.contains("nowhere.zip"), "{missing}");
}
