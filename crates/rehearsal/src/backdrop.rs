//! The places behind the subjects: ground and far layers by place, each in both manners.

use std::f32::consts::TAU;

use resvg::tiny_skia::{Path, PathBuilder, Rect};

use crate::{
    Manner,
    canvas::{Canvas, polygon, screen},
    elsewhere,
    palette::{Palette, Rgb, hex, lit, mix, smooth},
    random::{Random, clouds, speck},
    sky::{self, Sun},
    words::{Hour, Place},
};

/// What the subjects stand on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Footing {
    /// Ground that takes a shadow.
    Land,
    /// Water that mirrors what floats on it.
    Water,
    /// Nothing: they hang in the air, the sea or the void.
    Afloat,
}

/// What the places share.
pub struct Setting {
    pub manner: Manner,
    pub place: Place,
    pub hour: Hour,
    pub palette: Palette,
    pub sun: Sun,
    /// Height of the horizon, or of the edge of the table, in pixels.
    pub horizon: f32,
}

impl Setting {
    /// How subjects stand here.
    pub fn footing(&self) -> Footing {
        match self.place {
            Place::Sea => Footing::Water,
            Place::Underwater | Place::Abstract => Footing::Afloat,
            _ => Footing::Land,
        }
    }

    /// Whether the scene is the painter's.
    pub fn noto(&self) -> bool {
        self.manner == Manner::Noto
    }

    /// The colour of a layer that is this far off, 0 near to 1 at the horizon.
    fn far(&self, colour: Rgb, distance: f32) -> Rgb {
        mix(colour, mix(self.palette.low, self.palette.middle, 0.35), distance)
    }
}

/// Paints the place, behind everything.
pub fn paint(canvas: &mut Canvas, setting: &Setting, random: &mut Random) {
    match setting.place {
        Place::Space => elsewhere::space(canvas, setting, random),
        Place::Underwater => elsewhere::underwater(canvas, setting, random),
        Place::Interior => elsewhere::interior(canvas, setting, random),
        Place::Studio => elsewhere::studio(canvas, setting, random),
        Place::Stage => elsewhere::stage(canvas, setting),
        Place::Abstract => elsewhere::ribbons(canvas, setting, random),
        _ => {
            sky::paint(
                canvas,
                setting.manner,
                &setting.palette,
                setting.hour,
                setting.horizon,
                setting.sun,
                random,
            );
            outdoors(canvas, setting, random);
        }
    }
}

fn outdoors(canvas: &mut Canvas, setting: &Setting, random: &mut Random) {
    let horizon = setting.horizon;
    let unit = canvas.unit();
    let ground = setting.palette.ground;
    match setting.place {
        Place::Sea => {
            let hill = setting.far(lit(hex(0x4a_5a50), setting.palette.light), 0.55);
            ridge(canvas, setting, horizon, unit * 0.045, 0.9, hill, random);
            sea(canvas, setting, random);
            return;
        }
        Place::Mountains | Place::Snow => {
            for (distance, height) in [(0.75, 0.34), (0.5, 0.24), (0.28, 0.14)] {
                let rock =
                    lit(hex(if setting.noto() { 0x5c_6474 } else { 0x7c_7aa0 }), setting.palette.light);
                peaks(canvas, setting, horizon, unit * height, setting.far(rock, distance), random);
            }
        }
        Place::City => {
            for (distance, height) in [(0.72, 0.44), (0.45, 0.34), (0.2, 0.22)] {
                skyline(canvas, setting, unit * height, distance, random);
            }
        }
        Place::Forest => {
            for (distance, height) in [(0.72, 0.34), (0.5, 0.28), (0.3, 0.2)] {
                tree_line(
                    canvas,
                    setting,
                    unit * height,
                    setting.far(lit(ground[1], [0.8, 0.9, 0.9]), distance),
                    random,
                );
            }
        }
        Place::Beach => {
            sea(canvas, setting, random);
            let shore = horizon + (canvas.height as f32 - horizon) * 0.34;
            land(canvas, setting, shore, random);
            return;
        }
        _ => {
            for (distance, height) in [(0.7, 0.16), (0.45, 0.1), (0.25, 0.06)] {
                ridge(
                    canvas,
                    setting,
                    horizon + unit * 0.01,
                    unit * height,
                    1.3,
                    setting.far(ground[0], distance),
                    random,
                );
            }
        }
    }
    land(canvas, setting, horizon, random);
    if setting.place == Place::City {
        street(canvas, setting);
    }
}

/// A path from the wavy line down to the bottom of the canvas.
pub fn below(canvas: &Canvas, mut line: impl FnMut(f32) -> f32, step: f32) -> Option<Path> {
    let (width, bottom) = (canvas.width as f32, canvas.height as f32 + 1.0);
    let mut path = PathBuilder::new();
    path.move_to(-step, bottom);
    let mut x = -step;
    while x < width + step {
        path.line_to(x, line(x));
        x += step;
    }
    path.line_to(width + step, bottom);
    path.close();
    path.finish()
}

