//! Pictures as people see them: opaque names, one format, one canvas a pair, no metadata.

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use diptych_picture::Limits;

use crate::problem::{Path, Problem};
use crate::state::App;

pub(crate) async fn show(
    State(app): State<App>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let picture =
        app.store().picture(&name).await?.ok_or_else(|| Problem::not_found("There is no such picture."))?;
    if !picture.current {
        return Err(Problem::gone("This picture was withdrawn."));
    }
    // What a name shows never changes, so the name is its own validator.
    let tag = format!("\"{name}\"");
    let known = headers.get(header::IF_NONE_MATCH).is_some_and(|value| value.as_bytes() == tag.as_bytes());
    let mut response = if known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let (width, height) = picture.canvas;
        let kept = format!("{}-{width}x{height}.jpg", picture.image);
        let bytes = match app.blobs().derived(&kept).await? {
            Some(bytes) => bytes,
            None => {
                let original = app.blobs().image(&picture.image).await?;
                let bytes = encode(&app, original, picture.canvas).await?;
                app.blobs().put_derived(&kept, bytes.clone()).await?;
                bytes
            }
        };
        ([(header::CONTENT_TYPE, "image/jpeg")], bytes).into_response()
    };
    let fields = response.headers_mut();
    fields.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, max-age=3600"));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        fields.insert(header::ETAG, tag);
    }
    Ok(response)
}

async fn encode(app: &App, original: Bytes, (width, height): (u32, u32)) -> Result<Bytes, Problem> {
    let _permit =
        app.encoders().acquire().await.map_err(|_| Problem::unavailable("The server is stopping."))?;
    let encoded = tokio::task::spawn_blocking(move || {
        diptych_picture::for_display(&original, width, height, &Limits::default())
    })
    .await
    .map_err(|_| Problem::internal("The picture cannot be shown."))?;
    encoded.map(Bytes::from).map_err(|error| {
        tracing::error!(%error, "a kept picture cannot be decoded");
        Problem::internal("The picture cannot be shown.")
    })
}
