//! What an engine's answer means, whatever its provider: statuses, error bodies, waits. Bytes in, meaning out:
//! nothing here calls a server.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::StatusCode;
use http::header::{HeaderMap, RETRY_AFTER};
use serde::de::DeserializeOwned;
use serde_json::Value;

mod error;

pub use error::EngineError;

/// How long everybody waits after a "too many requests" that does not say.
const PAUSE_UNSAID: Duration = Duration::from_secs(2);

/// Whose answer it is.
pub struct Origin {
    who: String,
    key_env: Option<String>,
    secrets: Vec<String>,
}

impl Origin {
    /// An engine as messages call it, the environment variable of its key, and the forms in which the key is sent.
    pub fn new(who: String, key_env: Option<String>, mut secrets: Vec<String>) -> Self {
        // JSON that is shown as JSON has it so.
        let quoted: Vec<String> =
            secrets.iter().map(|secret| Value::from(secret.as_str()).to_string()).collect();
        secrets.extend(quoted.iter().map(|text| text[1..text.len() - 1].to_owned()));
        secrets.retain(|secret| !secret.is_empty());
        Self { who, key_env, secrets }
    }

    /// How messages call it.
    pub fn who(&self) -> &str {
        &self.who
    }

    /// What a server says, for a message: in one short line, and without the key. Servers like to quote the one
    /// that they refuse.
    pub fn quoted(&self, words: &str) -> String {
        const MOST: usize = 300;
        // Hidden before anything else: half a key is no key that could be found.
        let words = self.without_key(words);
        let line = words.split_whitespace().collect::<Vec<_>>().join(" ");
        let line: String = line.chars().filter(|character| !character.is_control()).collect();
        let line = self.without_key(&line);
        match line.char_indices().nth(MOST) {
            Some((end, _)) => format!("{}…", &line[..end]),
            None => line,
        }
    }

    fn without_key(&self, text: &str) -> String {
        self.secrets.iter().fold(text.to_owned(), |text, secret| text.replace(secret, "[the key]"))
    }
}

/// A server's answer, wholly read.
pub struct Reply {
    /// Whose it is.
    pub origin: Arc<Origin>,
    /// Its address, as messages show it.
    pub place: String,
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

impl Reply {
    /// The body as JSON of this shape, its texts without NUL. JSON that is an error in spite of a success status is that error.
    ///
    /// # Errors
    /// [`EngineError::Unusable`] where it is no such JSON, or what the error in it means.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, EngineError> {
        let mut value: Value = serde_json::from_slice(&self.body)
            .map_err(|error| self.unusable(format!("answered {}, not JSON ({error})", self.described())))?;
        if let Some(error) = value.get("error").filter(|error| !error.is_null()) {
            let code = error.get("code").and_then(Value::as_u64).and_then(|code| u16::try_from(code).ok());
            return Err(match code.and_then(|code| StatusCode::from_u16(code).ok()) {
                Some(status) if !status.is_success() => self.failure_as(status),
                _ => self.unusable(format!("answered with an error: {}", self.said())),
            });
        }
        drop_nul(&mut value);
        serde_json::from_value(value).map_err(|error| {
            // serde quotes what it found.
            self.unusable(format!(
                "answered JSON of another shape: {}",
                self.origin.quoted(&error.to_string())
            ))
        })
    }

    /// A header's text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The provider's name for the call.
    pub fn request_id(&self) -> Option<String> {
        self.header("x-request-id").map(str::to_owned)
    }

    /// The complaint that it is of no use.
    pub fn unusable(&self, what: impl AsRef<str>) -> EngineError {
        EngineError::unusable(self.told(what.as_ref()))
    }

    /// What its status, which is no success, means for the unit of work.
    pub fn failure(&self) -> EngineError {
        self.failure_as(self.status)
    }

    fn failure_as(&self, status: StatusCode) -> EngineError {
        let answered = self.told(&format!("answered {status}: {}", self.said()));
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
        self.origin.without_key(&format!("{} at {} {what}", self.origin.who, self.place))
    }