/// Rolling hills: `waves` of them across the canvas, up to `height` over the base.
pub fn ridge(
    canvas: &mut Canvas,
    setting: &Setting,
    base: f32,
    height: f32,
    waves: f32,
    colour: Rgb,
    random: &mut Random,
) {
    let (a, b, c) = (random.unit() * TAU, random.unit() * TAU, random.unit());
    let unit = canvas.unit();
    let rough = if setting.noto() { 0.35 } else { 0.0 };
    let line = |x: f32| {
        let t = x / unit;
        let wave = 0.55 + 0.3 * (t * waves * 3.4 + a).sin() + 0.15 * (t * waves * 7.9 + b).sin();
        base - height * (wave + rough * (clouds(t * 0.6 + c, c) - 0.5))
    };
    let path = below(canvas, line, (unit / 160.0).max(1.0));
    if !setting.noto() {
        // Paper lies on paper: each sheet throws a thin shadow on the one behind it.
        let shadow = below(canvas, |x| line(x) - unit * 0.008, (unit / 160.0).max(1.0));
        canvas.fill(shadow, [0.0, 0.02, 0.08], 0.1);
    }
    let low = if setting.noto() { mix(colour, setting.palette.low, 0.35) } else { colour };
    canvas.fill_down(path, [colour, low], [base - height, base + height * 0.3], 1.0);
}

/// Pointed mountains with snow on the side towards the light.
fn peaks(canvas: &mut Canvas, setting: &Setting, base: f32, height: f32, colour: Rgb, random: &mut Random) {
    let unit = canvas.unit();
    let mut x = -unit * random.between(0.1, 0.4);
    let snow = mix(colour, lit([0.97, 0.98, 1.0], mix(setting.palette.light, [1.0; 3], 0.3)), 0.75);
    while x < canvas.width as f32 + unit * 0.2 {
        let (rise, half) = (height * random.between(0.62, 1.08), height * random.between(0.75, 1.15));
        let top = (x, base - rise);
        canvas.polygon(&[(x - half, base + 2.0), top, (x + half, base + 2.0)], colour, 1.0);
        // The far side lies in shade; a broken line parts the two.
        let shade = mix(colour, setting.palette.top, if setting.noto() { 0.3 } else { 0.45 });
        let away = if setting.sun.x > x { -1.0 } else { 1.0 };
        let points = [
            top,
            (x + away * half, base + 2.0),
            (x + away * half * 0.12, base + 2.0),
            (x - away * half * 0.1, base - rise * 0.42),
        ];
        canvas.polygon(&points, shade, 0.85);
        let cap = rise * random.between(0.26, 0.36);
        let slope = half / rise * cap;
        let teeth = [
            top,
            (x + slope, base - rise + cap),
            (x + slope * 0.45, base - rise + cap * 0.78),
            (x + slope * 0.1, base - rise + cap * 1.18),
            (x - slope * 0.4, base - rise + cap * 0.8),
            (x - slope, base - rise + cap),
        ];
        canvas.polygon(&teeth, snow, 0.95);
        x += half * random.between(0.8, 1.3);
    }
    if setting.noto() {
        let (low, top) = (setting.palette.low, base - height * 0.5);
        canvas.region(0.0, top, f32::MAX, base + 1.0, |_, y, old| mix(old, low, 0.45 * smooth(top, base, y)));
    }
}

/// A row of tree tops.
fn tree_line(canvas: &mut Canvas, setting: &Setting, height: f32, colour: Rgb, random: &mut Random) {
    let base = setting.horizon + 2.0;
    let mut x = -height * 0.2;
    while x < canvas.width as f32 + height * 0.2 {
        let tall = height * random.between(0.6, 1.05);
        let half = tall * if setting.noto() { 0.2 } else { 0.28 };
        if setting.noto() {
            for tier in 0..4 {
                let t = tier as f32 / 4.0;
                let (top, low) = (base - tall * (1.0 - t * 0.72), base - tall * (0.62 - t * 0.5).max(0.04));
                let wide = half * (0.45 + 0.55 * t);
                canvas.polygon(&[(x, top), (x + wide, low), (x - wide, low)], colour, 1.0);
            }
            canvas.polygon(
                &[
                    (x - tall * 0.02, base - tall * 0.2),
                    (x + tall * 0.02, base - tall * 0.2),
                    (x + tall * 0.03, base),
                    (x - tall * 0.03, base),
                ],
                colour,
                1.0,
            );
        } else {
            canvas.polygon(
                &[
                    (x - tall * 0.03, base - tall * 0.4),
                    (x + tall * 0.03, base - tall * 0.4),
                    (x + tall * 0.03, base),
                    (x - tall * 0.03, base),
                ],
                mix(colour, [0.2, 0.1, 0.1], 0.4),
                1.0,
            );
            let oval = Rect::from_ltrb(x - half, base - tall, x + half, base - tall * 0.22)
                .and_then(PathBuilder::from_oval);
            canvas.fill(oval, colour, 1.0);
        }
        x += half * random.between(0.8, 1.7);
    }
    canvas.region(0.0, base - height, f32::MAX, base, |_, y, old| {
        mix(old, setting.palette.low, 0.28 * smooth(base - height, base, y))
    });
}

