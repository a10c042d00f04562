//! Prompts from a web address, over TLS.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::kit::{PROMPTS, Sprint};

/// A certificate of an authority that nobody trusts, and its key: of use to these tests alone.
fn data(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/data/tls").join(name)
}

/// Serves the prompts at `/prompts.jsonl` and, with an end that is missing, at `/cut-off.jsonl`.
fn serve() -> String {
    diptych_engine::tls::init();
    let chain = vec![CertificateDer::from_pem_file(data("server.pem")).unwrap()];
    let key = PrivateKeyDer::from_pem_file(data("server-key.pem")).unwrap();
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key).unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("https://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = BufReader::new(StreamOwned::new(connection, stream.unwrap()));
            let mut asked = String::new();
            // A client that does not trust us says no more.
            if stream.read_line(&mut asked).is_err() {
                continue;
            }
            let mut line = String::new();
            while stream.read_line(&mut line).unwrap_or(0) > 2 {
                line.clear();
            }
            let body = match asked.split(' ').nth(1).unwrap_or_default() {
                "/prompts.jsonl" => PROMPTS,
                _ => &PROMPTS[..PROMPTS.len() / 2],
            };
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", PROMPTS.len());
            let stream = stream.get_mut();
            stream.write_all(head.as_bytes()).ok();
            stream.write_all(body.as_bytes()).ok();
            stream.conn.send_close_notify();
            stream.flush().ok();
        }
    });
    address
}

#[test]
fn prompts_come_over_tls_from_servers_that_are_trusted() {
    let address = serve();
    let mut sprint = Sprint::new(1);
    sprint.edit("\"prompts.jsonl\"", &format!("\"{address}/prompts.jsonl\""));
    let said = sprint.fails(&["run", "--until", "clean", "--quiet"], 1);
    assert!(said.contains("certificate"), "{said}");

    sprint.set("SSL_CERT_FILE", data("authority.pem").to_str().unwrap());
    sprint.ok(&["run", "--until", "clean", "--quiet"]);
    assert_eq!(sprint.status().count("collect", "out"), PROMPTS.lines().count() as u64);
}

#[test]
fn a_download_that_is_cut_off_is_no_list_of_prompts() {
    let address = serve();
    let mut sprint = Sprint::new(1);
    sprint.set("SSL_CERT_FILE", data("authority.pem").to_str().unwrap());
    sprint.edit("\"prompts.jsonl\"", &format!("\"{address}/cut-off.jsonl\""));
    for _ in 0..2 {
        let said = sprint.fails(&["run", "--until", "clean", "--quiet"], 1);
        assert!(said.contains("cut-off.jsonl") && said.contains("broke off"), "{said}");
    }
    assert_eq!(sprint.status().count("collect", "out"), 0);
}
