//! The contract of every remote engine, against a local server that answers in each provider's
//! documented format, good and bad.

mod chat;
mod classify;
mod server;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use self::server::{Answer, Manner, Request, TestServer};
use crate::{EngineError, Format, ImageRequest, ImageSettings, Limits, MadeImage, image_maker};

/// Cargo sets it for every test: a key without touching the environment.
const KEY_ENV: &str = "CARGO_PKG_NAME";
const KEY: &str = env!("CARGO_PKG_NAME");

const ENGINES: [&str; 4] = ["openai", "huggingface", "fal", "a1111"];

fn limits() -> Limits {
    Limits { retries: 0, timeout: Duration::from_secs(20), ..Limits::default() }
}

fn settings(engine: &str, url: &str) -> ImageSettings {
    ImageSettings {
        key: "dev".to_owned(),
        engine: engine.to_owned(),
        url: Some(url.to_owned()),
        model: if engine == "fal" { "fal-ai/flux/dev" } else { "black-forest-labs/FLUX.1-dev" }.to_owned(),
        api_key_env: Some(KEY_ENV.to_owned()),
        limits: limits(),
    }
}

fn image_request() -> ImageRequest {
    ImageRequest {
        prompt: "a cat, \"quoted\" — über".to_owned(),
        subject: None,
        category: None,
        width: 96,
        height: 64,
        steps: Some(25),
        guidance: Some(3.5),
        seed: 0x1_8000_002a,
        prompt_index: 12,
        evolution: "quality".to_owned(),
    }
}

fn png() -> Vec<u8> {
    diptych_picture::plain_png(96, 64, [200, 30, 30]).unwrap()
}

/// What a provider answers when all is well, with this file as the picture.
fn good(engine: &str, request: &Request, base: &str, file: &[u8]) -> Answer {
    let path = request.path.as_str();
    if path.starts_with("/files/") {
        return Answer::new(200, "image/png", file);
    }
    let text = STANDARD.encode(file);
    let answer = match (engine, path) {
        ("openai", "/images/generations") => json!({"created": 1, "data": [{"b64_json": text}]}),
        ("openai", "/models") => {
            json!({"object": "list", "data": [{"id": "black-forest-labs/FLUX.1-dev", "object": "model"}]})
        }
        ("huggingface", "/models/black-forest-labs/FLUX.1-dev") if request.method == "GET" => {
            return Answer::json(405, &json!({"error": "Method Not Allowed"}));
        }
        ("huggingface", "/models/black-forest-labs/FLUX.1-dev") => {
            return Answer::new(200, "image/png", file).with("x-request-id", "req-1");
        }
        ("fal", "/fal-ai/flux/dev") => json!({
            "status": "IN_QUEUE", "request_id": "req-1", "queue_position": 0,
            "response_url": format!("{base}/fal-ai/flux/requests/req-1"),
            "status_url": format!("{base}/fal-ai/flux/requests/req-1/status"),
            "cancel_url": format!("{base}/fal-ai/flux/requests/req-1/cancel"),
        }),
        ("fal", "/fal-ai/flux/requests/req-1/status") => {
            json!({"status": "COMPLETED", "request_id": "req-1"})
        }
        ("fal", "/fal-ai/flux/requests/req-1") => json!({
            "images": [{"url": format!("{base}/files/1.png"), "width": 96, "height": 64, "content_type": "image/png"}],
            "seed": 42, "has_nsfw_concepts": [false], "prompt": "…", "timings": {"inference": 1.5},
        }),
        ("a1111", "/sdapi/v1/sd-models") => json!([{
            "title": "flux1-dev.safetensors [1be961341b]", "model_name": "flux1-dev", "hash": "1be961341b",
            "sha256": null, "filename": "/models/flux1-dev.safetensors", "config": null,
        }]),
        ("a1111", "/sdapi/v1/txt2img") => json!({
            "images": [text], "parameters": {},
            "info": json!({"seed": 42, "sd_model_name": "flux1-dev", "sd_model_hash": "1be961341b"}).to_string(),
        }),
        _ => return Answer::json(404, &json!({"detail": "Not Found"})),
    };
    Answer::json(200, &answer)
}

async fn make(settings: &ImageSettings) -> Result<MadeImage, EngineError> {
    image_maker(settings).unwrap().make(&image_request()).await
}