/// Houses against the sky, with lights in their windows when it is dark.
fn skyline(canvas: &mut Canvas, setting: &Setting, height: f32, distance: f32, random: &mut Random) {
    let base = setting.horizon + 2.0;
    let wall = lit(hex(if setting.noto() { 0x56_6070 } else { 0x8a_86b4 }), setting.palette.light);
    let dark = matches!(setting.hour, Hour::Night | Hour::Sunset);
    let lamp = if dark { hex(0xff_d98a) } else { mix(wall, [1.0; 3], 0.5) };
    let mut x = -height * 0.1;
    while x < canvas.width as f32 {
        let wide = height * random.between(0.16, 0.34);
        let tall = height * random.between(0.4, 1.0) * if random.chance(0.15) { 1.25 } else { 1.0 };
        let colour = setting.far(mix(wall, setting.palette.accent, 0.12 * random.unit()), distance);
        let top = base - tall;
        let body = [(x, top), (x + wide, top), (x + wide, base), (x, base)];
        canvas.fill_down(polygon(&body), [colour, setting.far(colour, 0.3)], [top, base], 1.0);
        canvas.polygon(
            &[(x + wide * 0.72, top), (x + wide, top), (x + wide, base), (x + wide * 0.72, base)],
            [0.0, 0.0, 0.1],
            0.12,
        );
        match random.below(4) {
            0 => canvas.polygon(
                &[(x + wide * 0.48, top), (x + wide * 0.5, top - tall * 0.2), (x + wide * 0.52, top)],
                colour,
                1.0,
            ),
            1 => {
                canvas.polygon(&[(x, top), (x + wide / 2.0, top - wide * 0.5), (x + wide, top)], colour, 1.0);
            }
            2 => canvas.polygon(
                &[
                    (x + wide * 0.2, top),
                    (x + wide * 0.2, top - wide * 0.2),
                    (x + wide * 0.8, top - wide * 0.2),
                    (x + wide * 0.8, top),
                ],
                colour,
                1.0,
            ),
            _ => {}
        }
        let cell = (height * 0.045).max(3.0);
        let seed = (x * 7.0) as u32;
        let share = if dark { 0.5 } else { 0.85 };
        canvas.region(x + cell * 0.5, top + cell, x + wide - cell * 0.5, base - cell, |px, py, old| {
            let (u, v) = ((px - x) / cell, (py - top) / cell);
            let glass = u.fract() > 0.4 && v.fract() > 0.45;
            let on = speck(u as i32, v as i32, seed) < share;
            if glass && on {
                mix(old, lamp, (if dark { 0.85 } else { 0.35 }) * (1.0 - distance * 0.7))
            } else {
                old
            }
        });
        x += wide * random.between(0.85, 1.1);
    }
}

/// The road that leads to the horizon.
fn street(canvas: &mut Canvas, setting: &Setting) {
    let (horizon, bottom, middle) = (setting.horizon, canvas.height as f32, canvas.width as f32 * 0.5);
    let wide = canvas.unit();
    let asphalt = lit(
        hex(if setting.noto() { 0x3c_4048 } else { 0x5c_5878 }),
        mix(setting.palette.light, [1.0; 3], 0.1),
    );
    canvas.polygon(
        &[
            (middle - wide * 0.04, horizon),
            (middle + wide * 0.04, horizon),
            (middle + wide * 0.62, bottom),
            (middle - wide * 0.62, bottom),
        ],
        asphalt,
        0.9,
    );
    for lane in 0..6 {
        let near = |t: f32| horizon + (bottom - horizon) * t * t;
        let (t0, t1) = ((lane as f32 + 0.3) / 6.0, (lane as f32 + 0.75) / 6.0);
        let half = |t: f32| wide * 0.014 * t * t + 0.4;
        canvas.polygon(
            &[
                (middle - half(t0), near(t0)),
                (middle + half(t0), near(t0)),
                (middle + half(t1), near(t1)),
                (middle - half(t1), near(t1)),
            ],
            [0.96, 0.92, 0.8],
            0.5,
        );
    }
}

