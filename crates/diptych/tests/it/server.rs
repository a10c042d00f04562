//! A server of models that does what a test tells it to.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use serde_json::{Value, json};

/// What is answered: status, further header lines, body.
pub type Reply = (u16, &'static str, Vec<u8>);

type Script = Box<dyn Fn(&Asked) -> Reply + Send + Sync>;

/// What the server was asked.
pub struct Asked {
    pub path: String,
    pub body: Value,
    /// How many calls came to this path before.
    pub earlier: usize,
}

/// It listens on a free port until the tests end.
pub struct Server {
    pub url: String,
    script: Arc<Mutex<Arc<Script>>>,
    chats: Arc<AtomicUsize>,
    images: Arc<AtomicUsize>,
}

impl Server {
    /// Answers everything well.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let well: Script = Box::new(well);
        let server = Self {
            url,
            script: Arc::new(Mutex::new(Arc::new(well))),
            chats: Arc::default(),
            images: Arc::default(),
        };
        let (script, chats, images) =
            (Arc::clone(&server.script), Arc::clone(&server.chats), Arc::clone(&server.images));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (script, chats, images) = (Arc::clone(&script), Arc::clone(&chats), Arc::clone(&images));
                std::thread::spawn(move || answer(stream.unwrap(), &script, &chats, &images));
            }
        });
        server
    }

    /// From here on it answers like this.
    pub fn does(&self, script: impl Fn(&Asked) -> Reply + Send + Sync + 'static) {
        *self.script.lock().unwrap() = Arc::new(Box::new(script));
    }

    /// How many chats and how many images were asked for since the last look.
    pub fn calls(&self) -> (usize, usize) {
        (self.chats.swap(0, Ordering::SeqCst), self.images.swap(0, Ordering::SeqCst))
    }
}

/// A client that goes away in the middle is not the server's business, so nothing is unwrapped here.
fn answer(
    stream: TcpStream,
    script: &Mutex<Arc<Script>>,
    chats: &AtomicUsize,
    images: &AtomicUsize,
) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let (mut path, mut length, mut line) = (String::new(), 0, String::new());
    while reader.read_line(&mut line).ok()? > 2 {
        if path.is_empty() {
            path = line.split(' ').nth(1)?.to_owned();
        }
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        line.clear();
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let counter = if path.contains("chat") { chats } else { images };
    let earlier = counter.fetch_add(1, Ordering::SeqCst);
    let asked = Asked { path, body: serde_json::from_slice(&body).unwrap_or_default(), earlier };
    let script = Arc::clone(&*script.lock().ok()?);
    let (status, headers, body) = script(&asked);
    let head = format!(
        "HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n{headers}\r\n",
        body.len()
    );
    reader.get_mut().write_all(head.as_bytes()).ok()?;
    reader.get_mut().write_all(&body).ok()
}

/// What a server answers that works.
pub fn well(asked: &Asked) -> Reply {
    if asked.path.contains("chat") { chat("A calm picture of what was asked for") } else { image() }
}

/// A model's words.
pub fn chat(text: &str) -> Reply {
    let body = json!({
        "id": "1", "object": "chat.completion", "model": "writer-1",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}],
        "usage": {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110},
    });
    (200, "content-type: application/json\r\n", body.to_string().into_bytes())
}

/// A picture of 64 by 64 pixels.
pub fn image() -> Reply {
    image_of(&diptych_picture::plain_png(64, 64, [40, 80, 120]).unwrap())
}

/// These bytes as the picture.
pub fn image_of(bytes: &[u8]) -> Reply {
    let text = base64::engine::general_purpose::STANDARD.encode(bytes);
    let body = json!({"created": 1, "data": [{"b64_json": text}]});
    (200, "content-type: application/json\r\n", body.to_string().into_bytes())
}

/// An error as OpenAI words it.
pub fn error(status: u16, code: &str) -> Reply {
    let body = json!({"error": {"message": format!("no: {code}"), "type": code, "code": code}});
    (status, "content-type: application/json\r\n", body.to_string().into_bytes())
}