/// The engine against a server that answers its drawing call (and nothing else) with this.
async fn drawing(engine: &'static str, answer: Answer) -> EngineError {
    let server = TestServer::start(move |request, base| {
        if request.method == "POST" { answer.clone() } else { good(engine, request, base, &png()) }
    })
    .await;
    make(&settings(engine, &server.url)).await.unwrap_err()
}

/// The engine against a server that does everything right but the picture.
async fn with_file(engine: &'static str, file: Vec<u8>) -> EngineError {
    let server = TestServer::start(move |request, base| good(engine, request, base, &file)).await;
    make(&settings(engine, &server.url)).await.unwrap_err()
}

#[tokio::test]
async fn every_engine_draws_and_says_where_the_picture_comes_from() {
    for engine in ENGINES {
        let server = TestServer::start(move |request, base| good(engine, request, base, &png())).await;
        let image = make(&settings(engine, &server.url)).await.unwrap();
        assert_eq!(image.bytes, png(), "{engine}");
        assert_eq!((image.format, image.width, image.height), (Format::Png, 96, 64), "{engine}");
        assert_eq!((image.provider, image.seed), (engine, Some(42)), "{engine}");
        for request in server.requests() {
            let authorization = request.headers.get("authorization").map(String::as_str);
            let expected = match engine {
                // The picture's address may be anybody's.
                _ if request.path.starts_with("/files/") => None,
                "fal" => Some(format!("Key {KEY}")),
                "a1111" => Some(format!("Basic {}", STANDARD.encode(KEY))),
                _ => Some(format!("Bearer {KEY}")),
            };
            assert_eq!(authorization, expected.as_deref(), "{engine} {}", request.path);
        }
    }
}

#[tokio::test]
async fn every_engine_sends_what_its_provider_documents() {
    let prompt = image_request().prompt;
    for engine in ENGINES {
        let server = TestServer::start(move |request, base| good(engine, request, base, &png())).await;
        make(&settings(engine, &server.url)).await.unwrap();
        let requests = server.requests();
        let posted: Vec<_> = requests.iter().filter(|request| request.method == "POST").collect();
        assert_eq!(posted.len(), 1, "{engine}");
        let expected = match engine {
            "openai" => json!({
                "model": "black-forest-labs/FLUX.1-dev", "prompt": prompt, "n": 1, "size": "96x64",
                "response_format": "b64_json", "seed": 42, "num_inference_steps": 25, "guidance_scale": 3.5,
            }),
            "huggingface" => json!({"inputs": prompt, "parameters": {
                "width": 96, "height": 64, "seed": 42, "num_inference_steps": 25, "guidance_scale": 3.5,
            }}),
            "fal" => json!({
                "prompt": prompt, "image_size": {"width": 96, "height": 64}, "num_images": 1, "seed": 42,
                "num_inference_steps": 25, "guidance_scale": 3.5,
            }),
            _ => json!({
                "prompt": prompt, "width": 96, "height": 64, "seed": 42, "batch_size": 1, "n_iter": 1, "steps": 25,
                "cfg_scale": 3.5, "send_images": true, "save_images": false,
                "override_settings": {"sd_model_checkpoint": "flux1-dev.safetensors [1be961341b]"},
                "override_settings_restore_afterwards": false,
            }),
        };
        assert_eq!(posted[0].json(), expected, "{engine}");
    }
}

