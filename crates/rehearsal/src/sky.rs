//! Skies: what lies above the horizon, with its sun or moon, clouds and stars.

use resvg::tiny_skia::PathBuilder;

use crate::{
    Manner,
    canvas::{Canvas, screen},
    palette::{Palette, Rgb, lit, mix, smooth},
    random::{Random, clouds, floor, speck},
    words::Hour,
};

/// Where the light comes from, in pixels.
#[derive(Debug, Clone, Copy)]
pub struct Sun {
    pub x: f32,
    pub y: f32,
    pub radius: f32,
}

/// Paints the whole canvas as sky down to `horizon`.
pub fn paint(
    canvas: &mut Canvas,
    manner: Manner,
    palette: &Palette,
    hour: Hour,
    horizon: f32,
    sun: Sun,
    random: &mut Random,
) {
    match manner {
        Manner::Noto => air(canvas, palette, hour, horizon, sun, random),
        Manner::Fluent => bands(canvas, palette, hour, horizon, sun, random),
    }
}

/// The colour of the clear sky at a height from 0 (top) to 1 (horizon).
pub fn gradient(palette: &Palette, height: f32) -> Rgb {
    if height < 0.55 {
        mix(palette.top, palette.middle, height / 0.55)
    } else {
        mix(palette.middle, palette.low, ((height - 0.55) / 0.45).min(1.0))
    }
}

fn air(canvas: &mut Canvas, palette: &Palette, hour: Hour, horizon: f32, sun: Sun, random: &mut Random) {
    let unit = canvas.unit();
    let (dx, dy) = (random.unit(), random.unit());
    let (cover, soft) = match hour {
        Hour::Storm => (0.36, 0.32),
        Hour::Night => (0.58, 0.4),
        _ => (0.52 + random.between(-0.04, 0.08), 0.3),
    };
    let bright = match hour {
        Hour::Night => mix(palette.middle, palette.low, 0.7),
        Hour::Storm => mix(palette.middle, [0.05, 0.06, 0.08], 0.35),
        Hour::Sunset => mix(palette.low, [1.0, 0.86, 0.78], 0.5),
        _ => [1.0, 0.99, 0.97],
    };
    let dim = mix(palette.middle, palette.top, 0.5);
    let spread = unit * 0.34;
    canvas.region(0.0, 0.0, f32::MAX, horizon + unit * 0.05, |x, y, _| {
        let height = (y / horizon).min(1.0);
        let mut colour = gradient(palette, height);
        // Clouds flatten and crowd towards the horizon.
        let depth = 1.0 / (1.15 - height.min(0.98));
        let u = dx + (x / unit - 0.5) * 0.16 * depth.min(3.0).sqrt();
        let v = dy + depth * 0.085;
        let density = clouds(u, v);
        let cloud = smooth(cover, cover + soft, density) * (1.0 - 0.6 * height * height);
        let lit_side = clouds(u + 0.012, v - 0.012) < density;
        colour = mix(colour, if lit_side { bright } else { mix(bright, dim, 0.35) }, cloud * 0.85);
        let d = ((x - sun.x).powi(2) + (y - sun.y).powi(2)).sqrt();
        let glow = 1.0 / (1.0 + (d / spread).powi(2) * 4.0);
        colour = screen(colour, palette.sun, 0.5 * glow * glow);
        colour.map(|c| c + (speck(x as i32, y as i32, 3) - 0.5) / 160.0)
    });
    if palette.stars {
        stars(canvas, horizon, 150, random);
    }
    if hour != Hour::Storm {
        canvas.glow(sun.x, sun.y, sun.radius * 3.2, palette.sun, 0.55);
        canvas.disc(sun.x, sun.y, sun.radius, palette.sun, 1.0);
        if palette.stars {
            craters(canvas, palette, sun);
        }
    }
}

fn craters(canvas: &mut Canvas, palette: &Palette, sun: Sun) {
    let spots = [(-0.3, -0.2, 0.24), (0.35, 0.1, 0.3), (-0.15, 0.42, 0.18), (0.12, -0.48, 0.14)];
    for (x, y, r) in spots {
        let colour = lit(palette.sun, [0.86, 0.86, 0.9]);
        canvas.disc(sun.x + x * sun.radius, sun.y + y * sun.radius, r * sun.radius, colour, 0.7);
    }
}

fn bands(canvas: &mut Canvas, palette: &Palette, hour: Hour, horizon: f32, sun: Sun, random: &mut Random) {
    let unit = canvas.unit();
    // Steps of one colour each round the sun, as a screen printer would lay them.
    let step = unit * random.between(0.12, 0.16);
    canvas.region(0.0, 0.0, f32::MAX, horizon + unit * 0.05, |x, y, _| {
        let d = ((x - sun.x).powi(2) + (y - sun.y).powi(2)).sqrt();
        let ring = floor(d / step) * step / (unit * 1.15);
        let height = 1.0 - ring.min(1.0);
        let by_height = (y / horizon).min(1.0);
        gradient(palette, height * 0.62 + by_height * 0.36)
    });
    if palette.stars {
        stars(canvas, horizon, 46, random);
    }
    if hour != Hour::Storm {
        canvas.disc(sun.x, sun.y, sun.radius * 1.35, palette.sun, 0.25);
        canvas.disc(sun.x, sun.y, sun.radius, palette.sun, 1.0);
        if palette.stars {
            let (x, y) = (sun.x + sun.radius * 0.42, sun.y - sun.radius * 0.18);
            canvas.disc(x, y, sun.radius * 0.86, gradient(palette, 0.5), 1.0);
        }
    }
    let white = match hour {
        Hour::Day | Hour::Dawn => [1.0, 1.0, 1.0],
        _ => mix(palette.low, palette.middle, 0.35),
    };
    for _ in 0..2 + random.below(3) {
        let (x, y) = (random.unit() * canvas.width as f32, horizon * random.between(0.1, 0.62));
        pill_cloud(canvas, x, y, unit * random.between(0.1, 0.2), white, random);
    }
}

/// A cloud of rounded bars.
fn pill_cloud(canvas: &mut Canvas, x: f32, y: f32, size: f32, colour: Rgb, random: &mut Random) {
    let bar = size * 0.3;
    for (row, width) in [(0.0, 1.0), (1.0, 1.5), (2.0, 0.9)] {
        let shift = random.between(-0.3, 0.3) * size;
        let (left, top, right) =
            (x + shift - width * size * 0.6, y + row * bar * 0.96, x + shift + width * size * 0.6);
        let mut path = PathBuilder::new();
        path.move_to(left, top);
        path.line_to(right, top);
        path.quad_to(right + bar * 0.7, top + bar / 2.0, right, top + bar);
        path.line_to(left, top + bar);
        path.quad_to(left - bar * 0.7, top + bar / 2.0, left, top);
        path.close();
        canvas.fill(path.finish(), colour, 0.82);
    }
}

/// Stars above `horizon`, few of them bright.
pub fn stars(canvas: &mut Canvas, horizon: f32, count: usize, random: &mut Random) {
    let unit = canvas.unit();
    for _ in 0..count {
        let (x, y) = (random.unit() * canvas.width as f32, random.unit() * horizon);
        let bright = random.unit().powi(3);
        let radius = unit * (0.0008 + 0.0022 * bright);
        let colour = mix([0.8, 0.88, 1.0], [1.0, 0.95, 0.85], random.unit());
        canvas.disc(x, y, radius.max(0.5), colour, 0.45 + 0.5 * bright);
        if bright > 0.7 {
            canvas.glow(x, y, radius * 6.0, colour, 0.5);
        }
    }
}
