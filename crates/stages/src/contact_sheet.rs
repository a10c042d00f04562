//! The contact sheet: a page and a picture of what was generated, so that one sees before one pays.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use diptych_picture::Limits;
use diptych_store::images::ImageBrief;
use diptych_store::variants::UnitState;

use crate::{Ctx, Flow, Result, StageError};

/// The side of a tile, in pixels.
const TILE: u32 = 320;

/// The most rows of a sheet.
const ROWS: usize = 60;

/// One variant with its images, by model.
struct SheetRow {
    category: String,
    text: String,
    images: BTreeMap<String, Arc<ImageBrief>>,
}

/// Writes `contact-sheet.html` and `contact-sheet.png` into the sprint's folder: a row per variant,
/// a column per model.
///
/// # Errors
/// Where an image cannot be read or a file not be written.
pub async fn write(ctx: &Ctx) -> Result<Vec<PathBuf>> {
    let flow = Flow::load(ctx).await?;
    let mut rows: BTreeMap<(i64, String), SheetRow> = BTreeMap::new();
    for unit in &flow.images {
        let variant = &unit.variant.get().row;
        let Some(row) = unit.row.as_ref().filter(|row| row.state == UnitState::Done) else { continue };
        let key = (variant.prompt.0, variant.evolution.to_string());
        rows.entry(key)
            .or_insert_with(|| SheetRow {
                category: variant.category.clone(),
                text: variant.text.clone(),
                images: BTreeMap::new(),
            })
            .images
            .insert(unit.model.clone(), Arc::clone(row));
    }
    let models: Vec<&str> = ctx.config.models.iter().map(|model| model.key.as_str()).collect();
    let mut html = head(ctx, &models);
    let mut tiles: Vec<Vec<Option<Vec<u8>>>> = Vec::new();
    for ((prompt, evolution), SheetRow { category, text, images }) in rows.iter().take(ROWS) {
        let _ = write!(
            html,
            "<tr><th scope=\"row\"><b>{prompt}-{evolution}</b><br>{}<br><span>{}</span></th>",
            escape(category),
            escape(text)
        );
        let mut row = Vec::new();
        for model in &models {
            let Some(image) = images.get(*model) else {
                html.push_str("<td>none</td>");
                row.push(None);
                continue;
            };
            let bytes = ctx.blobs.image(&image.hash).await?;
            let small = diptych_picture::thumbnail(&bytes, TILE, &Limits::default())
                .map_err(|error| StageError::Dataset(Box::new(error)))?;
            let _ = write!(
                html,
                "<td><img alt=\"\" src=\"data:image/jpeg;base64,{}\"></td>",
                base64::Engine::encode(&base64::engine::general_purpose::STANDARD, &small)
            );
            row.push(Some(small));
        }
        html.push_str("</tr>\n");
        tiles.push(row);
    }
    html.push_str("</table>\n");
    let more = rows.len().saturating_sub(ROWS);
    if more > 0 {
        let _ = writeln!(html, "<p>{more} more variants are made and not shown here.</p>");
        ctx.progress.note(&format!("the contact sheet shows the first {ROWS} variants, and not {more} more"));
    }
    let page = ctx.folder.join("contact-sheet.html");
    save(&page, html.as_bytes())?;
    let mut written = vec![page];
    if !tiles.is_empty() {
        let rows: Vec<Vec<Option<&[u8]>>> =
            tiles.iter().map(|row| row.iter().map(Option::as_deref).collect()).collect();
        let sheet = diptych_picture::contact_sheet(&rows, TILE, &Limits::default())
            .map_err(|error| StageError::Dataset(Box::new(error)))?;
        let picture = ctx.folder.join("contact-sheet.png");
        save(&picture, &sheet)?;
        written.push(picture);
    }
    Ok(written)
}

fn save(path: &std::path::Path, bytes: &[u8]) -> Result<()> {
    std::fs::write(path, bytes)
        .map_err(|source| StageError::File { path: path.display().to_string(), source })
}

fn head(ctx: &Ctx, models: &[&str]) -> String {
    let title = escape(&ctx.config.sprint.title);
    let mut html = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Contact sheet: {title}</title>\n\
         <style>body{{font:15px/1.5 sans-serif;margin:2rem;background:#f3f3f3;color:#1a1a1a}}\
         table{{border-spacing:8px}}th{{text-align:left;font-weight:400;max-width:26rem;vertical-align:top}}\
         span{{color:#585858}}img{{display:block;width:{TILE}px}}</style>\n<h1>{title}</h1>\n"
    );
    for note in crate::results::notes(&ctx.config) {
        let _ = writeln!(html, "<p>{}</p>", escape(&note.to_string()));
    }
    html.push_str("<table><tr><td></td>");
    for model in models {
        let name = ctx.config.model(model).map_or("", |model| model.name.as_str());
        let _ = write!(html, "<th scope=\"col\"><b>{}</b> {}</th>", escape(model), escape(name));
    }
    html.push_str("</tr>\n");
    html
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