#[tokio::test]
async fn hugging_face_speaks_each_provider_s_format_by_the_name_of_the_model_there() {
    let prompt = image_request().prompt;
    let together = json!({"model": "there/flux", "prompt": prompt, "width": 96, "height": 64, "seed": 42, "steps": 25,
        "guidance": 3.5, "response_format": "base64"});
    let fal = json!({"prompt": prompt, "image_size": {"width": 96, "height": 64}, "seed": 42,
        "num_inference_steps": 25, "guidance_scale": 3.5});
    for (provider, path, expected) in
        [("together", "/together/v1/images/generations", together), ("fal-ai", "/fal-ai/there/flux", fal)]
    {
        let server = TestServer::start(move |request, base| match request.path.as_str() {
            "/api/models/black-forest-labs/FLUX.1-dev?expand=inferenceProviderMapping" => Answer::json(
                200,
                &json!({"id": "black-forest-labs/FLUX.1-dev", "inferenceProviderMapping": {
                    "fal-ai": {"status": "live", "providerId": "there/flux", "task": "text-to-image"},
                    "nebius": {"status": "live", "providerId": "there/edit", "task": "image-to-image"},
                    "together": {"status": "live", "providerId": "there/flux", "task": "text-to-image"}}}),
            ),
            "/fal-ai/there/flux" => {
                Answer::json(200, &json!({"images": [{"url": format!("{base}/files/1.png")}]}))
            }
            "/together/v1/images/generations" => {
                Answer::json(200, &json!({"data": [{"index": 0, "b64_json": STANDARD.encode(png())}]}))
            }
            _ => good("huggingface", request, base, &png()),
        })
        .await;
        let engine = image_maker(&settings("huggingface", &format!("{}/{provider}", server.url))).unwrap();
        for _ in 0..2 {
            let image = engine.make(&image_request()).await.unwrap();
            assert_eq!((image.provider, image.seed, image.bytes.to_vec()), ("huggingface", Some(42), png()));
        }
        let requests = server.requests();
        let posted: Vec<_> = requests.iter().filter(|request| request.method == "POST").collect();
        assert_eq!((posted.len(), posted[0].path.as_str()), (2, path));
        assert_eq!(posted[0].json(), expected);
        assert_eq!(
            requests.iter().filter(|request| request.path.starts_with("/api/")).count(),
            1,
            "asked once"
        );
        assert!(engine.probe().await.unwrap().contains("as `there/flux`"));

        let other = make(&settings("huggingface", &format!("{}/nscale", server.url))).await.unwrap_err();
        assert!(matches!(other, EngineError::Setup { .. }), "{other:?}");
        assert!(other.to_string().contains("who does: fal-ai, together"), "{other}");
    }
}

#[tokio::test]
async fn openai_pictures_may_also_be_addresses() {
    let server = TestServer::start(|request, base| match request.path.as_str() {
        "/images/generations" => Answer::json(
            200,
            &json!({"id": "img-7", "model": "flux-dev-v2", "data": [{"url": format!("{base}/files/a.png?sig=x"), "seed": 9}]}),
        ),
        _ => good("openai", request, base, &png()),
    })
    .await;
    let image = make(&settings("openai", &server.url)).await.unwrap();
    assert_eq!(
        (image.seed, image.model.as_str(), image.request_id.as_deref()),
        (Some(9), "flux-dev-v2", Some("img-7"))
    );
}

#[tokio::test]
async fn a_refused_key_stops_the_run_and_is_not_repeated() {
    for engine in ENGINES {
        let sent = if engine == "a1111" { STANDARD.encode(KEY) } else { KEY.to_owned() };
        let body = json!({"error": {"message": format!("Incorrect API key provided: {sent}"), "code": "invalid_api_key"}});
        let error = drawing(engine, Answer::json(401, &body)).await;
        let EngineError::Setup { message } = &error else { panic!("{engine}: {error:?}") };
        for part in ["model `dev`", engine, "http://127.0.0.1:", "401", "provided: [the key]", KEY_ENV] {
            assert!(message.contains(part), "{engine}: {message}");
        }
        assert!(!message.contains(&sent), "{message}");
    }
}

#[tokio::test]
async fn passing_troubles_leave_the_unit_pending() {
    for engine in ENGINES {
        let limited = Answer::json(429, &json!({"error": {"message": "slow down"}})).with("retry-after", "7");
        let error = drawing(engine, limited).await;
        assert!(
            matches!(&error, EngineError::Transient { retry_after: Some(wait), .. } if *wait == Duration::from_secs(7)),
            "{engine}: {error:?}"
        );
        for answer in [
            Answer::new(500, "text/html", "<html>oops</html>"),
            Answer::json(503, &json!({"error": "overloaded"})),
            Answer::new(200, "application/json", "{}").in_manner(Manner::Silent),
            Answer::new(200, "application/json", "{\"data\": [], \"images\": []}").in_manner(Manner::Half),
        ] {
            let what = format!("{engine}: {} {:?}", answer.status, answer.manner);
            let error = drawing(engine, answer).await;
            assert!(matches!(error, EngineError::Transient { retry_after: None, .. }), "{what}: {error:?}");
            assert!(error.to_string().contains("http://127.0.0.1:"), "{what}: {error}");
        }
    }
}

