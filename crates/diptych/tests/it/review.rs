//! Screening, reports and review from outside: what is removed is seen by nobody, and who may look.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::kit::{Answer, Client, Served, Sprint, until};

/// The server's routes, to be compared with the table below.
const ROUTES: &str = include_str!("../../../web/src/lib.rs");

/// What each role gets: anonymous, annotator, moderator, organizer. `ID` and `HASH` stand for what is there.
/// 401 and 303 send to sign in; a page answers 403 where it is not for this person.
const WHO_MAY: &[(&str, &str, [u16; 4])] = &[
    ("GET", "/", [200, 200, 200, 200]),
    ("GET", "/enter", [200, 200, 200, 200]),
    ("POST", "/enter", [403, 403, 403, 403]), // from no page of ours
    ("GET", "/enter/with/{provider}", [404, 404, 404, 404]), // none is configured
    ("GET", "/enter/with/{provider}/back", [404, 404, 404, 404]),
    ("GET", "/invite/{secret}", [404, 404, 404, 404]), // nobody guesses one
    ("POST", "/invite/{secret}", [403, 403, 403, 403]),
    ("POST", "/leave", [403, 403, 403, 403]),
    ("GET", "/language", [303, 303, 303, 303]),
    ("GET", "/s/{slug}/look.css", [404, 404, 404, 404]), // of a sprint without a look of its own
    ("GET", "/s/{slug}/cover", [404, 404, 404, 404]),
    ("POST", "/s/{slug}/agree", [401, 403, 403, 403]),
    ("GET", "/me", [303, 200, 200, 200]),
    ("POST", "/me/name", [401, 403, 403, 403]),
    ("POST", "/me/ways", [401, 403, 403, 403]),
    ("POST", "/me/leave", [401, 403, 403, 403]),
    ("GET", "/s/{slug}/people", [200, 200, 200, 200]),
    ("GET", "/s/{slug}/organize", [303, 403, 403, 200]),
    ("POST", "/s/{slug}/organize/state", [401, 403, 403, 403]), // from no page of ours
    ("POST", "/s/{slug}/organize/announce", [401, 403, 403, 403]),
    ("POST", "/s/{slug}/organize/people", [401, 403, 403, 403]),
    ("GET", "/s/{slug}/export/{file}", [401, 403, 403, 200]),
    ("GET", "/propose", [303, 404, 404, 404]), // this server has no diptych.toml
    ("POST", "/propose", [401, 403, 403, 403]),
    ("POST", "/proposals/{id}", [401, 403, 403, 403]),
    ("GET", "/proposals/{id}/prompts", [401, 403, 403, 404]), // none waits
    ("GET", "/api/v1/me", [401, 200, 200, 200]),
    ("GET", "/s/{slug}", [303, 200, 200, 200]),
    ("GET", "/s/{slug}/plain", [303, 200, 200, 200]),
    ("POST", "/s/{slug}/plain", [401, 403, 403, 403]),
    ("GET", "/s/{slug}/results", [403, 403, 403, 200]),
    ("GET", "/s/{slug}/review", [303, 403, 200, 200]),
    ("GET", "/s/{slug}/review/log", [303, 403, 200, 200]),
    ("GET", "/s/{slug}/safety", [303, 403, 200, 200]),
    ("POST", "/s/{slug}/safety", [401, 403, 403, 403]),
    ("GET", "/s/{slug}/review/images/{hash}", [401, 403, 200, 200]),
    ("GET", "/pictures/{name}", [404, 404, 404, 404]), // names are secrets: nobody guesses one
    ("GET", "/assets/{version}/{name}", [404, 404, 404, 404]),
    ("GET", "/favicon.svg", [200, 200, 200, 200]),
    ("GET", "/api/openapi.json", [200, 200, 200, 200]),
    ("GET", "/api/v1/sprints", [200, 200, 200, 200]),
    ("POST", "/api/v1/sprints/{slug}/assignments", [401, 200, 200, 200]),
    ("PUT", "/api/v1/assignments/{id}/response", [401, 404, 404, 404]),
    ("DELETE", "/api/v1/assignments/{id}/response", [401, 404, 404, 404]),
    ("GET", "/api/v1/sprints/{slug}/leaderboard", [200, 200, 200, 200]),
    ("GET", "/api/v1/sprints/{slug}/progress", [200, 200, 200, 200]),
    ("GET", "/api/v1/sprints/{slug}/results", [403, 403, 403, 200]),
    ("GET", "/api/v1/sprints/{slug}/review", [401, 403, 200, 200]),
    ("POST", "/api/v1/sprints/{slug}/review", [401, 403, 400, 400]),
    ("GET", "/api/v1/sprints/{slug}/review/log", [401, 403, 200, 200]),
    ("GET", "/api/v1/sprints/{slug}/safety", [401, 403, 200, 200]),
    ("POST", "/api/v1/sprints/{slug}/safety", [401, 403, 403, 400]),
    ("GET", "/healthz", [200, 200, 200, 200]),
    ("GET", "/readyz", [200, 200, 200, 200]),
    ("GET", "/metrics", [200, 200, 200, 200]),
    ("GET", "/privacy", [200, 200, 200, 200]),
];

