//! The places without a horizon of hills: space, deep water, rooms, studios and the abstract.

use std::f32::consts::TAU;

use resvg::tiny_skia::{PathBuilder, Rect};

use crate::{
    backdrop::{Setting, below, ridge},
    canvas::{Canvas, screen},
    palette::{Rgb, hex, lit, mix, smooth},
    random::{Random, clouds, floor, speck, turn},
    sky,
    words::Hour,
};

/// Stars, a nebula, planets, and the surface of a moon to stand on.
pub fn space(canvas: &mut Canvas, setting: &Setting, random: &mut Random) {
    let (unit, width) = (canvas.unit(), canvas.width as f32);
    let (a, b) = (random.unit(), random.unit());
    let palette = setting.palette;
    let deep = if setting.noto() { hex(0x05_0616) } else { hex(0x1c_1448) };
    let pairs =
        [(0xc0_3a8a, 0x2a_5ad0), (0x2f_a4b0, 0x6a_3ac0), (0xe0_7a3a, 0x8a_2a70), (0x3a_70e0, 0x9a_50e0)];
    let (warm, cold) = random.pick(&pairs);
    let (warm, cold) = (mix(hex(warm), palette.accent, 0.25), hex(cold));
    if setting.noto() {
        canvas.map(|x, y, _| {
            let (u, v) = (x / unit, y / unit);
            let bend = clouds(a + u * 0.1, b + v * 0.1) - 0.5;
            let cloud = clouds(b + u * 0.16 + bend * 0.25, a + v * 0.16 + u * 0.1);
            let veil = clouds(a + 0.5 + u * 0.22, b + v * 0.22 - bend * 0.2);
            let colour = screen(deep, cold, 0.75 * smooth(0.4, 0.95, cloud));
            let colour = screen(colour, warm, 0.6 * smooth(0.45, 1.0, veil * cloud * 1.8));
            colour.map(|c| c + (speck(x as i32, y as i32, 4) - 0.5) / 128.0)
        });
    } else {
        let (cx, cy) = (setting.sun.x, setting.sun.y);
        canvas.map(|x, y, _| {
            let d = ((x - cx).powi(2) + (y - cy).powi(2)).sqrt() / unit;
            let ring = floor(d * 6.0 + 0.6 * (turn(x - cx, y - cy) * 4.7124).sin()) / 8.0;
            mix(mix(cold, warm, 0.35), deep, (0.35 + ring).min(1.0))
        });
    }
    let (whole, count) = (canvas.height as f32, if setting.noto() { 240 } else { 70 });
    sky::stars(canvas, whole, count, random);
    planet(canvas, setting, setting.sun.x, setting.sun.y, unit * random.between(0.09, 0.16), warm);
    planet(
        canvas,
        setting,
        width - setting.sun.x * 0.9,
        setting.sun.y * random.between(0.5, 1.3),
        unit * 0.035,
        cold,
    );
    // The surface that things stand on: a nearby moon.
    let top = setting.horizon;
    let ground = palette.ground.map(|c| mix(c, warm, 0.18));
    let bow = |x: f32| top + unit * 0.3 * ((x - width / 2.0) / width.max(unit)).powi(2);
    canvas.fill(below(canvas, |x| bow(x) - unit * 0.006, unit / 100.0), mix(warm, [1.0; 3], 0.4), 0.5);
    canvas.fill_down(below(canvas, bow, unit / 100.0), ground, [top, canvas.height as f32], 1.0);
    for _ in 0..12 {
        let t = random.unit();
        let (x, y) = (random.unit() * width, top + unit * 0.06 + (canvas.height as f32 - top) * t);
        let (rx, ry) = (unit * (0.015 + 0.05 * t), unit * (0.005 + 0.016 * t));
        let oval = |dy: f32| {
            Rect::from_ltrb(x - rx, y - ry + dy, x + rx, y + ry + dy).and_then(PathBuilder::from_oval)
        };
        canvas.fill(oval(ry * 0.4), mix(ground[0], [1.0; 3], 0.25), 0.7);
        canvas.fill(oval(0.0), mix(ground[1], [0.0; 3], 0.25), 0.9);
    }
}

