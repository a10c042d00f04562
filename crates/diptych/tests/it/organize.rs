//! What organizers do with a sprint while it runs: open and close it, tell people something, measure them, leave
//! somebody out, take the data along; and sprints that people propose.

use std::fs::File;
use std::io::{BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use diptych_backup::{Backup, Writer};
use diptych_store::backup::IN_ORDER;
use serde_json::json;

use crate::kit::{Client, Served, Sprint, signal, until};

/// A browser that says of its requests that they come from our own pages.
fn from_a_page(client: Client) -> Client {
    client.with("sec-fetch-site", "same-origin")
}

fn organized(edit: &[(&str, &str)]) -> (Sprint, String, Served, Client) {
    let sprint = Sprint::new(12);
    for (from, to) in edit {
        sprint.edit(from, to);
    }
    let slug = sprint.run().0["sprint"].as_str().unwrap().to_owned();
    sprint.ok(&["users", "token", "Org"]);
    sprint.ok(&["users", "role", "Org", "organizer"]);
    let served = Served::start(&sprint);
    let organizer = from_a_page(served.person(&sprint, "Org"));
    (sprint, slug, served, organizer)
}

#[test]
fn a_sprint_is_paused_opened_and_closed() {
    let (sprint, slug, served, organizer) = organized(&[]);
    let ada = served.person(&sprint, "Ada");
    let set = |state: &str| organizer.form(&format!("/s/{slug}/organize/state"), &format!("state={state}"));
    let take = || ada.post(&format!("/api/v1/sprints/{slug}/assignments"), &json!({"count": 2})).json();
    let held = ada.take(&slug, 1).remove(0);

    assert_eq!(set("paused").status, 303);
    assert_eq!(take()["assignments"][0]["id"], held["id"], "what she holds is hers");
    assert_eq!(ada.answer(&held, "left").status, 201, "and is not lost");
    assert_eq!(
        (take()["assignments"].as_array().unwrap().len(), take()["retry_after_s"].is_number()),
        (0, true)
    );
    let progress = ada.get(&format!("/api/v1/sprints/{slug}/progress")).json();
    assert_eq!(progress["state"], "paused");
    assert!(served.client().get("/").text().contains("Paused"));

    assert_eq!(set("open").status, 303);
    assert_eq!(take()["assignments"].as_array().unwrap().len(), 2);
    assert_eq!(ada.get(&format!("/api/v1/sprints/{slug}/results")).status, 403);
    let people = served.client().get(&format!("/s/{slug}/people")).text();
    let wanted = sprint.status().pairs() * 3;
    assert!(
        people.contains(&format!("1 of {wanted} answers are given, 1 of them in the last 24 hours")),
        "{people}"
    );
    assert_eq!(set("closed").status, 303);
    for held in take()["assignments"].as_array().unwrap() {
        assert_eq!(ada.answer(held, "left").status, 201);
    }
    assert_eq!(
        (take()["assignments"].as_array().unwrap().len(), take()["retry_after_s"].is_null()),
        (0, true)
    );
    assert_eq!(
        ada.get(&format!("/api/v1/sprints/{slug}/results")).status,
        200,
        "closed: they are for everybody"
    );
    let people = served.client().get(&format!("/s/{slug}/people")).text();
    assert!(people.contains("Final standings") && !people.contains("Today"), "{people}");
    assert!(set("gone").text().contains("open, paused, closed, archived"));

    assert_eq!(set("archived").status, 303);
    let listed = |client: &Client| client.get("/api/v1/sprints").json()["sprints"].as_array().unwrap().len();
    assert_eq!((listed(&ada), listed(&organizer)), (0, 1));
    // A server that starts anew knows.
    drop(served);
    let served = Served::start(&sprint);
    assert_eq!(served.client().get("/api/v1/sprints").json()["sprints"], json!([]));
}

#[test]
fn an_announcement_reaches_everybody_until_it_is_taken_down() {
    let (_sprint, slug, served, organizer) = organized(&[]);
    let told =
        || served.client().get(&format!("/api/v1/sprints/{slug}/progress")).json()["announcement"].clone();
    let tell = |text: &str| organizer.form(&format!("/s/{slug}/organize/announce"), &format!("text={text}"));
    assert!(told().is_null());
    assert_eq!(tell("Half+way+%3Cb%3E+there").status, 303);
    let first = told();
    assert_eq!(first["text"], "Half way <b> there");
    assert!(organizer.get(&format!("/s/{slug}/organize")).text().contains("Half way &#60;b&#62; there"));
    let terms = organizer.get(&format!("/s/{slug}")).text();
    let version = terms.split("name=\"version\" value=\"").nth(1).unwrap().split('"').next().unwrap();
    assert_eq!(organizer.form(&format!("/s/{slug}/agree"), &format!("version={version}")).status, 303);
    let plain = organizer.get(&format!("/s/{slug}/plain")).text();
    assert!(plain.contains("Half way &#60;b&#62; there"), "also without JavaScript: {plain}");
    assert_eq!(tell("Done").status, 303);
    assert_ne!(told()["id"], first["id"]);
    assert_eq!(tell("").status, 303);
    assert!(told().is_null());
    tell(&"x".repeat(501)).problem(400);
}

/// From answers to what organizers read: one person who gives most of them, one address that sends all of them, and
/// hours that bring no more.
#[test]
fn what_stands_out_reaches_organizers() {
    let sprint = Sprint::new(25);
    std::fs::write(
        sprint.path("diptych.toml"),
        "[serve]\ntrusted_proxies = [\"127.0.0.1/32\"]\n[limits]\nper_person = 1000\n",
    )
    .unwrap();
    let slug = sprint.run().0["sprint"].as_str().unwrap().to_owned();
    sprint.ok(&["users", "token", "Org"]);
    sprint.ok(&["users", "role", "Org", "organizer"]);
    let served = Served::start(&sprint);
    let answers = |name: &str, from: &str, count: usize| {
        let person = served.person(&sprint, name).with("x-forwarded-for", from);
        let mut left = count;
        while left > 0 {
            let taken = person.take(&slug, left.min(10));
            assert!(!taken.is_empty(), "{name} has nothing to answer");
            left -= taken.len();
            for held in taken {
                assert_eq!(person.answer(&held, "left").status, 201);
            }
        }
    };
    // Those from a network of one's own say nothing about addresses.
    answers("Ada", "203.0.113.7", 48);
    for number in 1..=7 {
        answers(&format!("Person {number}"), "203.0.113.7", 8);
    }
    answers("Ben", "10.0.0.9", 6);
    let page = format!("/s/{slug}/organize");
    let read = |served: &Served, sprint: &Sprint, page: &str| served.person(sprint, "Org").get(page).text();
    let one_person = "“Ada” has given 48 of the 110 answers of the last 24 hours.";
    let one_address = "One address has sent about 100 of the 104 answers";
    // It looks once a minute.
    let begun = Instant::now();
    while !read(&served, &sprint, &page).contains(one_person) {
        assert!(
            begun.elapsed() < Duration::from_secs(90),
            "nobody is told: {}",
            read(&served, &sprint, &page)
        );
        std::thread::sleep(Duration::from_millis(500));
    }
    assert!(read(&served, &sprint, &page).contains(one_address));
    assert!(!read(&served, &sprint, &page).contains("an hour of the day before"));
    let elsewhere = read(&served, &sprint, "/");
    assert!(elsewhere.contains(&format!("{slug}: {one_person}")), "on every page: {elsewhere}");
    let ada = served.person(&sprint, "Ada").get("/").text();
    assert!(!ada.contains("has given"), "organizers alone: {ada}");

    // The same answers, as they would have been three hours ago.
    let (now, then) = (sprint.path("now.zip"), sprint.path("then.zip"));
    sprint.ok(&["backup", now.to_str().unwrap()]);
    three_hours_older(&now, &then);
    let later = Sprint::empty();
    later.ok(&["restore", then.to_str().unwrap()]);
    let served = Served::start(&later);
    until("it is told that nobody answers any more", || {
        read(&served, &later, &page)
            .contains("The last hour brought 0 answers; an hour of the day before brought 55.")
    });
}

/// A backup whose answers were all given three hours before.
fn three_hours_older(from: &Path, to: &Path) {
    let mut backup = Backup::open(BufReader::new(File::open(from).unwrap())).unwrap();
    let mut writer = Writer::new(File::create(to).unwrap());
    for table in IN_ORDER {
        let Some(mut rows) = backup.rows(table).unwrap() else { continue };
        let mut text = String::new();
        rows.read_to_string(&mut text).unwrap();
        for line in text.lines() {
            let mut row: serde_json::Value = serde_json::from_str(line).unwrap();
            if *table == "responses" {
                row["created_at"] = json!(row["created_at"].as_i64().unwrap() - 3 * 3600 * 1000);
            }
            writer.row(table, &row.to_string()).unwrap();
        }
    }
    for hash in backup.images() {
        writer.image(&hash, &backup.image(&hash).unwrap()).unwrap();
    }
    for toml in backup.sprints().unwrap() {
        writer.sprint(&toml).unwrap();
    }
    let (program, made_at) = (backup.label().program.clone(), backup.label().made_at);
    writer.finish(&program, made_at).unwrap();
}

/// Whoever answers a check cannot tell it from a pair, and what they answer counts for nobody else.
#[test]
fn checks_are_mixed_in_and_stand_on_the_organizers_page_alone() {
    let checks = ("repeats = 0.0 ", "repeats = 0.25");
    let gold = ("gold = 0.0 ", "gold = 0.25");
    let (sprint, slug, served, organizer) = organized(&[checks, gold, ("overlap = 3", "overlap = 1")]);
    let ben = served.person(&sprint, "Ben");
    let held = ben.take(&slug, 10);
    let progress = format!("/api/v1/sprints/{slug}/progress");
    assert_eq!(ben.get(&progress).json()["responses"], 0);
    held.iter().take(8).for_each(|one| assert_eq!(ben.answer(one, "left").status, 201));
    for place in ["/api/v1/sprints".to_owned(), format!("/api/v1/sprints/{slug}/progress")] {
        assert!(ben.get(&place).text().contains("\"responses\":0,"), "eight are not told yet: {place}");
    }
    assert!(ben.get("/metrics").text().contains(&format!("diptych_responses{{sprint=\"{slug}\"}} 0\n")));
    let ada = served.person(&sprint, "Ada");
    // Of pairs that are full she is shown some as checks; all of them look alike.
    let mut shown = Vec::new();
    until("checks come", || {
        for one in ada.take(&slug, 3) {
            let keys: Vec<&String> = one.as_object().unwrap().keys().collect();
            assert_eq!(keys, ["category", "expires_at", "id", "left", "prompt", "right"]);
            assert_eq!(ada.answer(&one, "left").status, 201);
            shown.push(one);
        }
        ada.take(&slug, 1).is_empty()
    });
    let report: serde_json::Value = serde_json::from_str(&sprint.ok(&["report", "--json"])).unwrap();
    let mine =
        ada.get(&format!("/api/v1/sprints/{slug}/progress")).json()["mine"]["responses"].as_u64().unwrap();
    assert_eq!(mine, shown.len() as u64, "her own count tells no difference");
    let bens =
        ben.get(&format!("/api/v1/sprints/{slug}/progress")).json()["mine"]["responses"].as_u64().unwrap();
    let responses = report["responses"].as_u64().unwrap();
    assert!(responses <= mine + bens, "{report}");
    let csv = organizer.get(&format!("/s/{slug}/export/responses.csv"));
    assert_eq!(csv.text().lines().count() as u64, responses + 1, "no check is exported");
    // Nor does what everybody sees move with every answer but those to checks.
    let public = ada.get(&format!("/api/v1/sprints/{slug}/progress")).json();
    let told = public["responses"].as_u64().unwrap();
    let wanted = public["wanted"].as_u64().unwrap();
    assert!(told == responses && told == wanted || told + 20 > responses, "{public} of {responses}");
    assert_eq!(organizer.get(&format!("/s/{slug}/export/responses.parquet")).body[..4], *b"PAR1");
    assert_eq!(organizer.get(&format!("/s/{slug}/export/people.csv")).status, 404);

    // Somebody is left out, with a reason, and counted again.
    let page = organizer.get(&format!("/s/{slug}/organize")).text();
    let row = page.split("<tr>").find(|row| row.contains("<bdi>Ben</bdi>")).unwrap();
    let pseudonym = row.split("name=\"pseudonym\" value=\"").nth(1).unwrap().split('"').next().unwrap();
    let count = |text: &str| {
        organizer.form(&format!("/s/{slug}/organize/people"), &format!("pseudonym={pseudonym}&{text}"))
    };
    count("counts=no").problem(400);
    assert_eq!(count("counts=no&reason=a+bot").status, 303);
    assert!(organizer.get(&format!("/s/{slug}/organize")).text().contains("Does not count: a bot"));
    let report: serde_json::Value = serde_json::from_str(&sprint.ok(&["report", "--json"])).unwrap();
    assert_eq!(report["responses"].as_u64().unwrap(), responses - 8);
    assert_eq!(count("counts=yes").status, 303);
    let report: serde_json::Value = serde_json::from_str(&sprint.ok(&["report", "--json"])).unwrap();
    assert_eq!(report["responses"].as_u64().unwrap(), responses);
}

#[test]
fn the_live_page_ends_with_the_server() {
    let (sprint, slug, mut served, _) = organized(&[]);
    let ada = served.person(&sprint, "Ada");
    assert_eq!(ada.answer(&ada.take(&slug, 1)[0], "left").status, 201);
    let token = sprint.ok(&["users", "token", "Org"]);
    let mut stream = TcpStream::connect(&served.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let request = format!(
        "GET /s/{slug}/organize/live HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\n\r\n",
        served.address,
        token.trim()
    );
    stream.write_all(request.as_bytes()).unwrap();
    let (mut heard, mut some) = (String::new(), [0; 4096]);
    while !heard.contains("\"unanimous\"") {
        let length = stream.read(&mut some).unwrap();
        assert_ne!(length, 0, "{heard}");
        heard.push_str(&String::from_utf8_lossy(&some[..length]));
    }
    assert!(heard.contains("content-type: text/event-stream"), "{heard}");
    let wanted = sprint.status().pairs() * 3;
    for figure in [
        "\"minute\":1".to_owned(),
        "\"people\":1".to_owned(),
        "\"responses\":\"1\"".to_owned(),
        format!("\"wanted\":\"{wanted}\""),
        "\"errors\":0".to_owned(),
        "GB\"".to_owned(),
        "\"state\":\"open\"".to_owned(),
    ] {
        assert!(heard.contains(&figure), "{figure}: {heard}");
    }
    let asked = Instant::now();
    signal(&served.child, "TERM");
    assert!(served.child.wait().unwrap().success());
    assert!(asked.elapsed() < Duration::from_secs(10), "it does not wait for who looks");
}

/// A form with a file in it, as a browser sends it.
fn proposal(fields: &[(&str, &str)], file: &str, bytes: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, value) in fields {
        body.extend(
            format!("--b\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n").bytes(),
        );
    }
    let head =
        format!("--b\r\ncontent-disposition: form-data; name=\"prompts\"; filename=\"{file}\"\r\n\r\n");
    body.extend(head.bytes());
    body.extend(bytes);
    body.extend(b"\r\n--b--\r\n");
    body
}

#[test]
fn somebody_proposes_a_sprint_and_an_organizer_accepts_it() {
    let root = tempfile::tempdir().unwrap();
    std::fs::write(root.path().join("diptych.toml"), "").unwrap();
    let sprint = Sprint::below(root.path(), 3);
    let slug = sprint.run().0["sprint"].as_str().unwrap().to_owned();
    sprint.ok(&["users", "token", "Org"]);
    sprint.ok(&["users", "role", "Org", "organizer"]);
    let served = Served::start(&sprint);
    let organizer = from_a_page(served.person(&sprint, "Org"));
    let ada = from_a_page(served.person(&sprint, "Ada"));
    let (dev, sd) = ("dev", "sd");
    let propose = |client: &Client, slug: &str, models: &[&str], file: &str, bytes: &[u8]| {
        let mut fields = vec![("title", "Birds <b>"), ("slug", slug), ("question", "Which bird?")];
        fields.extend(models.iter().map(|model| ("model", *model)));
        client.send("POST", "/propose", "multipart/form-data; boundary=b", &proposal(&fields, file, bytes))
    };
    let models = [dev, sd];
    // What is not as it should be is said, and nothing is kept.
    for (slug, models, file, bytes, says) in [
        ("../up", &models[..], "p.txt", &b"a heron\n"[..], "short name"),
        (&slug, &models, "p.txt", b"a heron\n", "already"),
        ("birds", &[dev, dev], "p.txt", b"a heron\n", "two image models"),
        ("blobs", &models, "p.txt", b"a heron\n", "already"),
        ("birds", &["x/y", "x/z"], "p.txt", b"a heron\n", "no engine"),
        ("birds", &models[..1], "p.txt", b"a heron\n", "two image models"),
        ("birds", &models, "../../p.exe", b"MZ", "must be a file"),
        ("birds", &models, "p.txt", b"\xff\xfe\x00", "no text"),
        ("birds", &models, "p.jsonl", b"not json\nat all\n", "No prompt"),
        ("birds", &models, "", b"", "Choose a file"),
    ] {
        let answer = propose(&ada, slug, models, file, bytes);
        assert_eq!((answer.status, answer.text().contains(says)), (400, true), "{says}: {}", answer.text());
    }
    let large = propose(&ada, "birds", &models, "p.txt", &vec![b'a'; 3 << 20]);
    assert_eq!((large.status, large.header("content-type")), (413, "text/html; charset=utf-8"));
    assert!(large.text().contains("may have 2 MB") && large.text().contains("value=\"Which bird?\""));
    let german = ada.clone().with("accept-language", "de");
    let refused = propose(&german, "birds", &models[..1], "p.txt", b"a heron\n").text();
    assert!(
        refused.contains("Wähle mindestens zwei Bildmodelle") && refused.contains("Nichts wurde gespeichert")
    );
    assert!(!ada.get("/propose").text().contains("id=\"mine\""));

    assert_eq!(propose(&ada, "birds", &models, "p.txt", b"a heron\na crane at dusk\n").status, 303);
    let again = propose(&ada, "birds", &models, "p.txt", b"a stork\n");
    assert!(again.status == 400 && again.text().contains("of that short name waits"), "{}", again.text());
    assert_eq!(propose(&ada, "herons", &models, "p.csv", b"prompt\na heron\n").status, 303);
    assert_eq!(propose(&ada, "cranes", &models, "p.csv", b"prompt\na crane\n").status, 303);
    let fourth = propose(&ada, "storks", &models, "p.csv", b"prompt\na stork\n");
    assert!(fourth.status == 400 && fourth.text().contains("3 proposals waiting"), "10,000 of one person's");
    assert!(!ada.get("/propose").text().contains("Waiting for you"), "she decides about none");
    let page = organizer.get("/propose").text();
    let ids: Vec<String> = page
        .split("action=\"/proposals/")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap().to_owned())
        .collect();
    assert_eq!(ids.len(), 3);
    assert!(page.contains("Birds &#60;b&#62;") && page.contains("Prompts: 2"), "{page}");
    assert!(organizer.get("/").text().contains("Proposals&nbsp;<b class=\"num\">3</b>"));
    assert!(!ada.get("/").text().contains("Proposals"), "which is nobody else's business");
    assert_eq!(ada.form(&format!("/proposals/{}", ids[0]), "decision=accept").status, 403);
    let prompts = organizer.get(&format!("/proposals/{}/prompts", ids[0]));
    assert_eq!(
        (prompts.text().as_str(), prompts.header("content-type")),
        ("a heron\na crane at dusk\n", "text/plain; charset=utf-8")
    );

    // Pressed twice, and by two at once: it is accepted once, with all that belongs to it.
    let accepted = std::thread::scope(|scope| {
        let press = || organizer.form(&format!("/proposals/{}", ids[0]), "decision=accept").status;
        let presses: Vec<_> = (0..4).map(|_| scope.spawn(press)).collect();
        presses.into_iter().map(|press| press.join().unwrap()).filter(|status| *status == 303).count()
    });
    assert_eq!(accepted, 1);
    let kept = std::fs::read_to_string(root.path().join("birds/prompts.txt")).unwrap();
    assert_eq!(kept, "a heron\na crane at dusk\n");
    let names = std::fs::read_dir(root.path()).unwrap().map(|entry| entry.unwrap().file_name());
    let parts = names.filter(|name| name.to_string_lossy().ends_with(".part")).count();
    assert_eq!(parts, 0, "nothing half-made is left");
    assert_eq!(
        organizer.form(&format!("/proposals/{}", ids[1]), "decision=decline&note=too+like").status,
        303
    );
    organizer.form(&format!("/proposals/{}", ids[1]), "decision=accept").problem(404);
    assert!(ada.get("/propose").text().contains("too like"));
    assert!(german.get("/propose").text().contains("das wurde abgelehnt. too like"));
    // It stands there at once, says what is to be done next, and is a sprint like any other.
    assert!(organizer.get("/s/birds/organize").text().contains("It has no pairs yet"));
    assert!(served.client().get("/").text().contains("Birds &#60;b&#62;"));
    let folder = root.path().join("birds");
    let text = std::fs::read_to_string(folder.join("sprint.toml")).unwrap();
    assert!(
        text.contains("question = \"Which bird?\"") && text.contains("name = \"rehearsal/noto\""),
        "{text}"
    );
    let command = |args: &[&str]| crate::kit::program(&folder).args(args).output().unwrap();
    let run = command(&["run", "--quiet"]);
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let listed = String::from_utf8(command(&["users", "list"]).stdout).unwrap();
    assert!(listed.contains("organizer") && listed.contains("moderator"), "{listed}");
    assert_eq!(ada.take("birds", 1).len(), 1);

    // Stopped between the row and the folder, the next start puts it in its place.
    assert_eq!(organizer.form(&format!("/proposals/{}", ids[2]), "decision=accept").status, 303);
    drop(served);
    let (part, place) = (root.path().join(format!(".{}-0badcafe.part", ids[2])), root.path().join("cranes"));
    std::fs::rename(&place, &part).unwrap();
    let served = Served::start(&sprint);
    until("it stands in its place", || !part.exists() && place.join("prompts.csv").exists());
    until("it is hosted", || served.client().get("/s/cranes/people").status == 200);
}
