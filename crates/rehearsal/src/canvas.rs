//! The surface that a scene is painted on: opaque pixels, shapes with smooth edges, sprites with shadows.

use resvg::tiny_skia::{
    Color, FillRule, GradientStop, LinearGradient, Paint, Path, PathBuilder, Pixmap, Point, SpreadMode,
    Transform,
};

use crate::{
    drawings::Sprite,
    palette::{Rgb, mix},
};

/// An opaque picture, and which of its pixels belong to the subjects.
pub struct Canvas {
    pub pixmap: Pixmap,
    pub width: usize,
    pub height: usize,
    /// How much of each pixel is covered by a subject, 0 to 255.
    pub mask: Vec<u8>,
    /// Middle and radius of the main subject in pixels, for light and lines that lead to it.
    pub focus: (f32, f32, f32),
    /// Where the light comes from, and the height of the horizon, in pixels.
    pub lamp: (f32, f32),
    pub horizon: f32,
}

/// How a sprite lands on the canvas.
#[derive(Debug, Clone, Copy)]
pub struct Stamp {
    /// The sprite's colours are multiplied by this.
    pub light: Rgb,
    /// The air between: its colour, and how much of it.
    pub haze: (Rgb, f32),
    pub opacity: f32,
    pub flip: bool,
    /// Mark the pixels as the subject's.
    pub subject: bool,
    /// A line round it: colour, and width in pixels.
    pub outline: Option<(Rgb, f32)>,
    /// Light on the edge that faces up and towards this side (-1 left, 1 right), as colour and strength.
    pub rim: Option<(Rgb, f32, f32)>,
}

impl Default for Stamp {
    fn default() -> Self {
        Self {
            light: [1.0; 3],
            haze: ([0.0; 3], 0.0),
            opacity: 1.0,
            flip: false,
            subject: false,
            outline: None,
            rim: None,
        }
    }
}

impl Canvas {
    /// A black canvas; `None` for a size of nothing.
    pub fn new(width: u32, height: u32) -> Option<Self> {
        let pixmap = Pixmap::new(width, height)?;
        let (width, height) = (width as usize, height as usize);
        let focus = (width as f32 / 2.0, height as f32 / 2.0, width.min(height) as f32 / 3.0);
        Some(Self {
            pixmap,
            width,
            height,
            mask: vec![0; width * height],
            focus,
            lamp: (0.0, 0.0),
            horizon: 0.0,
        })
    }

    /// The shorter side: the unit of all sizes in a scene.
    pub fn unit(&self) -> f32 {
        self.width.min(self.height) as f32
    }

    /// Sets every pixel from its place and colour.
    pub fn map(&mut self, mut change: impl FnMut(f32, f32, Rgb) -> Rgb) {
        let width = self.width;
        for (y, row) in self.pixmap.data_mut().chunks_exact_mut(width * 4).enumerate() {
            for (x, pixel) in row.chunks_exact_mut(4).enumerate() {
                let old = [0, 1, 2].map(|i| f32::from(pixel[i]) * (1.0 / 255.0));
                let new = change(x as f32, y as f32, old);
                put(pixel, new);
            }
        }
    }

    /// Like [`Canvas::map`] for the rows from `top` on; `change` is told the subject's share of the pixel too.
    pub fn map_masked(&mut self, mut change: impl FnMut(f32, f32, Rgb, f32) -> Rgb) {
        let width = self.width;
        let rows = self.pixmap.data_mut().chunks_exact_mut(width * 4).zip(self.mask.chunks_exact(width));
        for (y, (row, mask)) in rows.enumerate() {
            for (x, (pixel, covered)) in row.chunks_exact_mut(4).zip(mask).enumerate() {
                let old = [0, 1, 2].map(|i| f32::from(pixel[i]) * (1.0 / 255.0));
                put(pixel, change(x as f32, y as f32, old, f32::from(*covered) * (1.0 / 255.0)));
            }
        }
    }

