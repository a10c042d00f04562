//! The web server: pages, API, sign-in, pictures. Handlers translate; rules live in the stages.

mod annotate;
mod api;
mod duties;
mod enter;
mod frame;
mod gates;
mod hosted;
mod kept;
mod limits;
mod look;
mod me;
mod meet;
mod openapi;
mod openid;
mod organize;
mod pages;
mod people;
mod pictures;
mod problem;
mod propose;
mod pulse;
mod results;
mod review;
mod session;
mod state;
mod terms;
mod texts;

use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderName, HeaderValue, Method, Uri, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum_server::tls_rustls::RustlsConfig;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::set_header::SetResponseHeaderLayer;
use tower_http::timeout::RequestBodyTimeoutLayer;

use crate::problem::Problem;
use crate::propose::LARGEST_PROPOSAL;
use crate::session::Visitor;
use crate::texts::Reader;

pub use hosted::HostedSprint;
pub use openapi::document as openapi_document;
pub use results::results_page;
pub use session::new_secret;
pub use state::{App, SetUpError};

/// The largest request body, in bytes: an answer with its comment is far below.
const LARGEST_BODY: usize = 64 << 10;
const TOO_LARGE: &str = "A request may have 64 kB at the most.";

/// All routes, and what stands around them.
pub fn router(app: App) -> Router {
    around(routes(), app)
}

fn routes() -> Router<App> {
    // With a file of prompts, which is larger than anything else that is sent.
    let propose = get(propose::show).post(propose::propose).layer(DefaultBodyLimit::max(LARGEST_PROPOSAL));
    Router::new()
        .route("/", get(pages::home))
        .route("/enter", get(enter::show).post(enter::enter))
        .route("/enter/with/{provider}", get(enter::away))
        .route("/enter/with/{provider}/back", get(enter::come_back))
        .route("/invite/{secret}", get(enter::invitation).post(enter::accept))
        .route("/leave", post(session::leave))
        .route("/language", get(texts::choose))
        .route("/s/{slug}", get(annotate::show))
        .route("/s/{slug}/plain", get(annotate::plain).post(annotate::answer_plainly))
        .route("/privacy", get(me::privacy))
        .route("/me", get(me::show))
        .route("/me/name", post(me::name))
        .route("/me/ways", post(me::ways))
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
        .route("/proposals/{id}/prompts", get(propose::prompts))
        .route("/s/{slug}/look.css", get(look::stylesheet))
        .route("/s/{slug}/cover", get(look::cover))
        .route("/s/{slug}/agree", post(terms::agree))
        .route("/s/{slug}/results", get(results::results))
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
}

