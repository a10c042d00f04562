//! Whatever stands in a backup: what comes out of it has its hash and a place of its own, or an error says in few
//! words why it does not.
//!
//! With a first byte `A` what comes is the file itself. With any other it is parts of one, as `name\ncontent\0`: so the
//! layout is reached without finding out how a zip is built.

#![no_main]

use std::io::{BufRead, BufReader, Cursor, Read, Write};
use std::path::{Component, Path};

use diptych_backup::{Backup, Flaw, Writer};
use diptych_core::ImageHash;
use libfuzzer_sys::fuzz_target;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

/// What unpacks to more is cut off: it takes long and shows nothing new.
const MOST: u64 = 2 << 20;

fuzz_target!(|bytes: &[u8]| match bytes {
    [b'A', file @ ..] => look(file.to_vec()),
    [_, parts @ ..] => {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        for part in parts.split(|byte| *byte == 0) {
            let mut halves = part.splitn(2, |byte| *byte == b'\n');
            let (Some(name), Some(content)) = (halves.next(), halves.next()) else { continue };
            let Ok(name) = str::from_utf8(name) else { continue };
            if zip.start_file(name, SimpleFileOptions::default()).is_ok() {
                zip.write_all(content).expect("memory takes everything");
            }
        }
        look(zip.finish().expect("memory takes everything").into_inner());
    }
    [] => {}
});

fn look(file: Vec<u8>) {
    let mut backup = match Backup::open(Cursor::new(file)) {
        Ok(backup) => backup,
        Err(flaw) => return says(&flaw),
    };
    let label = backup.label().clone();
    let mut writer = Writer::new(Cursor::new(Vec::new()));
    let (mut images, mut whole) = (0, true);
    for hash in backup.images() {
        match backup.image(&hash) {
            Ok(bytes) => {
                assert_eq!(ImageHash::of(&bytes).as_str(), hash);
                writer.image(&hash, &bytes).expect("memory takes everything");
                images += 1;
            }
            Err(flaw) => {
                says(&flaw);
                whole = false;
            }
        }
    }
    assert!(images <= label.images, "no image comes from nowhere");
    let sprints = match backup.sprints() {
        Ok(sprints) => sprints,
        Err(flaw) => return says(&flaw),
    };
    for (folder, _) in &sprints {
        let mut parts = Path::new(folder).components();
        let first = parts.next();
        assert!(first.is_none() || matches!(first, Some(Component::Normal(_))), "{folder:?} leads elsewhere");
        assert!(parts.next().is_none(), "{folder:?} is more than a folder");
    }
    let mut rows = Vec::new();
    match backup.rows("people") {
        Ok(Some(reader)) => {
            let lines = BufReader::new(reader.take(MOST)).lines();
            rows.extend(lines.map_while(Result::ok).filter(|line| !line.contains('\r')));
        }
        Ok(None) => {}
        Err(flaw) => says(&flaw),
    }
    for row in &rows {
        writer.row("people", row).expect("memory takes everything");
    }
    if !whole {
        return;
    }
    // What was read can be written, and is the same again.
    for sprint in &sprints {
        writer.sprint(sprint).expect("every place is a place");
    }
    let (said, file) = writer.finish(&label.program, label.made_at).expect("memory takes everything");
    let mut again = Backup::open(file).expect("a backup of ours");
    assert_eq!(again.label(), &said);
    assert_eq!(again.sprints().expect("all of them"), sprints);
    assert_eq!((said.images, again.images().len() as u64), (images, images));
    let text = again.rows("people").expect("rows").map(|mut reader| {
        let mut text = String::new();
        reader.read_to_string(&mut text).map(|_| text).expect("text")
    });
    assert_eq!(text.unwrap_or_default().lines().collect::<Vec<_>>(), rows);
}

fn says(flaw: &Flaw) {
    let text = flaw.to_string();
    // Names of parts are at most 64 KiB long in any zip.
    assert!(!text.is_empty() && text.len() < 100_000, "{text}");
}
