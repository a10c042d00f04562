//! The disk is full: what was acknowledged stays, the message says so, and with room again it goes on.
//!
//! This wants a small file system that a test may fill: `cargo xtask ci` mounts one.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde_json::json;

use crate::kit::{Served, Sprint};

/// There is one small file system: one test at a time has it.
static ALONE: Mutex<()> = Mutex::new(());

/// A folder on the small file system.
fn small_disk() -> PathBuf {
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
    let sprint = Sprint::below(&disk, 25);

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

/// On a file system that can only be read, as a failing disk becomes, no server starts that could take an answer and
/// lose it; with a disk that can be written again, all is there. (Under a server that runs, Linux does not let a
/// test make it so: files are open for writing.)
#[test]
#[ignore = "needs a small file system: cargo xtask ci"]
fn on_a_disk_that_can_only_be_read_nothing_is_taken_and_nothing_lost() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let mount = |how: &str| {
        let remount = format!("remount,{how}");
        let status = std::process::Command::new("mount").args(["-o", &remount]).arg(small_disk()).status();
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
    let report: serde_json::Value = serde_json::from_str(&sprint.ok(&["report", "--json"])).unwrap();
    assert_eq!(report["responses"], 1);
}
