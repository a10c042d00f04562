//! Engines behind HTTP: what goes wrong there is retried, recorded or left pending, and nothing is lost.

use std::process::Stdio;
use std::time::Duration;

use crate::kit::{Sprint, signal, until};
use crate::server::{Server, chat, error, image, image_of, well};

/// A sprint whose texts and `dev` images come from this server; `sd` stays a rehearsal.
fn sprint(server: &Server, prompts: usize) -> Sprint {
    let mut sprint = Sprint::new(prompts);
    sprint.set("WRITER_KEY", "secret-of-the-test");
    sprint.edit("engine = \"rules\" ", "engine = \"writer\" ");
    sprint.edit(
        "name = \"rehearsal/noto\"\nengine = \"rehearsal\"",
        &format!(
            "name = \"local/painter\"\nengine = \"openai\"\nurl = \"{}\"\nretries = 0\nprice = 1.0",
            server.url
        ),
    );
    sprint.edit(
        "[budget]",
        &format!(
            "[chat.writer]\nurl = \"{}\"\nmodel = \"writer\"\napi_key_env = \"WRITER_KEY\"\nretries = 1\n\n[budget]",
            server.url
        ),
    );
    sprint
}

#[test]
fn every_unit_calls_once() {
    let server = Server::start();
    let sprint = sprint(&server, 4);
    let status = sprint.run();
    assert_eq!((status.count("enhance", "out"), status.pairs()), (8, 8), "{}", status.0);
    // A style prompt and two variants for each of four prompts, an image for each variant.
    assert_eq!(server.calls(), (12, 8));
    assert_eq!(sprint.run().0, status.0);
    assert_eq!(server.calls(), (0, 0));

    // What depends on the guidance is the images of one model for one evolution.
    sprint.edit("retries = 0", "retries = 0\nguidance = { quality = 4.5 }");
    assert_eq!(sprint.run().pairs(), 8);
    assert_eq!(server.calls(), (0, 4));
    let database = std::fs::read(sprint.path("diptych.db")).unwrap();
    let secret = b"secret-of-the-test";
    assert!(!database.windows(secret.len()).any(|part| part == secret), "a key is never stored");
}

#[test]
fn a_busy_server_is_waited_for() {
    let server = Server::start();
    let sprint = sprint(&server, 1);
    server.does(|asked| match asked.earlier {
        0 => (429, "retry-after: 1\r\n", b"slow down".to_vec()),
        _ => well(asked),
    });
    let begun = std::time::Instant::now();
    // The image's first call is refused as well, and its engine tries once only.
    let error = sprint.fails(&["run", "--quiet"], 1);
    assert!(error.contains("generate") && error.contains("run again"), "{error}");
    assert!(begun.elapsed() >= Duration::from_secs(1));
    let status = sprint.status();
    assert_eq!((status.count("enhance", "out"), status.count("generate", "failed")), (2, 0), "{}", status.0);
    assert_eq!(sprint.run().pairs(), 2);
    assert_eq!(server.calls(), (4, 3));
}

#[test]
fn a_broken_server_leaves_units_pending() {
    let server = Server::start();
    let sprint = sprint(&server, 2);
    server.does(|_| error(500, "server_error"));
    let said = sprint.fails(&["run", "--quiet"], 1);
    assert!(said.contains("4 units of enhance are still pending"), "{said}");
    let status = sprint.status();
    assert_eq!((status.count("enhance", "pending"), status.count("enhance", "failed")), (4, 0));
    assert_eq!(server.calls(), (4, 0), "each style prompt is tried twice");
    server.does(well);
    assert_eq!(sprint.run().pairs(), 4);
}

