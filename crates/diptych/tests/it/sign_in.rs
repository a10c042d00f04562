//! The ways in, what is agreed to first, and what the gates say.

use std::time::Duration;

use serde_json::json;

use crate::kit::{Answer, Client, Served, Sprint};

fn served(config: &str) -> (Sprint, String, Served) {
    let sprint = Sprint::new(2);
    let slug = sprint.run().0["sprint"].as_str().unwrap().to_owned();
    std::fs::write(sprint.path("diptych.toml"), config).unwrap();
    let served = Served::start(&sprint);
    (sprint, slug, served)
}

fn browser(served: &Served) -> Client {
    served.client().with("sec-fetch-site", "same-origin")
}

/// The browser with the cookie that this answer sets.
fn signed_in(client: &Client, answer: &Answer) -> Client {
    assert_eq!(answer.status, 303, "{}", answer.text());
    client.clone().with("cookie", answer.header("set-cookie").split(';').next().unwrap())
}

fn version(page: &str) -> &str {
    page.split("name=\"version\" value=\"").nth(1).unwrap().split('"').next().unwrap()
}

#[test]
fn people_agree_before_they_begin() {
    let (sprint, slug, served) = served("");
    sprint.edit("[annotate]", "[annotate]\nguidelines = \"Look at the beaks.\\nThen <all> of it.\"\nminimum_age = 18\nabout = \"For <birds>.\"");
    let page = format!("/s/{slug}");
    let take = format!("/api/v1/sprints/{slug}/assignments");
    crate::kit::until("the server has read it", || {
        let ada = signed_in(&browser(&served), &browser(&served).form("/enter", "name=Ada"));
        ada.get(&page).text().contains("For &#60;birds&#62;.")
    });
    let ada = signed_in(&browser(&served), &browser(&served).form("/enter", "name=Ada"));
    assert_eq!(ada.post(&take, &json!({"count": 1})).problem(403), "/problems/agree-first");
    let terms = ada.get(&page).text();
    assert!(terms.contains("Apache-2.0") && terms.contains("at least 18 years"), "{terms}");
    let agree = |form: &str| ada.form(&format!("{page}/agree"), form);
    assert_eq!(agree("version=old&age=yes").status, 400);
    let young = agree(&format!("version={}", version(&terms)));
    assert!(young.status == 400 && young.text().contains("of that age"), "{}", young.text());
    assert_eq!(ada.post(&take, &json!({"count": 1})).problem(403), "/problems/agree-first");
    assert_eq!(agree(&format!("version={}&age=yes", version(&terms))).status, 303);
    let shown = ada.get(&page).text();
    assert!(shown.contains("id=\"answers\""));
    assert!(shown.contains("<p>Look at the beaks.</p><p>Then &#60;all&#62; of it.</p>"), "{shown}");
    assert!(!shown.contains("<p>Look at the prompt"), "in place of the page's own words");
    assert_eq!(ada.post(&take, &json!({"count": 1})).status, 200);

    // Other words are agreed to anew.
    sprint.edit("For <birds>.", "For fish.");
    crate::kit::until("the server has read it", || ada.get(&page).text().contains("For fish."));
    assert_eq!(ada.post(&take, &json!({"count": 1})).problem(403), "/problems/agree-first");
    // A program's token was given to somebody who has agreed.
    assert_eq!(served.person(&sprint, "Ben").post(&take, &json!({"count": 1})).status, 200);
    let metrics = served.client().get("/metrics").text();
    assert!(metrics.contains("diptych_gate_total{gate=\"consent\",said=\"passed\"} 1"), "{metrics}");
}

