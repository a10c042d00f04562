//! One file a command, or a few that belong together.

mod backup;
mod check;
mod demo;
mod import;
mod models;
mod new;
mod publish;
mod report;
mod run;
mod serve;
mod sql;
mod status;
mod users;

use std::io::Write;
use std::path::Path;

use anyhow::Result;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::args::{Args, Command};
use crate::progress;

/// Does what the command line says.
pub async fn run(args: Args) -> Result<()> {
    let folder: &Path = &args.folder;
    let progress = progress::choose(args.quiet);
    match args.command {
        Command::Demo { dir, addr, prompts, no_serve } => {
            demo::run(&dir, addr, prompts, no_serve, progress).await
        }
        Command::New { dir, prompts, template } => new::run(&dir, &prompts, template),
        Command::Check => check::run(folder).await,
        Command::Run { stages, until, first, dry_run, retry_failed } => {
            let wanted = run::wanted(&stages, until.as_deref())?;
            if dry_run {
                run::dry(folder, &wanted, first).await
            } else {
                run::run(folder, &wanted, first, retry_failed, progress).await
            }
        }
        Command::Status { json } => status::run(folder, json).await,
        Command::Serve { addr } => serve::run(folder, addr, progress).await,
        Command::Report { json, safety: true, threshold, .. } => {
            report::safety(folder, json, threshold.as_deref()).await
        }
        Command::Report { json, html, .. } => report::run(folder, json, html.as_deref()).await,
        Command::Models { what } => models::run(what, args.quiet).await,
        Command::Sql { query, file, train, format } => {
            sql::run(folder, query, file.as_deref(), train.as_deref(), format).await
        }
        Command::Publish { to, only } => publish::run(folder, &to, &only, progress).await,
        Command::Import { what } => import::run(folder, what, progress).await,
        Command::Backup { file, no_blobs } => backup::write(folder, &file, !no_blobs).await,
        Command::Restore { file } => backup::read(folder, &file).await,
        Command::Users { what } => users::run(folder, what).await,
    }
}

/// The first Ctrl-C finishes what is in flight; the second stops at once. Gives who waits for them.
#[allow(clippy::print_stderr)]
fn stop_on_interrupt(stop: &CancellationToken) -> JoinHandle<()> {
    let stop = stop.clone();
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            eprintln!("finishing what is in flight; press Ctrl-C again to stop at once");
            stop.cancel();
        }
        if tokio::signal::ctrl_c().await.is_ok() {
            std::process::exit(130);
        }
    })
}

/// Writes to standard output; a reader that has gone is an error like any other.
fn print(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(())
}

fn print_json(value: &impl serde::Serialize) -> Result<()> {
    print(&format!("{}\n", serde_json::to_string_pretty(value)?))
}