#[test]
fn a_refusal_is_a_drop_with_its_reason() {
    let server = Server::start();
    let sprint = sprint(&server, 3);
    server.does(|asked| {
        let text = asked.body.to_string();
        match (asked.path.contains("chat"), text.contains("hybrid animal"), text.contains("neon braids")) {
            (true, false, true) => chat("I'm sorry, but I can't help with that."),
            (true, false, false) => well(asked),
            _ => error(400, "content_policy_violation"),
        }
    });
    let status = sprint.run();
    assert_eq!(status.count("enhance", "out"), 2, "{}", status.0);
    // By the model's own words and by its server: one word for both, whatever the details.
    assert_eq!(status.dropped("enhance", "refused"), 4, "{}", status.0);
    assert_eq!(status.count("generate", "out"), 2, "the rehearsals: {}", status.0);
    assert_eq!((status.count("generate", "failed"), status.pairs()), (0, 0), "{}", status.0);
    // A style prompt each, the refused one asked for three times, and two variants of the third prompt.
    assert_eq!(server.calls(), (1 + 3 + 3, 2));
    sprint.run();
    sprint.ok(&["run", "--retry-failed", "--quiet"]);
    assert_eq!(server.calls(), (0, 0), "dropped for good");
}

#[test]
fn a_wrong_key_stops_the_run_and_names_the_variable() {
    let server = Server::start();
    let mut sprint = sprint(&server, 2);
    server.does(|_| error(401, "invalid_api_key"));
    let said = sprint.fails(&["run", "--quiet"], 1);
    assert!(said.contains("401") && said.contains("WRITER_KEY") && !said.contains("secret-of"), "{said}");
    assert_eq!(sprint.status().count("enhance", "pending"), 4);
    sprint.env.remove("WRITER_KEY");
    let said = sprint.fails(&["run", "--quiet"], 1);
    assert!(said.contains("WRITER_KEY"), "{said}");
    let said = sprint.output(&["check"]);
    assert_eq!(said.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&said.stdout).contains("WRITER_KEY"));
}

#[test]
fn what_is_no_picture_fails_and_is_tried_again_on_request() {
    let server = Server::start();
    let sprint = sprint(&server, 3);
    let whole = diptych_picture::plain_png(64, 64, [9, 9, 9]).unwrap();
    // A PNG's header announces its width in bytes 16 to 19.
    let mut wide = whole.clone();
    wide[16..20].copy_from_slice(&30_000_u32.to_be_bytes());
    wide[20..24].copy_from_slice(&30_000_u32.to_be_bytes());
    server.does(move |asked| match asked.earlier % 6 {
        _ if asked.path.contains("chat") => well(asked),
        0 => (200, "content-type: text/html\r\n", b"<html>Welcome</html>".to_vec()),
        1 => image_of(&whole[..whole.len() / 2]),
        2 => image_of(&wide),
        3 => (200, "", Vec::new()),
        4 => image_of(b"<svg xmlns='http://www.w3.org/2000/svg'/>"),
        _ => image(),
    });
    let status = sprint.run();
    assert_eq!(status.count("generate", "failed"), 5, "{}", status.0);
    assert_eq!(status.count("generate", "out"), 7, "six rehearsals and one good image");
    assert_eq!((status.pairs(), status.count("pair", "failed")), (1, 5), "{}", status.0);
    sprint.run();
    assert_eq!(server.calls().1, 6, "what has failed is not tried again by itself");
    server.does(well);
    sprint.ok(&["run", "--retry-failed", "--quiet"]);
    let status = sprint.status();
    assert_eq!((status.count("generate", "failed"), status.pairs()), (0, 6), "{}", status.0);
    assert_eq!(server.calls().1, 5);
}

#[test]
fn the_budget_stops_before_the_call_that_would_pass_it() {
    let server = Server::start();
    let sprint = sprint(&server, 4);
    sprint.edit("# max = 200.0 ", "max = 5.0 ");
    let said = sprint.fails(&["run", "--quiet"], 1);
    assert!(said.contains("the budget of 5.00 is spent") && said.contains("raise `max`"), "{said}");
    let status = sprint.status();
    assert_eq!(server.calls().1, 5);
    assert!(status.count("generate", "pending") >= 3, "{}", status.0);
    sprint.edit("max = 5.0 ", "max = 8.0 ");
    assert_eq!(sprint.run().pairs(), 8);
    assert_eq!(server.calls().1, 3);
}

