//! Pictures as people see them: opaque names, one canvas a pair, no metadata; in the format that the browser takes
//! and the size that it asks for. Each is made once: ahead, for the pairs that are next in line, or when it is
//! asked for.

use std::collections::HashSet;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use diptych_core::ImageHash;
use diptych_headers::{has, takes};
use diptych_picture::{Encoding, Limits};
use diptych_store::pairs::Shown;
use serde::Deserialize;

use crate::problem::{Path, Problem, Query};
use crate::state::App;

/// The widths in which a picture may be asked for besides its canvas's own, in pixels.
const WIDTHS: [u32; 2] = [480, 768];

/// How many pairs, from the head of the line on, are looked at for pictures to make ahead.
const AHEAD: i64 = 500;

/// The most pictures that are known to be made.
const MOST_KNOWN: usize = 100_000;

/// How long to wait before the line is looked at again.
const LOOK: Duration = Duration::from_secs(5);

/// After so many looks what could not be made is tried again.
const TRIED_AGAIN: u64 = 12;

/// Which size is asked for.
#[derive(Debug, Deserialize)]
pub(crate) struct Size {
    /// In pixels; the next larger one that there is.
    #[serde(default)]
    w: Option<u32>,
}

/// The canvas of this size: no larger than the pair's, and of its shape.
fn canvas(of_pair: (u32, u32), wanted: Option<u32>) -> (u32, u32) {
    let (width, height) = of_pair;
    let fits = |offered: &u32| wanted.is_some_and(|wanted| *offered >= wanted) && *offered < width;
    match WIDTHS.into_iter().find(fits) {
        Some(offered) => (offered, (u64::from(offered) * u64::from(height) / u64::from(width)).max(1) as u32),
        None => of_pair,
    }
}

/// All sizes in which a pair's pictures are shown.
fn canvases(of_pair: (u32, u32)) -> Vec<(u32, u32)> {
    let smaller =
        WIDTHS.into_iter().filter(|width| *width < of_pair.0).map(|width| canvas(of_pair, Some(width)));
    std::iter::once(of_pair).chain(smaller).collect()
}

fn file((width, height): (u32, u32), image: &ImageHash, encoding: Encoding) -> String {
    format!("{image}-{width}x{height}.{}", encoding.ending())
}

/// The best of what the browser takes.
fn encoding(headers: &HeaderMap) -> Encoding {
    if takes(headers, Encoding::WebP.media_type()) { Encoding::WebP } else { Encoding::Jpeg }
}

pub(crate) async fn show(
    State(app): State<App>,
    Path(name): Path<String>,
    Query(size): Query<Size>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let picture =
        app.store().picture(&name).await?.ok_or_else(|| Problem::not_found("There is no such picture."))?;
    if !picture.current {
        return Err(Problem::gone("This picture was withdrawn."));
    }
    let (encoding, canvas) = (encoding(&headers), canvas(picture.canvas, size.w));
    // What a name shows in a size and a format never changes, so these are its validator.
    let tag = format!("\"{name}-{}-{}\"", canvas.0, encoding.ending());
    let mut response = if has(&headers, &tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let file = file(canvas, &picture.image, encoding);
        let bytes = match app.blobs().derived(&file).await? {
            Some(bytes) => bytes,
            None => make(&app, &picture.image, &[canvas], encoding).await?,
        };
        ([(header::CONTENT_TYPE, encoding.media_type())], bytes).into_response()
    };
    let fields = response.headers_mut();
    fields.insert(header::CACHE_CONTROL, HeaderValue::from_static(app.pictures_cache()));
    fields.insert(header::VARY, HeaderValue::from_static("accept"));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        fields.insert(header::ETAG, tag);
    }
    Ok(response)
}

