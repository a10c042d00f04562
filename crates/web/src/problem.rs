//! Errors as RFC 9457 has them, each with a stable `type`.

use std::future::Future;

use axum::Json;
use axum::extract::rejection::{FormRejection, PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use diptych_engine::chain;
use diptych_headers::Client;
use diptych_stages::StageError;
use diptych_store::StoreError;
use serde::Serialize;
use tracing::Instrument as _;
use utoipa::ToSchema;

use crate::frame::message;
use crate::session::signed_in_on;
use crate::state::App;
use crate::texts::Reader;

/// A part of the address; one that is no text is a problem like any other.
#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Path), rejection(Problem))]
pub(crate) struct Path<T>(pub(crate) T);

impl From<PathRejection> for Problem {
    fn from(_: PathRejection) -> Self {
        Self::not_found("The address holds something that is no text.")
    }
}

/// What a form sends; what cannot be read there is a problem like any other.
#[derive(FromRequest)]
#[from_request(via(axum::Form), rejection(Problem))]
pub(crate) struct Form<T>(pub(crate) T);

impl From<FormRejection> for Problem {
    fn from(rejection: FormRejection) -> Self {
        match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => Self::too_large(crate::TOO_LARGE),
            _ => Self::bad_request(format!("The form cannot be read: {}.", rejection.body_text())),
        }
    }
}

/// What stands behind the `?`; what cannot be read there is a problem like any other.
#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Query), rejection(Problem))]
pub(crate) struct Query<T>(pub(crate) T);

impl From<QueryRejection> for Problem {
    fn from(rejection: QueryRejection) -> Self {
        Self::bad_request(format!(
            "What stands behind the ? of the address cannot be read: {}.",
            rejection.body_text()
        ))
    }
}

/// What went wrong with a request.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Problem {
    /// What kind of problem it is: stable, for programs.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The kind in words.
    pub title: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// What happened here and what to do.
    pub detail: String,
    /// In how many seconds to come back; stands in the header `Retry-After`.
    #[serde(skip)]
    pub(crate) retry_after: Option<u64>,
}

impl Problem {
    /// Under which name its kind stands among the words.
    fn because(&self) -> String {
        format!("because_{}", self.kind.rsplit('/').next().unwrap_or_default())
    }

    /// With the time after which to try again.
    pub(crate) fn after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }
}

const JSON: &str = "application/problem+json";

macro_rules! problems {
    ($($(#[$doc:meta])* $name:ident = $status:ident, $kind:literal, $title:literal;)+) => {
        impl Problem {
            $($(#[$doc])* pub(crate) fn $name(detail: impl Into<String>) -> Self {
                Self { kind: $kind, title: $title, status: StatusCode::$status.as_u16(), detail: detail.into(), retry_after: None }
            })+
        }
    };
}

problems! {
    /// The request is not of the form that the API describes.
    bad_request = BAD_REQUEST, "/problems/bad-request", "The request cannot be read";
    /// The word for the answer is not one of those that there are.
    unknown_answer = UNPROCESSABLE_ENTITY, "/problems/unknown-answer", "There is no such answer";
    /// The body is too large.
    too_large = PAYLOAD_TOO_LARGE, "/problems/too-large", "The request is too large";
    /// Nobody is signed in.
    sign_in = UNAUTHORIZED, "/problems/sign-in", "Sign in first";
    /// Signed in, and not allowed.
    forbidden = FORBIDDEN, "/problems/forbidden", "Not allowed";
    /// Signed in, and has not agreed to the sprint's terms.
    agree_first = FORBIDDEN, "/problems/agree-first", "Agree to the terms first";
    /// More than anybody's share.
    too_many = TOO_MANY_REQUESTS, "/problems/too-many-requests", "Too many requests";
    /// There is no such thing, or it is not this person's.
    not_found = NOT_FOUND, "/problems/not-found", "Not found";
    /// There is such a thing, but not for this method.
    wrong_method = METHOD_NOT_ALLOWED, "/problems/wrong-method", "The method is not allowed here";
    /// Another answer stands and can no longer be replaced.
    settled = CONFLICT, "/problems/settled", "Another answer stands";
    /// The lease has ended and the pair is filled, or it was withdrawn.
    gone = GONE, "/problems/gone", "The pair is no longer open";
    /// The server cannot do it now.
    unavailable = SERVICE_UNAVAILABLE, "/problems/unavailable", "Not now";
    /// A defect.
    internal = INTERNAL_SERVER_ERROR, "/problems/internal", "The server failed";
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let (retry_after, problem) = (self.retry_after, self.clone());
        let mut response = (status, Json(self)).into_response();
        // For `as_page`, which says it in words where a person reads it.
        response.extensions_mut().insert(problem);
        if let Some(seconds) = retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(JSON));
        response
    }
}

