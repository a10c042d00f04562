//! What the tests share: a sprint in a temporary folder, the program run in it, and a small HTTP client.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// Real prompts with one exact copy among them.
pub const PROMPTS: &str = include_str!("data/prompts.jsonl");

/// A sprint's folder, gone at the end of the test.
pub struct Sprint {
    pub dir: TempDir,
    pub env: BTreeMap<String, String>,
}

impl Sprint {
    /// What `diptych new` makes of the first `count` prompts, with small images.
    pub fn new(count: usize) -> Self {
        Self::empty().of("prompts.jsonl", &first(count))
    }

    /// The same, in a folder below this one.
    pub fn below(folder: &Path, count: usize) -> Self {
        let dir = tempfile::tempdir_in(folder).unwrap();
        Self { dir, env: BTreeMap::new() }.of("prompts.jsonl", &first(count))
    }

    /// What `diptych new` makes of this file.
    pub fn with(name: &str, content: &[u8]) -> Self {
        Self::empty().of(name, content)
    }

    fn of(self, name: &str, content: &[u8]) -> Self {
        let sprint = self;
        let file = sprint.path(name);
        std::fs::write(&file, content).unwrap();
        sprint.ok(&["new", sprint.dir.path().to_str().unwrap(), "--prompts", file.to_str().unwrap()]);
        sprint.edit("size = [768, 768]", "size = [64, 64]");
        sprint
    }

    /// A folder without a sprint.
    pub fn empty() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), env: BTreeMap::new() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn set(&mut self, name: &str, value: &str) {
        self.env.insert(name.to_owned(), value.to_owned());
    }

    pub fn env(&self, name: &str) -> Option<&str> {
        self.env.get(name).map(String::as_str)
    }

    /// Replaces text in `sprint.toml`, wherever it stands.
    pub fn edit(&self, from: &str, to: &str) {
        let file = self.path("sprint.toml");
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.contains(from), "{from} does not stand in {text}");
        std::fs::write(file, text.replace(from, to)).unwrap();
    }

    /// The program, about to run in this folder with nothing of the caller's environment.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = program(self.dir.path());
        command.args(args).envs(&self.env);
        command
    }

    pub fn output(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// Runs it to a good end and returns what it printed.
    pub fn ok(&self, args: &[&str]) -> String {
        let output = self.output(args);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{args:?}: {} {errors}", output.status);
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs it to this exit status and returns what it said on standard error.
    pub fn fails(&self, args: &[&str], status: i32) -> String {
        let output = self.output(args);
        let errors = String::from_utf8(output.stderr).unwrap();
        let printed = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(status), "{args:?}: {errors}\n{printed}");
        assert!(!errors.contains("panicked"), "{errors}");
        errors
    }

    /// Runs every stage and returns the counts, which must add up.
    pub fn run(&self) -> Status {
        self.ok(&["run", "--quiet"]);
        self.status()
    }

    pub fn status(&self) -> Status {
        let text = self.ok(&["status", "--json"]);
        let status = Status(serde_json::from_str(&text).unwrap());
        for stage in status.0["stages"].as_array().unwrap() {
            let count = |name: &str| stage[name].as_u64().unwrap();
            let dropped: u64 =
                stage["dropped"].as_object().unwrap().values().map(|n| n.as_u64().unwrap()).sum();
            let parts = count("out") + count("pending") + count("failed") + count("review") + dropped;
            assert_eq!(count("in"), parts, "{stage}");
        }
        status
    }

    /// All files of the sprint's folder, by name.
    pub fn files(&self) -> Vec<String> {
        let mut found = Vec::new();
        files_below(self.dir.path(), &mut found);
        found.sort();
        found
    }

    /// The kept images, by file name.
    pub fn blobs(&self) -> Vec<String> {
        let mut found = Vec::new();
        files_below(&self.path("blobs/images"), &mut found);
        found.sort();
        found
    }
}

/// The first of the real prompts, as a file.
fn first(count: usize) -> Vec<u8> {
    PROMPTS.lines().take(count).flat_map(|line| [line, "\n"]).collect::<String>().into_bytes()
}

/// What `status --json` prints.
pub struct Status(pub Value);

impl Status {
    pub fn stage(&self, name: &str) -> &Value {
        let stages = self.0["stages"].as_array().unwrap();
        stages.iter().find(|stage| stage["stage"] == name).unwrap_or_else(|| panic!("{name}: {}", self.0))
    }

    pub fn count(&self, stage: &str, what: &str) -> u64 {
        self.stage(stage)[what].as_u64().unwrap()
    }

    pub fn dropped(&self, stage: &str, reason: &str) -> u64 {
        self.stage(stage)["dropped"][reason].as_u64().unwrap_or(0)
    }

    pub fn pairs(&self) -> u64 {
        self.0["pairs"]["total"].as_u64().unwrap()
    }
}