fn planet(canvas: &mut Canvas, setting: &Setting, x: f32, y: f32, radius: f32, colour: Rgb) {
    let light = mix(colour, [1.0, 0.95, 0.85], 0.45);
    if setting.noto() {
        canvas.glow(x, y, radius * 2.4, colour, 0.5);
        canvas.region(x - radius, y - radius, x + radius + 1.0, y + radius + 1.0, |px, py, old| {
            let (u, v) = ((px - x) / radius, (py - y) / radius);
            let d = (u * u + v * v).sqrt();
            let band = clouds(0.2 + u * 0.04, v * 0.3 + u * 0.03) - 0.5;
            let lit_by = smooth(-0.9, 0.9, -0.7 * u - 0.7 * v);
            let surface = mix(lit(colour, [0.2, 0.18, 0.3]), light, lit_by).map(|c| c * (1.0 + band * 0.6));
            mix(old, surface, ((1.0 - d) * radius).clamp(0.0, 1.0))
        });
    } else {
        canvas.disc(x, y, radius, light, 1.0);
        let shade = mix(colour, [0.1, 0.0, 0.3], 0.3);
        let mut path = PathBuilder::new();
        path.push_circle(x, y, radius);
        canvas.fill(path.finish(), shade, 0.35);
        canvas.disc(x - radius * 0.22, y - radius * 0.22, radius * 0.72, light, 0.8);
    }
}

/// Deep water with shafts of light and a bed of sand.
pub fn underwater(canvas: &mut Canvas, setting: &Setting, random: &mut Random) {
    let (unit, bottom) = (canvas.unit(), canvas.height as f32);
    let noto = setting.noto();
    let [top, middle, deep] =
        if noto { [0x5a_d0d8, 0x16_789c, 0x06_2850] } else { [0x9a_ece0, 0x40_b8c8, 0x28_6a9c] }.map(hex);
    let tone = setting.palette.light.map(|v| 0.35 + 0.65 * v);
    let (sun, shift) = (setting.sun.x, random.unit());
    canvas.map(|x, y, _| {
        let t = y / bottom;
        let colour = if noto {
            mix(mix(top, middle, (t * 1.8).min(1.0)), deep, smooth(0.4, 1.05, t))
        } else {
            let t = ((t * 7.0 + 0.5 * (x / unit * 5.0).sin()).floor() / 7.0).clamp(0.0, 1.0);
            mix(mix(top, middle, (t * 1.8).min(1.0)), deep, smooth(0.3, 1.1, t))
        };
        // Shafts of light fan out from above.
        let angle = (x - sun) / (y + unit * 0.45);
        let shaft = clouds(shift + angle * 0.35, 0.3);
        let edge = if noto { smooth(0.5, 0.75, shaft) } else { f32::from(shaft > 0.6) * 0.6 };
        lit(screen(colour, [0.8, 1.0, 0.95], 0.34 * edge * (1.0 - t).powi(2)), tone)
    });
    let sand = mix(hex(0xd8_c290), deep, if noto { 0.55 } else { 0.3 });
    ridge(canvas, setting, bottom * 0.86, unit * 0.1, 1.0, lit(mix(deep, middle, 0.35), tone), random);
    let (a, base) = (random.unit() * TAU, bottom * 0.88);
    let path = below(canvas, |x| base + unit * 0.02 * (x / unit * 5.0 + a).sin(), unit / 100.0);
    canvas.fill_down(path, [lit(sand, tone), lit(mix(sand, deep, 0.5), tone)], [base, bottom], 1.0);
    for _ in 0..18 {
        let (x, y, r) = (
            random.unit() * canvas.width as f32,
            random.unit() * bottom,
            unit * random.between(0.003, 0.014),
        );
        canvas.disc(x, y, r, [0.85, 1.0, 1.0], 0.22);
        canvas.disc(x - r * 0.3, y - r * 0.3, r * 0.35, [1.0; 3], 0.7);
    }
}

