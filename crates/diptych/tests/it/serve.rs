//! People answer over HTTP.

use serde_json::json;

use crate::kit::{Client, Served, Sprint, signal};

/// A sprint with pairs.
fn pairs(prompts: usize) -> (Sprint, String) {
    let sprint = Sprint::new(prompts);
    let status = sprint.run();
    let slug = status.0["sprint"].as_str().unwrap().to_owned();
    (sprint, slug)
}

#[test]
fn a_person_answers_changes_their_mind_and_takes_it_back() {
    let (sprint, slug) = pairs(4);
    let served = Served::start(&sprint);
    let (ada, ben) = (served.person(&sprint, "Ada"), served.person(&sprint, "Ben"));

    let taken = ada.take(&slug, 2);
    assert_eq!(taken.len(), 2);
    assert_eq!(ada.take(&slug, 2), taken, "what one holds comes first");
    let one = &taken[0];
    for side in ["left", "right"] {
        let picture = &one[side];
        assert_eq!((picture["width"].as_i64(), picture["height"].as_i64()), (Some(64), Some(64)));
        assert!(picture["url"].as_str().unwrap().starts_with("/pictures/"));
    }
    assert!(!one["prompt"].as_str().unwrap().is_empty());
    assert!(!one["category"].as_str().unwrap().is_empty());

    assert_eq!(ada.answer(one, "left").status, 201);
    assert_eq!(ada.answer(one, "left").status, 200);
    assert_eq!(ada.answer(one, "both_good").json()["saved"], "replaced");
    assert_eq!(ben.answer(one, "left").problem(404), "/problems/not-found");
    assert_eq!(ada.answer(one, "middle").problem(422), "/problems/unknown-answer");
    let path = format!("/api/v1/assignments/{}/response", one["id"].as_str().unwrap());
    assert_eq!(
        ada.send("PUT", &path, "application/json", b"{\"answer\"").problem(400),
        "/problems/bad-request"
    );
    let huge = ada.send_part("PUT", &path, "application/json", b"{\"answer\": \"left\"", 10 << 20);
    assert_eq!(huge.problem(413), "/problems/too-large");

    let progress = ada.get(&format!("/api/v1/sprints/{slug}/progress")).json();
    assert_eq!((&progress["responses"], &progress["mine"]["responses"]), (&json!(1), &json!(1)));
    assert!(ada.take(&slug, 1).iter().all(|other| other["id"] != one["id"]));

    assert_eq!(ben.delete(&path).problem(404), "/problems/not-found");
    assert_eq!(ada.delete(&path).status, 204);
    assert_eq!(sprint.status().0["responses"]["submitted"], 0);
    assert_eq!(ada.answer(one, "right").status, 201);
    assert_eq!(sprint.status().0["responses"]["submitted"], 1);

    // A skip is no response, and the pair stays away from that person.
    assert_eq!(ada.answer(&taken[1], "skip").status, 201);
    assert_eq!(sprint.status().0["responses"]["submitted"], 1);
    let prompts_left: Vec<_> = ada.take(&slug, 10);
    assert_eq!(prompts_left.len(), 6, "8 pairs, one answered, one skipped");

    let people = served.client().get(&format!("/api/v1/sprints/{slug}/leaderboard")).json();
    assert_eq!(people["people"].as_array().unwrap().len(), 1, "{people}");
    assert!(people["people"][0]["responses"].is_null(), "one alone could be told by any count: {people}");
    assert!(!people.to_string().contains("Ada"), "a pseudonym: {people}");
}

#[test]
fn requests_that_are_wrong_are_told_so() {
    let (sprint, slug) = pairs(2);
    let served = Served::start(&sprint);
    let (nobody, ada) = (served.client(), served.person(&sprint, "Ada"));
    let assignments = format!("/api/v1/sprints/{slug}/assignments");
    assert_eq!(nobody.post(&assignments, &json!({"count": 1})).problem(401), "/problems/sign-in");
    let unknown = nobody.clone().with("authorization", "Bearer 0123");
    assert_eq!(unknown.post(&assignments, &json!({"count": 1})).problem(401), "/problems/sign-in");
    for count in [json!(0), json!(11), json!(-1), json!("two")] {
        assert_eq!(ada.post(&assignments, &json!({"count": count})).problem(400), "/problems/bad-request");
    }
    let elsewhere = ada.post("/api/v1/sprints/elsewhere/assignments", &json!({"count": 1}));
    assert_eq!(elsewhere.problem(404), "/problems/not-found");
    let results = format!("/api/v1/sprints/{slug}/results");
    assert_eq!(nobody.get(&results).problem(403), "/problems/forbidden");
    assert_eq!(ada.get(&results).problem(403), "/problems/forbidden");
    sprint.ok(&["users", "role", "Ada", "organizer"]);
    let report = ada.get(&results);
    assert_eq!(report.status, 200);
    assert_eq!(report.json()["sprint"], slug.as_str());
    assert_eq!(nobody.get("/pictures/nothing").problem(404), "/problems/not-found");
    assert_eq!(nobody.get("/healthz").status, 200);
    let ready = nobody.get("/readyz");
    assert_eq!(ready.status, 200, "{}", ready.text());
    assert!(nobody.get("/metrics").text().contains("diptych_pairs{"));
}

