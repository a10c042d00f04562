//! The description of the API, at `/api/openapi.json`.

use axum::Json;
use utoipa::OpenApi;

use crate::api;
use crate::problem::Problem;

#[derive(OpenApi)]
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
        api::alive,
        api::ready,
        api::metrics
    ),
    components(schemas(Problem))
)]
struct Document;

/// The document.
pub fn document() -> utoipa::openapi::OpenApi {
    Document::openapi()
}

pub(crate) async fn serve() -> Json<utoipa::openapi::OpenApi> {
    Json(document())
}