/// A room with a window and a board to put things on.
pub fn interior(canvas: &mut Canvas, setting: &Setting, random: &mut Random) {
    let (unit, width, bottom, edge) =
        (canvas.unit(), canvas.width as f32, canvas.height as f32, setting.horizon);
    let noto = setting.noto();
    let walls = if noto {
        [0x8a_7460, 0x5f_7068, 0x7a_5a58, 0x56_6078]
    } else {
        [0xf4_c8b0, 0xb8_d8c8, 0xe8_c0d0, 0xb8_c8ec]
    };
    let wall = mix(hex(random.pick(&walls)), setting.palette.accent, 0.22);
    let evening = matches!(setting.hour, Hour::Night | Hour::Storm);
    let wall = if evening { lit(wall, [0.5, 0.5, 0.62]) } else { wall };
    let (lamp_x, lamp_y) = (setting.sun.x, setting.sun.y);
    let stripe = unit * 0.07;
    canvas.map(|x, y, _| {
        let d = ((x - lamp_x).powi(2) + (y - lamp_y).powi(2)).sqrt() / unit;
        let base = if noto {
            let plaster = clouds(x / unit * 0.3, y / unit * 0.3) - 0.5;
            wall.map(|c| c * (1.05 - 0.5 * d + plaster * 0.12))
        } else if (x / stripe) as i32 % 2 == 0 {
            wall
        } else {
            mix(wall, [1.0; 3], 0.16)
        };
        let glow = if noto { 0.4 / (1.0 + d * d * 9.0) } else { 0.0 };
        screen(base.map(|c| c.max(0.0)), [1.0, 0.86, 0.62], glow)
    });
    pane(canvas, setting, random);
    let board = lit(
        hex(if noto { 0x8a_5a34 } else { 0xe0_9a5c }),
        if evening { [0.6, 0.58, 0.66] } else { [1.0; 3] },
    );
    let shift = random.unit();
    canvas.region(0.0, edge, f32::MAX, bottom, |x, y, _| {
        let t = (y - edge) / (bottom - edge);
        if noto {
            // Boards run towards the eye, the light of the window lies on them.
            let u = (x - width / 2.0) / (0.4 + t) / unit;
            let seam = smooth(0.0, 0.035, u * 4.0 + shift - floor(u * 4.0 + shift));
            let grain = clouds(u * 1.4 + floor(u * 4.0 + shift) * 0.37, t * 0.08) - 0.5;
            let near = (1.0 - ((x - lamp_x) / unit).abs() * 0.8).max(0.0);
            let colour = board
                .map(|c| c * (0.62 + 0.3 * near * (1.0 - 0.5 * t) + 0.25 * grain) * (0.75 + 0.25 * seam));
            screen(colour, [1.0, 0.9, 0.7], 0.16 * near * (1.0 - t))
        } else {
            mix(board, mix(board, [0.3, 0.1, 0.1], 0.35), (t * 3.0).floor() / 3.0)
        }
    });
    canvas.polygon(
        &[(0.0, edge), (width, edge), (width, edge + unit * 0.012), (0.0, edge + unit * 0.012)],
        mix(board, [1.0; 3], 0.35),
        0.8,
    );
}

