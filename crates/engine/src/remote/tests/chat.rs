//! The same for chat models.

use serde_json::{Value, json};

use super::server::{Answer, Manner, TestServer};
use super::{KEY, KEY_ENV, limits};
use crate::{ChatReply, ChatRequest, ChatSettings, EngineError, chat};

fn chat_settings(url: &str) -> ChatSettings {
    ChatSettings {
        name: "writer".to_owned(),
        url: format!("{url}/v1"),
        model: "small".to_owned(),
        api_key_env: Some(KEY_ENV.to_owned()),
        limits: limits(),
    }
}

fn chat_request() -> ChatRequest {
    ChatRequest {
        system: Some("You write prompts.".to_owned()),
        user: "A cat".to_owned(),
        max_tokens: 200,
        temperature: Some(0.7),
        seed: Some(5),
    }
}

fn completion(message: &Value, usage: &Value) -> Answer {
    Answer::json(
        200,
        &json!({"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "small-2026",
            "choices": [{"index": 0, "message": message, "logprobs": null, "finish_reason": "stop"}], "usage": usage}),
    )
}

async fn complete(answer: Answer) -> Result<ChatReply, EngineError> {
    let server = TestServer::start(move |_, _| answer.clone()).await;
    chat(&chat_settings(&server.url)).unwrap().complete(&chat_request()).await
}

#[tokio::test]
async fn chat_asks_and_answers_in_the_documented_format() {
    let message = json!({"role": "assistant", "content": "A cat on a roof", "refusal": null});
    let usage = json!({"prompt_tokens": 12, "completion_tokens": 5, "total_tokens": 17});
    let server =
        TestServer::start(move |_, _| completion(&message, &usage).with("x-request-id", "req-9")).await;
    let reply = chat(&chat_settings(&server.url)).unwrap().complete(&chat_request()).await.unwrap();
    assert_eq!(reply.text, "A cat on a roof");
    assert_eq!((reply.usage.input_tokens, reply.usage.output_tokens, reply.usage.estimated), (12, 5, false));
    assert_eq!(reply.finish_reason.as_deref(), Some("stop"));
    assert_eq!((reply.model.as_str(), reply.request_id.as_deref()), ("small-2026", Some("req-9")));
    let requests = server.requests();
    assert_eq!((requests[0].method.as_str(), requests[0].path.as_str()), ("POST", "/v1/chat/completions"));
    assert_eq!(requests[0].headers["authorization"], format!("Bearer {KEY}"));
    assert_eq!(
        requests[0].json(),
        json!({"model": "small", "max_tokens": 200, "temperature": 0.7, "seed": 5, "messages": [
            {"role": "system", "content": "You write prompts."}, {"role": "user", "content": "A cat"}]})
    );
}

#[tokio::test]
async fn chat_answers_of_other_shapes_are_understood() {
    let reply =
        complete(completion(&json!({"content": null, "refusal": "I cannot"}), &json!(null))).await.unwrap();
    assert_eq!((reply.text.as_str(), reply.refusal.as_deref()), ("", Some("I cannot")));
    assert!(reply.usage.estimated && reply.usage.input_tokens >= 8, "{:?}", reply.usage);
    let parts = json!({"content": [{"type": "text", "text": "A "}, {"type": "text", "text": "cat"}]});
    assert_eq!(complete(completion(&parts, &json!({}))).await.unwrap().text, "A cat");
}

#[tokio::test]
async fn chat_errors_are_sorted_by_what_they_mean() {
    type Is = fn(&EngineError) -> bool;
    let (setup, refused, unusable, transient): (Is, Is, Is, Is) = (
        |error| matches!(error, EngineError::Setup { .. }),
        |error| matches!(error, EngineError::Refused { .. }),
        |error| matches!(error, EngineError::Unusable { .. }),
        |error| matches!(error, EngineError::Transient { .. }),
    );
    let page = "<!doctype html><title>Sign in</title>";
    let unknown =
        json!({"error": {"message": "The model `small` does not exist", "code": "model_not_found"}});
    let broke =
        json!({"error": {"message": "You exceeded your current quota", "code": "insufficient_quota"}});
    let filtered = json!({"error": {"message": "The prompt was filtered", "code": "content_filter"}});
    let routed = json!({"error": {"message": "upstream is busy", "code": 503}});
    for (answer, is, words) in [
        (Answer::json(401, &json!({"error": {"message": "bad key"}})), setup, "bad key"),
        (Answer::json(404, &unknown), setup, "(model_not_found)"),
        (Answer::json(429, &broke), setup, "credit"),
        (Answer::json(400, &filtered), refused, "The prompt was filtered"),
        (Answer::json(429, &json!({"error": {"message": "too fast"}})), transient, "too fast"),
        (Answer::new(500, "text/plain", "boom"), transient, "boom"),
        (Answer::new(504, "text/html", page), transient, "a web page"),
        (Answer::json(200, &routed), transient, "upstream is busy"),
        (Answer::new(200, "text/html", page), unusable, "a web page"),
        (Answer::new(200, "application/json", ""), unusable, "nothing"),
        (Answer::new(200, "application/json", "{\"choices\": ["), unusable, "not JSON"),
        (Answer::json(200, &json!({"choices": []})), unusable, "no choice"),
        (Answer::json(200, &json!({"hello": 1})), unusable, "another shape"),
        (Answer::new(200, "application/json", vec![b' '; 10 << 20]), unusable, "more than 8388608 bytes"),
        (Answer::json(200, &unknown).in_manner(Manner::Silent), transient, "could not be reached"),
        (Answer::json(200, &unknown).in_manner(Manner::Half), transient, "broke off"),
        (Answer::json(302, &json!({})), setup, "where it leads"),
    ] {
        let what = format!("{} {:?}", answer.status, answer.manner);
        let error = complete(answer).await.unwrap_err();
        assert!(is(&error), "{what}: {error:?}");
        let text = error.to_string();
        assert!(text.contains(words), "{what}: {text}");
        assert!(text.contains("chat `writer`") && text.contains("/v1/chat/completions"), "{text}");
    }
}

#[tokio::test]
async fn chat_probes_look_the_model_up() {
    for (answer, words) in [
        (Answer::json(200, &json!({"data": [{"id": "small"}]})), "has `small`"),
        (Answer::json(200, &json!({"data": [{"id": "large"}]})), "`small` is not in its list of 1 models"),
        (Answer::json(404, &json!({})), "no list of models"),
    ] {
        let server = TestServer::start(move |_, _| answer.clone()).await;
        let found = chat(&chat_settings(&server.url)).unwrap().probe().await.unwrap();
        assert!(found.contains(words), "{found}");
        assert_eq!(server.requests()[0].path, "/v1/models");
    }
}