fn reviewed_sprint() -> (Sprint, String, Served, [Client; 4]) {
    let mut sprint = Sprint::new(4);
    // Some of the tests decide as fast as they can.
    sprint.set("DIPTYCH_LIMITS__PER_PERSON", "100000");
    let status = sprint.run();
    let slug = status.0["sprint"].as_str().unwrap().to_owned();
    sprint.ok(&["users", "token", "Mod"]);
    sprint.ok(&["users", "role", "Mod", "moderator"]);
    sprint.ok(&["users", "token", "Org"]);
    sprint.ok(&["users", "role", "Org", "organizer"]);
    let served = Served::start(&sprint);
    let people = [
        served.client(),
        served.person(&sprint, "Ada"),
        served.person(&sprint, "Mod"),
        served.person(&sprint, "Org"),
    ];
    (sprint, slug, served, people)
}

/// Forms from a page of ours: what they say, and what each role gets.
const FORMS: &[(&str, &str, [u16; 4])] = &[
    ("/enter", "name=", [200, 200, 200, 200]),
    ("/leave", "", [303, 303, 303, 303]),
    ("/invite/{secret}", "name=Eve", [404, 404, 404, 404]),
    ("/s/{slug}/agree", "version=0", [401, 400, 400, 400]),
    ("/s/{slug}/plain", "assignment={id}&answer=left", [401, 404, 404, 404]),
    ("/me/name", "sprint={slug}&named=no", [401, 303, 303, 303]),
    ("/me/ways", "ways=none", [401, 400, 400, 400]),
    ("/me/leave", "name=nobody", [401, 400, 400, 400]),
    ("/s/{slug}/organize/state", "state=open", [401, 403, 403, 303]),
    ("/s/{slug}/organize/announce", "text=Hello", [401, 403, 403, 303]),
    ("/s/{slug}/organize/people", "pseudonym=nobody&counts=yes", [401, 403, 403, 404]),
    ("/s/{slug}/safety", "classifier=nothing&threshold=0.5", [401, 403, 403, 404]),
    ("/proposals/{id}", "decision=decline", [401, 403, 403, 404]),
];

/// With something in every blank.
fn filled(text: &str, slug: &str, hash: &str) -> String {
    text.replace("{slug}", slug)
        .replace("{hash}", hash)
        .replace("{id}", "00000000-0000-7000-8000-000000000000")
        .replace("{name}", "nothing")
        .replace("{version}", "0")
        .replace("{provider}", "nobody")
        .replace("{secret}", "0")
        .replace("{file}", "responses.csv")
}

fn ask(client: &Client, method: &str, path: &str) -> Answer {
    let body = if path.ends_with("assignments") { json!({"count": 1}) } else { json!({"answer": "left"}) };
    match method {
        "GET" => client.get(path),
        "DELETE" => client.delete(path),
        "PUT" => client.put(path, &body),
        _ if !path.starts_with("/api") && !path.ends_with("/safety") => client.form(path, "name=Eve"),
        _ => client.post(path, &body),
    }
}

