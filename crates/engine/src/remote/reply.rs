//! What a server's answer means, whatever its provider: statuses, error bodies, waits.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::EngineError;

/// How long everybody waits after a "too many requests" that does not say.
const PAUSE_UNSAID: Duration = Duration::from_secs(2);

/// Whose answer it is.
pub(crate) struct Origin {
    /// How messages call the engine.
    pub(crate) who: String,
    /// The environment variable of the key.
    pub(crate) key_env: Option<String>,
    /// The key, to keep it out of messages: servers like to quote the one that they refuse.
    pub(crate) key: Option<String>,
}

/// A server's answer, wholly read.
pub(crate) struct Reply {
    pub(crate) origin: Arc<Origin>,
    /// Its address, as messages show it.
    pub(crate) place: String,
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Reply {
    /// The body as JSON of this shape. JSON that is an error in spite of a success status is that error.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, EngineError> {
        let value: Value = serde_json::from_slice(&self.body).map_err(|error| {
            self.unusable(format!("answered {}, not JSON ({error})", described(&self.body)))
        })?;
        if let Some(error) = value.get("error").filter(|error| !error.is_null()) {
            let code = error.get("code").and_then(Value::as_u64).and_then(|code| u16::try_from(code).ok());
            return Err(match code.and_then(|code| StatusCode::from_u16(code).ok()) {
                Some(status) if !status.is_success() => self.failure_as(status),
                _ => self.unusable(format!("answered with an error: {}", said(&self.body))),
            });
        }
        serde_json::from_value(value)
            .map_err(|error| self.unusable(format!("answered JSON of another shape: {error}")))
    }

    /// A header's text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The provider's name for the call.
    pub(crate) fn request_id(&self) -> Option<String> {
        self.header("x-request-id").map(str::to_owned)
    }

    /// The complaint that it is of no use.
    pub(crate) fn unusable(&self, what: impl AsRef<str>) -> EngineError {
        EngineError::unusable(self.told(what.as_ref()))
    }

    /// What its status, which is no success, means for the unit of work.
    pub(crate) fn failure(&self) -> EngineError {
        self.failure_as(self.status)
    }

    fn failure_as(&self, status: StatusCode) -> EngineError {
        let answered = self.told(&format!("answered {status}: {}", said(&self.body)));
        let broke =
            ["insufficient_quota", "billing_hard_limit_reached"].contains(&code_of(&self.body).as_str());
        match status.as_u16() {
            402 => EngineError::setup(format!("{answered}; look at the account's credit")),
            // That the money is gone does not pass, and is not the item's fault.
            400 | 403 | 429 if broke => {
                EngineError::setup(format!("{answered}; look at the account's credit"))
            }
            401 | 403 => EngineError::setup(match &self.origin.key_env {
                Some(name) => format!(
                    "{answered}; look at the key in the environment variable {name} and what it may do"
                ),
                None => {
                    format!("{answered}; name the environment variable that holds the key in `api_key_env`")
                }
            }),
            404 | 405 | 410 | 415 => {
                EngineError::setup(format!("{answered}; look at `url` and the model's name"))
            }
            300..=399 => EngineError::setup(format!("{answered}; set `url` to where it leads")),
            408 | 409 | 425 | 429 | 500..=599 => {
                let unsaid = (status.as_u16() == 429).then_some(PAUSE_UNSAID);
                let asked = retry_after(&self.headers).or_else(|| loading_time(&self.body)).or(unsaid);
                EngineError::Transient { message: answered, retry_after: asked }
            }
            _ => EngineError::refused(answered),
        }
    }

    /// Who and where, then what, without the key.
    fn told(&self, what: &str) -> String {
        let text = format!("{} at {} {what}", self.origin.who, self.place);
        match &self.origin.key {
            Some(key) => text.replace(key, "[the key]"),
            None => text,
        }
    }
}

/// `Retry-After`, in seconds or as a date (RFC 9110 §10.2.3), and the finer `retry-after-ms`.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<f64>().ok();
    let seconds = number("retry-after-ms").map(|ms| ms / 1000.0).or_else(|| number(RETRY_AFTER.as_str()));
    if let Some(seconds) = seconds {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let date = httpdate::parse_http_date(headers.get(RETRY_AFTER)?.to_str().ok()?.trim()).ok()?;
    // A date that has passed means "now".
    Some(date.duration_since(SystemTime::now()).unwrap_or_default())
}