#[test]
fn the_servers_end_keeps_every_answer() {
    let (sprint, slug) = pairs(4);
    for (with, status, given) in [("TERM", 0, 3), ("INT", 130, 5)] {
        let mut served = Served::start(&sprint);
        let ada = served.person(&sprint, "Ada");
        let before = sprint.status().0["responses"]["submitted"].as_u64().unwrap();
        for assignment in &ada.take(&slug, given - before as usize) {
            assert_eq!(ada.answer(assignment, "right").status, 201);
        }
        signal(&served.child, with);
        assert_eq!(served.child.wait().unwrap().code(), Some(status), "SIG{with}");
        assert_eq!(sprint.status().0["responses"]["submitted"], given as u64);
    }
}

/// Also those that come while it ends: what was acknowledged is there, and at most one of each person whose
/// acknowledgement was lost on its way.
#[test]
fn the_servers_end_keeps_answers_that_come_meanwhile() {
    let (sprint, slug) = pairs(12);
    let mut served = Served::start(&sprint);
    let people: Vec<Client> = ["Ada", "Ben", "Cem"].iter().map(|name| served.person(&sprint, name)).collect();
    let acknowledged: u64 = std::thread::scope(|scope| {
        let answering = people.iter().map(|person| {
            let slug = &slug;
            scope.spawn(move || {
                let mut saved = 0;
                for held in person.take(slug, 10) {
                    let path = format!("/api/v1/assignments/{}/response", held["id"].as_str().unwrap());
                    let body = br#"{"answer":"left"}"#;
                    match person.try_send("PUT", &path, "application/json", body, body.len()) {
                        Ok(answer) if answer.status == 201 => saved += 1,
                        // It is going, or has gone.
                        Ok(answer) => assert_eq!(answer.status, 503, "{}", answer.text()),
                        Err(_) => break,
                    }
                }
                saved
            })
        });
        let answering: Vec<_> = answering.collect();
        std::thread::sleep(std::time::Duration::from_millis(20));
        signal(&served.child, "TERM");
        answering.into_iter().map(|one| one.join().unwrap()).sum()
    });
    assert_eq!(served.child.wait().unwrap().code(), Some(0));
    let kept = sprint.status().0["responses"]["submitted"].as_u64().unwrap();
    assert!((acknowledged..=acknowledged + 3).contains(&kept), "{acknowledged} acknowledged, {kept} kept");
}

#[test]
fn many_people_at_once_never_go_over_the_overlap() {
    let (sprint, slug) = pairs(5);
    let served = Served::start(&sprint);
    let people: Vec<_> = (0..8).map(|number| served.person(&sprint, &format!("Person {number}"))).collect();
    let workers: Vec<_> = people
        .into_iter()
        .map(|person| {
            let slug = slug.clone();
            std::thread::spawn(move || {
                let (mut answered, mut waits) = (0, 0);
                loop {
                    let path = format!("/api/v1/sprints/{slug}/assignments");
                    let taken = person.post(&path, &json!({"count": 3})).json();
                    let held = taken["assignments"].as_array().unwrap().clone();
                    if held.is_empty() && (taken["retry_after_s"].is_null() || waits > 100) {
                        return answered;
                    }
                    if held.is_empty() {
                        waits += 1;
                        std::thread::sleep(std::time::Duration::from_millis(20));
                    }
                    for assignment in held {
                        assert_eq!(person.answer(&assignment, "left").status, 201);
                        answered += 1;
                    }
                }
            })
        })
        .collect();
    let answered: u64 = workers.into_iter().map(|worker| worker.join().unwrap()).sum();
    let status = sprint.status();
    assert_eq!(status.0["responses"], json!({"submitted": answered, "wanted": answered}));
    assert_eq!(status.0["pairs"]["completed"], status.pairs());
    let query = "SELECT pair_id, COUNT(*) AS n, COUNT(DISTINCT pseudonym) AS people FROM responses \
                 GROUP BY pair_id HAVING COUNT(*) <> 3 OR COUNT(DISTINCT pseudonym) <> 3";
    assert_eq!(sprint.ok(&["sql", query, "--format", "json"]).trim(), "[]");
}