#[tokio::test]
async fn a_model_that_is_loading_says_how_long() {
    let loading =
        json!({"error": "Model black-forest-labs/FLUX.1-dev is currently loading", "estimated_time": 20.5});
    let error = drawing("huggingface", Answer::json(503, &loading)).await;
    let EngineError::Transient { message, retry_after } = &error else { panic!("{error:?}") };
    assert_eq!(*retry_after, Some(Duration::from_millis(20_500)));
    assert!(message.contains("is currently loading"), "{message}");
}

#[tokio::test]
async fn a_server_that_cannot_be_reached_leaves_the_unit_pending() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    for engine in ENGINES {
        let error = make(&settings(engine, &url)).await.unwrap_err();
        assert!(matches!(error, EngineError::Transient { .. }), "{engine}: {error:?}");
        assert!(error.to_string().to_lowercase().contains("refused"), "{engine}: {error}");
    }
}

#[tokio::test]
async fn an_answer_that_never_ends_is_given_up() {
    for engine in ENGINES {
        let server = TestServer::start(|_, _| {
            Answer::new(200, "application/json", "[{\"title\": 1}]").in_manner(Manner::Stalls)
        })
        .await;
        let mut settings = settings(engine, &server.url);
        settings.limits.timeout = Duration::from_millis(200);
        let error = make(&settings).await.unwrap_err();
        assert!(matches!(error, EngineError::Transient { .. }), "{engine}: {error:?}");
        assert!(error.to_string().contains("no answer within 0.2 s"), "{engine}: {error}");
    }
}

#[tokio::test]
async fn a_content_policy_drops_the_row_with_its_words() {
    let openai = json!({"error": {"message": "Your request was rejected by the safety system.",
        "type": "image_generation_user_error", "param": null, "code": "moderation_blocked"}});
    let fal = json!({"detail": [{"loc": ["body", "prompt"], "msg": "The content was flagged by a content checker.",
        "type": "content_policy_violation", "url": "https://docs.fal.ai/errors#content_policy_violation", "input": "…"}]});
    let plain = json!({"error": "inputs must not be empty"});
    for (engine, status, body, words) in [
        ("openai", 400, &openai, "rejected by the safety system. (moderation_blocked)"),
        ("fal", 422, &fal, "flagged by a content checker"),
        ("huggingface", 400, &plain, "inputs must not be empty"),
        ("a1111", 422, &fal, "flagged by a content checker"),
    ] {
        let error = drawing(engine, Answer::json(status, body)).await;
        assert!(matches!(error, EngineError::Refused { .. }), "{engine}: {error:?}");
        assert!(error.to_string().contains(words), "{engine}: {error}");
    }
}

#[tokio::test]
async fn no_money_and_wrong_addresses_stop_the_run() {
    let broke = json!({"error": {"message": "Billing hard limit has been reached", "code": "billing_hard_limit_reached"}});
    for (status, body) in
        [(400, &broke), (402, &broke), (404, &json!({"detail": "Not Found"})), (405, &json!({}))]
    {
        for engine in ENGINES {
            let error = drawing(engine, Answer::json(status, body)).await;
            assert!(matches!(error, EngineError::Setup { .. }), "{engine} {status}: {error:?}");
        }
    }
}

#[tokio::test]
async fn what_is_no_answer_at_all_is_unusable() {
    for engine in ENGINES {
        for (answer, words) in [
            (Answer::new(200, "text/html", "<!doctype html><title>Welcome</title>"), "a web page"),
            (Answer::new(200, "application/json", ""), "nothing, not JSON"),
            (Answer::json(200, &json!({"error": "something odd"})), "something odd"),
            (Answer::json(200, &json!({"images": [], "data": []})), ""),
        ] {
            let error = drawing(engine, answer).await;
            assert!(matches!(error, EngineError::Unusable { .. }), "{engine}: {error:?}");
            assert!(error.to_string().contains(words), "{engine}: {error}");
        }
    }
}

/// A PNG whose header states 30,000 × 30,000 pixels.
fn huge() -> Vec<u8> {
    let mut file = png();
    file[16..20].copy_from_slice(&30_000_u32.to_be_bytes());
    file[20..24].copy_from_slice(&30_000_u32.to_be_bytes());
    file
}

