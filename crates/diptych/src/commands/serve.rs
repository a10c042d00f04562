//! `diptych serve`: the pages and the API, for every sprint of the server.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, Result};
use diptych_stages::StageError;
use diptych_stages::ctx::Progress;
use diptych_web::{App, Certificate, HostedSprint};

use super::print;
use crate::Usage;
use crate::place::Server;

/// Serves until it is interrupted.
pub async fn run(folder: &Path, addr: SocketAddr, progress: Arc<dyn Progress>) -> Result<()> {
    if !folder.is_dir() {
        return Err(Usage(format!("there is no folder {}", folder.display())).into());
    }
    let mut server = Server::find(folder)?;
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
    server.config.in_space(variable);
    let sprints = server.sprints()?;
    if sprints.is_empty() {
        return Err(Usage(format!(
            "there is no sprint in {} nor in a folder directly below it: make one with `diptych new`",
            server.folder.display()
        ))
        .into());
    }
    // Commands in one of these folders would find no server above them, and begin a database of their own.
    if !server.hosts_many
        && let Some(below) = sprints.iter().find(|sprint| sprint.folder != server.folder)
    {
        return Err(Usage(format!(
            "{} lies in the folder {}, which has no diptych.toml: make one there (an empty file will do), so that every \
             command knows that both belong together",
            below.folder.display(),
            server.folder.display()
        ))
        .into());
    }
    let (store, blobs) = server.open().await?;
    let mut hosted = Vec::new();
    for sprint in &sprints {
        let ctx = server.ctx(sprint, &store, &blobs, Arc::clone(&progress)).await?;
        match diptych_stages::open::check(&ctx).await {
            Err(StageError::Refused(why)) => {
                return Err(Usage(format!("{}: {why}", sprint.folder.display())).into());
            }
            checked => checked?,
        }
        hosted.push(HostedSprint::new(ctx, server.overrides.clone()));
    }
    let begins_in = server.hosts_many.then_some(server.folder.as_path());
    let app = App::new(store.clone(), blobs, hosted, &server.config, begins_in, variable)
        .map_err(|error| Usage(error.to_string()))?;
    let listener = std::net::TcpListener::bind(addr)
        .with_context(|| format!("nothing can be served on {addr}: choose another address with --addr"))?;
    listener.set_nonblocking(true).context("the listener cannot be set up")?;
    let bound = listener.local_addr()?;
    let certificate = certificate(&server)?;
    let scheme = if certificate.is_some() { "https" } else { "http" };
    let mut text = String::from("serving\n");
    for address in addresses(bound) {
        text.push_str(&format!("  {scheme}://{address}\n"));
    }
    text.push_str("end with Ctrl-C\n");
    print(&text)?;
    let interrupted = Arc::new(AtomicBool::new(false));
    let stop = stop_signal(Arc::clone(&interrupted));
    let served = diptych_web::serve(listener, app, certificate, stop).await;
    store.close().await;
    served.context("the server stopped")?;
    // What was under way is done, and nothing went wrong that there would be to say.
    if interrupted.load(Ordering::Relaxed) {
        std::process::exit(130);
    }
    Ok(())
}

/// The files of the certificate, where the server speaks HTTPS itself; relative paths start at its folder.
fn certificate(server: &Server) -> Result<Option<Certificate>> {
    let serve = &server.config.serve;
    let (Some(chain), Some(key)) = (&serve.tls_certificate, &serve.tls_key) else { return Ok(None) };
    let (chain, key) = (server.folder.join(chain), server.folder.join(key));
    for (name, file) in [("tls_certificate", &chain), ("tls_key", &key)] {
        if !file.is_file() {
            return Err(Usage(format!("`serve.{name}`: there is no file {}", file.display())).into());
        }
    }
    Ok(Some(Certificate { chain, key }))
}

/// Ctrl-C, or the system's request to end; answers that are under way are finished then. A second Ctrl-C stops at once.
async fn stop_signal(interrupted: Arc<AtomicBool>) {
    interrupted.store(first_signal().await, Ordering::Relaxed);
    tokio::spawn(async {
        if tokio::signal::ctrl_c().await.is_ok() {
            std::process::exit(130);
        }
    });
}

/// Whether it was Ctrl-C.
async fn first_signal() -> bool {
    let interrupt = tokio::signal::ctrl_c();
    #[cfg(unix)]
    {
        if let Ok(mut terminate) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            return tokio::select! { _ = interrupt => true, _ = terminate.recv() => false };
        }
    }
    interrupt.await.is_ok()
}

/// The addresses under which `bound` can be reached: with 0.0.0.0, this machine's and the network's.
fn addresses(bound: SocketAddr) -> Vec<SocketAddr> {
    if !bound.ip().is_unspecified() {
        return vec![bound];
    }
    let here: IpAddr =
        if bound.is_ipv4() { [127, 0, 0, 1].into() } else { std::net::Ipv6Addr::LOCALHOST.into() };
    let mut found = vec![SocketAddr::new(here, bound.port())];
    // No packet is sent: connecting a datagram socket only asks which of our addresses would be used.
    let outward = UdpSocket::bind("0.0.0.0:0").and_then(|socket| {
        socket.connect("192.0.2.1:9")?;
        socket.local_addr()
    });
    if let Ok(outward) = outward
        && !outward.ip().is_loopback()
        && !outward.ip().is_unspecified()
    {
        found.push(SocketAddr::new(outward.ip(), bound.port()));
    }
    found
}
