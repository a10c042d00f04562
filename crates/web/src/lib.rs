//! The web server: pages, API, sign-in, pictures. Handlers translate; rules live in the stages.

mod annotate;
mod api;
mod client;
mod enter;
mod frame;
mod gates;
mod me;
mod openapi;
mod openid;
mod organize;
mod pages;
mod people;
mod pictures;
mod problem;
mod propose;
mod pulse;
mod review;
mod session;
mod state;
mod terms;
mod texts;

use std::future::Future;
use std::net::SocketAddr;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderName, HeaderValue, Method, Uri, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::set_header::SetResponseHeaderLayer;

use crate::problem::Problem;
use crate::propose::LARGEST_PROPOSAL;
use crate::session::Visitor;

pub use openapi::document as openapi_document;
pub use pages::results_page;
pub use session::new_secret;
pub use state::{App, HostedSprint, SetUpError};

/// The largest request body, in bytes: an answer with its comment is far below.
const LARGEST_BODY: usize = 64 << 10;
const TOO_LARGE: &str = "A request may have 64 kB at the most.";

/// Pages may load what this server serves and nothing else; nothing inline.
const POLICY: &str = "default-src 'none'; img-src 'self' data:; style-src 'self'; script-src 'self'; \
    connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// All routes.
pub fn router(app: App) -> Router {
    let header = |name: HeaderName, value: &'static str| {
        SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value))
    };
    // With a file of prompts, which is larger than anything else that is sent.
    let propose = get(propose::show).post(propose::propose).layer(DefaultBodyLimit::max(LARGEST_PROPOSAL));
    Router::new()
        .route("/", get(pages::home))
        .route("/enter", get(enter::show).post(enter::enter))
        .route("/enter/with/{provider}", get(enter::away))
        .route("/enter/with/{provider}/back", get(enter::come_back))
        .route("/invite/{secret}", get(enter::invitation).post(enter::accept))
        .route("/leave", post(session::leave))
        .route("/s/{slug}", get(annotate::show))
        .route("/s/{slug}/plain", get(annotate::plain).post(annotate::answer_plainly))
        .route("/me", get(me::show))
        .route("/me/name", post(me::name))
        .route("/me/leave", post(me::leave))
        .route("/s/{slug}/people", get(people::show))
        .route("/s/{slug}/organize", get(organize::show))
        .route("/s/{slug}/organize/live", get(organize::live))
        .route("/s/{slug}/organize/state", post(organize::set_state))
        .route("/s/{slug}/organize/announce", post(organize::announce))
        .route("/s/{slug}/organize/people", post(organize::set_counts))
        .route("/s/{slug}/export/{file}", get(organize::export))
        .route("/propose", propose)
        .route("/proposals/{id}", post(propose::decide))
        .route("/s/{slug}/agree", post(terms::agree))
        .route("/s/{slug}/results", get(pages::results))
        .route("/s/{slug}/review", get(pages::review))
        .route("/s/{slug}/review/log", get(pages::review_log))
        .route("/s/{slug}/safety", get(pages::safety).post(pages::set_threshold))
        .route("/s/{slug}/review/images/{hash}", get(review::thumbnail))
        .route("/pictures/{name}", get(pictures::show))
        .route("/assets/{version}/{name}", get(pages::asset))
        .route("/favicon.svg", get(pages::favicon))
        .route("/api/openapi.json", get(openapi::serve))
        .route("/api/v1/me", get(me::download))
        .route("/api/v1/sprints", get(api::sprints))
        .route("/api/v1/sprints/{slug}/assignments", post(api::take))
        .route("/api/v1/assignments/{id}/response", put(api::respond).delete(api::take_back))
        .route("/api/v1/sprints/{slug}/leaderboard", get(api::leaderboard))
        .route("/api/v1/sprints/{slug}/progress", get(api::progress))
        .route("/api/v1/sprints/{slug}/results", get(api::results))
        .route("/api/v1/sprints/{slug}/review", get(review::items).post(review::decide))
        .route("/api/v1/sprints/{slug}/review/log", get(review::log))
        .route("/api/v1/sprints/{slug}/safety", get(review::safety).post(review::set_threshold))
        .route("/healthz", get(api::alive))
        .route("/readyz", get(api::ready))
        .route("/metrics", get(api::metrics))
        .fallback(nothing_here)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .layer(middleware::from_fn(refuse_large))
        .layer(middleware::from_fn_with_state(app.clone(), client::meet))
        .layer(header(header::CONTENT_SECURITY_POLICY, POLICY))
        .layer(header(header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .layer(header(header::REFERRER_POLICY, "same-origin"))
        .layer(header(header::CACHE_CONTROL, "no-store"))
        .layer(CompressionLayer::new())
        .layer(CatchPanicLayer::custom(problem::of_panic))
        .with_state(app)
}

/// A page for people, a problem for programs.
async fn nothing_here(State(app): State<App>, visitor: Result<Visitor, Problem>, uri: Uri) -> Response {
    if uri.path().starts_with("/api/") {
        return Problem::not_found(format!("There is no call at {}.", uri.path())).into_response();
    }
    // Who asks with a token that is not known is told that there is nothing all the same.
    let person = visitor.ok().and_then(|Visitor(person)| person);
    pages::not_found(&app, person.as_ref()).await
}

async fn wrong_method(method: Method, uri: Uri) -> Problem {
    Problem::wrong_method(format!("{} does not take {method}; see /api/openapi.json.", uri.path()))
}

/// Refuses a body that says that it is too large before any of it is read; the limit above stops the rest.
async fn refuse_large(request: Request, next: Next) -> Response {
    let length = request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    let most = if request.uri().path() == "/propose" { LARGEST_PROPOSAL } else { LARGEST_BODY };
    match length.and_then(|length| length.parse::<u64>().ok()) {
        Some(length) if length > most as u64 => Problem::too_large(TOO_LARGE).into_response(),
        _ => next.run(request).await,
    }
}

/// Serves until `shutdown` is done; answers that are under way are finished first.
///
/// # Errors
/// Where the listener fails.
pub async fn serve(
    listener: tokio::net::TcpListener,
    app: App,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    // Before the first request: a sprint that is closed asks nobody.
    if let Err(problem) = app.read_running().await {
        return Err(std::io::Error::other(problem.detail));
    }
    let duties = [
        tokio::spawn(app.clone().watch()),
        tokio::spawn(app.clone().forget()),
        tokio::spawn(app.clone().look_out()),
    ];
    let stopping = app.stopping().clone();
    let shutdown = async move {
        shutdown.await;
        stopping.cancel();
    };
    let served = axum::serve(listener, router(app).into_make_service_with_connect_info::<SocketAddr>())
        .with_graceful_shutdown(shutdown)
        .await;
    duties.iter().for_each(tokio::task::JoinHandle::abort);
    served
}