#[test]
fn every_route_says_who_may_what() {
    let (_sprint, slug, _served, people) = reviewed_sprint();
    let review = people[2].get(&format!("/api/v1/sprints/{slug}/review?decision=all")).json();
    let hash = review["items"][0]["content"].as_str().unwrap().to_owned();
    let mut known = BTreeSet::new();
    for (method, route, wanted) in WHO_MAY {
        known.insert((*method, *route));
        let path = filled(route, &slug, &hash);
        for (client, wanted) in people.iter().zip(wanted) {
            let answer = ask(client, method, &path);
            assert_eq!(answer.status, *wanted, "{method} {path}: {}", answer.text());
        }
    }
    // For who may listen it never ends: `organize.rs` does.
    known.insert(("GET", "/s/{slug}/organize/live"));
    for (client, wanted) in people.iter().zip([401, 403, 403]) {
        assert_eq!(client.get(&format!("/s/{slug}/organize/live")).status, wanted);
    }
    for (route, form, wanted) in FORMS {
        let (path, form) = (filled(route, &slug, &hash), filled(form, &slug, &hash));
        for (client, wanted) in people.iter().zip(wanted) {
            let answer = client.clone().with("sec-fetch-site", "same-origin").form(&path, &form);
            assert_eq!(answer.status, *wanted, "{path} {form}: {}", answer.text());
            let elsewhere = client.clone().with("sec-fetch-site", "cross-site").form(&path, &form);
            assert!([401, 403].contains(&elsewhere.status), "{path} from elsewhere: {}", elsewhere.status);
        }
    }
    let mut routes = BTreeSet::new();
    for line in ROUTES.lines().filter_map(|line| line.trim().strip_prefix(".route(\"")) {
        let (route, methods) = line.split_once('"').unwrap();
        // Those of `/propose` stand above, with how much they take.
        let methods = if route == "/propose" { "get(post(" } else { methods };
        let asks = [("get(", "GET"), ("post(", "POST"), ("put(", "PUT"), ("delete(", "DELETE")];
        routes.extend(asks.iter().filter(|(call, _)| methods.contains(call)).map(|(_, name)| (*name, route)));
    }
    assert_eq!(routes, known, "every route stands in the table, and no other");
    let forms: BTreeSet<&str> = FORMS.iter().map(|(route, ..)| *route).collect();
    let posts = routes.iter().filter(|(method, route)| *method == "POST" && !route.starts_with("/api"));
    for (_, route) in posts.filter(|(_, route)| *route != "/propose") {
        assert!(forms.contains(route), "{route}");
    }
}

/// Whoever organizes one sprint is an annotator like anybody else in another one.
#[test]
fn a_role_is_of_one_sprint() {
    let root = tempfile::tempdir().unwrap();
    std::fs::write(root.path().join("diptych.toml"), "").unwrap();
    let (one, other) = (Sprint::below(root.path(), 2), Sprint::below(root.path(), 2));
    let slug = one.run().0["sprint"].as_str().unwrap().to_owned();
    other.run();
    other.ok(&["users", "role", "Org", "organizer"]);
    let server = Sprint { dir: root, env: BTreeMap::new() };
    let served = Served::start(&server);
    let organizer = served.person(&other, "Org");
    let of_sprint = WHO_MAY.iter().filter(|(_, route, _)| route.contains("{slug}"));
    for (method, route, wanted) in of_sprint {
        let answer = ask(&organizer, method, &filled(route, &slug, "0"));
        assert_eq!(answer.status, wanted[1], "{method} {route}: {}", answer.text());
    }
    let organizer = organizer.with("sec-fetch-site", "same-origin");
    for (route, form, wanted) in FORMS.iter().filter(|(route, ..)| route.contains("{slug}")) {
        let answer = organizer.form(&filled(route, &slug, "0"), &filled(form, &slug, "0"));
        assert_eq!(answer.status, wanted[1], "{route}: {}", answer.text());
    }
}

/// What went wrong is a page where a person reads it, in their language, and a problem where a program does.
#[test]
fn problems_are_pages_for_people() {
    let (_sprint, slug, served, [.., organizer]) = reviewed_sprint();
    let twice = format!("/api/v1/sprints/{slug}/review?kind=text&kind=image");
    assert_eq!(organizer.get(&twice).problem(400), "/problems/bad-request");
    let path = format!("/s/{slug}/export/responses.csv");
    assert_eq!(served.client().get(&path).problem(401), "/problems/sign-in");
    let browser = served.client().with("accept", "text/html,application/xhtml+xml,*/*;q=0.8");
    let page = browser.get(&path);
    assert_eq!((page.status, page.header("content-type")), (401, "text/html; charset=utf-8"));
    assert!(page.text().contains("You are not signed in.") && page.text().contains("href=\"/enter\""));
    assert!(!page.header("content-security-policy").is_empty() && !page.header("x-request-id").is_empty());
    let german = browser.clone().with("accept-language", "de").get(&path).text();
    assert!(german.contains("<html lang=\"de\">") && german.contains("Du bist nicht angemeldet"), "{german}");
    assert!(!german.contains("Sign in at"), "details are for programs: {german}");
    assert_eq!(browser.get("/api/v1/me").problem(401), "/problems/sign-in", "calls are for programs");
}

