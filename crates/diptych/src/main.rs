//! The program: arguments in, exit status out. What it does stands in `commands/`.

mod args;
mod commands;
mod place;
mod progress;
mod table;

use std::io::IsTerminal as _;
use std::process::ExitCode;

use clap::Parser;
use diptych_core::config::ConfigError;
use diptych_stages::StageError;

/// Wrong usage or configuration: exit status 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Usage(String);

fn main() -> ExitCode {
    let args = args::Args::parse();
    let level = if args.quiet { "error" } else { "warn" };
    let filter = tracing_subscriber::EnvFilter::try_from_env("DIPTYCH_LOG")
        // What ends the queue's worker comes back as an error, and is said once.
        .unwrap_or_else(|_| {
            tracing_subscriber::EnvFilter::new(format!("{level},apalis_core=off,sqlx=error"))
        });
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // For a program that gathers logs: one JSON object a line, with the time.
    if std::env::var("DIPTYCH_LOG_FORMAT").is_ok_and(|format| format == "json") {
        log.json().flatten_event(true).init();
    } else {
        // <https://no-color.org>
        let colours = std::env::var_os("NO_COLOR").is_none_or(|no| no.is_empty());
        log.with_ansi(colours && std::io::stderr().is_terminal()).without_time().with_target(false).init();
    }
    // What a defect says goes where everything else goes.
    std::panic::set_hook(Box::new(|panic| tracing::error!("{panic}")));
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&anyhow::anyhow!(error).context("the program cannot start its threads")),
    };
    match runtime.block_on(commands::run(args)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

/// Prints an error with its causes, each once, and chooses the exit status.
#[allow(clippy::print_stderr)]
fn fail(error: &anyhow::Error) -> ExitCode {
    // A reader that has gone (`diptych report | head`) is no error of ours.
    if error.chain().any(|cause| {
        cause
            .downcast_ref::<std::io::Error>()
            .is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
    }) {
        return ExitCode::SUCCESS;
    }
    let mut text = format!("error: {error}");
    let mut said = error.to_string();
    for cause in error.chain().skip(1) {
        let cause = cause.to_string();
        if !said.contains(&cause) {
            text.push_str("\n  because: ");
            text.push_str(&cause);
        }
        said = cause;
    }
    eprintln!("{text}");
    let of = |status: u8| ExitCode::from(status);
    for cause in error.chain() {
        if cause.is::<ConfigError>() || cause.is::<Usage>() {
            return of(2);
        }
        match cause.downcast_ref::<StageError>() {
            Some(StageError::Interrupted) => return of(130),
            Some(StageError::Template(_)) => return of(2),
            _ => {}
        }
    }
    of(1)
}
