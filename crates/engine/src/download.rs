//! Fetching large files: what a broken-off download has left is gone on with, and nothing that is not whole
//! ever has the file's name.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_RANGE, HeaderMap, HeaderValue, LOCATION, RANGE};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode, Url};
use sha2::{Digest, Sha256};

use crate::EngineError;

/// How often a download that broke off is gone on with.
const TRIES: u32 = 5;

/// A file to be fetched.
#[derive(Debug, Clone)]
pub struct Download {
    /// How messages call it.
    pub who: String,
    /// Where from.
    pub url: String,
    /// The key, where one is needed; it stays with the first host.
    pub token: Option<String>,
    /// Where to.
    pub target: PathBuf,
    /// What its SHA-256 must be, in hex, where that is known.
    pub sha256: Option<String>,
}

/// What was fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Downloaded {
    /// Its length in bytes.
    pub bytes: u64,
    /// The commit that the Hub says it is of.
    pub revision: Option<String>,
}

/// Fetches a file. `heard` is told how many bytes there are, and how many there will be where that is known.
///
/// # Errors
/// [`EngineError::Refused`] where the server has no such file; [`EngineError::Setup`] where it will not give it or it is another file than the one that is wanted;
/// [`EngineError::Transient`] where the connection fails again and again. What has come is kept for the next
/// call.
pub async fn download(
    wanted: &Download,
    mut heard: impl FnMut(u64, Option<u64>) + Send,
) -> Result<Downloaded, EngineError> {
    let mut part = wanted.target.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    if let Some(folder) = wanted.target.parent() {
        std::fs::create_dir_all(folder).map_err(|error| broken(folder, &error))?;
    }
    let mut tries = 0;
    let said = loop {
        match fetch(wanted, &part, &mut heard).await {
            Ok(said) => break said,
            Err(EngineError::Transient { message, retry_after }) => {
                tries += 1;
                if tries == TRIES {
                    return Err(EngineError::Transient {
                        message: format!("{message}; run the command again to go on where it stopped"),
                        retry_after,
                    });
                }
                let wait = retry_after.unwrap_or(Duration::from_millis(500 << tries));
                tokio::time::sleep(wait.min(Duration::from_secs(60))).await;
            }
            Err(error) => return Err(error),
        }
    };
    let (bytes, sha256) = digest(&part)?;
    let expected = wanted.sha256.as_ref().or(said.sha256.as_ref());
    if let Some(expected) = expected.filter(|expected| **expected != sha256) {
        std::fs::remove_file(&part).map_err(|error| broken(&part, &error))?;
        return Err(EngineError::setup(format!(
            "{} from {} has the SHA-256 {sha256}, not {expected}; nothing was kept",
            wanted.who, wanted.url
        )));
    }
    std::fs::rename(&part, &wanted.target).map_err(|error| broken(&wanted.target, &error))?;
    Ok(Downloaded { bytes, revision: said.revision })
}

/// What the Hub says of a file, on the way to where its bytes are.
#[derive(Debug, Default)]
struct Said {
    /// The commit that it is of.
    revision: Option<String>,
    /// Its SHA-256, which the Hub knows of large files.
    sha256: Option<String>,
}

impl Said {
    fn hear(&mut self, headers: &HeaderMap) {
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        if let Some(revision) = header("x-repo-commit") {
            self.revision = Some(revision.to_owned());
        }
        let digest = header("x-linked-etag").map(|tag| tag.trim_start_matches("W/").trim_matches('"'));
        if let Some(digest) =
            digest.filter(|tag| tag.len() == 64 && tag.bytes().all(|b| b.is_ascii_hexdigit()))
        {
            self.sha256 = Some(digest.to_ascii_lowercase());
        }
    }
}