/// Makes the picture in those of these sizes that are not kept yet, and keeps them; gives the first size.
async fn make(
    app: &App,
    image: &ImageHash,
    canvases: &[(u32, u32)],
    encoding: Encoding,
) -> Result<Bytes, Problem> {
    let nothing = || Problem::internal("The picture cannot be shown.");
    let _permit =
        app.encoders().acquire().await.map_err(|_| Problem::unavailable("The server is stopping."))?;
    // While it waited for its turn somebody else may have made it: many ask for the same one when a sprint opens.
    let (mut first, mut missing) = (None, Vec::new());
    for (place, canvas) in canvases.iter().enumerate() {
        match app.blobs().derived(&file(*canvas, image, encoding)).await? {
            Some(bytes) if place == 0 => first = Some(bytes),
            Some(_) => {}
            None => missing.push(*canvas),
        }
    }
    if missing.is_empty() {
        return first.ok_or_else(nothing);
    }
    let original = app.blobs().image(image).await?;
    let sizes = missing.clone();
    let encoded = tokio::task::spawn_blocking(move || {
        diptych_picture::for_display(&original, &sizes, encoding, &Limits::default())
    });
    let encoded = encoded.await.map_err(|_| nothing())?.map_err(|error| {
        tracing::error!(%error, "a kept picture cannot be decoded");
        nothing()
    })?;
    for (canvas, bytes) in missing.iter().zip(encoded) {
        let bytes = Bytes::from(bytes);
        app.blobs().put_derived(&file(*canvas, image, encoding), bytes.clone()).await?;
        if canvases.first() == Some(canvas) {
            first = Some(bytes);
        }
    }
    first.ok_or_else(nothing)
}

impl App {
    /// Makes the pictures of the pairs that are next in line before anybody asks for them. Never ends.
    pub(crate) async fn make_pictures_ahead(self) {
        let (mut made, mut failed): (HashSet<Shown>, Vec<Shown>) = Default::default();
        for round in 1_u64.. {
            if round.is_multiple_of(TRIED_AGAIN) {
                failed.drain(..).for_each(|shown| _ = made.remove(&shown));
            }
            // More than any line is long: whatever has left it is forgotten with the rest, and looked at again.
            if made.len() > MOST_KNOWN {
                made.clear();
            }
            for (slug, sprint) in self.sprints() {
                if !sprint.state().is_over()
                    && let Err(problem) = self.make_ahead(&sprint.ctx().sprint, &mut made, &mut failed).await
                {
                    tracing::warn!(?problem, slug, "pictures cannot be made ahead");
                }
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn make_ahead(
        &self,
        sprint: &diptych_core::SprintId,
        made: &mut HashSet<Shown>,
        failed: &mut Vec<Shown>,
    ) -> Result<(), Problem> {
        for shown in self.store().next_pictures(sprint, AHEAD).await? {
            if !made.insert(shown.clone()) {
                continue;
            }
            // The others go on.
            if let Err(problem) = self.make_sizes_ahead(&shown).await {
                tracing::warn!(?problem, "a picture cannot be made ahead");
                failed.push(shown);
            }
        }
        Ok(())
    }

    /// One picture in every size, where any is missing.
    async fn make_sizes_ahead(&self, Shown { image, canvas }: &Shown) -> Result<(), Problem> {
        let canvases = canvases(*canvas);
        for canvas in &canvases {
            if !self.blobs().has_derived(&file(*canvas, image, Encoding::WebP)).await? {
                return make(self, image, &canvases, Encoding::WebP).await.map(drop);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_the_next_larger_one_of_the_same_shape() {
        assert_eq!(canvas((1024, 512), None), (1024, 512));
        assert_eq!(canvas((1024, 512), Some(1)), (480, 240));
        assert_eq!(canvas((1024, 512), Some(481)), (768, 384));
        assert_eq!(canvas((1024, 512), Some(769)), (1024, 512));
        assert_eq!(canvas((1024, 512), Some(u32::MAX)), (1024, 512), "never enlarged");
        assert_eq!(canvas((400, 400), Some(100)), (400, 400));
        assert_eq!(canvas((1024, 1), Some(100)), (480, 1));
        assert_eq!(canvases((1024, 1024)), [(1024, 1024), (480, 480), (768, 768)]);
        assert_eq!(canvases((480, 640)), [(480, 640)]);
    }

    #[test]
    fn a_browser_gets_what_it_takes() {
        let takes = |accept: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, accept.parse().unwrap());
            encoding(&headers)
        };
        assert_eq!(takes("image/avif,image/webp,image/apng,*/*;q=0.8"), Encoding::WebP);
        assert_eq!(takes("image/png, image/webp;q=0.5"), Encoding::WebP);
        assert_eq!(takes("*/*"), Encoding::Jpeg);
        assert_eq!(encoding(&HeaderMap::new()), Encoding::Jpeg);
    }
}