fn pictures(assignment: &Value) -> [String; 2] {
    ["left", "right"].map(|side| assignment[side]["url"].as_str().unwrap().to_owned())
}

#[test]
fn a_report_withdraws_a_pair_until_moderators_have_decided() {
    let (sprint, slug, _served, [nobody, ada, moderator, _]) = reviewed_sprint();
    let ben = _served.person(&sprint, "Ben");
    let held = ada.take(&slug, 1).remove(0);
    // Begun pairs come first, so Ben holds the same one.
    let bens = ben.take(&slug, 1).remove(0);
    assert_eq!(bens["prompt"], held["prompt"]);
    assert_eq!(nobody.get(&pictures(&held)[0]).status, 200);

    assert_eq!(ada.answer(&held, "toxic_content").status, 201);
    for picture in pictures(&held) {
        nobody.get(&picture).problem(410);
    }
    ben.answer(&bens, "left").problem(410);
    assert!(ben.take(&slug, 10).iter().all(|other| other["prompt"] != held["prompt"]));
    let path = format!("/api/v1/sprints/{slug}/review");
    let review = moderator.get(&format!("{path}?decision=reported")).json();
    assert_eq!(
        (&review["counts"]["reports"], review["items"].as_array().unwrap().len()),
        (&json!(1), 2),
        "{review}"
    );
    assert!(
        moderator.get("/").text().contains("Review&nbsp;<b class=\"num\">1</b>"),
        "a moderator hears of it"
    );

    let hashes: Vec<&str> =
        review["items"].as_array().unwrap().iter().map(|item| item["content"].as_str().unwrap()).collect();
    let decide = |items: &[&str], verdict: &str, reason: &str| {
        moderator.post(&path, &json!({"kind": "image", "items": items, "verdict": verdict, "reason": reason}))
    };
    decide(&hashes, "reject", "").problem(400);
    decide(&hashes, "burn", "sexual").problem(400);
    assert_eq!(decide(&hashes, "approve", "").status, 204);
    assert_eq!(nobody.get(&pictures(&held)[0]).status, 200, "put back, it goes on where it was");
    assert_eq!(ben.answer(&bens, "left").status, 201);

    // Rejected, the row leaves every publication, and what holds it already is told.
    sprint.ok(&["publish", "--to", "out", "--only", "results", "--quiet"]);
    assert_eq!(decide(&hashes[..1], "reject", "violence").status, 204);
    nobody.get(&pictures(&held)[0]).problem(410);
    let log = moderator.get(&format!("{path}/log")).json();
    assert_eq!((&log["log"][0]["who"], &log["log"][0]["reason"]), (&json!("Mod"), &json!("violence")));
    let before = sprint.status().pairs();
    assert!(before < 8, "removes = \"row\": the prompt's other pair goes too");
    let said = sprint.ok(&["publish", "--to", "elsewhere", "--only", "results", "--quiet"]);
    assert!(said.contains("out/results still holds 2 rows that were removed since"), "{said}");
    let report = sprint.ok(&["report", "--safety"]);
    assert!(report.contains("removed: violence"), "{report}");

    assert_eq!(decide(&hashes[..1], "undo", "").status, 204);
    assert_eq!(sprint.status().pairs(), before + 1, "the other pair is back; this one is reported again");
}

