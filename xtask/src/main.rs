//! Tasks of the people who work on Diptych: `cargo xtask NAME`.

mod ci;
mod drawings;
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
    /// Prints figures as JSON lines: pipeline, dedupe, clean, votes, sql, publish.
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

/// Benchmarks are examples of the crate that they measure, built for release.
fn bench(name: &str, rest: &[String]) -> Result<()> {
    let (example, first) = match name {
        "pipeline" => ("bench_pipeline", None),
        "dedupe" => ("bench_prompts", Some("dedupe")),
        "clean" => ("bench_prompts", Some("clean")),
        "votes" => ("bench_votes", None),
        "sql" => ("bench_sql", None),
        "publish" => ("bench_publish", None),
        "screen" => ("bench_screen", Some("screen")),
        "rescreen" => ("bench_screen", Some("rescreen")),
        other => bail!(
            "there is no benchmark `{other}`: pipeline, dedupe, clean, votes, sql, publish, screen, rescreen"
        ),
    };
    // As a workspace, so that what `cargo build --release` has built is used.
    let build = ["build", "--release", "--quiet", "--locked", "--workspace", "--example", example];
    ci::check(&mut ci::cargo(&root(), &build))?;
    let program = ci::target(&root()).join("release").join("examples").join(example);
    ci::check(Command::new(program).args(first).args(rest))
}
