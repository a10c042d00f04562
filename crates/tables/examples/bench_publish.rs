//! Writing `binarized` with 10,000 pairs of 1024×1024 JPEG, against copying the same bytes, as JSON lines.
//!
//! `bench_publish [FOLDER] [PAIRS] [BYTES]`: where to work (its disk is what is measured), how many pairs, and
//! how large an image is. The images are files of bytes that do not compress; both sides read them.
//! `share_of_copy` is the copy's time over the publishing's; memory is the most the process had.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use bytes::Bytes;
use diptych_tables::card::Card;
use diptych_tables::cells::Image;
use diptych_tables::dataset::{DatasetWriter, Split};
use diptych_tables::rows::{self, BinarizedRow};
use serde_json::json;

type Failure = Box<dyn std::error::Error>;

/// Files that stand for the sprint's blobs; pairs take turns with them, so that the disk holds one copy.
const FILES: usize = 2000;

#[allow(clippy::print_stdout, reason = "a benchmark's lines are its output")]
fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let folder = arguments.first().map_or_else(std::env::temp_dir, PathBuf::from);
    let pairs: usize = arguments.get(1).map_or(Ok(10_000), |text| text.parse())?;
    let size: usize = arguments.get(2).map_or(Ok(250_000), |text| text.parse())?;
    let work = folder.join(format!("diptych-bench-publish-{}", std::process::id()));
    let blobs = make(&work.join("blobs"), size)?;

    // By turns, each after the disk has come to rest, the better of two.
    let (mut publish_seconds, mut copy_seconds, mut shards) = (f64::MAX, f64::MAX, 0);
    let begun = peak();
    for _ in 0..2 {
        Command::new("sync").status()?;
        let start = Instant::now();
        copy(&work.join("copy.bin"), &blobs, pairs)?;
        copy_seconds = start.elapsed().as_secs_f64().min(copy_seconds);
        fs::remove_file(work.join("copy.bin"))?;

        Command::new("sync").status()?;
        let start = Instant::now();
        shards = publish(&work.join("binarized"), &blobs, pairs)?;
        publish_seconds = start.elapsed().as_secs_f64().min(publish_seconds);
        fs::remove_dir_all(work.join("binarized"))?;
    }
    fs::remove_dir_all(&work)?;

    let bytes = pairs * 2 * size;
    println!(
        "{}",
        json!({
            "bench": "publish", "pairs": pairs, "bytes": bytes, "shards": shards,
            "seconds": publish_seconds, "copy_seconds": copy_seconds,
            "share_of_copy": copy_seconds / publish_seconds,
            "peak_bytes_before": begun, "peak_bytes": peak(),
        })
    );
    Ok(())
}

fn make(folder: &Path, size: usize) -> Result<Vec<PathBuf>, Failure> {
    fs::create_dir_all(folder)?;
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    let mut paths = Vec::new();
    let mut bytes = vec![0_u8; size];
    for number in 0..FILES {
        for chunk in bytes.chunks_mut(8) {
            // xorshift64*: nothing in it repeats, as nothing in a JPEG does.
            state ^= state >> 12;
            state ^= state << 25;
            state ^= state >> 27;
            let mixed = state.wrapping_mul(0x2545_F491_4F6C_DD1D).to_le_bytes();
            chunk.copy_from_slice(&mixed[..chunk.len()]);
        }
        let path = folder.join(format!("{number}.jpg"));
        fs::write(&path, &bytes)?;
        paths.push(path);
    }
    Ok(paths)
}

fn two(blobs: &[PathBuf], pair: usize) -> [&PathBuf; 2] {
    [&blobs[pair * 2 % blobs.len()], &blobs[(pair * 2 + 1) % blobs.len()]]
}

fn publish(target: &Path, blobs: &[PathBuf], pairs: usize) -> Result<usize, Failure> {
    let mut writer = DatasetWriter::create(target, rows::binarized())?;
    for pair in 0..pairs {
        let [chosen, rejected] = two(blobs, pair);
        let image = |path: &Path| -> Result<Image, Failure> {
            Ok(Image { bytes: Some(Bytes::from(fs::read(path)?)), path: Some("image.jpg".to_owned()) })
        };
        let row = BinarizedRow {
            id: format!("{pair}-quality"),
            prompt: "a bustling manga street, devoid of vehicles".into(),
            chosen: image(chosen)?,
            rejected: image(rejected)?,
            chosen_model: "black-forest-labs/FLUX.1-dev".into(),
            rejected_model: "stabilityai/stable-diffusion-3.5-large".into(),
            evolution: "quality".into(),
            category: Some("Manga".into()),
            sub_category: Some("detailed".into()),
        };
        writer.push(Split::Train, row)?;
    }
    Ok(writer.finish(&Card::default())?.shards)
}

/// The same bytes, read from the same files into a new one.
fn copy(target: &Path, blobs: &[PathBuf], pairs: usize) -> Result<(), Failure> {
    let mut out = fs::File::create(target)?;
    for pair in 0..pairs {
        for path in two(blobs, pair) {
            out.write_all(&fs::read(path)?)?;
        }
    }
    Ok(())
}

/// The most memory this process has had, where the system tells.
fn peak() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}