/// A window with the sky of the hour in it.
fn pane(canvas: &mut Canvas, setting: &Setting, random: &mut Random) {
    let unit = canvas.unit();
    let (wide, tall) = (unit * random.between(0.26, 0.34), unit * 0.36);
    let left = (setting.sun.x - wide / 2.0)
        .clamp(unit * 0.05, (canvas.width as f32 - wide - unit * 0.05).max(unit * 0.05));
    let top = setting.horizon * 0.14;
    let frame = unit * 0.018;
    let boards = if setting.noto() { hex(0xe8_dcc8) } else { [1.0; 3] };
    let square = |x0: f32, y0: f32, x1: f32, y1: f32| [(x0, y0), (x1, y0), (x1, y1), (x0, y1)];
    canvas.polygon(
        &square(left - frame * 0.4, top, left + wide + frame * 1.6, top + tall + frame * 1.6),
        [0.0; 3],
        0.2,
    );
    canvas.polygon(&square(left - frame, top - frame, left + wide + frame, top + tall + frame), boards, 1.0);
    let palette = setting.palette;
    canvas.region(left, top, left + wide, top + tall, |_, y, _| sky::gradient(&palette, (y - top) / tall));
    canvas.disc(left + wide * 0.68, top + tall * 0.3, unit * 0.03, palette.sun, 0.95);
    canvas.fill(
        Rect::from_ltrb(left, top + tall * 0.72, left + wide, top + tall).map(PathBuilder::from_rect),
        palette.ground[0],
        1.0,
    );
    canvas.polygon(
        &square(left + wide / 2.0 - frame * 0.3, top, left + wide / 2.0 + frame * 0.3, top + tall),
        boards,
        1.0,
    );
    canvas.polygon(
        &square(left, top + tall * 0.45, left + wide, top + tall * 0.45 + frame * 0.6),
        boards,
        1.0,
    );
    if setting.noto() {
        canvas.glow(left + wide / 2.0, top + tall / 2.0, unit * 0.5, palette.sun, 0.3);
    }
}

/// A backcloth for a portrait, or the bold shapes of a poster.
pub fn studio(canvas: &mut Canvas, setting: &Setting, random: &mut Random) {
    let (unit, width, height) = (canvas.unit(), canvas.width as f32, canvas.height as f32);
    let palette = setting.palette;
    let dark = matches!(setting.hour, Hour::Night | Hour::Storm | Hour::Sunset);
    if setting.noto() {
        let paper = mix(palette.accent, if dark { [0.1, 0.1, 0.14] } else { [0.62, 0.6, 0.58] }, 0.6);
        let (cx, cy) = (width * 0.5, height * 0.42);
        let shift = random.unit();
        canvas.map(|x, y, _| {
            let d = (((x - cx) / unit).powi(2) + ((y - cy) / unit).powi(2)).sqrt();
            let mottle = clouds(shift + x / unit * 0.25, shift + y / unit * 0.25) - 0.5;
            let glow = 1.35 - 1.25 * d + mottle * 0.35;
            paper.map(|c| (c * glow.max(0.12)).clamp(0.0, 1.0) + (speck(x as i32, y as i32, 5) - 0.5) / 128.0)
        });
        for _ in 0..16 {
            let (x, y, r) =
                (random.unit() * width, random.unit() * height * 0.75, unit * random.between(0.02, 0.07));
            canvas.disc(x, y, r, mix(palette.sun, palette.accent, 0.4), random.between(0.05, 0.16));
        }
    } else {
        // Bold shapes of one colour each, as on a poster.
        let back = mix(
            palette.accent,
            if dark { hex(0x20_1c48) } else { hex(0xff_f0dc) },
            if dark { 0.65 } else { 0.55 },
        );
        canvas.map(|_, _, _| back);
        let (x, y) = (width * random.between(0.4, 0.6), height * 0.42);
        canvas.disc(x, y, unit * 0.43, mix(palette.sun, palette.accent, 0.25), 1.0);
        canvas.disc(x, y, unit * 0.34, mix(palette.sun, palette.accent, 0.06), 1.0);
        for _ in 0..9 {
            let (x, y, r) =
                (random.unit() * width, random.unit() * height, unit * random.between(0.008, 0.03));
            canvas.disc(x, y, r, mix(palette.accent, [1.0; 3], 0.6), 0.8);
        }
        let stripe = unit * 0.05;
        canvas.region(0.0, height * 0.8, width, height, |x, y, old| {
            if ((x + y) / stripe) as i32 % 2 == 0 { mix(old, [1.0; 3], 0.1) } else { old }
        });
    }
}