#[test]
fn an_invitation_lets_people_in_under_a_name_of_their_own() {
    let (sprint, slug, served) = served("[sign_in]\nnames = \"never\"\n");
    let browser = browser(&served);
    let refused = browser.form("/enter", "name=Ada");
    assert!(refused.status == 200 && refused.text().contains("Ask the organizer"), "{}", refused.text());
    let link = sprint.ok(&["users", "invite", "--places", "2"]);
    let path = format!("/invite/{}", link.trim().split("/invite/").nth(1).unwrap());
    assert!(browser.get(&path).text().contains("You are invited"));
    assert_eq!(served.client().form(&path, "name=Ada").problem(403), "/problems/forbidden");
    assert!(browser.form(&path, "name=%E2%80%8B").text().contains("letters or digits"), "nothing to be seen");
    let ada = browser.form(&path, "name=Ada");
    assert_eq!(ada.header("location"), format!("/s/{slug}"));
    assert!(signed_in(&browser, &ada).get(&format!("/s/{slug}")).text().contains("I agree"));
    assert!(browser.form(&path, "name=ADA").text().contains("has that name already"));
    // Who is signed in goes on as who they are.
    let again = signed_in(&browser, &ada).form(&path, "");
    assert_eq!((again.status, again.header("set-cookie")), (303, ""));
    // And takes no other place.
    assert_eq!(browser.form(&path, "name=Ben").status, 303);
    let over = browser.form(&path, "name=Cem");
    assert!(over.status == 404 && over.text().contains("no longer works"), "{}", over.text());
    assert_eq!(browser.get("/invite/0123").status, 404);

    let link = sprint.ok(&["users", "invite", "--role", "moderator"]);
    let path = format!("/invite/{}", link.trim().split("/invite/").nth(1).unwrap());
    let mia = signed_in(&browser, &browser.form(&path, "name=Mia"));
    assert_eq!(mia.get(&format!("/s/{slug}/review")).status, 200);
    assert!(sprint.fails(&["users", "invite", "--role", "organizer"], 2).contains("annotator or moderator"));
}

#[test]
fn guests_come_in_where_the_organizer_lets_them() {
    let (_sprint, slug, served) = served("[sign_in]\nguests = true\n");
    let browser = browser(&served);
    assert!(browser.get("/enter").text().contains("Go on as a guest"));
    let guest = |number: &str| {
        let guest = signed_in(&browser, &browser.form("/enter", "by=guest&next=%2F"));
        assert!(guest.get("/").text().contains(&format!("<bdi>Guest{number}</bdi>: sign out")), "{number}");
        guest
    };
    let first = guest("");
    guest(" 2");
    assert!(first.get(&format!("/s/{slug}")).text().contains("I agree"));
    // A guest's name is nobody's way in.
    let other = browser.form("/enter", "name=Guest+2");
    assert!(other.text().contains("signs in another way"), "{}", other.text());

    let (_sprint, _, served) = self::served("");
    let refused = self::browser(&served).form("/enter", "by=guest");
    assert!(refused.text().contains("takes no guests"), "{}", refused.text());
}

#[test]
fn nobody_asks_for_more_than_their_share() {
    let (sprint, slug, served) = served("[limits]\nper_person = 2\nsign_ins_a_minute = 5\n");
    let ada = served.person(&sprint, "Ada");
    let path = format!("/api/v1/sprints/{slug}/assignments");
    let take = |who: &Client| who.post(&path, &json!({"count": 1}));
    let answers: Vec<Answer> = (0..20).map(|_| take(&ada)).collect();
    let refused =
        answers.iter().find(|answer| answer.status == 429).expect("twenty in a moment are too many");
    assert_eq!(refused.problem(429), "/problems/too-many-requests");
    let wait: u64 = refused.header("retry-after").parse().unwrap();
    assert!((1..=2).contains(&wait));
    assert_eq!(take(&served.person(&sprint, "Ben")).status, 200, "others are not kept waiting");
    std::thread::sleep(Duration::from_secs(wait));
    assert_eq!(take(&ada).status, 200, "and nobody is kept out");
    let browser = browser(&served);
    let tries: Vec<Answer> = (0..8).map(|_| browser.form("/enter", "token=guess")).collect();
    assert!(tries[0].text().contains("not known") && tries[7].text().contains("Try again in"), "{tries:?}");
    let wait: u64 = tries[7].header("retry-after").parse().unwrap();
    assert!(tries[7].status == 429 && (1..=60).contains(&wait), "{tries:?}");
    let metrics = browser.get("/metrics").text();
    assert!(
        metrics.contains("{gate=\"sign_in\",said=\"refused\"} 5\n"),
        "the others are kept apart: {metrics}"
    );
}