    /// Changes the pixels within a rectangle, which may reach beyond the canvas.
    pub fn region(
        &mut self,
        left: f32,
        top: f32,
        right: f32,
        bottom: f32,
        mut change: impl FnMut(f32, f32, Rgb) -> Rgb,
    ) {
        let clip = |v: f32, most: usize| (v.max(0.0) as usize).min(most);
        let (x0, x1) = (clip(left, self.width), clip(right.ceil(), self.width));
        let (y0, y1) = (clip(top, self.height), clip(bottom.ceil(), self.height));
        if x0 >= x1 {
            return;
        }
        let width = self.width;
        let data = self.pixmap.data_mut();
        for y in y0..y1 {
            for (x, pixel) in
                (x0..x1).zip(data[(y * width + x0) * 4..(y * width + x1) * 4].chunks_exact_mut(4))
            {
                let old = [0, 1, 2].map(|i| f32::from(pixel[i]) * (1.0 / 255.0));
                put(pixel, change(x as f32, y as f32, old));
            }
        }
    }

    /// The colour at a place, the nearest one when outside.
    pub fn at(&self, x: f32, y: f32) -> Rgb {
        let x = (x.max(0.0) as usize).min(self.width - 1);
        let y = (y.max(0.0) as usize).min(self.height - 1);
        let index = (y * self.width + x) * 4;
        let data = self.pixmap.data();
        [0, 1, 2].map(|i| f32::from(data[index + i]) * (1.0 / 255.0))
    }

    /// Fills a path with one colour.
    pub fn fill(&mut self, path: Option<Path>, colour: Rgb, opacity: f32) {
        self.fill_down(path, [colour, colour], [0.0, 1.0], opacity);
    }

    /// Fills a path with a gradient from the first colour at the first height to the second at the second.
    pub fn fill_down(&mut self, path: Option<Path>, colours: [Rgb; 2], heights: [f32; 2], opacity: f32) {
        let Some(path) = path else { return };
        let mut paint = Paint { anti_alias: true, ..Paint::default() };
        let [first, last] = colours.map(|c| skia(c, opacity));
        let stops = vec![GradientStop::new(0.0, first), GradientStop::new(1.0, last)];
        let [from, to] = heights.map(|y| Point::from_xy(0.0, y));
        match LinearGradient::new(from, to, stops, SpreadMode::Pad, Transform::identity()) {
            Some(shader) if colours[0] != colours[1] => paint.shader = shader,
            _ => paint.set_color(first),
        }
        self.pixmap.fill_path(&path, &paint, FillRule::Winding, Transform::identity(), None);
    }

    /// Fills a circle.
    pub fn disc(&mut self, x: f32, y: f32, radius: f32, colour: Rgb, opacity: f32) {
        self.fill(PathBuilder::from_circle(x, y, radius.max(0.1)), colour, opacity);
    }

    /// Fills a polygon.
    pub fn polygon(&mut self, points: &[(f32, f32)], colour: Rgb, opacity: f32) {
        self.fill(polygon(points), colour, opacity);
    }

    /// Adds a soft light that fades with the distance from its middle.
    pub fn glow(&mut self, x: f32, y: f32, radius: f32, colour: Rgb, strength: f32) {
        self.region(x - radius, y - radius, x + radius, y + radius, |px, py, old| {
            let d = ((px - x).powi(2) + (py - y).powi(2)) / (radius * radius);
            let fade = (1.0 - d).max(0.0);
            screen(old, colour, strength * fade * fade)
        });
    }

    /// Darkens an ellipse softly: the shadow where a thing touches the ground.
    pub fn shade(&mut self, x: f32, y: f32, rx: f32, ry: f32, colour: Rgb, strength: f32) {
        self.region(x - rx, y - ry, x + rx, y + ry, |px, py, old| {
            let d = ((px - x) / rx).powi(2) + ((py - y) / ry).powi(2);
            let fade = (1.0 - d).max(0.0);
            mix(old, colour, strength * fade.sqrt() * fade)
        });
    }

