//! The server is killed in the midst of a crowd, again and again: whatever it has acknowledged is there.
//!
//! `DIPTYCH_TEST_CRASHES` says how often (10). On SQLite and on the PostgreSQL server of `DIPTYCH_TEST_POSTGRES`.

use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::kit::{Answer, Client, Served, Sprint};

/// People who are at it at the same time.
const CROWD: usize = 8;

/// An answer that the server has acknowledged: by whom, to what, and what.
struct Acknowledged {
    person: Client,
    assignment: String,
    answer: &'static str,
}

/// A crash comes once so many answers are acknowledged, counted in answers and not in time: a slow machine then
/// crashes under as much load as a fast one.
const ANSWERS: std::ops::Range<u64> = 11..60;

/// And so many milliseconds later, so that it falls anywhere within a write.
const LATER: std::ops::Range<u64> = 0..100;

/// The longest that a crowd may need for its answers.
const PATIENCE: Duration = Duration::from_secs(60);

fn random(range: std::ops::Range<u64>) -> u64 {
    use std::hash::{BuildHasher as _, RandomState};
    range.start + RandomState::new().hash_one(0) % (range.end - range.start)
}

/// How many people answer a pair: pairs fill one after the other, so that there are some to make gold ones of.
fn overlap(times: usize) -> usize {
    3 + times / 10
}

/// A sprint with pairs enough that some are left for everybody after so many crashes.
fn sprint(times: usize) -> Sprint {
    const WHO: [&str; 10] = [
        "a heron",
        "two foxes",
        "an old sailor",
        "a robot",
        "a child",
        "a cat",
        "a knight",
        "a horse",
        "a baker",
        "an owl",
    ];
    const WHERE: [&str; 10] = [
        "on a pier",
        "in a forest",
        "under a bridge",
        "at a market",
        "by a lake",
        "on the moon",
        "in a kitchen",
        "in a library",
        "on a hill",
        "in the snow",
    ];
    const HOW: [&str; 7] =
        ["at dawn", "at night", "in fog", "in the rain", "in summer", "by candlelight", "seen from above"];
    let prompt = |number: usize| {
        let (who, place, how) = (WHO[number % 10], WHERE[number / 10 % 10], HOW[number / 100 % 7]);
        format!("{who} {place} {how}\n")
    };
    let prompts: String = (0..(200 + 3 * times).min(700)).map(prompt).collect();
    Sprint::with("prompts.txt", prompts.as_bytes())
}

fn times() -> usize {
    std::env::var("DIPTYCH_TEST_CRASHES").map_or(10, |times| times.parse().expect("a number of crashes"))
}

/// Sends what a person sends; nothing where the server is gone, or about to go.
fn post(person: &Client, path: &str, body: &Value) -> Option<Answer> {
    let body = body.to_string();
    person.try_send("POST", path, "application/json", body.as_bytes(), body.len()).ok()
}

fn form(person: &Client, path: &str, body: &str) -> Option<Answer> {
    person.try_send("POST", path, "application/x-www-form-urlencoded", body.as_bytes(), body.len()).ok()
}

/// How many people have come, and how many of their answers are acknowledged, over all crashes.
#[derive(Default)]
struct Crowd {
    people: AtomicUsize,
    answers: AtomicUsize,
}