#[test]
fn a_classifier_that_is_missing_lets_nothing_through() {
    let mut sprint = Sprint::new(3);
    let nowhere = sprint.path("no-models").display().to_string();
    sprint.set("DIPTYCH_MODELS", &nowhere);
    sprint.edit("image = []", "image = [\"open-nsfw\"]");
    let output = sprint.output(&["run"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8_lossy(&output.stderr).contains("models fetch open-nsfw"), "it says what to do");
    let status = sprint.status();
    assert_eq!((status.count("screen-images", "review"), status.pairs()), (12, 0), "{}", status.0);
    // People may decide in its place.
    let slug = status.0["sprint"].as_str().unwrap().to_owned();
    sprint.ok(&["users", "token", "Org"]);
    sprint.ok(&["users", "role", "Org", "organizer"]);
    let served = Served::start(&sprint);
    let organizer = served.person(&sprint, "Org");
    let path = format!("/api/v1/sprints/{slug}/review");
    let items = organizer.get(&path).json()["items"].clone();
    let hashes: Vec<&Value> = items.as_array().unwrap().iter().map(|item| &item["content"]).collect();
    assert_eq!(
        organizer.post(&path, &json!({"kind": "image", "items": hashes, "verdict": "approve"})).status,
        204
    );
    assert_eq!(sprint.status().pairs(), 6);
}

#[test]
fn every_image_is_looked_at_where_that_is_wanted() {
    let sprint = Sprint::new(2);
    sprint.edit("every_image = 0", "every_image = 1");
    let status = sprint.run();
    assert_eq!((status.count("screen-images", "review"), status.pairs()), (8, 0), "{}", status.0);
    sprint.edit("every_image = 1", "every_image = 0");
    assert_eq!(sprint.run().pairs(), 4);
    // Switched on later, it takes the pairs away again.
    sprint.edit("every_image = 0", "every_image = 1");
    assert_eq!(sprint.run().pairs(), 0);
}

#[test]
fn models_are_told_from_what_is_there() {
    let mut sprint = Sprint::empty();
    let folder = sprint.path("models").display().to_string();
    sprint.set("DIPTYCH_MODELS", &folder);
    let listed = sprint.ok(&["models", "list"]);
    assert!(listed.contains("open-nsfw") && listed.contains("BSD-2-Clause"), "{listed}");
    assert!(sprint.ok(&["models", "verify"]).contains("no model is here"));
    assert!(sprint.fails(&["models", "verify", "open-nsfw"], 1).contains("cannot be used"));
    assert!(sprint.fails(&["models", "fetch", "open-nfsw"], 2).contains("did you mean `open-nsfw`?"));
    std::fs::create_dir_all(sprint.path("models/open-nsfw")).unwrap();
    std::fs::write(sprint.path("models/open-nsfw/open-nsfw.onnx"), "not it").unwrap();
    let output = sprint.output(&["models", "verify"]);
    assert!(String::from_utf8_lossy(&output.stdout).contains("damaged"), "{output:?}");
}

#[test]
fn a_threshold_that_an_organizer_applies_holds_at_once() {
    let (sprint, slug, served, [_, ada, _, organizer]) = reviewed_sprint();
    let path = format!("/api/v1/sprints/{slug}/safety");
    let held = ada.take(&slug, 1).remove(0);
    let pairs = sprint.status().pairs();
    assert!(pairs > 0);

    // Every text scores at least nothing, so all of them go, also from whoever holds a pair.
    let answer = organizer.post(&path, &json!({"classifier": "lexicon", "threshold": 0.0}));
    assert_eq!(answer.status, 204, "{}", answer.text());
    assert_eq!(ada.get(&pictures(&held)[0]).status, 410);
    assert_eq!(ada.answer(&held, "left").status, 410);
    assert!(ada.take(&slug, 1).is_empty());
    let text = std::fs::read_to_string(sprint.path("sprint.toml")).unwrap();
    assert!(text.contains("{ use = \"lexicon\", threshold = 0.0 }"), "{text}");
    assert_eq!(sprint.status().pairs(), 0, "other commands know of it");
    let log = organizer.get(&format!("/api/v1/sprints/{slug}/review/log")).json();
    assert_eq!(
        (&log["log"][0]["content"], &log["log"][0]["who"]),
        (&json!("threshold of lexicon"), &json!("Org"))
    );
    assert_eq!(log["log"][0]["note"], "0.5 → 0");

    // A person at the keyboard changes the file.
    sprint.edit("threshold = 0.0", "threshold = 0.5");
    until("the server reads sprint.toml again", || !ada.take(&slug, 1).is_empty());
    assert_eq!(sprint.status().pairs(), pairs);
    // What cannot be used is said, and the sprint goes on as it was.
    sprint.edit("threshold = 0.5", "threshold = 5");
    std::thread::sleep(std::time::Duration::from_millis(1500));
    assert_eq!(served.client().get("/readyz").status, 200);
    sprint.edit("threshold = 5", "threshold = 0.5");

    for (body, status, what) in [
        (json!({"classifier": "lexicon", "threshold": 1.5}), 400, "not between 0 and 1"),
        (json!({"classifier": "nobody", "threshold": 0.5}), 404, "does not stand in [screen]"),
        (json!({"classifier": "lexicon"}), 400, "threshold"),
    ] {
        let answer = organizer.post(&path, &body);
        answer.problem(status);
        assert!(answer.text().contains(what), "{}", answer.text());
    }
}

#[test]
fn two_thresholds_that_are_changed_at_once_are_both_written() {
    let (sprint, slug, served, [_, _, _, organizer]) = reviewed_sprint();
    let path = format!("/api/v1/sprints/{slug}/safety");
    sprint.edit("text = [\"lexicon\"]", "text = [\"lexicon\", \"judge\"]");
    let judge = "[classifiers.judge]\nengine = \"chat\"\nurl = \"http://127.0.0.1:9/v1\"\nmodel = \"m\"\n\
        positive = [\"unsafe\"]\n\n[review]";
    sprint.edit("[review]", judge);
    until("the server reads sprint.toml again", || {
        organizer.post(&path, &json!({"classifier": "judge", "threshold": 0.5})).status == 204
    });
    // Nobody else changes this one's threshold, so it is still there when it has been acknowledged.
    std::thread::scope(|scope| {
        for classifier in ["lexicon", "judge"] {
            let organizer = served.person(&sprint, "Org");
            let (path, sprint) = (&path, &sprint);
            scope.spawn(move || {
                for round in 1..=60 {
                    let threshold = f64::from(round) / 64.0;
                    let body = json!({"classifier": classifier, "threshold": threshold});
                    assert_eq!(organizer.post(path, &body).status, 204);
                    let text = std::fs::read_to_string(sprint.path("sprint.toml")).unwrap();
                    let line = format!("use = \"{classifier}\", threshold = {threshold:?}");
                    assert!(text.contains(&line), "round {round}: {line} is not in {text}");
                }
            });
        }
    });
}

#[test]
fn a_decision_puts_back_nothing_that_a_newer_threshold_has_removed() {
    let (sprint, slug, served, [_, ada, moderator, organizer]) = reviewed_sprint();
    let (review, safety) =
        (format!("/api/v1/sprints/{slug}/review"), format!("/api/v1/sprints/{slug}/safety"));
    let all = moderator.get(&format!("{review}?decision=all")).json();
    let images: Vec<&str> =
        all["items"].as_array().unwrap().iter().filter_map(|item| item["content"].as_str()).collect();
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        for part in images.chunks(images.len().div_ceil(2)) {
            let (moderator, review, stop) = (served.person(&sprint, "Mod"), &review, &stop);
            scope.spawn(move || {
                for image in part.iter().cycle() {
                    if stop.load(std::sync::atomic::Ordering::Relaxed) {
                        break;
                    }
                    let body = json!({"kind": "image", "items": [image], "verdict": "approve"});
                    assert_eq!(moderator.post(review, &body).status, 204);
                }
            });
        }
        let _ends = Ends(&stop);
        for _ in 0..20 {
            for (threshold, removes) in [(0.0, true), (0.5, false)] {
                let body = json!({"classifier": "lexicon", "threshold": threshold});
                assert_eq!(organizer.post(&safety, &body).status, 204);
                for _ in 0..5 {
                    assert_eq!(ada.take(&slug, 1).is_empty(), removes, "at a threshold of {threshold}");
                }
            }
        }
    });
}