    /// Puts a sprite with its upper left corner at (left, top).
    pub fn stamp(&mut self, sprite: &Sprite, left: f32, top: f32, how: &Stamp) {
        if let Some((colour, width)) = how.outline {
            self.outline(sprite, left, top, how.flip, colour, width);
        }
        let (sw, sh) = (sprite.pixmap.width() as i32, sprite.pixmap.height() as i32);
        let (left, top) = (left.round() as i32, top.round() as i32);
        let source = sprite.pixmap.data();
        let alpha_at = |x: i32, y: i32| {
            if x < 0 || y < 0 || x >= sw || y >= sh {
                0.0
            } else {
                f32::from(source[((y * sw + x) * 4 + 3) as usize]) / 255.0
            }
        };
        let reach = (sh as f32 * 0.014).max(1.0) as i32;
        let width = self.width as i32;
        let target = self.pixmap.data_mut();
        for y in top.max(0)..(top + sh).min(self.height as i32) {
            for x in left.max(0)..(left + sw).min(width) {
                let (column, row) = (if how.flip { sw - 1 - (x - left) } else { x - left }, y - top);
                let from = ((row * sw + column) * 4) as usize;
                let full = source[from + 3];
                if full == 0 {
                    continue;
                }
                let alpha = f32::from(full) * (1.0 / 255.0);
                let scale = if full == 255 { 1.0 / 255.0 } else { 1.0 / f32::from(full) };
                let mut colour = [0, 1, 2].map(|i| f32::from(source[from + i]) * scale * how.light[i]);
                if let Some((light, strength, side)) = how.rim {
                    let dx = if (side > 0.0) == how.flip { -reach } else { reach };
                    let edge = 1.0 - alpha_at(column + dx, row - reach);
                    if edge > 0.0 {
                        colour = mix(colour, light, edge * strength);
                    }
                }
                colour = mix(colour, how.haze.0, how.haze.1);
                let to = (y * width + x) as usize;
                let pixel = &mut target[to * 4..to * 4 + 4];
                let old = [0, 1, 2].map(|i| f32::from(pixel[i]) / 255.0);
                put(pixel, mix(old, colour, alpha * how.opacity));
                if how.subject {
                    self.mask[to] = self.mask[to].max((alpha * 255.0) as u8);
                }
            }
        }
    }

    /// Draws the sprite's silhouette grown by `grow` pixels.
    fn outline(&mut self, sprite: &Sprite, left: f32, top: f32, flip: bool, colour: Rgb, grow: f32) {
        let (sw, sh) = (sprite.pixmap.width() as usize, sprite.pixmap.height() as usize);
        let pad = grow.ceil() as usize + 1;
        let (gw, gh) = (sw + 2 * pad, sh + 2 * pad);
        let alpha = sprite.pixmap.data().chunks_exact(4).map(|pixel| pixel[3]).collect::<Vec<_>>();
        let mut grown = vec![0u8; gw * gh];
        for step in 0..12 {
            let (sin, cos) = (step as f32 / 12.0 * std::f32::consts::TAU).sin_cos();
            let (dx, dy) =
                ((pad as f32 + cos * grow).round() as usize, (pad as f32 + sin * grow).round() as usize);
            for (y, row) in alpha.chunks_exact(sw).enumerate() {
                let start = (y + dy) * gw + dx;
                for (to, from) in grown[start..start + sw].iter_mut().zip(row) {
                    *to = (*to).max(*from);
                }
            }
        }
        let (left, top) = (left.round() - pad as f32, top.round() - pad as f32);
        self.region(left, top, left + gw as f32, top + gh as f32, |x, y, old| {
            let (column, row) = ((x - left) as usize, (y - top) as usize);
            if column >= gw || row >= gh {
                return old;
            }
            let column = if flip { gw - 1 - column } else { column };
            mix(old, colour, f32::from(grown[row * gw + column]) / 255.0)
        });
    }

