//! The same for classifiers.

use bytes::Bytes;
use serde_json::json;

use super::server::{Answer, Manner, Request, TestServer};
use super::{KEY, KEY_ENV, limits, png};
use crate::{ClassifierSettings, EngineError, Labels, image_classifier, text_classifier};

const ENGINES: [&str; 3] = ["openai-moderation", "huggingface", "chat"];

fn settings(engine: &str, url: &str) -> ClassifierSettings {
    ClassifierSettings {
        name: "judge".to_owned(),
        engine: engine.to_owned(),
        url: Some(url.to_owned()),
        model: Some("org/model".to_owned()),
        api_key_env: Some(KEY_ENV.to_owned()),
        limits: limits(),
    }
}

/// What a provider answers when all is well.
fn good(engine: &str) -> Answer {
    let judged = r#"{"sexual": 0.9, "violence": 0.1, "hate": 0, "self_harm": 0, "minors": 0}"#;
    Answer::json(
        200,
        &match engine {
            "openai-moderation" => json!({"id": "modr-1", "model": "omni-moderation-latest", "results": [{
                "flagged": true, "categories": {"sexual": true}, "category_scores": {"sexual": 0.9, "violence": 0.1}}]}),
            "huggingface" => {
                json!([[{"label": "sexual", "score": 0.9}, {"label": "violence", "score": 0.1}]])
            }
            _ => {
                json!({"choices": [{"message": {"role": "assistant", "content": judged}, "finish_reason": "stop"}]})
            }
        },
    )
}

async fn of_text(engine: &'static str, answer: Answer) -> Result<Labels, EngineError> {
    let server = TestServer::start(move |_, _| answer.clone()).await;
    let classifier = text_classifier(&settings(engine, &server.url)).unwrap();
    classifier.classify(vec!["a fox".to_owned()]).await.remove(0)
}

#[tokio::test]
async fn texts_and_pictures_are_asked_about_in_the_documented_format() {
    for engine in ENGINES {
        let server = TestServer::start(move |_, _| good(engine)).await;
        let texts = text_classifier(&settings(engine, &server.url)).unwrap();
        let said = texts.classify(vec!["a fox".to_owned(), "a boat".to_owned()]).await;
        assert_eq!(said.len(), 2);
        for labels in said {
            assert_eq!(labels.unwrap()["sexual"], 0.9, "{engine}");
        }
        let images = image_classifier(&settings(engine, &server.url)).unwrap();
        assert_eq!(
            images.classify(vec![Bytes::from(png())]).await.remove(0).unwrap()["violence"],
            0.1,
            "{engine}"
        );
        let requests: Vec<Request> = server.requests();
        assert_eq!(requests.len(), 3, "{engine}");
        for request in &requests {
            assert_eq!(request.headers["authorization"], format!("Bearer {KEY}"));
        }
        let (text, image) = (&requests[0], &requests[2]);
        match engine {
            "openai-moderation" => {
                assert_eq!(text.path, "/moderations");
                assert_eq!(text.json()["input"][0]["type"], "text");
                let address = image.json()["input"][0]["image_url"]["url"].as_str().unwrap().to_owned();
                assert!(address.starts_with("data:image/jpeg;base64,"), "{address}");
            }
            "huggingface" => {
                assert_eq!(text.path, "/models/org/model");
                assert!(["a fox", "a boat"].contains(&text.json()["inputs"].as_str().unwrap()));
                assert!(image.body.starts_with(b"\xFF\xD8"), "a JPEG");
            }
            _ => {
                assert_eq!(text.path, "/chat/completions");
                assert_eq!(text.json()["messages"][0]["role"], "system");
                assert_eq!(image.json()["messages"][1]["content"][1]["type"], "image_url");
            }
        }
    }
}

#[tokio::test]
async fn an_answer_that_is_none_is_never_a_score() {
    for engine in ENGINES {
        for answer in [
            Answer::new(200, "text/html", "<html>sign in</html>"),
            Answer::json(200, &json!({})),
            Answer::json(200, &json!([])),
            Answer::json(200, &json!({"results": []})),
            Answer::json(200, &json!({"choices": [{"message": {"content": "It looks fine to me."}}]})),
            Answer::json(
                400,
                &json!({"error": {"message": "I cannot look at this", "code": "content_policy"}}),
            ),
        ] {
            let error = of_text(engine, answer.clone()).await.unwrap_err();
            assert!(matches!(error, EngineError::Unusable { .. }), "{engine} {answer:?}: {error:?}");
        }
        for (answer, wanted) in [
            (Answer::json(401, &json!({"error": {"message": "bad key"}})), "setup"),
            (Answer::json(404, &json!({"error": "no such model"})), "setup"),
            (
                Answer::json(429, &json!({"error": {"message": "slow down"}})).with("retry-after", "1"),
                "transient",
            ),
            (Answer::json(503, &json!({"error": "loading"})), "transient"),
            (good(engine).in_manner(Manner::Silent), "transient"),
            (good(engine).in_manner(Manner::Half), "transient"),
        ] {
            let error = of_text(engine, answer.clone()).await.unwrap_err();
            let kind = match &error {
                EngineError::Setup { .. } => "setup",
                EngineError::Transient { .. } => "transient",
                _ => "other",
            };
            assert_eq!(kind, wanted, "{engine} {answer:?}: {error:?}");
            assert!(!error.to_string().contains(KEY), "{error}");
        }
    }
}

#[tokio::test]
async fn what_is_no_single_picture_is_not_sent() {
    let server = TestServer::start(|_, _| good("openai-moderation")).await;
    let classifier = image_classifier(&settings("openai-moderation", &server.url)).unwrap();
    let said = classifier.classify(vec![Bytes::from_static(b"no picture"), Bytes::from(png())]).await;
    assert!(said[0].is_err() && said[1].is_ok(), "{said:?}");
    assert_eq!(server.requests().len(), 1);
}
