//! The description of the API, at `/api/openapi.json`.

use axum::Json;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{Content, OpenApi, Ref, RefOr, ResponseBuilder};
use utoipa::{Modify, OpenApi as _};

use crate::problem::Problem;
use crate::{api, me, review};

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Diptych",
        description = "Collects preferences between two images.",
        license(name = "Apache-2.0")
    ),
    paths(
        api::sprints,
        api::take,
        api::respond,
        api::take_back,
        api::leaderboard,
        api::progress,
        api::results,
        me::download,
        review::items,
        review::decide,
        review::log,
        review::safety,
        review::set_threshold,
        api::alive,
        api::ready,
        api::metrics
    ),
    components(schemas(Problem)),
    modifiers(&Proofs, &Problems)
)]
struct Document;

/// How a program and a browser prove who asks.
struct Proofs;

impl Modify for Proofs {
    fn modify(&self, document: &mut OpenApi) {
        let components = document.components.get_or_insert_default();
        let token = Http::builder().scheme(HttpAuthScheme::Bearer).build();
        components.add_security_scheme("token", SecurityScheme::Http(token));
        let cookie = ApiKey::Cookie(ApiKeyValue::new(crate::session::COOKIE));
        components.add_security_scheme("session", SecurityScheme::ApiKey(cookie));
    }
}

/// Problems have a media type of their own (RFC 9457); whatever is asked may be asked too often, and a call of the API when
/// its database is away.
struct Problems;

impl Modify for Problems {
    fn modify(&self, document: &mut OpenApi) {
        for (path, item) in &mut document.paths.paths {
            let mut calls = [&mut item.get, &mut item.put, &mut item.post, &mut item.delete];
            for call in calls.iter_mut().filter_map(|call| call.as_mut()) {
                let statuses: &[&str] = if path.starts_with("/api/") { &["429", "503"] } else { &["429"] };
                for status in statuses {
                    let problem = Ref::from_schema_name("Problem");
                    let content = Content::new(Some(RefOr::Ref(problem)));
                    let response = ResponseBuilder::new().content("application/json", content).build();
                    call.responses.responses.entry((*status).to_owned()).or_insert(RefOr::T(response));
                }
            }
            for response in calls.into_iter().flatten().flat_map(|call| call.responses.responses.iter_mut()) {
                if response.0.as_str() < "400" {
                    continue;
                }
                if let RefOr::T(response) = response.1
                    && let Some(content) = response.content.shift_remove("application/json")
                {
                    response.content.insert("application/problem+json".to_owned(), content);
                }
            }
        }
    }
}

/// The document.
pub fn document() -> OpenApi {
    Document::openapi()
}

pub(crate) async fn serve() -> Json<OpenApi> {
    Json(document())
}