impl Crowd {
    /// Waits until so many answers are acknowledged, and says whether they were before patience ended.
    fn comes_to(&self, answers: usize) -> bool {
        let since = Instant::now();
        while self.answers.load(Ordering::Relaxed) < answers {
            if since.elapsed() > PATIENCE {
                return false;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        true
    }
}

/// One person after the other signs in, agrees, and answers whatever there is, until the server is gone.
fn annotate(nobody: &Client, slug: &str, terms: &str, crowd: &Crowd) -> Vec<Acknowledged> {
    let mut acknowledged = Vec::new();
    let mut whole = || -> Option<()> {
        loop {
            let name = format!("name=Person+{}", crowd.people.fetch_add(1, Ordering::Relaxed));
            let entered = form(nobody, "/enter", &name)?;
            let person = nobody.clone().with("cookie", entered.header("set-cookie").split(';').next()?);
            form(&person, &format!("/s/{slug}/agree"), &format!("version={terms}"))?;
            loop {
                let taken =
                    post(&person, &format!("/api/v1/sprints/{slug}/assignments"), &json!({"count": 3}))?;
                let taken = serde_json::from_slice::<Value>(&taken.body).ok()?;
                let taken = taken["assignments"].as_array()?;
                if taken.is_empty() {
                    break;
                }
                for (place, assignment) in taken.iter().enumerate() {
                    let answer = ["left", "right", "both_good"][place % 3];
                    let id = assignment["id"].as_str()?.to_owned();
                    let body = json!({"answer": answer}).to_string();
                    let path = format!("/api/v1/assignments/{id}/response");
                    let put = person
                        .try_send("PUT", &path, "application/json", body.as_bytes(), body.len())
                        .ok()?;
                    if put.status == 201 {
                        acknowledged.push(Acknowledged { person: person.clone(), assignment: id, answer });
                        crowd.answers.fetch_add(1, Ordering::Relaxed);
                    }
                }
            }
        }
    };
    whole();
    acknowledged
}

/// Kills a server so often under load, and looks for all that it had acknowledged. Says how much that was.
#[allow(clippy::print_stderr, reason = "the figures of the proof")]
fn crash(mut sprint: Sprint, times: usize) {
    for limit in ["PER_PERSON", "PER_ADDRESS", "SIGN_INS_A_MINUTE"] {
        sprint.set(&format!("DIPTYCH_LIMITS__{limit}"), "1000000");
    }
    sprint.edit("overlap = 3", &format!("overlap = {}", overlap(times)));
    sprint.edit("gold = 0.0", "gold = 0.25");
    let slug = sprint.run().0["sprint"].as_str().unwrap().to_owned();
    let crowd = Crowd::default();
    let mut terms = String::new();
    let (mut kept, mut all) = (Vec::<Acknowledged>::new(), 0);
    for number in 0..=times {
        let mut served = Served::start(&sprint);
        let nobody = served.client().with("sec-fetch-site", "same-origin");
        for Acknowledged { person, assignment, answer } in kept.drain(..) {
            let again = Client { address: served.address.clone(), ..person };
            let path = format!("/api/v1/assignments/{assignment}/response");
            let answer = again.put(&path, &json!({"answer": answer}));
            assert_eq!(
                answer.status,
                200,
                "crash {number}: an acknowledged answer is not there: {}",
                answer.text()
            );
            assert_eq!(answer.json()["saved"], "repeated");
        }
        if number == times {
            break;
        }
        if terms.is_empty() {
            let entered = nobody.form("/enter", "name=Reader");
            let reader =
                nobody.clone().with("cookie", entered.header("set-cookie").split(';').next().unwrap());
            let page = reader.get(&format!("/s/{slug}")).text();
            terms =
                page.split("name=\"version\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
        }
        std::thread::scope(|scope| {
            let people: Vec<_> =
                (0..CROWD).map(|_| scope.spawn(|| annotate(&nobody, &slug, &terms, &crowd))).collect();
            let came = crowd.comes_to(all + random(ANSWERS) as usize);
            std::thread::sleep(Duration::from_millis(random(LATER)));
            served.child.kill().unwrap();
            served.child.wait().unwrap();
            kept.extend(people.into_iter().flat_map(|person| person.join().unwrap()));
            assert!(came, "crash {number}: {} answers in {PATIENCE:?}", kept.len());
        });
        all += kept.len();
    }
    assert!(all > times * 10, "the crowd was at it: {all} answers");
    // No pair over its overlap, and nobody twice on one.
    let query = format!(
        "SELECT pair_id, COUNT(*) AS answers, COUNT(DISTINCT pseudonym) AS people FROM responses WHERE counts \
         GROUP BY pair_id HAVING COUNT(*) > {} OR COUNT(*) <> COUNT(DISTINCT pseudonym)",
        overlap(times)
    );
    let wrong: Value = serde_json::from_str(&sprint.ok(&["sql", &query, "--format", "json"])).unwrap();
    assert_eq!(wrong, json!([]));
    let (counted, checks) =
        (sprint.status().0["responses"]["submitted"].as_u64().unwrap(), checks(&sprint, &slug));
    // After a few crashes on a busy machine there may be no pair yet to measure anybody by.
    assert!(checks > 0 || times < 50, "nobody was measured");
    let kept = counted + checks;
    eprintln!(
        "{times} crashes, {all} answers acknowledged, {counted} kept and {checks} to checks, none lost"
    );
    assert!(kept >= all as u64, "{kept} answers are there, {all} were acknowledged");
}

/// How many answers to checks there are.
fn checks(sprint: &Sprint, slug: &str) -> u64 {
    let url = sprint.env("DIPTYCH_STORAGE__DATABASE").unwrap_or("sqlite:diptych.db");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let counts = runtime.block_on(async {
        let store = diptych_store::Store::open(url, &sprint.path("")).await.unwrap();
        let id = store.find_sprint(slug).await.unwrap().unwrap();
        let counts = store.check_counts(&id).await.unwrap();
        store.close().await;
        counts
    });
    counts.iter().map(|count| (count.passed + count.failed).unsigned_abs()).sum()
}

#[test]
#[ignore = "takes a while, and has a twin that needs PostgreSQL: cargo xtask ci, or soak"]
fn a_killed_server_on_sqlite_has_kept_every_answer() {
    let times = times();
    crash(sprint(times), times);
}

#[test]
#[ignore = "needs PostgreSQL: cargo xtask ci, or soak"]
fn a_killed_server_on_postgres_has_kept_every_answer() {
    let server = std::env::var("DIPTYCH_TEST_POSTGRES").expect("DIPTYCH_TEST_POSTGRES names a server");
    let (times, name) = (times(), format!("diptych_crash_{}", std::process::id()));
    let sql = |statement: String| {
        let ended = Command::new("psql").args([&server, "-qc", &statement]).status().unwrap();
        assert!(ended.success(), "{statement}");
    };
    sql(format!("CREATE DATABASE {name}"));
    let (rest, _) = server.rsplit_once('/').expect("an address with a database");
    let mut sprint = sprint(times);
    sprint.set("DIPTYCH_STORAGE__DATABASE", &format!("{rest}/{name}"));
    crash(sprint, times);
    sql(format!("DROP DATABASE {name} WITH (FORCE)"));
}