#[test]
fn what_is_no_picture_is_paid_for_too() {
    let server = Server::start();
    let sprint = sprint(&server, 2);
    sprint.edit("retries = 0", "retries = 2");
    sprint.edit("# max = 200.0 ", "max = 2.0 ");
    server.does(|asked| match asked.path.contains("chat") {
        true => well(asked),
        false => (200, "content-type: text/html\r\n", b"<html>Welcome</html>".to_vec()),
    });
    let said = sprint.fails(&["run", "--quiet"], 1);
    assert!(said.contains("the budget of 2.00 is spent"), "{said}");
    assert_eq!(server.calls().1, 2);
}

#[test]
fn what_is_no_text_is_still_paid_for_the_next_day() {
    let server = Server::start();
    let sprint = sprint(&server, 1);
    // An output token for one unit of money, and at most a hundred in an answer.
    sprint.edit(
        "api_key_env = \"WRITER_KEY\"",
        "api_key_env = \"WRITER_KEY\"\nmax_tokens = 100\nprice = { input = 0.0, output = 1e6 }",
    );
    sprint.edit("# max = 200.0 ", "max = 320.0 ");
    server.does(|_| (200, "content-type: text/html\r\n", b"<html>Welcome</html>".to_vec()));
    let status = sprint.run();
    assert_eq!(status.count("enhance", "failed"), 2, "{}", status.0);
    assert_eq!(server.calls().0, 3, "what is no answer is asked for again");
    let said = sprint.fails(&["run", "--retry-failed", "--quiet"], 1);
    assert!(said.contains("the budget of 320.00 is spent"), "{said}");
    assert_eq!(server.calls().0, 0, "three answers of at most 100 each may have been paid for");
}

/// Ends a run in the middle in this way; the next one makes up for it.
fn ended_in_the_middle(with: &str, status: Option<i32>) {
    let server = Server::start();
    let sprint = sprint(&server, 12);
    server.does(|asked| {
        std::thread::sleep(Duration::from_millis(30));
        well(asked)
    });
    let mut run =
        sprint.command(&["run", "--quiet"]).stderr(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
    let mut seen = (0, 0);
    until("the run is in the midst of images", || {
        let (chats, images) = server.calls();
        seen = (seen.0 + chats, seen.1 + images);
        seen.1 >= 6
    });
    signal(&run, with);
    let ended = run.wait().unwrap();
    assert_eq!(ended.code(), status);
    std::thread::sleep(Duration::from_millis(100));
    let (chats, images) = server.calls();
    let before = (seen.0 + chats, seen.1 + images);
    let after = sprint.status();
    assert!(after.count("generate", "pending") > 0, "it ended in the middle: {}", after.0);
    let status = sprint.run();
    assert_eq!(status.pairs(), 24, "{}", status.0);
    let (chats, images) = server.calls();
    assert_eq!((before.0 + chats, chats), (36, 0), "every text was known");
    // An image's engine makes eight calls at once unless it is told otherwise.
    let repeated = before.1 + images - 24;
    assert!(repeated <= if with == "INT" { 0 } else { 8 }, "{repeated} calls were made twice");
}

#[test]
fn an_interrupt_finishes_what_is_in_flight() {
    ended_in_the_middle("INT", Some(130));
}

#[test]
fn a_kill_loses_no_more_than_calls_in_flight() {
    ended_in_the_middle("KILL", None);
}

#[test]
fn check_tries_every_engine_and_changes_nothing() {
    let server = Server::start();
    let sprint = sprint(&server, 1);
    server.does(|asked| match asked.path.as_str() {
        "/v1/models" => (200, "", br#"{"data": [{"id": "writer"}, {"id": "local/painter"}]}"#.to_vec()),
        _ => error(500, "not for a check"),
    });
    let printed = sprint.ok(&["check"]);
    assert!(printed.contains("local/painter") && printed.contains("writer"), "{printed}");
    assert!(!sprint.path("diptych.db").exists() && !sprint.path("blobs").exists());
}