    /// Throws the sprite's shape on the ground from its foot, leaning by `lean` and `length` times its height.
    pub fn cast(
        &mut self,
        sprite: &Sprite,
        left: f32,
        foot: f32,
        how: (f32, f32, bool),
        colour: Rgb,
        opacity: f32,
    ) {
        let (lean, length, flip) = how;
        let (sw, sh) = (sprite.pixmap.width() as f32, sprite.pixmap.height() as f32);
        let source = sprite.pixmap.data();
        let reach = sh * lean * length;
        let ground = foot - sh * 0.03;
        self.region(
            left + reach.min(0.0),
            ground - sh * length,
            left + sw + reach.max(0.0),
            ground,
            |x, y, old| {
                let up = (ground - y) / length;
                let column = x - left - up * length * lean;
                let (column, row) = (if flip { sw - 1.0 - column } else { column }, sh - 1.0 - up);
                if column < 0.0 || column >= sw || row < 0.0 || row >= sh {
                    return old;
                }
                let alpha = f32::from(source[(row as usize * sw as usize + column as usize) * 4 + 3]) / 255.0;
                mix(old, colour, alpha * opacity * (1.0 - 0.6 * up / sh))
            },
        );
    }

    /// The pixels row by row, three bytes each.
    pub fn to_rgb(&self) -> Vec<u8> {
        let mut rgb = Vec::with_capacity(self.width * self.height * 3);
        for pixel in self.pixmap.data().chunks_exact(4) {
            rgb.extend_from_slice(&pixel[..3]);
        }
        rgb
    }

    /// A blurred copy at a quarter of the size, blurred by about `radius` pixels.
    pub fn soft(&self, radius: f32) -> Soft {
        let (width, height) = (self.width.div_ceil(Soft::STEP), self.height.div_ceil(Soft::STEP));
        let mut data = Vec::with_capacity(width * height);
        let pixels = self.pixmap.data();
        for y in 0..height {
            for x in 0..width {
                let mut sum = [0.0f32; 4];
                let mut count = 0.0f32;
                for v in (y * Soft::STEP..((y + 1) * Soft::STEP).min(self.height)).step_by(2) {
                    for u in (x * Soft::STEP..((x + 1) * Soft::STEP).min(self.width)).step_by(2) {
                        let at = v * self.width + u;
                        (0..3).for_each(|i| sum[i] += f32::from(pixels[at * 4 + i]));
                        sum[3] += f32::from(self.mask[at]);
                        count += 255.0;
                    }
                }
                data.push(sum.map(|v| v / count));
            }
        }
        let mut soft = Soft { data, width, height };
        let reach = ((radius / Soft::STEP as f32) * 0.6).round().max(1.0) as usize;
        for _ in 0..2 {
            soft.data = averaged(&soft.data, width, height, reach);
            soft.data = averaged(&soft.data, height, width, reach);
        }
        soft
    }
}

/// A small blurred copy of a canvas: red, green, blue and the subject's share.
pub struct Soft {
    data: Vec<[f32; 4]>,
    width: usize,
    height: usize,
}

impl Soft {
    const STEP: usize = 4;

    /// The blurred pixel at a place of the full canvas.
    pub fn at(&self, x: f32, y: f32) -> [f32; 4] {
        let (row, down, share) = self.rows_at(y);
        let (i, right, fx) = self.columns_at(x);
        between(between(row[i], row[right], fx), between(down[i], down[right], fx), share)
    }