#[test]
fn what_annotators_get_does_not_tell_the_model() {
    let (sprint, slug) = pairs(6);
    let served = Served::start(&sprint);
    let ada = served.person(&sprint, "Ada");
    let hers = ada.take(&slug, 10);
    let theirs: Vec<_> =
        ["Ben", "Cem"].iter().flat_map(|name| served.person(&sprint, name).take(&slug, 10)).collect();
    let sides =
        |one: &serde_json::Value| ["left", "right"].map(|side| one[side]["url"].as_str().unwrap().to_owned());
    let (mut shared, mut turned) = (0, 0);
    for one in &hers {
        let fields: Vec<&str> = one.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(fields, ["category", "expires_at", "id", "left", "prompt", "right"]);
        let urls = sides(one);
        let pictures = urls.each_ref().map(|url| ada.get(url));
        for picture in &pictures {
            assert_eq!((picture.status, picture.header("content-type")), (200, "image/jpeg"));
            assert_eq!(picture.header("cache-control"), "private, max-age=3600");
            let text = picture.text().to_lowercase();
            assert!(!["noto", "fluent", "rehearsal/", "exif"].iter().any(|word| text.contains(word)));
        }
        assert_ne!(pictures[0].body, pictures[1].body);
        let tag = pictures[0].header("etag").to_owned();
        assert_eq!(ada.clone().with("if-none-match", &tag).get(&urls[0]).status, 304);
        // Whoever else has the pair gets the same addresses, perhaps the other way round.
        for other in theirs.iter().map(sides).filter(|other| other.contains(&urls[0])) {
            assert!(other.contains(&urls[1]));
            shared += 1;
            turned += u32::from(other != urls);
        }
    }
    assert_eq!(shared, 20, "begun pairs come first");
    // Drawn anew for each person: that twenty are all equal, or all turned, happens once in 500,000 times.
    assert!((1..20).contains(&turned), "{turned} of 20 were turned");
    for name in ["/", &format!("/s/{slug}"), "/api/v1/sprints", &format!("/api/v1/sprints/{slug}/progress")] {
        let text = ada.get(name).text();
        assert!(
            !text.contains("noto") && !text.contains("fluent") && !text.contains("\"dev\""),
            "{name}: {text}"
        );
    }
}

#[test]
fn a_lease_ends_and_another_person_fills_the_pair() {
    let sprint = Sprint::new(1);
    sprint.edit("overlap = 3 ", "lease_s = 2\noverlap = 1 ");
    let slug = sprint.run().0["sprint"].as_str().unwrap().to_owned();
    let served = Served::start(&sprint);
    let (ada, ben) = (served.person(&sprint, "Ada"), served.person(&sprint, "Ben"));
    let held = ada.take(&slug, 10);
    assert_eq!(held.len(), 2);
    let waiting = ben.post(&format!("/api/v1/sprints/{slug}/assignments"), &json!({"count": 2})).json();
    assert_eq!(waiting["assignments"], json!([]));
    assert!(waiting["retry_after_s"].as_i64().unwrap() >= 1, "{waiting}");
    std::thread::sleep(std::time::Duration::from_millis(2100));
    let taken = ben.take(&slug, 2);
    assert_eq!(taken.len(), 2);
    for assignment in &taken {
        assert_eq!(ben.answer(assignment, "left").status, 201);
    }
    assert_eq!(ada.answer(&held[0], "left").problem(410), "/problems/gone");
    assert_eq!(sprint.status().0["responses"], json!({"submitted": 2, "wanted": 2}));
    let done = ada.post(&format!("/api/v1/sprints/{slug}/assignments"), &json!({"count": 2})).json();
    assert_eq!(done, json!({"assignments": [], "retry_after_s": null}), "nothing is left, for good");
}