#[test]
fn only_a_trusted_proxy_speaks_for_others() {
    let (sprint, _, served) =
        served("[serve]\npublic_url = \"https://prefs.example.org\"\ntrusted_proxies = [\"127.0.0.1/32\"]\n");
    sprint.ok(&["users", "role", "Org", "organizer"]);
    let org = served.person(&sprint, "Org");
    let browser = browser(&served);
    let far = browser.clone().with("x-forwarded-for", "203.0.113.9").form("/enter", "name=Ada");
    assert!(far.text().contains("Ask the organizer"), "{}", far.text());
    // A proxy that does not say for whom it asks may ask for anybody: nobody is an organizer by name there.
    for name in ["Ada", "Org"] {
        let silent = browser.form("/enter", &format!("name={name}"));
        assert!(silent.text().contains("Ask the organizer"), "{}", silent.text());
    }
    let near = browser.clone().with("x-forwarded-for", "192.168.1.7").form("/enter", "name=Ada");
    assert!(near.header("set-cookie").contains("; Secure;"), "{}", near.header("set-cookie"));
    assert!(!org.get("/").text().contains("could not tell"));
    // What is no address decides nothing, and is said to who can mend it.
    let written = browser.clone().with("x-forwarded-for", "h\u{e9}, 203.0.113.9").get("/enter");
    assert!(
        written.status == 200 && !org.get("/").text().contains("could not tell"),
        "what a stranger writes"
    );
    let garbage = browser.clone().with("x-forwarded-for", "unknown").form("/enter", "name=Ada");
    assert!(garbage.text().contains("Ask the organizer"), "{}", garbage.text());
    assert!(org.get("/").text().contains("could not tell whether somebody may come in"));
    assert!(!browser.get("/").text().contains("could not tell"), "which is nobody else's business");
    let metrics = served.client().get("/metrics").text();
    assert!(metrics.contains("{gate=\"rate_limit\",said=\"unknown\"} 1"), "{metrics}");
    for gate in ["rate_limit", "sign_in"] {
        assert!(!metrics.contains(&format!("{{gate=\"{gate}\",said=\"passed\"}} 0")), "{gate}: {metrics}");
    }
}

#[test]
fn a_provider_that_is_away_refuses_nobody() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (sprint, _, served) = served(&format!(
        "[sign_in.openid.ours]\nname = \"Ours\"\nissuer = \"http://{nobody}\"\nclient_id = \"diptych\"\n"
    ));
    let browser = browser(&served);
    assert!(browser.get("/enter?next=/s/a").text().contains("href=\"/enter/with/ours?next=/s/a\""));
    let framed = browser.clone().with("sec-fetch-dest", "iframe").get("/enter?next=/s/a").text();
    assert!(framed.contains("href=\"/enter/with/ours?next=/s/a\" target=\"_blank\""), "{framed}");
    let away = browser.get("/enter/with/ours?next=/");
    assert_eq!(away.status, 503);
    assert!(away.text().contains("Nothing is wrong on your side"), "{}", away.text());
    sprint.ok(&["users", "role", "Org", "organizer"]);
    assert!(served.person(&sprint, "Org").get("/").text().contains("Ours cannot be reached"));
    let metrics = served.client().get("/metrics").text();
    assert!(metrics.contains("{gate=\"sign_in\",said=\"unknown\"} 1"), "{metrics}");
    assert!(metrics.contains("{gate=\"sign_in\",said=\"refused\"} 0"), "{metrics}");
    // What was not begun here is refused, whatever it says.
    for back in ["", "?code=a&state=b", "?error=access_denied", "?code=%FF"] {
        let answer = browser
            .clone()
            .with("cookie", "diptych_sign_in=0123")
            .get(&format!("/enter/with/ours/back{back}"));
        assert_eq!(answer.status, 403, "{back}: {}", answer.text());
        assert!(!answer.header("set-cookie").contains("diptych_session"));
    }
    assert_eq!(browser.get("/enter/with/theirs").status, 404);
}

#[test]
fn a_secret_that_is_not_there_stops_the_start() {
    let sprint = Sprint::new(1);
    sprint.run();
    let provider = "[sign_in.openid.ours]\nname = \"Ours\"\nissuer = \"https://id.example.org\"\nclient_id = \"x\"\nclient_secret_env = \"OUR_SECRET\"\n";
    std::fs::write(sprint.path("diptych.toml"), provider).unwrap();
    let said = sprint.fails(&["serve", "--addr", "127.0.0.1:0"], 2);
    assert!(said.contains("OUR_SECRET") && said.contains("sign_in.openid.ours"), "{said}");
}