    /// Reads row by row, which is faster than [`Soft::at`] at places of one height after each other.
    pub fn rows(&self) -> Rows<'_> {
        Rows { soft: self, y: f32::NAN, row: vec![[0.0; 4]; self.width] }
    }

    /// The two rows nearest to a height, and how near it is to the second.
    fn rows_at(&self, y: f32) -> (&[[f32; 4]], &[[f32; 4]], f32) {
        let (j, down, fy) = nearest(y, self.height);
        let row = |j: usize| &self.data[j * self.width..(j + 1) * self.width];
        (row(j), row(down), fy)
    }

    fn columns_at(&self, x: f32) -> (usize, usize, f32) {
        nearest(x, self.width)
    }
}

/// A [`Soft`] that is read row by row.
pub struct Rows<'s> {
    soft: &'s Soft,
    y: f32,
    /// The row at `y`.
    row: Vec<[f32; 4]>,
}

impl Rows<'_> {
    /// The blurred pixel at a place of the full canvas.
    #[inline]
    pub fn at(&mut self, x: f32, y: f32) -> [f32; 4] {
        if self.y != y {
            self.y = y;
            let (row, down, share) = self.soft.rows_at(y);
            for (to, (a, b)) in self.row.iter_mut().zip(row.iter().zip(down)) {
                *to = between(*a, *b, share);
            }
        }
        let (i, right, fx) = self.soft.columns_at(x);
        between(self.row[i], self.row[right], fx)
    }
}

/// The two of `count` samples on either side of a place on the canvas, and how near it is to the second.
#[inline]
fn nearest(place: f32, count: usize) -> (usize, usize, f32) {
    let place = (place * (1.0 / Soft::STEP as f32) - 0.5).max(0.0);
    let first = (place as usize).min(count - 1);
    (first, (first + 1).min(count - 1), (place - first as f32).min(1.0))
}

#[inline]
fn between(a: [f32; 4], b: [f32; 4], share: f32) -> [f32; 4] {
    [0, 1, 2, 3].map(|i| a[i] + (b[i] - a[i]) * share)
}

/// Averages along the rows and returns the result turned on its side, so that a second call does the columns.
fn averaged(data: &[[f32; 4]], width: usize, height: usize, reach: usize) -> Vec<[f32; 4]> {
    let mut turned = vec![[0.0; 4]; data.len()];
    let scale = 1.0 / (2 * reach + 1) as f32;
    for y in 0..height {
        let row = &data[y * width..(y + 1) * width];
        let at = |x: i64| row[x.clamp(0, width as i64 - 1) as usize];
        let mut sum = [0.0; 4];
        for x in -(reach as i64)..=(reach as i64) {
            (0..4).for_each(|i| sum[i] += at(x)[i]);
        }
        for x in 0..width {
            turned[x * height + y] = sum.map(|v| v * scale);
            let (add, gone) = (at((x + reach + 1) as i64), at(x as i64 - reach as i64));
            (0..4).for_each(|i| sum[i] += add[i] - gone[i]);
        }
    }
    turned
}

/// Light added to light: never darker, never over white.
pub fn screen(old: Rgb, light: Rgb, strength: f32) -> Rgb {
    [0, 1, 2].map(|i| 1.0 - (1.0 - old[i]) * (1.0 - light[i] * strength))
}

/// A closed path through the points.
pub fn polygon(points: &[(f32, f32)]) -> Option<Path> {
    let mut path = PathBuilder::new();
    let (first, rest) = points.split_first()?;
    path.move_to(first.0, first.1);
    for (x, y) in rest {
        path.line_to(*x, *y);
    }
    path.close();
    path.finish()
}

/// The colour as the renderer wants it.
pub fn skia(colour: Rgb, opacity: f32) -> Color {
    let [r, g, b] = colour.map(|v| v.clamp(0.0, 1.0));
    Color::from_rgba(r, g, b, opacity.clamp(0.0, 1.0)).unwrap_or(Color::BLACK)
}

#[inline]
fn put(pixel: &mut [u8], colour: Rgb) {
    for i in 0..3 {
        pixel[i] = (colour[i] * 255.0 + 0.5) as u8;
    }
    pixel[3] = 255;
}
