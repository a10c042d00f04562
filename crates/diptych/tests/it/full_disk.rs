//! The disk is full: what was acknowledged stays, the message says so, and with room again it goes on.
//!
//! This wants a small file system that a test may fill: `cargo xtask ci` mounts one.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};

use crate::kit::{Answer, Served, Sprint, until};
use crate::postgres::Postgres;

/// There is one small file system: one test at a time has it.
pub static ALONE: Mutex<()> = Mutex::new(());

/// A folder on the small file system.
pub fn small_disk() -> PathBuf {
    std::env::var_os("DIPTYCH_TEST_SMALL_DISK").expect("DIPTYCH_TEST_SMALL_DISK names a folder").into()
}

/// What fills a disk, until dropped.
struct Filler(PathBuf);

impl Filler {
    /// Leaves this many bytes.
    fn all_but(disk: &Path, left: u64) -> Self {
        let path = disk.join("filler");
        let mut file = OpenOptions::new().create(true).append(true).open(&path).unwrap();
        let zeros = [0; 4096];
        let mut written = 0;
        while let Ok(more) = file.write(&zeros) {
            written += more as u64;
            assert!(written < 1 << 30, "{} is not small", disk.display());
        }
        file.set_len(written.saturating_sub(left)).unwrap();
        Self(path)
    }
}

impl Drop for Filler {
    fn drop(&mut self) {
        std::fs::remove_file(&self.0).ok();
    }
}

#[test]
#[ignore = "needs a small file system: cargo xtask ci"]
fn nothing_acknowledged_is_lost_on_a_full_disk() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let disk = small_disk();
    let mut sprint = Sprint::below(&disk, 25);
    sprint.set("DIPTYCH_LIMITS__PER_PERSON", "1000000");

    // No room at all, then a little more each time: the database, the queue and the pictures fill it.
    let mut rooms = (0..).map(|step| step * 64 * 1024);
    let mut failed = 0;
    loop {
        let filler = Filler::all_but(&disk, rooms.next().unwrap());
        let output = sprint.output(&["run", "--quiet"]);
        if output.status.success() {
            break;
        }
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(" is full; ") || said.contains("No space left on device"), "{said}");
        failed += 1;
        drop(filler);
    }
    assert!(failed >= 3, "{failed}");
    let status = sprint.status();
    let generated = status.stage("generate");
    assert_eq!((&generated["in"], &generated["out"]), (&json!(96), &json!(96)), "{generated}");
    assert_eq!(status.pairs(), 48);
    assert_eq!(sprint.blobs().len(), 96);

    // Answers over what is left: each is either recorded or refused.
    let slug = status.0["sprint"].as_str().unwrap();
    let served = Served::start(&sprint);
    let ada = served.person(&sprint, "Ada");
    let taken = ada.take(slug, 10);
    let filler = Filler::all_but(&disk, 0);
    let mut recorded = std::collections::BTreeSet::new();
    let refused = (0..20_000).find_map(|round: usize| {
        let assignment = &taken[round % taken.len()];
        let answer = ada.answer(assignment, if round.is_multiple_of(3) { "left" } else { "right" });
        if answer.status == 503 {
            return Some((assignment, answer));
        }
        assert!(matches!(answer.status, 200 | 201), "{}", answer.text());
        recorded.insert(round % taken.len());
        None
    });
    let (assignment, answer) = refused.expect("an answer for which there is no room");
    assert_eq!(answer.problem(503), "/problems/unavailable");
    assert!(answer.text().contains("disk is full"), "{}", answer.text());
    drop(filler);
    assert_eq!(sprint.status().0["responses"]["submitted"], recorded.len());
    assert!(matches!(ada.answer(assignment, "both_good").status, 200 | 201));
}

/// The same of PostgreSQL: the disk that fills is its own, and what it makes of that (a refusal, or its end) is nothing
/// that a person has to know.
#[test]
#[ignore = "needs PostgreSQL and a file system of its own: cargo xtask ci"]
fn nothing_acknowledged_is_lost_on_a_full_disk_of_postgresql() {
    let disk = small_disk().join("of-postgresql");
    std::fs::create_dir_all(&disk).unwrap();
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=112m", "tmpfs"]).arg(&disk).status();
    assert!(mounted.unwrap().success(), "this runs in a mount namespace of its own");
    let mut postgres = Postgres::start(&disk);
    let mut sprint = Sprint::new(6);
    sprint.set("DIPTYCH_STORAGE__DATABASE", &postgres.url());
    sprint.set("DIPTYCH_LIMITS__PER_PERSON", "1000000");
    let slug = sprint.run().0["sprint"].as_str().unwrap().to_owned();
    let served = Served::start(&sprint);
    let ada = served.person(&sprint, "Ada");
    let taken = ada.take(&slug, 10);

    let filler = Filler::all_but(&disk, 0);
    let mut recorded = BTreeMap::new();
    let refused = (0..200_000).find_map(|round: usize| {
        let (assignment, side) =
            (round % taken.len(), if round.is_multiple_of(3) { "left" } else { "right" });
        let answer = ada.answer(&taken[assignment], side);
        if answer.status == 503 {
            return Some((assignment, answer));
        }
        assert!(matches!(answer.status, 200 | 201), "{}", answer.text());
        recorded.insert(assignment, side);
        None
    });
    let (assignment, answer) = refused.expect("an answer for which there is no room");
    assert_eq!(answer.problem(503), "/problems/unavailable");
    let said = answer.text();
    assert!(said.contains("disk is full") || said.contains("database does not answer"), "{said}");
    drop(filler);
    postgres.start_again();
    let all: Vec<&Value> = recorded.keys().map(|place| &taken[*place]).collect();
    for (held, side) in all.into_iter().zip(recorded.values()) {
        let again = retried(|| ada.answer(held, side));
        assert_eq!(again.json()["saved"], "repeated", "{}", again.text());
    }
    assert!(matches!(retried(|| ada.answer(&taken[assignment], "both_good")).status, 200 | 201));
}

/// Until the server has a connection to its database again.
fn retried(ask: impl Fn() -> Answer) -> Answer {
    let mut answer = ask();
    until("the database answers again", || {
        if answer.status == 503 {
            answer = ask();
        }
        answer.status != 503
    });
    answer
}