/// How long Hugging Face says a model still takes to load.
fn loading_time(body: &[u8]) -> Option<Duration> {
    let value = serde_json::from_slice::<Value>(body).ok()?;
    Duration::try_from_secs_f64(value.get("estimated_time")?.as_f64()?).ok()
}

/// The error's code or type where the body has one of the usual shapes.
fn code_of(body: &[u8]) -> String {
    let Ok(value) = serde_json::from_slice::<Value>(body) else { return String::new() };
    let error = &value["error"];
    [&error["code"], &error["type"], &value["error_type"]]
        .iter()
        .find_map(|code| code.as_str())
        .unwrap_or_default()
        .to_owned()
}

/// What an error's body says, in one short line: its message where it is JSON of a usual shape.
fn said(body: &[u8]) -> String {
    let Ok(value) = serde_json::from_slice::<Value>(body) else { return described(body) };
    let error = &value["error"];
    let found = [
        &error["message"],
        error,
        &value["detail"],
        &value["detail"]["message"],
        &value["detail"][0]["msg"],
        &value[0]["msg"],
        &value["message"],
        &value["errors"],
    ];
    let message = found.iter().find_map(|text| text.as_str().filter(|text| !text.trim().is_empty()));
    let text = message.map_or_else(|| value.to_string(), str::to_owned);
    match code_of(body) {
        code if code.is_empty() || text.contains(&code) => shortened(&text),
        code => format!("{} ({code})", shortened(&text)),
    }
}

/// A body that is not JSON.
fn described(body: &[u8]) -> String {
    if body.is_empty() {
        return "nothing".to_owned();
    }
    match std::str::from_utf8(body) {
        Ok(text) if text.trim_start().starts_with('<') => format!("a web page ({})", shortened(text)),
        Ok(text) => format!("the text \"{}\"", shortened(text)),
        Err(_) => format!("{} bytes that are no text", body.len()),
    }
}

fn shortened(text: &str) -> String {
    const MOST: usize = 300;
    let line: String =
        text.split_whitespace().collect::<Vec<_>>().join(" ").chars().filter(|c| !c.is_control()).collect();
    match line.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(name, value.parse().unwrap());
        headers
    }

    #[test]
    fn waits_are_read_as_seconds_milliseconds_and_dates() {
        assert_eq!(retry_after(&headers("retry-after", "7")), Some(Duration::from_secs(7)));
        assert_eq!(retry_after(&headers("retry-after-ms", "1500")), Some(Duration::from_millis(1500)));
        assert_eq!(retry_after(&headers("retry-after", "soon")), None);
        assert_eq!(retry_after(&headers("retry-after", "-3")), None);
        assert_eq!(
            retry_after(&headers("retry-after", "Wed, 21 Oct 2015 07:28:00 GMT")),
            Some(Duration::ZERO)
        );
        let later = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(90));
        let wait = retry_after(&headers("retry-after", &later)).unwrap();
        assert!((85..=90).contains(&wait.as_secs()), "{wait:?}");
    }

    #[test]
    fn what_an_error_says_is_found_in_the_usual_shapes() {
        for (body, text) in [
            (
                r#"{"error": {"message": "No such model", "code": "model_not_found"}}"#,
                "No such model (model_not_found)",
            ),
            (r#"{"error": "Model is loading", "estimated_time": 20.0}"#, "Model is loading"),
            (r#"{"detail": "Not authenticated"}"#, "Not authenticated"),
            (r#"{"detail": [{"loc": ["body"], "msg": "flagged", "type": "x"}]}"#, "flagged"),
            (r#"{"detail": "Timed out", "error_type": "request_timeout"}"#, "Timed out (request_timeout)"),
            (r#"{"message": "slow down"}"#, "slow down"),
            (r#"{"odd": 1}"#, r#"{"odd":1}"#),
            ("<html>\n<title>Oops</title>", "a web page (<html> <title>Oops</title>)"),
            ("", "nothing"),
        ] {
            assert_eq!(said(body.as_bytes()), text);
        }
        assert_eq!(said("é".repeat(400).as_bytes()).chars().count(), "the text \"\"".len() + 301);
    }
}