/// The other server reads sprint.toml again within a second; until then it must not go by the old one.
#[test]
fn a_threshold_that_one_server_applies_holds_on_another() {
    let (sprint, slug, served, [_, ada, _, organizer]) = reviewed_sprint();
    let other = Served::start(&sprint);
    let moderator = other.person(&sprint, "Mod");
    let review = format!("/api/v1/sprints/{slug}/review");
    let all = moderator.get(&format!("{review}?decision=all")).json();
    let image = all["items"][0]["content"].clone();
    let pairs = sprint.status().pairs();
    let apply = |threshold: f64| {
        let body = json!({"classifier": "lexicon", "threshold": threshold});
        assert_eq!(organizer.post(&format!("/api/v1/sprints/{slug}/safety"), &body).status, 204);
    };
    for verdict in ["approve", "undo", "approve"] {
        apply(0.0);
        let body = json!({"kind": "image", "items": [image], "verdict": verdict});
        let answer = moderator.post(&review, &body);
        assert_eq!(answer.status, 204, "{}", answer.text());
        assert!(ada.take(&slug, 1).is_empty());
        assert_eq!(sprint.status().pairs(), 0);
        apply(0.5);
        assert_eq!(sprint.status().pairs(), pairs);
        // Let the other one take that up, so that it is behind again the next time.
        std::thread::sleep(std::time::Duration::from_millis(1500));
    }
    drop(served);
}

/// Ends the others also where this one fails.
struct Ends<'s>(&'s std::sync::atomic::AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, std::sync::atomic::Ordering::Relaxed);
    }
}

