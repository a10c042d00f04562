//! The two sets of emoji drawings, kept in one compressed file and parsed when first wanted.
//!
//! The file, made by `xtask drawings`, is zstd over UTF-8 lines of five tab-separated fields: name, group,
//! keywords (comma-separated), SVG body of the Noto drawing, SVG body of the Fluent drawing. A body is empty
//! where a set lacks the drawing.

use std::sync::OnceLock;

use resvg::{
    tiny_skia::{Pixmap, Rect, Transform},
    usvg,
};

use crate::{Error, Manner};

const PACKED: &[u8] = include_bytes!("../data/drawings.zst");
/// More than the file unpacks to (6.8 MB), so that a damaged file cannot ask for more.
const UNPACKED_LIMIT: usize = 32 << 20;

/// One drawing, in one or both sets.
pub struct Drawing {
    /// Its name in both sets, such as `hot-beverage`.
    pub name: &'static str,
    /// The category of the sets, such as `Food & Drink`.
    pub group: &'static str,
    /// Words that ask for it, comma-separated.
    pub keywords: &'static str,
    bodies: [&'static str; 2],
    trees: [OnceLock<Option<Parsed>>; 2],
}

struct Parsed {
    tree: usvg::Tree,
    bounds: Rect,
}

/// A drawing rendered alone: premultiplied RGBA, cropped to what is drawn.
pub struct Sprite {
    /// Its pixels.
    pub pixmap: Pixmap,
}

/// All drawings, in the order of their names.
///
/// # Errors
/// [`Error::Drawings`] when the embedded file is damaged.
pub fn all() -> Result<&'static [Drawing], Error> {
    static ALL: OnceLock<Option<Vec<Drawing>>> = OnceLock::new();
    ALL.get_or_init(read).as_deref().ok_or(Error::Drawings)
}

fn read() -> Option<Vec<Drawing>> {
    let bytes = zstd::bulk::decompress(PACKED, UNPACKED_LIMIT).ok()?;
    let text: &'static str = String::from_utf8(bytes).ok()?.leak();
    text.lines().map(read_line).collect()
}

fn read_line(line: &'static str) -> Option<Drawing> {
    let mut fields = line.split('\t');
    let mut next = || fields.next();
    let (name, group, keywords) = (next()?, next()?, next()?);
    Some(Drawing { name, group, keywords, bodies: [next()?, next()?], trees: Default::default() })
}

impl Drawing {
    /// Whether the manner's set has this drawing.
    pub fn in_set(&self, manner: Manner) -> bool {
        !self.bodies[manner as usize].is_empty()
    }

    /// Width over height of what is drawn.
    pub fn aspect(&self, manner: Manner) -> Option<f32> {
        self.parsed(manner).map(|parsed| parsed.bounds.width() / parsed.bounds.height())
    }

    /// The drawing at the given height in pixels.
    ///
    /// # Errors
    /// [`Error::Drawing`] when the set lacks it or its SVG cannot be read.
    pub fn render(&self, manner: Manner, height: f32) -> Result<Sprite, Error> {
        let damaged = || Error::Drawing(self.name);
        let parsed = self.parsed(manner).ok_or_else(damaged)?;
        let scale = height / parsed.bounds.height();
        let size = |extent: f32| (extent * scale).ceil().clamp(1.0, 8192.0) as u32;
        let (width, height) = (size(parsed.bounds.width()), size(parsed.bounds.height()));
        let mut pixmap = Pixmap::new(width, height).ok_or_else(damaged)?;
        self.render_into(manner, &mut pixmap, scale, 0.0, 0.0)?;
        Ok(Sprite { pixmap })
    }

    /// Draws onto `pixmap` so that what is drawn has its upper left corner at (x, y).
    pub fn render_into(
        &self,
        manner: Manner,
        pixmap: &mut Pixmap,
        scale: f32,
        x: f32,
        y: f32,
    ) -> Result<(), Error> {
        let parsed = self.parsed(manner).ok_or(Error::Drawing(self.name))?;
        let place = Transform::from_scale(scale, scale)
            .pre_translate(-parsed.bounds.x(), -parsed.bounds.y())
            .post_translate(x, y);
        resvg::render(&parsed.tree, place, &mut pixmap.as_mut());
        Ok(())
    }

    /// Height of what is drawn, in the units of the SVG.
    pub fn units(&self, manner: Manner) -> Option<f32> {
        self.parsed(manner).map(|parsed| parsed.bounds.height())
    }

    fn parsed(&self, manner: Manner) -> Option<&Parsed> {
        let side = if manner == Manner::Noto { 128 } else { 32 };
        let body = self.bodies[manner as usize];
        let parse = || {
            let svg = format!(
                r#"<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 {side} {side}">{body}</svg>"#
            );
            let tree = usvg::Tree::from_str(&svg, &usvg::Options::default()).ok()?;
            let drawn = tree.root().abs_layer_bounding_box().to_rect();
            let bounds = drawn.intersect(&Rect::from_xywh(0.0, 0.0, side as f32, side as f32)?)?;
            Some(Parsed { tree, bounds })
        };
        if body.is_empty() { None } else { self.trees[manner as usize].get_or_init(parse).as_ref() }
    }
}
