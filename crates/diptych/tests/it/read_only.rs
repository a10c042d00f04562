//! The disk can no longer be written, as one that fails is mounted by the system: answers are refused, and say why;
//! nothing is lost; when it can be written again, all goes on.

use std::path::Path;
use std::process::Command;
use std::sync::PoisonError;

use serde_json::Value;

use crate::full_disk::{ALONE, small_disk};
use crate::kit::{Answer, Client, Served, Sprint, until};
use crate::postgres::Postgres;

/// Somebody answers, cannot while `fails` says so, and can again: what was acknowledged is there.
fn answers_before_and_after(sprint: &Sprint, slug: &str, fails: impl Fn(bool), says: &str) {
    let served = Served::start(sprint);
    let ada = served.person(sprint, "Ada");
    let taken = ada.take(slug, 4);
    assert_eq!(ada.answer(&taken[0], "left").status, 201);
    assert_eq!(ada.answer(&taken[1], "right").status, 201);
    fails(true);
    let refused = |answer: Answer| {
        assert_eq!(answer.problem(503), "/problems/unavailable");
        assert!(answer.text().contains(says), "{}", answer.text());
        assert!(answer.text().contains("Nothing was changed"), "{}", answer.text());
    };
    refused(ada.answer(&taken[2], "left"));
    refused(ada.answer(&taken[0], "right"));
    refused(taken_back(&ada, &taken[1]));
    // What is there can be read all the same.
    assert_eq!(ada.get("/api/v1/me").status, 200);
    fails(false);
    until("the database can be written again", || ada.answer(&taken[2], "left").status < 300);
    for (held, side) in taken.iter().zip(["left", "right", "left"]) {
        let again = ada.answer(held, side);
        assert_eq!(again.json()["saved"], "repeated", "{}", again.text());
    }
    assert_eq!(taken_back(&ada, &taken[1]).status, 204);
    assert_eq!(ada.answer(&taken[3], "both_bad").status, 201);
    drop(served);
    assert_eq!(sprint.status().0["responses"]["submitted"], 3);
}

fn taken_back(person: &Client, held: &Value) -> Answer {
    person.delete(&format!("/api/v1/assignments/{}/response", held["id"].as_str().unwrap()))
}

/// What stands between the server and its files.
#[cfg(target_os = "linux")]
fn failing_disk(folder: &Path) -> String {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/data/failing_disk.c");
    let built = folder.join("failing_disk.so");
    // Who has built this program has a compiler of C: SQLite is.
    let made = Command::new(std::env::var_os("CC").unwrap_or("cc".into()))
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .args([&built, &source])
        .arg("-ldl")
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    built.to_str().unwrap().to_owned()
}

#[test]
#[cfg(target_os = "linux")]
fn nothing_acknowledged_is_lost_when_the_disk_becomes_read_only() {
    const EIO: &str = "5";
    const EROFS: &str = "30";
    for why in [EROFS, EIO] {
        let mut sprint = Sprint::new(4);
        let slug = sprint.run().0["sprint"].as_str().unwrap().to_owned();
        let (switch, shim) = (sprint.path("fails"), failing_disk(sprint.dir.path()));
        sprint.set("DIPTYCH_TEST_DISK_FAILS", switch.to_str().unwrap());
        sprint.set("LD_PRELOAD", &shim);
        let fails = |fails: bool| match fails {
            true => std::fs::write(&switch, why).unwrap(),
            false => std::fs::remove_file(&switch).unwrap(),
        };
        answers_before_and_after(&sprint, &slug, fails, "database");
    }
}

/// As those who host PostgreSQL make it when its disk is nearly full.
#[test]
#[ignore = "needs PostgreSQL: cargo xtask ci"]
fn nothing_acknowledged_is_lost_when_postgresql_becomes_read_only() {
    let folder = tempfile::tempdir().unwrap();
    let postgres = Postgres::start(folder.path());
    let mut sprint = Sprint::new(4);
    sprint.set("DIPTYCH_STORAGE__DATABASE", &postgres.url());
    let slug = sprint.run().0["sprint"].as_str().unwrap().to_owned();
    let fails = |fails: bool| {
        let set =
            format!("ALTER SYSTEM SET default_transaction_read_only = {}", if fails { "on" } else { "off" });
        postgres.does(&[&set, "SELECT pg_reload_conf()"]);
        // Connections that are open hear of it when they next ask.
        std::thread::sleep(std::time::Duration::from_millis(300));
    };
    answers_before_and_after(&sprint, &slug, fails, "cannot be written");
}

/// On a file system that can only be read, as a failing disk becomes, no server starts that could take an answer and
/// lose it; with a disk that can be written again, all is there.
#[test]
#[ignore = "needs a small file system: cargo xtask ci"]
fn on_a_disk_that_can_only_be_read_nothing_is_taken_and_nothing_lost() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let mount = |how: &str| {
        let remount = format!("remount,{how}");
        let status = Command::new("mount").args(["-o", &remount]).arg(small_disk()).status();
        assert!(status.unwrap().success(), "this runs in a mount namespace of its own");
    };
    let sprint = Sprint::below(&small_disk(), 4);
    let slug = sprint.run().0["sprint"].as_str().unwrap().to_owned();
    {
        let served = Served::start(&sprint);
        let ada = served.person(&sprint, "Ada");
        let held = ada.take(&slug, 1);
        assert_eq!(ada.answer(&held[0], "left").status, 201);
    }
    mount("ro");
    for command in [&["serve", "--addr", "127.0.0.1:0"][..], &["run"], &["users", "token", "Ben"]] {
        let said = sprint.fails(command, 1);
        assert!(
            said.to_lowercase().contains("read-only") || said.contains("readonly"),
            "{command:?}: {said}"
        );
    }
    mount("rw");
    let report: Value = serde_json::from_str(&sprint.ok(&["report", "--json"])).unwrap();
    assert_eq!(report["responses"], 1);
}