    /// What an error's body says: its message where it is JSON of a usual shape.
    fn said(&self) -> String {
        let Ok(value) = serde_json::from_slice::<Value>(&self.body) else { return self.described() };
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
        match code_of(&self.body) {
            code if code.is_empty() || text.contains(&code) => self.origin.quoted(&text),
            code => format!("{} ({})", self.origin.quoted(&text), self.origin.quoted(&code)),
        }
    }

    /// A body that is not JSON.
    fn described(&self) -> String {
        if self.body.is_empty() {
            return "nothing".to_owned();
        }
        match std::str::from_utf8(&self.body) {
            Ok(text) if text.trim_start().starts_with('<') => {
                format!("a web page ({})", self.origin.quoted(text))
            }
            Ok(text) => format!("the text \"{}\"", self.origin.quoted(text)),
            Err(_) => format!("{} bytes that are no text", self.body.len()),
        }
    }
}

/// NUL is in no text that people write, and PostgreSQL keeps none.
fn drop_nul(value: &mut Value) {
    match value {
        Value::String(text) => text.retain(|character| character != '\0'),
        Value::Array(values) => values.iter_mut().for_each(drop_nul),
        Value::Object(fields) => {
            fields.values_mut().for_each(drop_nul);
            if fields.keys().any(|name| name.contains('\0')) {
                *fields = std::mem::take(fields)
                    .into_iter()
                    .map(|(name, value)| (name.replace('\0', ""), value))
                    .collect();
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
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

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "sk-0123456789 \"abcdef";

    fn reply(status: u16, body: impl Into<Bytes>) -> Reply {
        let origin = Origin::new("chat `a`".to_owned(), Some("KEY".to_owned()), vec![KEY.to_owned()]);
        Reply {
            origin: Arc::new(origin),
            place: "http://example.org/".to_owned(),
            status: StatusCode::from_u16(status).unwrap(),
            headers: HeaderMap::new(),
            body: body.into(),
        }
    }

    fn said(body: &str) -> String {
        reply(500, body.to_owned()).said()
    }

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
            assert_eq!(said(body), text);
        }
        assert_eq!(said(&"é".repeat(400)).chars().count(), "the text \"\"".len() + 301);
    }

    #[test]
    fn a_key_is_hidden_also_where_only_its_beginning_would_be_shown() {
        for before in [0, 250, 280, 290, 299] {
            let text = format!("{}{KEY}", "x".repeat(before));
            let quoted = serde_json::json!({"odd": text}).to_string();
            let message = serde_json::json!({"error": {"message": text, "code": KEY}}).to_string();
            let page = format!("<p>{text}");
            for body in [quoted, message, page, text.replace(' ', " \n ")] {
                for status in [401, 429, 500] {
                    let shown = reply(status, body.clone()).failure().to_string();
                    assert!(!shown.contains("sk-"), "{shown}");
                }
            }
            let other = serde_json::json!([text]).to_string();
            let error = reply(200, other).json::<Vec<u8>>().unwrap_err().to_string();
            assert!(!error.contains("sk-"), "{error}");
        }
    }

    #[test]
    fn nul_is_left_out() {
        let body = r#"{"model": "a\u0000b", "la\u0000bels": [["\u0000"]]}"#;
        let value: Value = reply(200, body).json().unwrap();
        assert_eq!(value, serde_json::json!({"model": "ab", "labels": [[""]]}));
    }

    #[test]
    fn what_a_server_says_at_length_is_told_in_short() {
        let long = "é\0".repeat(100_000);
        let said = reply(500, serde_json::json!({"error": {"message": "no", "code": long}}).to_string());
        let shaped = reply(200, serde_json::json!({"data": long}).to_string());
        let shaped = shaped.json::<std::collections::BTreeMap<String, Vec<u8>>>();
        for error in [said.failure(), shaped.unwrap_err()] {
            let message = error.to_string();
            assert!(message.chars().count() < 500 && !message.contains('\0'), "{message}");
        }
    }
}