/// Asks for the file from `have` on. The way there is gone by hand: what the Hub says of a file stands in
/// the answer that points elsewhere, and the key is for the first host alone.
async fn ask(wanted: &Download, have: u64, said: &mut Said) -> Result<Response, EngineError> {
    /// More than any way that leads somewhere.
    const HOPS: u32 = 10;
    crate::tls::init();
    let client = Client::builder()
        .user_agent(concat!("diptych/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(Duration::from_secs(15))
        .read_timeout(Duration::from_secs(60))
        .redirect(Policy::none())
        .build()
        .map_err(|error| EngineError::setup(format!("no HTTPS client can be made: {error}")))?;
    let bad = |what: String| EngineError::setup(format!("{} from {}: {what}", wanted.who, wanted.url));
    let first = Url::parse(&wanted.url).map_err(|error| bad(error.to_string()))?;
    let mut at = first.clone();
    for _ in 0..HOPS {
        let mut request = client.get(at.clone());
        if have > 0 {
            request = request.header(RANGE, format!("bytes={have}-"));
        }
        if let Some(token) = wanted.token.as_ref().filter(|_| at.origin() == first.origin()) {
            let mut header = HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| {
                EngineError::setup("HF_TOKEN cannot be a token: it has characters that no header takes")
            })?;
            header.set_sensitive(true);
            request = request.header(AUTHORIZATION, header);
        }
        let reply = request.send().await.map_err(|error| {
            let error = error.without_url();
            EngineError::transient(format!("{} from {}: {error}", wanted.who, wanted.url))
        })?;
        said.hear(reply.headers());
        if !reply.status().is_redirection() {
            return Ok(reply);
        }
        let location = reply.headers().get(LOCATION).and_then(|value| value.to_str().ok());
        let next = location.and_then(|location| at.join(location).ok());
        at = next
            .filter(|next| next.scheme() == "https" || next.scheme() == first.scheme())
            .ok_or_else(|| bad(format!("the server answered {} and says nowhere to go", reply.status())))?;
    }
    Err(bad(format!("the server sends from place to place, {HOPS} times")))
}

async fn fetch(
    wanted: &Download,
    part: &Path,
    heard: &mut (impl FnMut(u64, Option<u64>) + Send),
) -> Result<Said, EngineError> {
    let transient =
        |what: String| EngineError::transient(format!("{} from {}: {what}", wanted.who, wanted.url));
    let have = part.metadata().map_or(0, |file| file.len());
    let mut said = Said::default();
    let mut reply = ask(wanted, have, &mut said).await?;
    let status = reply.status();
    let begins = match status {
        StatusCode::OK => 0,
        // Gone on with, where the server begins at the byte that is missing.
        StatusCode::PARTIAL_CONTENT => {
            let range = reply.headers().get(CONTENT_RANGE).and_then(|value| value.to_str().ok());
            match range.and_then(|range| range.strip_prefix("bytes ")?.split('-').next()?.parse::<u64>().ok())
            {
                Some(begins) if begins == have => have,
                _ => return Err(restart(part, transient("it went on somewhere else".to_owned()))?),
            }
        }
        // There is nothing behind what we have: it is whole, which its length must say, or of another file.
        StatusCode::RANGE_NOT_SATISFIABLE => {
            let range = reply.headers().get(CONTENT_RANGE).and_then(|value| value.to_str().ok());
            let length = range.and_then(|range| range.strip_prefix("bytes */")?.parse::<u64>().ok());
            if length != Some(have) {
                return Err(restart(part, transient("it is not the file that was begun".to_owned()))?);
            }
            return Ok(said);
        }
        _ => return Err(refusal(wanted, status, reply.headers())),
    };
    let total = reply.content_length().map(|length| begins + length);
    let mut file = std::fs::OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(begins == 0)
        .append(begins > 0)
        .open(part)
        .map_err(|error| broken(part, &error))?;
    let mut there = begins;
    loop {
        match reply.chunk().await {
            Ok(Some(chunk)) => {
                file.write_all(&chunk).map_err(|error| broken(part, &error))?;
                there += chunk.len() as u64;
                heard(there, total);
            }
            Ok(None) => break,
            Err(error) => return Err(transient(format!("it broke off: {}", error.without_url()))),
        }
    }
    if total.is_some_and(|total| there < total) {
        return Err(transient("it broke off".to_owned()));
    }
    file.sync_all().map_err(|error| broken(part, &error))?;
    Ok(said)
}

/// Begins anew the next time.
fn restart(part: &Path, error: EngineError) -> Result<EngineError, EngineError> {
    std::fs::remove_file(part).map_err(|error| broken(part, &error))?;
    Ok(error)
}

fn refusal(wanted: &Download, status: StatusCode, headers: &HeaderMap) -> EngineError {
    let said = format!("{} from {}: the server answered {status}", wanted.who, wanted.url);
    match status.as_u16() {
        401 => EngineError::setup(format!("{said}; set HF_TOKEN to a token of yours")),
        403 => EngineError::setup(format!(
            "{said}; accept its terms on its page on the Hub, and set HF_TOKEN to a token of yours"
        )),
        404 => EngineError::refused(format!("{said}; it may have moved: look at its page on the Hub")),
        408 | 429 | 500..=599 => {
            let seconds = headers.get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok());
            EngineError::Transient { message: said, retry_after: seconds.map(Duration::from_secs) }
        }
        _ => EngineError::setup(said),
    }
}

