//! What pages look like and which language they speak.

use std::time::Duration;

use crate::kit::{Served, Sprint, until};

#[test]
fn a_sprint_has_a_colour_and_a_cover_of_its_own() {
    let sprint = Sprint::new(1);
    let slug = sprint.run().0["sprint"].as_str().unwrap().to_owned();
    sprint.edit("# accent = \"#1d6557\"", "accent = \"#ffee00\"");
    sprint.edit("# cover = \"cover.jpg\"", "cover = \"cover.png\"");
    let served = Served::start(&sprint);
    let browser = served.client().with("sec-fetch-site", "same-origin");
    let home = || browser.get("/").text();
    assert!(!home().contains("class=\"cover\""), "there is no such file yet");
    assert_eq!(browser.get(&format!("/s/{slug}/cover")).status, 404);

    std::fs::write(sprint.path("cover.png"), b"no picture").unwrap();
    assert_eq!(browser.get(&format!("/s/{slug}/cover")).status, 404, "a cover that is none harms nobody");
    std::thread::sleep(Duration::from_millis(20));
    let picture = diptych_picture::plain_png(1600, 800, [200, 30, 30]).unwrap();
    std::fs::write(sprint.path("cover.png"), picture).unwrap();
    let cover = browser.get(&format!("/s/{slug}/cover"));
    assert_eq!((cover.status, cover.header("content-type")), (200, "image/jpeg"));
    assert_eq!(diptych_picture::inspect(&cover.body, &Default::default()).unwrap().width, 1200);
    assert!(
        home().contains(&format!("<img class=\"cover\" src=\"/s/{slug}/cover\" alt=\"\">")),
        "{}",
        home()
    );

    let people = browser.get(&format!("/s/{slug}/people")).text();
    let look = format!("/s/{slug}/look.css?ffee00");
    assert!(people.contains(&look), "{people}");
    let css = browser.get(&look);
    assert_eq!(css.header("content-type"), "text/css; charset=utf-8");
    // Yellow is read on black, and on white only when it is much darker.
    assert!(
        css.text().contains("prefers-color-scheme: dark) { :root { --accent: #ffee00 } }"),
        "{}",
        css.text()
    );
    assert!(!css.text().starts_with(":root { --accent: #ffee00 }"), "{}", css.text());

    sprint.edit("accent = \"#ffee00\"", "accent = \"#336699\"");
    until("the new colour is taken up", || {
        browser.get(&format!("/s/{slug}/people")).text().contains("look.css?336699")
    });
    sprint.edit("accent = \"#336699\"", "accent = \"red; } body { display: none\"");
    assert!(sprint.fails(&["status"], 2).contains("write it as `#rrggbb`"));
}

#[test]
fn pages_for_everybody_speak_the_language_that_a_browser_wants() {
    let sprint = Sprint::new(1);
    let slug = sprint.run().0["sprint"].as_str().unwrap().to_owned();
    let served = Served::start(&sprint);
    let browser = served.client().with("sec-fetch-site", "same-origin");
    let german = browser.clone().with("accept-language", "de-AT,de;q=0.9,en;q=0.5");
    assert!(german.get("/").text().contains("<html lang=\"de\">"));
    assert!(german.get("/").text().contains("Zwei Bilder."));
    assert!(german.get("/nothing").text().contains("Hier ist nichts"));
    assert!(german.get(&format!("/s/{slug}/people")).text().contains("Nach Kategorie"));
    let results = german.get(&format!("/s/{slug}/results"));
    assert!(results.status == 403 && results.text().contains("Noch nicht offen"), "{}", results.text());
    sprint.edit("public_results = false", "public_results = true");
    until("the results are open", || german.get(&format!("/s/{slug}/results")).status == 200);
    let results = german.get(&format!("/s/{slug}/results")).text();
    assert!(
        results.contains("Noch keine Antworten") && results.contains("Die Bilder sind Proben"),
        "{results}"
    );
    assert!(browser.get(&format!("/s/{slug}/results")).text().contains("No answers yet"));
    let refused = german.form("/enter", "name=%E2%80%8B");
    assert!(refused.text().contains("Ein Name hat Buchstaben"), "{}", refused.text());

    let entered = german.form("/enter", "name=Ada");
    let ada = german.clone().with("cookie", entered.header("set-cookie").split(';').next().unwrap());
    let terms = ada.get(&format!("/s/{slug}")).text();
    assert!(terms.contains("Du gibst deine Antworten unter Apache-2.0"), "{terms}");
    assert!(terms.contains("You give your answers under Apache-2.0"), "the text that is kept: {terms}");
    assert!(ada.get("/me").text().contains("Was von dir gespeichert ist"));
    for (who, says) in
        [(&browser, "drawn for each sprint"), (&german, "für jeden Sprint gezogen"), (&ada, "für jeden")]
    {
        assert!(who.get("/privacy").text().contains(says), "before anybody gives a name: {says}");
    }
    // What goes wrong is said in words, to who it is.
    let wrong =
        ada.clone().with("accept", "text/html").form(&format!("/s/{slug}/organize/state"), "state=open");
    assert_eq!(wrong.status, 403);
    assert!(wrong.text().contains("<bdi>Ada</bdi>: abmelden"), "{}", wrong.text());

    // What was chosen on this browser stands, whatever the browser likes.
    let chosen = german.get("/language?to=en&next=/enter%3Fnext%3D/me");
    assert_eq!((chosen.status, chosen.header("location")), (303, "/enter?next=/me"));
    let english = german.clone().with("cookie", chosen.header("set-cookie").split(';').next().unwrap());
    assert!(english.get("/").text().contains("Two pictures."));
    let elsewhere = german.get("/language?to=xx&next=//evil.example");
    assert_eq!((elsewhere.header("location"), elsewhere.header("set-cookie")), ("/", ""));
}
