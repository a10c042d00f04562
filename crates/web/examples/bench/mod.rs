//! What the benchmarks of the server share: a sprint of many pairs, people who are signed in, and how to call.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use diptych_core::config::{Overrides, ServerConfig, SprintConfig, template};
use diptych_core::{Evolution, ImageHash, Name, PairId, PersonId, PromptIndex, Split, UnitKey};
use diptych_stages::Ctx;
use diptych_stages::ctx::{Silent, now};
use diptych_stages::terms::Terms;
use diptych_store::pairs::{Logs, NewPair, PairSide};
use diptych_store::people::PersonKind;
use diptych_store::{Blobs, EVERY_PROMPT, Store};
use diptych_web::{App, HostedSprint};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// How many people answer each pair.
pub const OVERLAP: u32 = 3;
/// Words that the page's answers are made of; skips would not count.
pub const ANSWERS: [&str; 4] = ["left", "right", "both_good", "both_bad"];

/// Somebody who is signed in, and the secret of their session.
pub struct Visitor {
    pub id: PersonId,
    pub session: String,
}

/// The sprint of this slug, with checks on.
pub async fn sprint(url: &str, folder: &Path, slug: &str) -> Result<Ctx, Failure> {
    let store = Store::open(url, folder).await?;
    let toml = template::sprint_toml(slug, "Votes", &["prompts.txt".to_owned()])
        .replace("repeats = 0.0 ", "repeats = 0.05 ")
        .replace("gold = 0.0 ", "gold = 0.05 ");
    let none = Overrides::from_variables(std::iter::empty::<(String, String)>());
    Ok(Ctx {
        sprint: store.sprint(slug, now()).await?,
        store,
        blobs: Blobs::open("file:blobs", folder)?,
        config: Arc::new(SprintConfig::parse("sprint.toml", &toml, &none)?),
        folder: folder.to_owned(),
        queue: "sqlite:queue.db".to_owned(),
        stop: CancellationToken::new(),
        progress: Arc::new(Silent),
        retry_failed: false,
        first: None,
        settings: 0,
    })
}

/// So many images, kept.
pub async fn images(ctx: &Ctx, count: u32) -> Result<Vec<ImageHash>, Failure> {
    let mut images = Vec::new();
    for number in 0..count {
        images.push(ctx.blobs.put_image(Bytes::from(picture(number)?)).await?);
    }
    Ok(images)
}

/// A picture that is not like the others, of 1024 pixels a side.
fn picture(number: u32) -> Result<Vec<u8>, Failure> {
    // Waves and noise: as much work for an encoder as a photograph.
    let mut noise = u64::from(number) + 1;
    let picture = image::RgbImage::from_fn(1024, 1024, |x, y| {
        noise ^= noise << 13;
        noise ^= noise >> 7;
        noise ^= noise << 17;
        let wave = |by: u32| ((f64::from(x * (by + number % 5) + y * 3) / 90.0).sin() * 100.0 + 120.0) as u8;
        image::Rgb([1, 2, 4].map(|by| wave(by).wrapping_add((noise >> by) as u8 & 7)))
    });
    let mut bytes = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut bytes, image::ImageFormat::Png)?;
    Ok(bytes.into_inner())
}

/// Makes pairs of these images, in turn, and people who have agreed to the terms.
pub async fn fill(
    ctx: &Ctx,
    pairs: usize,
    images: &[ImageHash],
    people: usize,
) -> Result<Vec<Visitor>, Failure> {
    let rows = (0..pairs).map(|number| pair(number, images)).collect::<Result<Vec<_>, Failure>>()?;
    ctx.store.set_pairs(&ctx.sprint, EVERY_PROMPT, rows, OVERLAP, Logs::default(), now()).await?;
    ctx.store.order_line(&ctx.sprint).await?;
    let terms = Terms::of(&ctx.config);
    let slug = &ctx.config.sprint.slug;
    let visitor = async |number: usize| {
        let name = Name::parse(&format!("{slug} {number}"))?;
        let id = ctx.store.person(&name, PersonKind::Simulated, now()).await?.id;
        let session = diptych_web::new_secret();
        ctx.store.add_session(&id, &session, now() + 24 * 3600 * 1000).await?;
        ctx.store.agree(&ctx.sprint, &id, &terms.version, &terms.text(), now()).await?;
        Ok::<_, Failure>(Visitor { id, session })
    };
    // Many at once, since each waits for the disk.
    use futures::{StreamExt as _, TryStreamExt as _};
    futures::stream::iter(0..people).map(visitor).buffered(64).try_collect().await
}

fn pair(number: usize, images: &[ImageHash]) -> Result<NewPair, Failure> {
    let side = |place: usize, model: &str| PairSide {
        model: model.to_owned(),
        image_key: UnitKey::of(&["image", model, &number.to_string()]),
        image: images[(2 * number + place) % images.len()].clone(),
        picture: PairId::new().as_str().to_owned(),
    };
    let key = i64::try_from(number)?;
    Ok(NewPair {
        key: UnitKey::of(&["pair", &number.to_string()]),
        row_id: format!("{number}-simplified-dev-sd"),
        prompt_index: PromptIndex(key),
        evolution: Evolution::Simplified,
        category: ["Animals", "Food", "Anime"][number % 3].to_owned(),
        sub_category: "Birds".to_owned(),
        variant: UnitKey::of(&["variant", &number.to_string()]),
        prompt: format!("a heron, number {number}"),
        split: Split::Train,
        first: side(0, "dev"),
        second: side(1, "sd"),
        canvas: (1024, 1024),
        // Spread as a seed would.
        draw: key.wrapping_mul(0x5851_F42D_4C95_7F2D) & i64::MAX,
    })
}

/// A server of the sprint. All clients come from one address, so that one's share is that of all.
pub fn server(ctx: &Ctx) -> Result<App, Failure> {
    let mut config = ServerConfig::default();
    config.limits.per_address = 1_000_000;
    let hosted = [HostedSprint::new(ctx.clone(), Overrides::none())];
    Ok(App::new(ctx.store.clone(), ctx.blobs.clone(), hosted, &config, None, |_| None)?)
}

/// The times at which half, 99 % and all are done, in milliseconds.
pub fn percentiles(mut times: Vec<f64>) -> Value {
    times.sort_by(f64::total_cmp);
    let at = |share: f64| times.get(((times.len().max(1) - 1) as f64 * share) as usize).copied();
    json!({"p50": at(0.5), "p99": at(0.99), "most": at(1.0), "calls": times.len()})
}

/// The head of a request by somebody who is signed in, as the page sends it.
pub fn request(method: &str, path: &str, session: &str, body: &str) -> String {
    format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\ncookie: diptych_session={session}\r\n\
         sec-fetch-site: same-origin\r\naccept: image/webp,*/*\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// What the head of a response says, line by line.
#[derive(Default)]
pub struct Head {
    pub status: u16,
    /// Of the body, in bytes.
    pub length: usize,
}

impl Head {
    /// Reads one line of it; false where it ends.
    pub fn read(&mut self, line: &str) -> Result<bool, Failure> {
        if line.is_empty() {
            return Err("the server closed the connection".into());
        }
        let text = line.trim_end();
        if let Some(rest) = text.strip_prefix("HTTP/1.1 ") {
            self.status = rest.get(..3).unwrap_or_default().parse()?;
        } else if let Some(value) = text.strip_prefix("content-length: ") {
            self.length = value.parse()?;
        }
        Ok(!text.is_empty())
    }
}