fn digest(path: &Path) -> Result<(u64, String), EngineError> {
    let mut file = std::fs::File::open(path).map_err(|error| broken(path, &error))?;
    let mut hasher = Sha256::new();
    let bytes = std::io::copy(&mut file, &mut hasher).map_err(|error| broken(path, &error))?;
    Ok((bytes, hex::encode(hasher.finalize())))
}

fn broken(path: &Path, error: &std::io::Error) -> EngineError {
    EngineError::setup(format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    const CONTENT: &[u8] = b"weights that are longer than one piece of a broken connection";

    /// A server that gives this many bytes of each answer, and then hangs up.
    async fn server(status: &'static str, most: usize) -> (String, Arc<AtomicUsize>) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}/model.onnx", listener.local_addr().unwrap());
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&calls);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                let mut request = vec![0; 4096];
                let read = stream.read(&mut request).await.unwrap();
                let request = String::from_utf8_lossy(&request[..read]).to_lowercase();
                assert!(!request.contains("authorization"), "the key stays with the first host: {request}");
                let begins: usize = request
                    .split_once("range: bytes=")
                    .and_then(|(_, rest)| rest.split('-').next()?.parse().ok())
                    .unwrap_or(0);
                let rest = &CONTENT[begins.min(CONTENT.len())..];
                let (line, range) = match (status, begins) {
                    ("200 OK", 1..) if rest.is_empty() => {
                        ("416 Range Not Satisfiable", format!("content-range: bytes */{}\r\n", CONTENT.len()))
                    }
                    ("200 OK", 1..) => (
                        "206 Partial Content",
                        format!("content-range: bytes {begins}-{}/*\r\n", CONTENT.len() - 1),
                    ),
                    (status, _) => (status, String::new()),
                };
                let head = format!(
                    "HTTP/1.1 {line}\r\ncontent-length: {}\r\n{range}x-repo-commit: abc\r\nconnection: close\r\n\r\n",
                    rest.len()
                );
                stream.write_all(head.as_bytes()).await.unwrap();
                stream.write_all(&rest[..most.min(rest.len())]).await.unwrap();
            }
        });
        (address, calls)
    }

    fn wanted(url: &str, folder: &Path, sha256: Option<&str>) -> Download {
        Download {
            who: "model".to_owned(),
            url: url.to_owned(),
            token: None,
            target: folder.join("deep").join("model.onnx"),
            sha256: sha256.map(str::to_owned),
        }
    }

    #[tokio::test]
    async fn a_broken_download_is_gone_on_with() {
        let folder = tempfile::tempdir().unwrap();
        let (url, calls) = server("200 OK", 20).await;
        let sha256 = hex::encode(Sha256::digest(CONTENT));
        let wanted = wanted(&url, folder.path(), Some(&sha256));
        let done = download(&wanted, |_, _| {}).await.unwrap();
        assert_eq!(done, Downloaded { bytes: CONTENT.len() as u64, revision: Some("abc".to_owned()) });
        assert_eq!(std::fs::read(&wanted.target).unwrap(), CONTENT);
        assert_eq!(calls.load(Ordering::SeqCst), CONTENT.len().div_ceil(20), "no byte twice");
        assert!(!folder.path().join("deep").join("model.onnx.part").exists());
    }

    #[tokio::test]
    async fn what_is_there_of_a_longer_file_is_begun_anew() {
        let folder = tempfile::tempdir().unwrap();
        let (url, calls) = server("200 OK", 1000).await;
        let wanted = wanted(&url, folder.path(), None);
        for (there, expected) in [(vec![b'x'; CONTENT.len() + 1], 2), (CONTENT.to_vec(), 1)] {
            let before = calls.load(Ordering::SeqCst);
            std::fs::create_dir_all(wanted.target.parent().unwrap()).unwrap();
            std::fs::write(wanted.target.with_extension("onnx.part"), there).unwrap();
            download(&wanted, |_, _| {}).await.unwrap();
            assert_eq!(std::fs::read(&wanted.target).unwrap(), CONTENT);
            assert_eq!(calls.load(Ordering::SeqCst) - before, expected);
        }
    }

    #[tokio::test]
    async fn another_file_than_the_wanted_one_is_not_kept() {
        let folder = tempfile::tempdir().unwrap();
        let (url, _) = server("200 OK", 1000).await;
        let error = download(&wanted(&url, folder.path(), Some("00")), |_, _| {}).await.unwrap_err();
        assert!(error.to_string().contains("not 00; nothing was kept"), "{error}");
        assert_eq!(std::fs::read_dir(folder.path().join("deep")).unwrap().count(), 0);
    }

    /// A Hub: it says what the file is, and sends on to another host, which must not see the key.
    async fn hub(elsewhere: String, digest: String) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}/model.onnx", listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = vec![0; 4096];
                let read = stream.read(&mut request).await.unwrap();
                let request = String::from_utf8_lossy(&request[..read]).to_lowercase();
                assert!(request.contains("authorization: bearer secret"), "{request}");
                let head = format!(
                    "HTTP/1.1 302 Found\r\nlocation: {elsewhere}\r\nx-repo-commit: def\r\nx-linked-etag: \"{digest}\"\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
                );
                stream.write_all(head.as_bytes()).await.unwrap();
            }
        });
        address
    }

    #[tokio::test]
    async fn what_the_hub_says_of_a_file_is_heard_on_the_way_and_held_to() {
        let folder = tempfile::tempdir().unwrap();
        let right = hex::encode(Sha256::digest(CONTENT));
        for (digest, kept) in [(right, true), ("0".repeat(64), false)] {
            let (elsewhere, _) = server("200 OK", 1000).await;
            let mut wanted = wanted(&hub(elsewhere, digest).await, folder.path(), None);
            wanted.token = Some("secret".to_owned());
            let done = download(&wanted, |_, _| {}).await;
            assert_eq!(done.is_ok(), kept, "{done:?}");
            std::fs::remove_file(&wanted.target).ok();
        }
    }

    #[tokio::test]
    async fn a_way_that_leads_nowhere_ends() {
        let folder = tempfile::tempdir().unwrap();
        let (round, _) = server("302 Found\r\nlocation: /model.onnx", 1000).await;
        let error = download(&wanted(&round, folder.path(), None), |_, _| {}).await.unwrap_err();
        assert!(error.to_string().contains("from place to place"), "{error}");
        let (nowhere, _) = server("302 Found", 1000).await;
        let error = download(&wanted(&nowhere, folder.path(), None), |_, _| {}).await.unwrap_err();
        assert!(error.to_string().contains("nowhere to go"), "{error}");
    }

    #[tokio::test]
    async fn what_a_server_will_not_give_is_said_with_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        for (status, what) in [
            ("401 Unauthorized", "HF_TOKEN"),
            ("403 Forbidden", "accept its terms"),
            ("404 Not Found", "moved"),
            ("429 Too Many Requests", "run the command again"),
        ] {
            let (url, _) = server(status, 1000).await;
            tokio::time::pause();
            let error = download(&wanted(&url, folder.path(), None), |_, _| {}).await.unwrap_err();
            tokio::time::resume();
            assert!(error.to_string().contains(what), "{status}: {error}");
            assert_eq!(matches!(error, EngineError::Refused { .. }), status.starts_with("404"), "{status}");
        }
    }
}