#[test]
fn a_person_sees_takes_along_and_removes_what_is_kept_of_them() {
    let (sprint, slug, served) = served("");
    let browser = browser(&served);
    assert_eq!(browser.get("/me").header("location"), "/enter?next=/me");
    // Who came by a name alone gets no token, from wherever they seem to be.
    let by_name = signed_in(&browser, &browser.form("/enter", "name=Ada"));
    let far = by_name.clone().with("x-forwarded-for", "203.0.113.9").with("host", "prefs.example.org");
    for neighbour in [&by_name, &far] {
        assert_eq!(neighbour.form("/me/ways", "ways=new").status, 403);
    }
    let given = sprint.ok(&["users", "token", "Ada"]);
    let ada = signed_in(&browser, &browser.form("/enter", &format!("token={}", given.trim())));
    let page = format!("/s/{slug}");
    let terms = ada.get(&page).text();
    // A token that somebody has made stands for who agrees like anybody else.
    let shown = ada.form("/me/ways", "ways=new").text();
    let own = shown.split_whitespace().find(|word| word.starts_with("own-")).unwrap();
    let program = served.client().with("authorization", &format!("Bearer {own}"));
    let asked = program.post(&format!("/api/v1/sprints/{slug}/assignments"), &json!({"count": 1}));
    assert_eq!(asked.problem(403), "/problems/agree-first");
    assert_eq!(ada.form(&format!("{page}/agree"), &format!("version={}", version(&terms))).status, 303);
    let held = ada.take(&slug, 1).remove(0);
    assert_eq!(ada.answer(&held, "both_good").status, 201);
    let me = ada.get("/me").text();
    assert!(me.contains("<bdi>Ada</bdi>") && me.contains("Answers: 1."), "{me}");
    let own = ada.get("/api/v1/me");
    assert!(own.header("content-disposition").contains("attachment"));
    let own = own.json();
    assert_eq!(own["sprints"][0]["responses"][0]["answer"], "both_good", "{own}");

    let board =
        || served.client().get(&format!("/api/v1/sprints/{slug}/leaderboard")).json()["people"][0].clone();
    assert_eq!((&board()["name"], board()["alias"].is_string()), (&json!(null), true));
    assert_eq!(ada.form("/me/name", &format!("sprint={slug}&named=yes")).status, 303);
    assert_eq!(
        (&board()["name"], &board()["alias"], &board()["responses"]),
        (&json!("Ada"), &json!(null), &json!(null)),
        "nothing joins her name to what is published"
    );
    let people = served.client().get(&format!("{page}/people")).text();
    assert!(people.contains("<bdi>Ada</bdi>"), "{people}");

    // A token for another device, shown once; and an end of all ways in but this browser's.
    let shown = ada.form("/me/ways", "ways=new").text();
    let token = shown.split_whitespace().find(|word| word.starts_with("own-")).unwrap();
    assert!(!ada.get("/me").text().contains(token));
    let elsewhere = signed_in(&browser, &browser.form("/enter", &format!("token={token}")));
    assert_eq!(elsewhere.get("/me").status, 200);
    assert_eq!(ada.form("/me/ways", "ways=end").status, 303);
    assert_eq!((elsewhere.get("/me").status, ada.get("/me").status), (303, 200));
    assert!(browser.form("/enter", &format!("token={token}")).text().contains("not known"));

    let slip = ada.form("/me/leave", "name=ada");
    assert!(slip.status == 400 && slip.text().contains("Nothing was removed"), "{}", slip.text());
    let gone = ada.form("/me/leave", "name=Ada");
    assert!(gone.text().contains("You are forgotten") && gone.header("set-cookie").contains("Max-Age=0"));
    assert_eq!(ada.get("/me").status, 303, "the session is over");
    assert_eq!((&board()["name"], board()["alias"].is_string()), (&json!(null), true));
    assert!(!sprint.ok(&["users", "list"]).contains("Ada"));
    assert_eq!(sprint.status().0["responses"]["submitted"], 1, "the answer stays");

    // Where the sprint says so, the answers go too.
    sprint.edit("[annotate]", "[annotate]\nleaving = \"remove\"");
    let ben = signed_in(&browser, &browser.form("/enter", "name=Ben"));
    assert_eq!(ben.form(&format!("{page}/agree"), &format!("version={}", version(&terms))).status, 303);
    let held = ben.take(&slug, 1).remove(0);
    assert_eq!(ben.answer(&held, "left").status, 201);
    crate::kit::until("the server has read it", || {
        ben.get("/me").text().contains("are removed, and others are asked")
    });
    ben.form("/me/leave", "name=Ben");
    assert_eq!(sprint.status().0["responses"]["submitted"], 1);
}