/// What every request goes through, whatever it asks for.
fn around(routes: Router<App>, app: App) -> Router {
    let header = |name: HeaderName, value: &'static str| {
        SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value))
    };
    let policy =
        HeaderValue::from_str(&app.policy()).unwrap_or(HeaderValue::from_static("default-src 'none'"));
    routes
        .fallback(nothing_here)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .layer(middleware::from_fn(refuse_large))
        .layer(RequestBodyTimeoutLayer::new(PATIENCE))
        .layer(middleware::from_fn_with_state(LONGEST_REQUEST, within_time))
        // Inside of what follows, so that this answer, too, is counted, and has an id and every header.
        .layer(CatchPanicLayer::custom(problem::of_panic))
        .layer(middleware::from_fn_with_state(app.clone(), meet::meet))
        .layer(middleware::from_fn_with_state(app.clone(), problem::as_page))
        .layer(SetResponseHeaderLayer::if_not_present(header::CONTENT_SECURITY_POLICY, policy))
        .layer(header(header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .layer(header(header::REFERRER_POLICY, "same-origin"))
        .layer(header(header::CACHE_CONTROL, "no-store"))
        .layer(CompressionLayer::new())
        .layer(CatchPanicLayer::custom(problem::of_panic))
        .with_state(app)
}

/// A page for people, a problem for programs.
async fn nothing_here(
    State(app): State<App>,
    visitor: Result<Visitor, Problem>,
    reader: Reader,
    uri: Uri,
) -> Response {
    if uri.path().starts_with("/api/") {
        return Problem::not_found(format!("There is no call at {}.", uri.path())).into_response();
    }
    // Who asks with a token that is not known is told that there is nothing all the same.
    let person = visitor.ok().and_then(|Visitor(person)| person);
    pages::not_found(&app, person.as_ref(), &reader).await
}

async fn wrong_method(method: Method, uri: Uri) -> Problem {
    Problem::wrong_method(format!("{} does not take {method}; see /api/openapi.json.", uri.path()))
}

/// Refuses a body that says that it is too large before any of it is read; the limit above stops the rest.
async fn refuse_large(request: Request, next: Next) -> Response {
    let length = request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    // Who proposes a sprint gets a page that says so.
    if request.uri().path() == "/propose" {
        return next.run(request).await;
    }
    match length.and_then(|length| length.parse::<u64>().ok()) {
        Some(length) if length > LARGEST_BODY as u64 => Problem::too_large(TOO_LARGE).into_response(),
        _ => next.run(request).await,
    }
}

/// Ends a request whose body comes drop by drop. What only asks brings none, and a large table takes the time it takes.
async fn within_time(State(longest): State<Duration>, request: Request, next: Next) -> Response {
    if request.method().is_safe() {
        return next.run(request).await;
    }
    let too_long = "The request took longer than two minutes: look whether it was done, and try again.";
    let answered = tokio::time::timeout(longest, next.run(request)).await;
    answered.unwrap_or_else(|_| Problem::unavailable(too_long).into_response())
}

/// The files of a certificate, both in PEM.
#[derive(Debug, Clone)]
pub struct Certificate {
    /// The chain, the server's own first.
    pub chain: PathBuf,
    /// The key of that one.
    pub key: PathBuf,
}

/// How often the files of the certificate are looked at: whoever renews it starts nothing anew.
const RENEWED: Duration = Duration::from_secs(60);

/// How long a request may let one wait for the rest of it: who says nothing more holds no place.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long a request may take in all till its answer begins, that of a file of prompts on a slow line among them.
const LONGEST_REQUEST: Duration = Duration::from_secs(120);

/// How long a connection may wait for its next request: longer than proxies keep one, which else may just be sending.
const IDLE: Duration = Duration::from_secs(150);

/// How long answers that are under way may take when the server is to end.
const GRACE: Duration = Duration::from_secs(30);

/// Serves until `shutdown` is done; answers that are under way are finished first. With a certificate over HTTPS;
/// HTTP/2 where the client asks for it.
///
/// # Errors
/// Where the listener fails, or the certificate cannot be used.
pub async fn serve(
    listener: std::net::TcpListener,
    app: App,
    certificate: Option<Certificate>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    // Before the first request: a sprint that is closed asks nobody.
    if let Err(problem) = app.read_running().await {
        return Err(std::io::Error::other(problem.detail));
    }
    let (stopping, handle) = (app.stopping().clone(), axum_server::Handle::new());
    let ends = handle.clone();
    let mut duties = vec![
        tokio::spawn(app.clone().watch()),
        tokio::spawn(app.clone().forget()),
        tokio::spawn(app.clone().look_out()),
        tokio::spawn(app.clone().make_pictures_ahead()),
        tokio::spawn(async move {
            shutdown.await;
            stopping.cancel();
            ends.graceful_shutdown(Some(GRACE));
        }),
    ];
    let service = router(app).into_make_service_with_connect_info::<SocketAddr>();
    let served = match certificate {
        None => {
            let mut server = axum_server::from_tcp(listener)?.handle(handle).first_request_timeout(PATIENCE);
            server.http_builder().http1().header_read_timeout(IDLE);
            server.serve(service).await
        }
        Some(files) => {
            let config = RustlsConfig::from_pem_file(&files.chain, &files.key).await?;
            duties.push(tokio::spawn(renew(config.clone(), files)));
            let server = axum_server::from_tcp_rustls(listener, config)?.handle(handle);
            let mut server = server.first_request_timeout(PATIENCE);
            server.http_builder().http1().header_read_timeout(IDLE);
            server.serve(service).await
        }
    };
    duties.iter().for_each(tokio::task::JoinHandle::abort);
    served
}

/// Takes up the certificate's files when they have changed. Never ends.
async fn renew(config: RustlsConfig, files: Certificate) {
    let changed = async || {
        let of = async |file: &PathBuf| tokio::fs::metadata(file).await.and_then(|file| file.modified()).ok();
        (of(&files.chain).await, of(&files.key).await)
    };
    let mut seen = changed().await;
    loop {
        tokio::time::sleep(RENEWED).await;
        let now = changed().await;
        if now == seen {
            continue;
        }
        match config.reload_from_pem_file(&files.chain, &files.key).await {
            Ok(()) => seen = now,
            // The two may be half-written; the old one serves until they fit.
            Err(error) => tracing::warn!(%error, "the new certificate cannot be used; the old one stays"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use axum::body::{Body, to_bytes};
    use axum::extract::ConnectInfo;
    use axum::http::{HeaderMap, StatusCode};
    use diptych_core::config::ServerConfig;
    use diptych_store::{Blobs, Store};
    use tower::ServiceExt as _;

    use super::*;

    async fn app(folder: &Path) -> App {
        let store = Store::open("sqlite:test.db", folder).await.unwrap();
        let blobs = Blobs::open("file:blobs", folder).unwrap();
        App::new(store, blobs, Vec::new(), &ServerConfig::default(), None, |_| None).unwrap()
    }

    async fn asked(router: Router, accept: &str) -> (StatusCode, HeaderMap, String) {
        let peer = ConnectInfo(SocketAddr::from(([127, 0, 0, 1], 5)));
        let request = Request::builder().uri("/defect").header(header::ACCEPT, accept).extension(peer);
        let response = router.oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, 1 << 20).await.unwrap();
        (parts.status, parts.headers, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn a_defect_is_an_answer_with_an_id_and_counts_as_an_error() {
        async fn defect() -> &'static str {
            panic!("a secret")
        }
        let folder = tempfile::tempdir().unwrap();
        let app = app(folder.path()).await;
        let router = around(routes().route("/defect", get(defect)), app.clone());
        let (status, headers, body) = asked(router.clone(), "application/json").await;
        assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(headers[header::CONTENT_TYPE], "application/problem+json");
        assert!(body.contains("/problems/internal") && !body.contains("secret"), "{body}");
        for name in ["x-request-id", "content-security-policy", "x-content-type-options"] {
            assert!(headers.contains_key(name), "{name}: {headers:?}");
        }
        let (status, headers, body) = asked(router, "text/html").await;
        assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
        assert!(headers[header::CONTENT_TYPE].to_str().unwrap().starts_with("text/html"), "{headers:?}");
        assert!(body.contains("<h1") && !body.contains("secret"), "{body}");
        assert_eq!(app.pulse().errors(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn what_changes_something_has_its_time_and_what_only_asks_has_none() {
        async fn slow() -> &'static str {
            tokio::time::sleep(LONGEST_REQUEST).await;
            "done"
        }
        let asked = async |method: Method, longest: Duration| {
            let router =
                Router::new().fallback(slow).layer(middleware::from_fn_with_state(longest, within_time));
            let request = Request::builder().method(method).uri("/").body(Body::empty()).unwrap();
            let response = router.oneshot(request).await.unwrap();
            (response.status(), to_bytes(response.into_body(), 1 << 20).await.unwrap())
        };
        let (less, more) = (LONGEST_REQUEST / 2, LONGEST_REQUEST * 2);
        assert_eq!(asked(Method::GET, less).await, (StatusCode::OK, "done".into()));
        assert_eq!(asked(Method::PUT, more).await, (StatusCode::OK, "done".into()));
        let (status, body) = asked(Method::PUT, less).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(String::from_utf8_lossy(&body).contains("try again"), "{body:?}");
    }

    /// What `rcgen` and the like make; of the black-box tests.
    fn put_certificate(folder: &Path) -> Certificate {
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../diptych/tests/it/data/tls");
        let [chain, key] =
            [("server.pem", "chain.pem"), ("server-key.pem", "key.pem")].map(|(from_name, name)| {
                std::fs::write(folder.join(name), std::fs::read(from.join(from_name)).unwrap()).unwrap();
                folder.join(name)
            });
        Certificate { chain, key }
    }

    #[tokio::test(start_paused = true)]
    async fn a_renewed_certificate_is_taken_up_within_a_minute_once_its_files_fit() {
        diptych_engine::tls::init();
        let folder = tempfile::tempdir().unwrap();
        let files = put_certificate(folder.path());
        let config = RustlsConfig::from_pem_file(&files.chain, &files.key).await.unwrap();
        let first = config.get_inner();
        let is_first = || std::sync::Arc::ptr_eq(&first, &config.get_inner());
        let renewing = tokio::spawn(renew(config.clone(), files.clone()));
        let a_minute = || tokio::time::sleep(RENEWED + Duration::from_secs(1));
        a_minute().await;
        assert!(is_first(), "nothing has changed");
        std::fs::write(&files.key, "half of a").unwrap();
        a_minute().await;
        assert!(is_first(), "half a key is none");
        put_certificate(folder.path());
        a_minute().await;
        assert!(!is_first(), "the new one is taken up");
        renewing.abort();
    }
}