#[test]
fn a_threshold_that_the_environment_sets_is_changed_there() {
    let mut sprint = Sprint::new(1);
    sprint.set("DIPTYCH_SCREEN__TEXT", "[\"lexicon\"]");
    let slug = sprint.run().0["sprint"].as_str().unwrap().to_owned();
    sprint.ok(&["users", "token", "Org"]);
    sprint.ok(&["users", "role", "Org", "organizer"]);
    let served = Served::start(&sprint);
    let before = std::fs::read_to_string(sprint.path("sprint.toml")).unwrap();
    let answer = served
        .person(&sprint, "Org")
        .post(&format!("/api/v1/sprints/{slug}/safety"), &json!({"classifier": "lexicon", "threshold": 0.9}));
    assert_eq!(answer.problem(400), "/problems/bad-request");
    assert!(answer.text().contains("DIPTYCH_SCREEN__"), "{}", answer.text());
    assert_eq!(std::fs::read_to_string(sprint.path("sprint.toml")).unwrap(), before);
}

#[test]
fn pairs_that_may_not_be_shown_any_more_are_not_published() {
    let mut sprint = Sprint::new(2);
    let nowhere = sprint.path("no-models").display().to_string();
    sprint.set("DIPTYCH_MODELS", &nowhere);
    let pairs = sprint.run().pairs();
    sprint.edit("image = []", "image = [\"open-nsfw\"]");
    let said = sprint.fails(&["publish", "--to", "out", "--quiet"], 1);
    assert!(said.contains(&format!("none of the {pairs} pairs may be shown now")), "{said}");
    assert!(!sprint.path("out").exists());
}