/// The program in a folder, with nothing of the caller's configuration.
pub fn program(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_diptych"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("DIPTYCH_")) {
        command.env_remove(name);
    }
    command.current_dir(folder).stdin(Stdio::null());
    command
}

fn files_below(folder: &Path, found: &mut Vec<String>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files_below(&path, found);
        } else {
            found.push(path.file_name().unwrap().to_string_lossy().into_owned());
        }
    }
}

/// Sends a signal, by the name that `kill` knows.
pub fn signal(child: &Child, name: &str) {
    let kill = format!("kill -{name} {}", child.id());
    assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
}

/// Waits until something is true.
pub fn until(what: &str, mut is_true: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_true() {
        assert!(started.elapsed() < Duration::from_secs(60), "waited a minute for this: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// `diptych serve` on a free port, ended with the test.
pub struct Served {
    pub child: Child,
    pub address: String,
}

impl Served {
    pub fn start(sprint: &Sprint) -> Self {
        let mut child = sprint
            .command(&["serve", "--addr", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let address = loop {
            let Some(line) = lines.next() else {
                let mut errors = String::new();
                child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
                panic!("the server did not start: {errors}");
            };
            if let Some((_, address)) = line.unwrap().split_once("http://") {
                break address.to_owned();
            }
        };
        Self { child, address }
    }

    /// Somebody who asks with a token.
    pub fn person(&self, sprint: &Sprint, name: &str) -> Client {
        let token = sprint.ok(&["users", "token", name]).trim().to_owned();
        self.client().with("authorization", &format!("Bearer {token}"))
    }

    /// Somebody who has not signed in.
    pub fn client(&self) -> Client {
        Client { address: self.address.clone(), headers: Vec::new() }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Somebody who asks a server, with the headers that are sent each time.
#[derive(Clone)]
pub struct Client {
    pub address: String,
    pub headers: Vec<(String, String)>,
}

/// An answer, wholly read.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Client {
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn get(&self, path: &str) -> Answer {
        self.send("GET", path, "", b"")
    }

    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.send("POST", path, "application/json", body.to_string().as_bytes())
    }

    pub fn put(&self, path: &str, body: &Value) -> Answer {
        self.send("PUT", path, "application/json", body.to_string().as_bytes())
    }

    pub fn delete(&self, path: &str) -> Answer {
        self.send("DELETE", path, "", b"")
    }

    pub fn form(&self, path: &str, body: &str) -> Answer {
        self.send("POST", path, "application/x-www-form-urlencoded", body.as_bytes())
    }

    /// In HTTP 1.0, whose answers simply end with the connection.
    pub fn send(&self, method: &str, path: &str, content_type: &str, body: &[u8]) -> Answer {
        self.send_part(method, path, content_type, body, body.len())
    }

    /// Announces `length` bytes of body whatever is sent.
    pub fn send_part(&self, method: &str, path: &str, kind: &str, body: &[u8], length: usize) -> Answer {
        self.try_send(method, path, kind, body, length).unwrap()
    }

    /// The same with a server that may go away in the midst of it.
    pub fn try_send(
        &self,
        method: &str,
        path: &str,
        kind: &str,
        body: &[u8],
        length: usize,
    ) -> std::io::Result<Answer> {
        let mut stream = TcpStream::connect(&self.address)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        let mut head = format!("{method} {path} HTTP/1.0\r\nhost: {}\r\n", self.address);
        if !kind.is_empty() {
            head.push_str(&format!("content-type: {kind}\r\ncontent-length: {length}\r\n"));
        }
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        let mut message = head.into_bytes();
        message.extend_from_slice(body);
        stream.write_all(&message)?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") else {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        };
        let head = String::from_utf8(answer[..end].to_vec()).unwrap();
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
            .collect();
        Ok(Answer { status, headers, body: answer[end + 4..].to_vec() })
    }

    /// Takes this many assignments.
    pub fn take(&self, slug: &str, count: usize) -> Vec<Value> {
        let answer =
            self.post(&format!("/api/v1/sprints/{slug}/assignments"), &serde_json::json!({"count": count}));
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()["assignments"].as_array().unwrap().clone()
    }

    /// Answers one.
    pub fn answer(&self, assignment: &Value, answer: &str) -> Answer {
        let id = assignment["id"].as_str().unwrap();
        self.put(
            &format!("/api/v1/assignments/{id}/response"),
            &serde_json::json!({"answer": answer, "duration_ms": 1200}),
        )
    }
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    /// Its `type`, after a look at the whole shape.
    pub fn problem(&self, status: u16) -> String {
        assert_eq!(self.status, status, "{}", self.text());
        assert_eq!(self.header("content-type"), "application/problem+json");
        let problem = self.json();
        assert_eq!(problem["status"], status);
        assert!(!problem["title"].as_str().unwrap().is_empty());
        assert!(!problem["detail"].as_str().unwrap().is_empty());
        problem["type"].as_str().unwrap().to_owned()
    }
}
