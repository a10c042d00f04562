//! Whatever an engine answers, it has a meaning: told in short, in words that can be kept, and without the key.
//!
//! Of an input the first two bytes choose the status, the first line is `Retry-After`, the second
//! `retry-after-ms`, and the rest the body; NUL stands for the key.

#![no_main]

use std::collections::BTreeMap;
use std::sync::Arc;

use diptych_reply::{EngineError, Origin, Reply};
use http::{HeaderMap, HeaderValue, StatusCode};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

const KEY: &str = "sk-Vq3Lx8Tz0Wn5";

/// What is enough of the key to be no accident.
const PART: &str = "sk-Vq3Lx";

/// More than the longest message, in characters.
const LONG: usize = 1_000;

fuzz_target!(|bytes: &[u8]| {
    let [high, low, rest @ ..] = bytes else { return };
    let Ok(status) = StatusCode::from_u16(100 + u16::from_be_bytes([*high, *low]) % 500) else { return };
    let mut parts = rest.splitn(3, |byte| *byte == b'\n');
    let mut headers = HeaderMap::new();
    for name in ["retry-after", "retry-after-ms"] {
        if let Some(Ok(value)) = parts.next().map(HeaderValue::from_bytes) {
            headers.insert(name, value);
        }
    }
    let body = parts.next().unwrap_or_default();
    // A body that makes parts of the key up by itself proves nothing.
    let letters: Vec<u8> = body.iter().copied().filter(u8::is_ascii_alphanumeric).collect();
    let innocent = !letters.windows(3).any(|letters| letters == b"Vq3");
    let body = body.split(|byte| *byte == 0).collect::<Vec<_>>().join(KEY.as_bytes());
    let origin = Origin::new("chat `a`".to_owned(), Some("KEY".to_owned()), vec![KEY.to_owned()]);
    let place = "https://example.org/v1".to_owned();
    let reply = Reply { origin: Arc::new(origin), place, status, headers, body: body.into() };

    let failure = reply.failure();
    let kind = match status.as_u16() {
        500.. => matches!(failure, EngineError::Transient { .. }),
        300..=399 | 401..=405 => matches!(failure, EngineError::Setup { .. }),
        _ => true,
    };
    assert!(kind, "{status} is {failure:?}");
    let value = reply.json::<Value>();
    if let Ok(value) = &value {
        assert!(!value.to_string().replace("\\\\", "").contains("\\u0000"), "{value} has NUL");
    }
    let errors = [
        Some(failure),
        value.err(),
        reply.json::<Vec<u8>>().err(),
        reply.json::<BTreeMap<String, f32>>().err(),
        Some(reply.unusable("answered without an image")),
    ];
    for error in errors.into_iter().flatten() {
        let message = error.to_string();
        assert!(message.starts_with("chat `a` at https://example.org/v1 answered "), "{message}");
        assert!(message.chars().count() < LONG, "{message} is long");
        assert!(!message.contains(char::is_control), "{message:?} is no line");
        assert!(!innocent || !message.contains(PART), "{message} tells the key");
    }
});