#[test]
fn so_many_look_at_every_image_and_each_sees_what_is_left_for_them() {
    let sprint = Sprint::new(2);
    sprint.edit("every_image = 0", "every_image = 2");
    let slug = sprint.run().0["sprint"].as_str().unwrap().to_owned();
    for name in ["Mia", "Tom"] {
        sprint.ok(&["users", "role", name, "moderator"]);
    }
    sprint.ok(&["users", "role", "Org", "organizer"]);
    let served = Served::start(&sprint);
    let [mia, tom, org] = ["Mia", "Tom", "Org"].map(|name| served.person(&sprint, name));
    let path = format!("/api/v1/sprints/{slug}/review");
    let list = |who: &Client, query: &str| who.get(&format!("{path}?{query}")).json();
    let waiting = |who: &Client| {
        let items = list(who, "")["items"].as_array().unwrap().clone();
        items.iter().map(|item| item["content"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let decide = |who: &Client, items: &[String], verdict: &str, reason: &str| {
        who.post(&path, &json!({"kind": "image", "items": items, "verdict": verdict, "reason": reason}))
    };
    let all = waiting(&mia);
    assert_eq!(all.len(), 8);
    assert_eq!(list(&mia, "")["reasons"], json!({"every_image": 8}));
    assert_eq!(decide(&mia, &all[..4], "approve", "").status, 204);
    assert_eq!((waiting(&mia).len(), waiting(&tom).len()), (4, 8), "it is Tom's turn with these four");
    assert_eq!(list(&mia, "")["counts"]["images_reviewed"], 0, "one of two is not enough");
    assert_eq!(decide(&tom, &all[..2], "approve", "").status, 204);
    assert_eq!(list(&mia, "")["counts"]["images_reviewed"], 2);

    // They disagree: both are shown with what they say, and the organizer's word ends it.
    assert_eq!(decide(&tom, &all[2..3], "reject", "violence").status, 204);
    let disputed = list(&org, "decision=disputed");
    let words = &disputed["items"][0]["words"];
    assert_eq!(words.as_array().unwrap().len(), 2, "{disputed}");
    assert!(words.to_string().contains("Tom") && words.to_string().contains("violence"), "{words}");
    assert_eq!(disputed["counts"]["disputed"], 1);
    let log = org.get(&format!("/s/{slug}/review/log?content={}", all[2])).text();
    assert!(log.contains("Tom") && log.contains("rejected") && log.contains("Violence"), "{log}");
    assert_eq!(decide(&org, &all[2..3], "approve", "").status, 204);
    assert_eq!(list(&org, "decision=disputed")["items"], json!([]));

    // Undo gives back what one said before, and then that is taken back too.
    assert_eq!(decide(&mia, &all[..1], "reject", "broken").status, 204);
    let of_first = || {
        list(&org, "decision=all")["items"]
            .as_array()
            .unwrap()
            .iter()
            .find(|item| item["content"] == all[0].as_str())
            .unwrap()
            .clone()
    };
    assert_eq!((&of_first()["approvals"], &of_first()["rejections"]), (&json!(1), &json!(1)));
    assert_eq!(decide(&mia, &all[..1], "undo", "").status, 204);
    assert_eq!((&of_first()["approvals"], &of_first()["rejections"]), (&json!(2), &json!(0)));
    assert_eq!(decide(&mia, &all[..1], "undo", "").status, 204);
    assert_eq!(of_first()["approvals"], json!(1));

    // Which model made what is the organizer's business while people answer.
    assert_ne!(of_first()["model"], json!(""));
    assert!(
        list(&mia, "decision=all&model=dev")["items"]
            .as_array()
            .unwrap()
            .iter()
            .all(|item| item["model"] == "")
    );
    assert!(!mia.get(&format!("/s/{slug}/review")).text().contains("name=\"model\""));

    // What there is not is not decided about, nor asked for.
    assert_eq!(decide(&mia, &["f".repeat(64)], "reject", "broken").problem(404), "/problems/not-found");
    let text = json!({"kind": "text", "items": ["nothing"], "verdict": "approve"});
    assert_eq!(mia.post(&path, &text).problem(404), "/problems/not-found");
    let texts = mia.get(&format!("{path}?kind=text&decision=all")).json();
    let text = &texts["items"][0];
    let verdict = json!({"kind": "text", "items": [text["content"]], "verdict": "approve"});
    assert_eq!(mia.post(&path, &verdict).status, 204);
    let log = mia.get(&format!("/s/{slug}/review/log")).text();
    let begins: String = text["text"].as_str().unwrap().chars().take_while(|c| c.is_alphanumeric()).collect();
    assert!(!begins.is_empty() && log.contains(&format!("approved {begins}")), "not by its hash: {log}");
    for query in ["decision=bogus", "kind=film", "least=abc"] {
        assert_eq!(mia.get(&format!("{path}?{query}")).problem(400), "/problems/bad-request");
    }
    assert!(sprint.fails(&["report", "--safety", "--html", "x.html"], 2).contains("cannot be used with"));
    let people = sprint.ok(&["users", "list"]);
    assert!(people.lines().any(|line| line.starts_with("Mia") && line.contains("moderator")), "{people}");
}

/// What moderators let in takes its place among the rest: no category gets ahead of the others.
#[test]
fn what_moderators_let_in_keeps_step_with_the_rest() {
    let mut sprint = Sprint::new(24);
    sprint.edit("every_image = 0", "every_image = 1");
    sprint.edit("overlap = 3", "overlap = 1");
    sprint.set("DIPTYCH_LIMITS__PER_PERSON", "100000");
    let slug = sprint.run().0["sprint"].as_str().unwrap().to_owned();
    sprint.ok(&["users", "role", "Mod", "moderator"]);
    let served = Served::start(&sprint);
    let (moderator, ada) = (served.person(&sprint, "Mod"), served.person(&sprint, "Ada"));
    let path = format!("/api/v1/sprints/{slug}/review");
    let waiting = moderator.get(&path).json();
    let all: Vec<_> =
        waiting["items"].as_array().unwrap().iter().map(|item| item["content"].clone()).collect();
    assert_eq!(
        moderator.post(&path, &json!({"kind": "image", "items": all, "verdict": "approve"})).status,
        204
    );
    // The server looks once a second.
    std::thread::sleep(std::time::Duration::from_millis(2500));
    let mut order = Vec::new();
    while let Some(held) = ada.take(&slug, 1).pop() {
        assert_eq!(ada.answer(&held, "left").status, 201);
        order.push(held["category"].as_str().unwrap().to_owned());
    }
    let count = |categories: &[String]| {
        let mut counts: BTreeMap<String, f64> = BTreeMap::new();
        for category in categories {
            *counts.entry(category.clone()).or_default() += 1.0;
        }
        counts
    };
    let sizes = count(&order);
    assert!(sizes.len() > 2 && order.len() > 20, "{sizes:?}");
    for end in 0..order.len() {
        let done = count(&order[..end]);
        let share = |category: &str| done.get(category).copied().unwrap_or(0.0) / sizes[category];
        let (ahead, behind) = (
            sizes.keys().max_by(|a, b| share(a).total_cmp(&share(b))).unwrap(),
            sizes.keys().min_by(|a, b| share(a).total_cmp(&share(b))).unwrap(),
        );
        let step = 1.0 / sizes[ahead].min(sizes[behind]);
        assert!(share(ahead) - share(behind) <= step.max(0.05) + 1e-9, "after {end}: {done:?} of {sizes:?}");
    }
}