/// The turntable of a modelling program: a seamless sheet, a fine grid, a round plinth.
pub fn stage(canvas: &mut Canvas, setting: &Setting) {
    let (unit, width, horizon, bottom) =
        (canvas.unit(), canvas.width as f32, setting.horizon, canvas.height as f32);
    let noto = setting.noto();
    let sheet = mix(
        setting.palette.accent,
        if noto { hex(0x2a_2d34) } else { hex(0xe4_e2ee) },
        if noto { 0.82 } else { 0.7 },
    );
    let lamp = setting.sun.x;
    canvas.map(|x, y, _| {
        let t = (y - horizon) / (bottom - horizon);
        let d = (((x - lamp) / unit).powi(2) + ((y - horizon * 0.55) / unit).powi(2)).sqrt();
        let wall = sheet.map(|c| c * (1.3 - 0.75 * d));
        let base = sheet.map(|c| c * (0.86 + 0.3 * t.max(0.0)));
        let colour = mix(wall, base, smooth(-0.25, 0.2, t));
        let mut line = 0.0f32;
        if t > 0.0 {
            let (u, v) = ((x - width / 2.0) / (0.35 + t) / unit, 1.0 / (0.35 + t));
            for w in [u * 7.0, v * 7.0] {
                let off = (w - floor(w + 0.5)).abs();
                line = line.max(1.0 - off / 0.03);
            }
        }
        mix(colour, [1.0; 3], 0.13 * line.max(0.0) * smooth(0.0, 0.15, t))
    });
    let (x, y) = (width / 2.0, horizon + (bottom - horizon) * 0.56);
    let (rx, ry) = (unit * 0.46, unit * 0.105);
    let side = mix(setting.palette.accent, [0.1, 0.1, 0.14], if noto { 0.45 } else { 0.1 });
    canvas.shade(x, y + unit * 0.055, rx * 1.2, ry * 1.35, [0.0, 0.0, 0.04], 0.6);
    for (dy, colour) in [(unit * 0.05, mix(side, [0.0; 3], 0.35)), (0.0, mix(side, [1.0; 3], 0.35))] {
        let oval = Rect::from_ltrb(x - rx, y - ry + dy, x + rx, y + ry + dy).and_then(PathBuilder::from_oval);
        canvas.fill_down(oval, [colour, mix(colour, [0.0; 3], 0.25)], [y - ry, y + ry * 1.5], 1.0);
        if dy > 0.0 {
            let wall = [(x - rx, y), (x + rx, y), (x + rx, y + dy), (x - rx, y + dy)];
            canvas.polygon(&wall, mix(side, [0.0; 3], 0.35), 1.0);
        }
    }
}

/// Ribbons of colour that flow across: no place at all.
pub fn ribbons(canvas: &mut Canvas, setting: &Setting, random: &mut Random) {
    let (unit, height) = (canvas.unit(), canvas.height as f32);
    let palette = setting.palette;
    sky::paint(canvas, setting.manner, &palette, setting.hour, height, setting.sun, random);
    let hues = [
        palette.accent,
        mix(palette.accent, palette.sun, 0.5),
        palette.low,
        mix(palette.top, palette.accent, 0.5),
        palette.sun,
    ];
    let count = if setting.noto() { 9 } else { 6 };
    for ribbon in 0..count {
        let t = ribbon as f32 / count as f32;
        let (a, b, swing) = (random.unit() * TAU, random.unit() * TAU, unit * random.between(0.05, 0.16));
        let base = height * (0.25 + 0.75 * t);
        let line =
            |x: f32| base + swing * (x / unit * 2.6 + a).sin() + swing * 0.4 * (x / unit * 6.1 + b).sin();
        let colour = hues[ribbon % hues.len()];
        canvas.fill(below(canvas, |x| line(x) - unit * 0.012, unit / 100.0), [0.0, 0.0, 0.1], 0.12);
        let path = below(canvas, line, unit / 100.0);
        if setting.noto() {
            canvas.fill_down(
                path,
                [mix(colour, [1.0; 3], 0.25), mix(colour, palette.top, 0.55)],
                [base - swing, base + unit * 0.25],
                0.9,
            );
        } else {
            canvas.fill(path, colour, 1.0);
        }
    }
}
