//! A PostgreSQL server of a test's own, in a folder of its own: one that may be filled, or made read-only.

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::kit::until;

pub struct Postgres {
    child: Child,
    folder: PathBuf,
    port: u16,
}

/// Where its programs are: in the newest version's folder, as Debian has it.
fn programs() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").expect("PostgreSQL is installed");
    let found = versions.map(|version| version.unwrap().path().join("bin"));
    found.filter(|bin| bin.join("initdb").exists()).max().expect("PostgreSQL's server is installed")
}

/// One of its programs, as somebody who is not root: it will not run as root.
fn program(name: &str) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-user=1000", "--map-group=1000", "--"]).arg(programs().join(name));
    command.stdin(Stdio::null());
    command
}

impl Postgres {
    /// Makes one below this folder, in about 40 MB, and starts it.
    pub fn start(below: &Path) -> Self {
        let folder = below.join("postgres");
        let made = program("initdb")
            .args(["--auth=trust", "--username=postgres", "--encoding=UTF8", "--no-sync", "--wal-segsize=1"])
            .arg("-D")
            .arg(&folder)
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let postgres = Self { child: serving(&folder, port), folder, port };
        postgres.answers();
        postgres
    }

    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// Has it do this.
    pub fn does(&self, statements: &[&str]) {
        let mut psql = Command::new(programs().join("psql"));
        psql.args([
            "-h",
            "127.0.0.1",
            "-p",
            &self.port.to_string(),
            "-U",
            "postgres",
            "-qAt",
            "-v",
            "ON_ERROR_STOP=1",
        ]);
        for statement in statements {
            psql.args(["-c", statement]);
        }
        let done = psql.output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }

    /// Starts it again where it has ended.
    pub fn start_again(&mut self) {
        if self.child.try_wait().unwrap().is_some() {
            self.child = serving(&self.folder, self.port);
        }
        self.answers();
    }

    fn answers(&self) {
        until("PostgreSQL answers", || {
            let ready = Command::new(programs().join("pg_isready"))
                .args(["-q", "-h", "127.0.0.1", "-p", &self.port.to_string()])
                .status();
            TcpStream::connect(("127.0.0.1", self.port)).is_ok() && ready.unwrap().success()
        });
    }
}

fn serving(folder: &Path, port: u16) -> Child {
    program("postgres")
        .arg("-D")
        .arg(folder)
        .args(["-p", &port.to_string(), "-h", "127.0.0.1", "-k", "", "-c", "min_wal_size=2MB"])
        // Each in a file of its own in memory; a small machine has few of them.
        .args(["-c", "shared_buffers=8MB", "-c", "max_connections=40"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

impl Drop for Postgres {
    /// It ends when it is asked to, with everything that it has begun: killed, it would leave those behind.
    fn drop(&mut self) {
        let ask = format!("kill -INT {}", self.child.id());
        Command::new("sh").args(["-c", &ask]).status().ok();
        self.child.wait().ok();
    }
}