#[test]
fn a_browser_signs_in_with_a_name() {
    let (sprint, slug) = pairs(1);
    let served = Served::start(&sprint);
    let browser = served.client();
    let page = format!("/s/{slug}");
    let sent_on = browser.get(&page);
    assert_eq!(sent_on.status, 303, "{}", sent_on.text());
    assert_eq!(sent_on.header("location"), format!("/enter?next={page}"));
    let form = format!("name=Ada&next={page}");
    assert_eq!(browser.form("/enter", &form).problem(403), "/problems/forbidden");
    let same = browser.clone().with("sec-fetch-site", "same-origin");
    let entered = same.form("/enter", &form);
    assert_eq!((entered.status, entered.header("location")), (303, page.as_str()));
    let cookie = entered.header("set-cookie");
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"), "{cookie}");
    let cookie = cookie.split(';').next().unwrap();

    let ada = browser.clone().with("cookie", cookie);
    assert_eq!(ada.get(&page).status, 200);
    let policy = ada.get(&page);
    assert!(policy.header("content-security-policy").contains("default-src 'none'"));
    let take = format!("/api/v1/sprints/{slug}/assignments");
    assert_eq!(
        ada.post(&take, &json!({"count": 1})).problem(403),
        "/problems/forbidden",
        "from another site"
    );
    let ada = ada.with("sec-fetch-site", "same-origin");
    let terms = ada.get(&page).text();
    let version = terms.split("name=\"version\" value=\"").nth(1).unwrap().split('"').next().unwrap();
    assert_eq!(ada.form(&format!("{page}/agree"), &format!("version={version}")).status, 303);
    assert_eq!(ada.post(&take, &json!({"count": 1})).status, 200);

    let proxied = same.clone().with("x-forwarded-for", "203.0.113.9").form("/enter", &form);
    assert!(proxied.text().contains("private network"), "{}", proxied.text());
    assert!(same.form("/enter", "name=").text().contains("Write a name"));
    assert!(same.form("/enter", "token=wrong").text().contains("not known"));
    assert_eq!(ada.form("/leave", "").status, 303);
    assert_eq!(ada.get(&page).status, 303, "the session is over");
}

#[test]
fn the_api_is_described() {
    let (sprint, _) = pairs(1);
    let served = Served::start(&sprint);
    let answer = served.client().get("/api/openapi.json");
    assert_eq!(answer.status, 200);
    insta::assert_json_snapshot!("openapi", answer.json());
}

#[test]
fn an_open_sprint_keeps_what_it_has_promised() {
    let (sprint, slug) = pairs(2);
    sprint.edit("overlap = 3", "overlap = 2");
    sprint.run();
    {
        let served = Served::start(&sprint);
        let ada = served.person(&sprint, "Ada");
        let held = ada.take(&slug, 1).remove(0);
        assert_eq!(ada.answer(&held, "left").status, 201);
        // What would break it is not taken up while the server runs.
        sprint.edit("question = \"Which image", "question = \"What picture");
        std::thread::sleep(std::time::Duration::from_millis(2500));
        let shown = ada.get("/api/v1/sprints").json();
        assert!(shown["sprints"][0]["question"].as_str().unwrap().starts_with("Which image"), "{shown}");
    }
    let said = sprint.fails(&["run"], 1);
    assert!(said.contains("`sprint.question`") && said.contains("nothing was changed"), "{said}");
    assert!(sprint.fails(&["serve", "--addr", "127.0.0.1:0"], 2).contains("`sprint.question`"));
    sprint.edit("question = \"What picture", "question = \"Which image");
    sprint.edit(&format!("slug = \"{slug}\""), "slug = \"renamed\"");
    for (command, status) in [(&["run"][..], 2), (&["serve", "--addr", "127.0.0.1:0"], 2)] {
        assert!(sprint.fails(command, status).contains(&format!("under the slug `{slug}`")));
    }
    sprint.edit("slug = \"renamed\"", &format!("slug = \"{slug}\""));
    sprint.edit("overlap = 2", "overlap = 1");
    assert!(sprint.fails(&["run"], 1).contains("may only grow"));
    // It may grow: more people a pair, and another model beside the others.
    sprint.edit("overlap = 1", "overlap = { min = 2, max = 4 }");
    sprint.edit(
        "[budget]",
        "[[models]]\nkey = \"third\"\nname = \"rehearsal/noto\"\nengine = \"rehearsal\"\nsize = [64, 64]\n\n[budget]",
    );
    let status = sprint.run();
    assert_eq!((status.pairs(), &status.0["responses"]["submitted"]), (12, &json!(1)), "{}", status.0);
}

/// What people are asked is what the configuration says when the first of them answers, also where no stage ran since.
#[test]
fn a_promise_is_what_was_asked_when_the_first_answer_came() {
    let (sprint, slug) = pairs(2);
    sprint.edit("question = \"Which image", "question = \"What picture");
    let served = Served::start(&sprint);
    let ada = served.person(&sprint, "Ada");
    assert_eq!(ada.answer(&ada.take(&slug, 1)[0], "left").status, 201);
    drop(served);
    Served::start(&sprint);
    sprint.edit("question = \"What picture", "question = \"Which image");
    assert!(sprint.fails(&["serve", "--addr", "127.0.0.1:0"], 2).contains("What picture"));
}