/// The ground from `top` down.
fn land(canvas: &mut Canvas, setting: &Setting, top: f32, random: &mut Random) {
    let unit = canvas.unit();
    let ground = setting.palette.ground;
    let bottom = canvas.height as f32;
    let (a, shift) = (random.unit() * TAU, random.unit());
    if !setting.noto() {
        // Three sheets of paper, each nearer and deeper in colour.
        for (sheet, share) in [(0, 0.0), (1, 0.34), (2, 0.7)] {
            let base = top + (bottom - top) * share;
            let colour = mix(ground[0], ground[1], share * 1.3);
            let swing = unit * if sheet == 0 { 0.012 } else { 0.03 };
            let phase = a + sheet as f32 * 2.1;
            let line = |x: f32| base + swing * (x / unit * 3.6 + phase).sin();
            canvas.fill(below(canvas, |x| line(x) - unit * 0.008, unit / 120.0), [0.0, 0.02, 0.08], 0.1);
            canvas.fill(below(canvas, line, (unit / 120.0).max(1.0)), colour, 1.0);
        }
        return;
    }
    let line = |x: f32| top + unit * 0.01 * (x / unit * 4.2 + a).sin();
    canvas.fill(below(canvas, line, (unit / 160.0).max(1.0)), ground[0], 1.0);
    let light = setting.sun;
    let (low, sun) = (setting.palette.low, setting.palette.sun);
    canvas.region(0.0, top - unit * 0.012, f32::MAX, bottom, |x, y, old| {
        if y < line(x) {
            return old;
        }
        let t = ((y - top) / (bottom - top)).clamp(0.0, 1.0);
        let depth = 1.0 / (t + 0.12);
        // Patches that flatten with distance, and grain that fades with it.
        let patch = clouds(shift + (x / unit - 0.5) * 0.12 * depth.min(6.0), shift + depth * 0.12) - 0.5;
        let grain = (speck((x * 0.5) as i32, (y * 0.7) as i32, 9) - 0.5) * 0.09 * t;
        let colour = mix(ground[0], ground[1], (t * 1.1 + patch * 0.7).clamp(0.0, 1.0));
        let colour = mix(colour, low, 0.3 * (1.0 - t).powi(4));
        let warm = (1.0 - (x - light.x).abs() / unit).max(0.0) * (1.0 - t) * 0.3;
        let colour = screen(colour, sun, warm * 0.5);
        colour.map(|c| (c * (1.0 + grain * 2.0)).clamp(0.0, 1.0))
    });
}

/// Water from the horizon down, with the sun's path on it.
fn sea(canvas: &mut Canvas, setting: &Setting, random: &mut Random) {
    let (horizon, bottom, unit) = (setting.horizon, canvas.height as f32, canvas.unit());
    let palette = setting.palette;
    let shift = random.unit();
    let noto = setting.noto();
    let sky_low = mix(palette.low, palette.middle, 0.5);
    let sun = setting.sun;
    canvas.region(0.0, horizon, f32::MAX, bottom, |x, y, _| {
        let t = (y - horizon) / (bottom - horizon);
        let far = mix(palette.water[0], sky_low, 0.55);
        if noto {
            let depth = 1.0 / (t + 0.06);
            let wave = clouds(shift + x / unit * 0.22 * depth.min(9.0).sqrt(), shift + depth * 0.5);
            let fine = clouds(x / unit * 0.9, depth * 0.9);
            let colour = mix(far, palette.water[1], (t * 1.25).min(1.0));
            let crest = smooth(0.56, 0.8, wave * 0.6 + fine * 0.4);
            let colour = mix(colour, sky_low, crest * 0.5);
            let path = (1.0 - (x - sun.x).abs() / (unit * (0.05 + 0.22 * t))).max(0.0);
            screen(colour, palette.sun, path * (0.18 + 0.75 * smooth(0.45, 0.7, fine)))
        } else {
            let band = (t * 5.0).powf(0.8).floor() / 4.0;
            mix(far, palette.water[1], band.min(1.0))
        }
    });
    if noto {
        return;
    }
    for _ in 0..26 {
        let t = random.unit();
        let y = horizon + (bottom - horizon) * (0.03 + 0.95 * t * t);
        let near_sun = random.chance(0.5);
        let x = if near_sun {
            sun.x + random.between(-0.14, 0.14) * unit * (0.4 + t)
        } else {
            random.unit() * canvas.width as f32
        };
        let (long, thick) = (unit * random.between(0.02, 0.09) * (0.4 + t), unit * (0.002 + 0.006 * t));
        let bar = [
            (x - long, y),
            (x - long * 0.9, y - thick),
            (x + long * 0.9, y - thick),
            (x + long, y),
            (x + long * 0.9, y + thick),
            (x - long * 0.9, y + thick),
        ];
        canvas.polygon(
            &bar,
            if near_sun { palette.sun } else { [1.0; 3] },
            if near_sun { 0.65 } else { 0.3 },
        );
    }
}
