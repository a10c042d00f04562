//! Coverage-guided fuzzing of what reads bytes from outside: the targets of `fuzz/`, each on its committed corpus.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use crate::ci::{cargo, check, target};

/// Every target.
const TARGETS: [&str; 10] =
    ["picture", "sprint", "server", "prompt", "rows", "reply", "headers", "backup", "model", "columns"];

/// What has the compiler count where a program has been, as `cargo fuzz --sanitizer none` asks it.
const COUNTERS: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing";

/// Runs every target, or the one of this name, for so many seconds. What is found that leads somewhere new is
/// kept beside the built programs, so that a later run goes on from there.
#[allow(clippy::print_stdout)]
pub fn run(root: &Path, seconds: u64, only: Option<&str>) -> Result<()> {
    let wanted: Vec<&str> =
        TARGETS.into_iter().filter(|name| only.is_none_or(|only| only == *name)).collect();
    if wanted.is_empty() {
        bail!("there is no fuzz target `{}`: {}", only.unwrap_or_default(), TARGETS.join(", "));
    }
    let (built, host) = (target(root).join("fuzz"), host()?);
    let mut build = cargo(
        root,
        &["build", "--release", "--locked", "--manifest-path", "fuzz/Cargo.toml", "--target", &host],
    );
    check(build.arg("--target-dir").arg(&built).env("RUSTFLAGS", COUNTERS))?;
    for name in wanted {
        let (found, failures) = (built.join("corpus").join(name), built.join("failures"));
        fs::create_dir_all(&found)?;
        fs::create_dir_all(&failures)?;
        let mut fuzz = Command::new(built.join(&host).join("release").join(name));
        fuzz.arg(&found)
            .arg(root.join("fuzz").join("corpus").join(name))
            .arg(format!("-artifact_prefix={}/{name}-", failures.display()))
            .arg(format!("-max_total_time={seconds}"))
            .args([
                "-timeout=10",
                "-rss_limit_mb=2048",
                "-max_len=65536",
                "-verbosity=0",
                "-print_final_stats=1",
            ]);
        let output =
            fuzz.stdin(Stdio::null()).output().with_context(|| format!("{fuzz:?} cannot be started"))?;
        // What libFuzzer tells on the way is long.
        let said = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() {
            bail!(
                "fuzz target {name} ended with {}:\n{said}\nthe input lies in {}",
                output.status,
                failures.display()
            );
        }
        let stats = said.lines().filter_map(|line| line.strip_prefix("stat::"));
        println!(
            "{name}: {}",
            stats
                .map(|stat| stat.split_whitespace().collect::<Vec<_>>().join(" "))
                .collect::<Vec<_>>()
                .join(", ")
        );
    }
    Ok(())
}

/// The platform that this is built on, as rustc names it.
fn host() -> Result<String> {
    let output = Command::new("rustc").arg("-vV").stdin(Stdio::null()).output().context("rustc")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).context("rustc -vV names no host")
}