#[tokio::test]
async fn pictures_that_are_none_are_unusable() {
    let whole = png();
    for engine in ENGINES {
        for (file, words) in [
            (whole[..whole.len() - 20].to_vec(), "cut off"),
            (huge(), "too large: 30000×30000"),
            (b"<html>not found</html>".to_vec(), "not a JPEG, PNG, WebP or GIF image"),
        ] {
            let error = with_file(engine, file).await;
            assert!(matches!(error, EngineError::Unusable { .. }), "{engine}: {error:?}");
            assert!(error.to_string().contains(words), "{engine}: {error}");
        }
    }
    let error = drawing("openai", Answer::json(200, &json!({"data": [{"b64_json": "not base64!"}]}))).await;
    assert!(error.to_string().contains("not base64"), "{error}");
}

#[tokio::test]
async fn bodies_are_not_read_without_bound() {
    let error = with_file("fal", vec![0x89; super::http::MOST_IMAGE + 1]).await;
    assert!(matches!(error, EngineError::Unusable { .. }), "{error:?}");
    assert!(error.to_string().contains("more than 33554432 bytes"), "{error}");
}

#[tokio::test]
async fn a_picture_that_cannot_be_fetched_fails_and_does_not_stop_the_run() {
    let server = TestServer::start(|request, base| match request.path.as_str() {
        "/files/1.png" => Answer::new(403, "application/xml", "<Error>expired</Error>"),
        _ => good("fal", request, base, &png()),
    })
    .await;
    let error = make(&settings("fal", &server.url)).await.unwrap_err();
    assert!(matches!(error, EngineError::Unusable { .. }), "{error:?}");
    assert!(error.to_string().contains("/files/1.png answered 403"), "{error}");
}

#[tokio::test]
async fn fal_is_looked_after_until_it_is_done() {
    let looks = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&looks);
    let server = TestServer::start(move |request, base| {
        if !request.path.ends_with("/status") {
            return good("fal", request, base, &png());
        }
        match seen.fetch_add(1, Ordering::SeqCst) {
            0 => Answer::json(202, &json!({"status": "IN_QUEUE", "queue_position": 3})),
            // A look that fails is not a picture that fails.
            1 => Answer::new(502, "text/html", "<html>bad gateway</html>").with("retry-after", "0"),
            2 => Answer::json(202, &json!({"status": "IN_PROGRESS"})),
            _ => Answer::json(200, &json!({"status": "COMPLETED"})),
        }
    })
    .await;
    let image = make(&settings("fal", &server.url)).await.unwrap();
    assert_eq!(image.request_id.as_deref(), Some("req-1"));
    assert_eq!(looks.load(Ordering::SeqCst), 4);
    let requests = server.requests();
    assert_eq!(requests.iter().filter(|request| request.method == "POST").count(), 1);
    assert!(requests.iter().all(|request| request.method != "PUT"), "what is done is not cancelled");
}