/// What becomes of a problem on the way to a page: a page that says so, in the reader's language. Programs, which ask for
/// no page, get it as it is.
pub(crate) async fn as_page(State(app): State<App>, request: Request, next: Next) -> Response {
    let accepted = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok());
    let for_programs = request.uri().path().starts_with("/api/");
    if for_programs || !accepted.is_some_and(|accepted| accepted.contains("text/html")) {
        return next.run(request).await;
    }
    let (mut parts, body) = request.into_parts();
    let Ok(reader) = Reader::from_request_parts(&mut parts, &()).await;
    let headers = parts.headers.clone();
    let mut response = next.run(Request::from_parts(parts, body)).await;
    let Some(problem) = response.extensions_mut().remove::<Problem>() else { return response };
    // Some pages say a problem in words of their own.
    let is_plain = response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind == JSON);
    if !is_plain {
        return response;
    }
    let t = reader.t;
    let link = match problem.status {
        401 => ["/enter", t.say("sign_in")],
        _ => ["/", t.say("all_sprints")],
    };
    let because = problem.because();
    // Details are for programs, in their language.
    let detail = if t.is_english() { problem.detail.as_str() } else { "" };
    let advice = match (problem.status, problem.retry_after) {
        (500.., _) => t.say("not_your_fault").to_owned(),
        (429, Some(seconds)) => t.count("wait_seconds", i64::try_from(seconds).unwrap_or(i64::MAX)),
        _ => String::new(),
    };
    let text = [detail, &advice].join(" ");
    // Where the server has too much to do, or cannot, it is asked for nothing more.
    let client = response.extensions().get::<Client>().copied();
    let client = client.filter(|_| problem.status < 500 && problem.status != 429);
    let person = signed_in_on(&app, &headers, client).await;
    match message(&app, person.as_ref(), &reader, [t.say(&because), text.trim()], link).await {
        Ok(page) => {
            let mut page = (response.status(), page).into_response();
            // As when to come back.
            let kept = response.headers().iter().filter(|(name, _)| *name != header::CONTENT_TYPE);
            for (name, value) in kept.filter(|(name, _)| *name != header::CONTENT_LENGTH) {
                page.headers_mut().append(name, value.clone());
            }
            page
        }
        Err(_) => response,
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        tracing::error!(error = chain(&error), "a request failed at the store");
        match error {
            StoreError::Full => Self::unavailable(
                "The server's disk is full. Nothing was changed; tell the organizer and try again.",
            ),
            StoreError::ReadOnly => Self::unavailable(
                "The server's database cannot be written. Nothing was changed; tell the organizer and try again.",
            ),
            StoreError::Stopped => Self::unavailable("The server is stopping. Try again in a moment."),
            StoreError::Blob { .. } | StoreError::BlobStore { .. } => Self::unavailable(
                "The server's images cannot be read or written. Tell the organizer and try again.",
            ),
            _ => Self::unavailable("The server's database does not answer. Nothing was changed; try again."),
        }
    }
}

impl From<StageError> for Problem {
    fn from(error: StageError) -> Self {
        match error {
            StageError::Store(error) => error.into(),
            StageError::Refused(why) => Self::bad_request(why),
            StageError::Nothing(why) => Self::not_found(why),
            StageError::SettingsChanged => Self::unavailable(
                "A threshold was changed elsewhere at this moment, and sprint.toml here does not say so yet. Nothing \
                 was changed: try again.",
            ),
            other => {
                tracing::error!(error = %other, "a request failed");
                Self::internal("The server could not do this. Nothing was changed.")
            }
        }
    }
}

/// Does several steps to their end, also where the browser that asked for them goes away meanwhile.
///
/// # Errors
/// As the work does, or where it panics.
pub(crate) async fn to_the_end<T: Send + 'static>(
    work: impl Future<Output = Result<T, Problem>> + Send + 'static,
) -> Result<T, Problem> {
    let broken = |error| {
        tracing::error!(%error, "what several steps do broke off");
        Problem::internal("The server could not do this. Tell the organizer.")
    };
    tokio::spawn(work.in_current_span()).await.map_err(broken)?
}

/// A handler that panicked is a defect; the connection gets an answer all the same.
pub(crate) fn of_panic(_: Box<dyn std::any::Any + Send>) -> Response {
    Problem::internal("The server could not do this. Tell the organizer.").into_response()
}
