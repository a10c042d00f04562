//! Tasks of the people who work on Diptych: `cargo xtask NAME`.

mod ci;
mod drawings;
mod fuzz;
mod tidy;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Result, bail};
use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(name = "xtask")]
struct Args {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Floors of the crates, the map, file headers, machine paths.
    Tidy,
    /// Installs and starts what the ignored tests need, and runs them.
    Ci,
    /// Makes the rehearsal's drawings from npm packages.
    Drawings,
    /// Throws bytes at what reads them from outside, each target for so many seconds.
    Fuzz {
        /// How long.
        #[arg(default_value_t = 20)]
        seconds: u64,
        /// One target alone.
        target: Option<String>,
    },
    /// Long proofs: kills the server under load, so many times on each database. `DIPTYCH_TEST_POSTGRES` names a
    /// PostgreSQL server.
    Soak {
        /// How many crashes.
        #[arg(default_value_t = 200)]
        crashes: u32,
    },
    /// Prints figures as JSON lines: pipeline, dedupe, clean, votes, crowd, page, sql, publish, screen, screen-texts, rescreen.
    Bench {
        /// Which.
        name: String,
        /// Handed on to the benchmark.
        rest: Vec<String>,
    },
}

#[allow(clippy::print_stderr)]
fn main() -> ExitCode {
    let outcome = match Args::parse().task {
        Task::Tidy => tidy::run(&root()),
        Task::Ci => ci::run(&root()),
        Task::Drawings => drawings::run(),
        Task::Fuzz { seconds, target } => fuzz::run(&root(), seconds, target.as_deref()),
        Task::Soak { crashes } => soak(crashes),
        Task::Bench { name, rest } => bench(&name, &rest),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The workspace's folder.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map_or_else(PathBuf::new, Path::to_path_buf)
}

fn soak(crashes: u32) -> Result<()> {
    let test = ["test", "--locked", "-p", "diptych", "--test", "it"];
    let these = ["--", "--ignored", "--nocapture", "--test-threads", "1", "crash::"];
    let mut command = ci::cargo(&root(), &[&test[..], &these[..]].concat());
    ci::check(command.env("DIPTYCH_TEST_CRASHES", crashes.to_string()))
}

/// Benchmarks are examples of the crate that they measure, built for release.
fn bench(name: &str, rest: &[String]) -> Result<()> {
    let (example, first) = match name {
        "pipeline" => ("bench_pipeline", None),
        "dedupe" => ("bench_prompts", Some("dedupe")),
        "clean" => ("bench_prompts", Some("clean")),
        // In a browser, against the program itself.
        "page" => return ci::page_bench(&root()),
        "votes" => ("bench_votes", None),
        "crowd" => ("bench_crowd", None),
        "sql" => ("bench_sql", None),
        "publish" => ("bench_publish", None),
        "screen" => ("bench_screen", Some("screen")),
        "screen-texts" => ("bench_screen", Some("texts")),
        "rescreen" => ("bench_screen", Some("rescreen")),
        other => bail!(
            "there is no benchmark `{other}`: pipeline, dedupe, clean, votes, crowd, page, sql, publish, screen, screen-texts, rescreen"
        ),
    };
    // As a workspace, so that what `cargo build --release` has built is used.
    let build = ["build", "--release", "--quiet", "--locked", "--workspace", "--example", example];
    ci::check(&mut ci::cargo(&root(), &build))?;
    let program = ci::target(&root()).join("release").join("examples").join(example);
    ci::check(Command::new(program).args(first).args(rest))
}