#[tokio::test]
async fn fal_results_can_be_errors_too() {
    let flagged =
        json!({"images": [{"url": "data:image/png;base64,AAAA"}], "seed": 1, "has_nsfw_concepts": [true]});
    let policy = json!({"detail": [{"msg": "flagged", "type": "content_policy_violation"}]});
    for (answer, words) in
        [(Answer::json(200, &flagged), "content checker blanked"), (Answer::json(422, &policy), "flagged")]
    {
        let server = TestServer::start(move |request, base| match request.path.as_str() {
            "/fal-ai/flux/requests/req-1" => answer.clone(),
            _ => good("fal", request, base, &png()),
        })
        .await;
        let error = make(&settings("fal", &server.url)).await.unwrap_err();
        assert!(matches!(error, EngineError::Refused { .. }), "{error:?}");
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[tokio::test]
async fn a_fal_request_that_is_given_up_is_taken_out_of_the_queue() {
    let server = TestServer::start(|request, base| {
        if request.path.ends_with("/status") {
            return Answer::json(202, &json!({"status": "IN_QUEUE"}));
        }
        good("fal", request, base, &png())
    })
    .await;
    let mut settings = settings("fal", &server.url);
    settings.limits.timeout = Duration::from_millis(500);
    let error = make(&settings).await.unwrap_err();
    assert!(matches!(error, EngineError::Transient { .. }), "{error:?}");
    for _ in 0..100 {
        if server
            .requests()
            .iter()
            .any(|request| request.method == "PUT" && request.path.ends_with("/req-1/cancel"))
        {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("nothing was cancelled");
}

#[tokio::test]
async fn a_key_goes_to_no_other_server() {
    let server = TestServer::start(|request, base| match request.path.as_str() {
        "/fal-ai/flux/dev" => Answer::json(
            200,
            &json!({"request_id": "1",
            "status_url": "http://127.0.0.2:9/x/status", "response_url": "http://127.0.0.2:9/x"}),
        ),
        _ => good("fal", request, base, &png()),
    })
    .await;
    let error = make(&settings("fal", &server.url)).await.unwrap_err();
    assert!(matches!(error, EngineError::Setup { .. }), "{error:?}");
    assert!(error.to_string().contains("127.0.0.2"), "{error}");
}

#[tokio::test]
async fn a_web_ui_without_the_checkpoint_does_not_draw_with_another() {
    let server = TestServer::start(|request, base| good("a1111", request, base, &png())).await;
    let other = ImageSettings { model: "stabilityai/sdxl".to_owned(), ..settings("a1111", &server.url) };
    let error = make(&other).await.unwrap_err();
    assert!(matches!(error, EngineError::Setup { .. }), "{error:?}");
    assert!(error.to_string().contains("it has: flux1-dev.safetensors [1be961341b]"), "{error}");
    let none = TestServer::start(|_, _| Answer::json(404, &json!({"detail": "Not Found"}))).await;
    let error = make(&settings("a1111", &none.url)).await.unwrap_err();
    assert!(error.to_string().contains("start the web UI with --api"), "{error}");
}

#[tokio::test]
async fn a_limit_is_waited_out_and_tried_again() {
    let count = Arc::new(AtomicUsize::new(0));
    let server = TestServer::start(move |request, base| match count.fetch_add(1, Ordering::SeqCst) {
        0 => Answer::json(429, &json!({})).with("retry-after", "0"),
        _ => good("openai", request, base, &png()),
    })
    .await;
    let mut settings = settings("openai", &server.url);
    settings.limits.retries = 1;
    make(&settings).await.unwrap();
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn probes_draw_nothing() {
    for engine in ENGINES {
        let server = TestServer::start(move |request, base| good(engine, request, base, &png())).await;
        let found = image_maker(&settings(engine, &server.url)).unwrap().probe().await.unwrap();
        assert!(found.contains("answers"), "{engine}: {found}");
        assert!(server.requests().iter().all(|request| request.method == "GET"), "{engine}");
        let refusing = TestServer::start(|_, _| Answer::json(401, &json!({"error": "no"}))).await;
        let error = image_maker(&settings(engine, &refusing.url)).unwrap().probe().await.unwrap_err();
        assert!(matches!(error, EngineError::Setup { .. }), "{engine}: {error:?}");
    }
}

#[test]
fn settings_that_cannot_work_are_refused_at_once() {
    let good = settings("openai", "https://api.example.org/v1");
    for (bad, words) in [
        (ImageSettings { engine: "midjourney".to_owned(), ..good.clone() }, "no image engine `midjourney`"),
        (
            ImageSettings { url: Some("example.org".to_owned()), ..good.clone() },
            "`example.org` is not an address",
        ),
        (
            ImageSettings { url: Some("ftp://example.org".to_owned()), ..good.clone() },
            "not an http:// or https://",
        ),
        (
            ImageSettings { url: Some("https://me:pw@example.org".to_owned()), ..good.clone() },
            "a secret is never in a file",
        ),
        (
            ImageSettings { api_key_env: Some("DIPTYCH_NO_SUCH_KEY".to_owned()), ..good.clone() },
            "DIPTYCH_NO_SUCH_KEY is not set",
        ),
        (
            ImageSettings { engine: "a1111".to_owned(), url: None, ..good.clone() },
            "needs the server's address",
        ),
        (ImageSettings { engine: "folder".to_owned(), url: None, ..good.clone() }, "needs the folder's path"),
        (
            ImageSettings { engine: "rehearsal".to_owned(), ..good.clone() },
            "rehearsal/noto or rehearsal/fluent",
        ),
    ] {
        let Err(EngineError::Setup { message }) = image_maker(&bad).map(|_| ()) else { panic!("{bad:?}") };
        assert!(
            message.contains(words) && message.contains("model `dev`") && !message.contains("pw@"),
            "{message}"
        );
    }
    image_maker(&ImageSettings { url: None, ..good }).unwrap();
}
