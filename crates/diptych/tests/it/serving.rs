//! How the server is reached: over HTTPS and HTTP/2, with a content-delivery host in front, in a frame; and pictures
//! in the format and size that a browser wants.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::kit::{Served, Sprint, until};

fn certificate(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/data/tls").join(name)
}

#[test]
fn with_a_certificate_it_speaks_https_and_http_2() {
    diptych_engine::tls::init();
    let sprint = Sprint::new(1);
    sprint.run();
    for (from, to) in [("server.pem", "chain.pem"), ("server-key.pem", "key.pem")] {
        std::fs::copy(certificate(from), sprint.path(to)).unwrap();
    }
    let config = "[serve]\ntls_certificate = \"chain.pem\"\ntls_key = \"key.pem\"\n";
    std::fs::write(sprint.path("diptych.toml"), config).unwrap();
    let mut child = sprint
        .command(&["serve", "--addr", "127.0.0.1:0"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let address = lines.find_map(|line| Some(line.split_once("https://")?.1.to_owned())).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(certificate("authority.pem")).unwrap()).unwrap();
    let mut client = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    client.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let connect = |protocols: &[&[u8]]| {
        let mut client = client.clone();
        client.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        let name = ServerName::try_from("127.0.0.1").unwrap();
        let connection = ClientConnection::new(Arc::new(client), name).unwrap();
        StreamOwned::new(connection, TcpStream::connect(&address).unwrap())
    };
    let ask = |request: &str| {
        let mut stream = connect(&[b"http/1.1"]);
        let headers = "sec-fetch-site: same-origin\r\nconnection: close";
        let (line, rest) = request.split_once('\n').unwrap();
        write!(stream, "{line} HTTP/1.1\r\nhost: {address}\r\n{headers}\r\n{rest}").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok();
        answer
    };
    let form = "content-type: application/x-www-form-urlencoded\r\ncontent-length: 8\r\n\r\nname=Ada";
    let answer = ask(&format!("POST /enter\n{form}"));
    assert!(answer.starts_with("HTTP/1.1 303"), "{answer}");
    assert!(answer.contains("strict-transport-security: max-age=31536000"), "{answer}");
    let cookie = answer.lines().find_map(|line| line.strip_prefix("set-cookie: ")).unwrap();
    assert!(cookie.ends_with("; Secure; SameSite=Lax"), "a cookie is kept to HTTPS: {cookie}");
    let cookie = cookie.split(';').next().unwrap();
    let me = ask(&format!("GET /me\ncookie: {cookie}\r\n\r\n"));
    assert!(me.starts_with("HTTP/1.1 200"), "{me}");
    // What a neighbour under the same domain, or somebody on the way, could have set is not taken.
    let other = ask(&format!("GET /me\ncookie: {}\r\n\r\n", cookie.strip_prefix("__Host-").unwrap()));
    assert!(other.starts_with("HTTP/1.1 303"), "{other}");
    let mut stream = connect(&[b"h2", b"http/1.1"]);
    // The preface of HTTP/2 and an empty SETTINGS frame; the server answers with its own.
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00").unwrap();
    let mut head = [0; 9];
    stream.read_exact(&mut head).unwrap();
    assert_eq!(stream.conn.alpn_protocol(), Some(&b"h2"[..]));
    assert_eq!(head[3], 4, "SETTINGS");
    child.kill().unwrap();
    child.wait().unwrap();

    std::fs::write(sprint.path("key.pem"), "no key").unwrap();
    let errors = sprint.fails(&["serve", "--addr", "127.0.0.1:0"], 1);
    assert!(errors.contains("key"), "{errors}");
    std::fs::remove_file(sprint.path("key.pem")).unwrap();
    assert!(sprint.fails(&["serve", "--addr", "127.0.0.1:0"], 2).contains("tls_key"));
}

#[test]
fn pictures_come_in_the_format_and_size_that_is_asked_for() {
    let sprint = Sprint::new(2);
    sprint.edit("size = [64, 64]", "size = [600, 600]");
    let slug = sprint.run().0["sprint"].as_str().unwrap().to_owned();
    let served = Served::start(&sprint);
    let ada = served.person(&sprint, "Ada");
    let held = ada.take(&slug, 1).remove(0);
    let url = held["left"]["url"].as_str().unwrap();
    let browser = ada.clone().with("accept", "image/avif,image/webp,*/*");
    let size = |bytes: &[u8]| {
        let info = diptych_picture::inspect(bytes, &diptych_picture::Limits::default()).unwrap();
        (info.format, info.width, info.height)
    };
    let webp = browser.get(url);
    assert_eq!((webp.header("content-type"), webp.header("vary")), ("image/webp", "accept"));
    assert_eq!(size(&webp.body), (diptych_picture::Format::Webp, 600, 600));
    let jpeg = ada.get(url);
    assert_eq!(size(&jpeg.body), (diptych_picture::Format::Jpeg, 600, 600));
    let small = browser.get(&format!("{url}?w=300"));
    assert_eq!(size(&small.body), (diptych_picture::Format::Webp, 480, 480));
    assert_eq!(size(&browser.get(&format!("{url}?w=9999")).body).1, 600);
    browser.get(&format!("{url}?w=-1")).problem(400);
    let tags = [&webp, &jpeg, &small].map(|answer| answer.header("etag").to_owned());
    assert!(tags[0] != tags[1] && tags[0] != tags[2], "{tags:?}");
    let again = browser.clone().with("if-none-match", &tags[0]);
    assert_eq!((again.get(url).status, again.get(&format!("{url}?w=300")).status), (304, 200));
    // The others are made without anybody asking for them.
    let images = sprint.blobs().len();
    until("pictures are made ahead", || {
        let files = sprint.files();
        files.iter().filter(|name| name.ends_with("-480x480.webp")).count() == images
    });
}

#[test]
fn pictures_may_be_delivered_from_elsewhere_and_the_hub_may_show_the_pages() {
    let mut sprint = Sprint::new(1);
    let slug = sprint.run().0["sprint"].as_str().unwrap().to_owned();
    std::fs::write(sprint.path("diptych.toml"), "[serve]\npictures_url = \"https://cdn.example.org/\"\n")
        .unwrap();
    sprint.set("SPACE_HOST", "org-prefs.hf.space");
    let served = Served::start(&sprint);
    let ada = served.person(&sprint, "Ada");
    let held = ada.take(&slug, 1).remove(0);
    let path = held["left"]["url"].as_str().unwrap().strip_prefix("https://cdn.example.org").unwrap();
    assert_eq!(ada.get(path).header("cache-control"), "public, max-age=60, s-maxage=60");
    assert_eq!(ada.answer(&held, "toxic_content").status, 201);
    let gone = ada.get(path);
    assert_eq!(
        (gone.status, gone.header("cache-control")),
        (410, "no-store"),
        "and nobody keeps that it is gone"
    );
    let policy = ada.get("/").header("content-security-policy").to_owned();
    assert!(policy.contains("img-src 'self' data: https://cdn.example.org;"), "{policy}");
    assert!(policy.contains("frame-ancestors https://huggingface.co;"), "{policy}");
    let enter = ada.clone().with("sec-fetch-site", "same-origin").form("/leave", "");
    assert!(enter.header("set-cookie").contains("Secure; SameSite=None; Partitioned"), "{enter:?}");
    // Whoever shows our page elsewhere still cannot act in somebody's name.
    let cookie = ada.clone().with("cookie", "diptych_session=x").with("sec-fetch-site", "cross-site");
    assert_eq!(cookie.form("/leave", "").status, 403);
}

/// Who begins a request and says no more of it holds no place for ever.
#[test]
fn a_request_that_never_comes_is_not_waited_for() {
    let sprint = Sprint::new(1);
    sprint.run();
    let served = Served::start(&sprint);
    let begun = [
        "",
        "GET / HTTP/1.1\r\nhost: a",
        "POST /enter HTTP/1.1\r\nhost: a\r\nsec-fetch-site: same-origin\r\ncontent-length: 99\r\n\
         content-type: application/x-www-form-urlencoded\r\n\r\nname=",
    ];
    let ends = begun.map(|text| {
        let mut stream = TcpStream::connect(&served.address).unwrap();
        std::thread::spawn(move || {
            let since = std::time::Instant::now();
            stream.set_read_timeout(Some(std::time::Duration::from_secs(100))).unwrap();
            stream.write_all(text.as_bytes()).unwrap();
            let mut answer = Vec::new();
            // Half a minute for the body, and another for what would come behind it.
            stream.read_to_end(&mut answer).unwrap();
            since.elapsed().as_secs()
        })
    });
    for (text, end) in begun.iter().zip(ends) {
        let seconds = end.join().unwrap();
        assert!((20..95).contains(&seconds), "{text:?}: {seconds} s");
    }
}