#[test]
fn a_pair_that_nobody_wants_goes_to_the_moderators() {
    let (sprint, slug) = pairs(1);
    sprint.edit("[annotate]", "[annotate]\nskips_to_review = 2");
    sprint.ok(&["users", "role", "Mia", "moderator"]);
    let served = Served::start(&sprint);
    let mia = served.person(&sprint, "Mia");
    let before = sprint.status().pairs();
    let skip = |name: &str| {
        let person = served.person(&sprint, name);
        let held = person.take(&slug, 1).remove(0);
        assert_eq!(person.answer(&held, "skip").status, 201);
    };
    skip("Ada");
    assert_eq!(sprint.status().pairs(), before);
    skip("Ben");
    assert_eq!(sprint.status().pairs(), before - 1);
    let path = format!("/api/v1/sprints/{slug}/review");
    let waiting = mia.get(&format!("{path}?decision=reported")).json();
    let items = waiting["items"].as_array().unwrap();
    assert!(items.len() == 2 && items.iter().all(|item| item["skipped"] == true), "{waiting}");
    let hashes: Vec<_> = items.iter().map(|item| item["content"].clone()).collect();
    assert_eq!(mia.post(&path, &json!({"kind": "image", "items": hashes, "verdict": "approve"})).status, 204);
    assert_eq!(sprint.status().pairs(), before, "put back, it goes on");
}

#[test]
fn the_log_knows_requests_by_an_id_and_keeps_secrets() {
    let (mut sprint, slug) = pairs(1);
    sprint.set("DIPTYCH_LOG", "info");
    sprint.set("DIPTYCH_LOG_FORMAT", "json");
    let invitation = sprint.ok(&["users", "invite"]);
    let secret = invitation.trim().split("/invite/").nth(1).unwrap().to_owned();
    let mut served = Served::start(&sprint);
    let ada = served.person(&sprint, "Ada Lovelace");
    let token = ada.headers[0].1.clone();
    let answer = ada.get(&format!("/s/{slug}/people"));
    assert_eq!(served.client().get(&format!("/invite/{secret}")).status, 200);
    let held = ada.take(&slug, 1).remove(0);
    let picture = held["left"]["url"].as_str().unwrap().to_owned();
    assert_eq!(ada.get(&picture).status, 200);
    signal(&served.child, "TERM");
    served.child.wait().unwrap();
    let mut log = String::new();
    std::io::Read::read_to_string(&mut served.child.stderr.take().unwrap(), &mut log).unwrap();
    let lines: Vec<serde_json::Value> =
        log.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"))).collect();
    let line =
        lines.iter().find(|line| line["span"]["id"] == answer.header("x-request-id")).expect("its line");
    assert_eq!(
        (&line["span"]["route"], &line["status"]),
        (&json!("/s/{slug}/people"), &json!(200)),
        "{line}"
    );
    assert!(line["timestamp"].is_string());
    for secret in [
        secret.as_str(),
        token.trim_start_matches("Bearer "),
        picture.rsplit('/').next().unwrap(),
        "Lovelace",
        "127.0.0.1",
    ] {
        assert!(!log.contains(secret), "{secret} stands in the log: {log}");
    }
}

#[test]
fn an_organizer_excludes_somebody_and_takes_them_back() {
    let (sprint, slug) = pairs(2);
    sprint.edit("overlap = 3", "overlap = 1");
    sprint.run();
    let served = Served::start(&sprint);
    let (ada, ben) = (served.person(&sprint, "Ada"), served.person(&sprint, "Ben"));
    let held = ada.take(&slug, 2);
    assert_eq!(ada.answer(&held[0], "left").status, 201);
    let submitted = || sprint.status().0["responses"]["submitted"].as_u64().unwrap();
    assert!(
        sprint
            .fails(&["users", "exclude", "Aba", "--reason", "a slip"], 2)
            .contains("nobody here is named `Aba`")
    );
    assert!(sprint.ok(&["users", "exclude", "Ada", "--reason", "all left"]).contains("no longer count"));
    assert_eq!(submitted(), 0);
    assert!(ada.take(&slug, 3).is_empty());
    ada.answer(&held[1], "left").problem(410);
    // Others are asked: one pair was hers, and nobody else has answered it.
    assert_eq!(ben.take(&slug, 10).len(), 4);
    assert!(sprint.ok(&["users", "include", "Ada"]).contains("count again"));
    assert_eq!(submitted(), 0, "Ben holds that pair by now: hers is kept as surplus");
    let table = sprint.ok(&["sql", "SELECT answer, counts, why FROM responses", "--format", "csv"]);
    assert!(table.contains("false,surplus"), "{table}");
}
