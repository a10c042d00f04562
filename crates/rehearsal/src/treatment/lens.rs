//! Treatments that lie in light and lens: film, photograph, screen and studio.

use crate::{
    Manner,
    canvas::{Canvas, Rows, screen},
    palette::{hex, luma, mix, saturate, smooth},
    random::{Random, clouds, floor, speck, turn},
};

/// Letterbox, bloom, teal shadows and amber lights.
pub fn cinematic(canvas: &mut Canvas) {
    let soft = canvas.soft(canvas.unit() * 0.03);
    let mut soft = soft.rows();
    let (width, height) = (canvas.width as f32, canvas.height as f32);
    let bar =
        (height * 0.125).min((height - width / 2.4).max(height * 0.06) / 2.0).max(height * 0.06).round();
    let lamp = canvas.lamp;
    let unit = canvas.unit();
    canvas.map(|x, y, old| {
        if y < bar || y >= height - bar {
            return [0.0; 3];
        }
        let [r, g, b, _] = soft.at(x, y);
        let bloom = [r, g, b].map(|c| (c - 0.55).max(0.0) * 1.3);
        let mut colour = screen(old, bloom, 0.8);
        let light = luma(colour);
        let shade = lit_by(colour, mix([0.66, 0.94, 1.06], [1.1, 0.99, 0.82], smooth(0.15, 0.75, light)));
        // A curve that deepens the shadows and keeps the lights.
        colour = shade.map(|c| c * (0.62 + 0.42 * c.min(1.0)));
        let d = ((x - width / 2.0) / width).powi(2) + ((y - height / 2.0) / height).powi(2);
        let streak = (1.0 - (y - lamp.1).abs() / (unit * 0.012)).max(0.0)
            * (1.0 - (x - lamp.0).abs() / (unit * 0.55)).max(0.0);
        colour = screen(colour, [0.5, 0.75, 1.0], streak * 0.35);
        let grain = (speck(x as i32, y as i32, 21) - 0.5) * 0.05;
        colour.map(|c| (c * (1.12 - 1.25 * d) + grain).clamp(0.0, 1.0))
    });
}

fn lit_by(colour: [f32; 3], light: [f32; 3]) -> [f32; 3] {
    [colour[0] * light[0], colour[1] * light[1], colour[2] * light[2]]
}

/// A print with a white border: the background out of focus, film grain, faded blacks.
pub fn photographic(canvas: &mut Canvas, random: &mut Random) {
    let unit = canvas.unit();
    let soft = canvas.soft(unit * 0.022);
    let (width, height) = (canvas.width as f32, canvas.height as f32);
    let mut rows = soft.rows();
    canvas.map_masked(|x, y, old, subject| {
        let [r, g, b, _] = rows.at(x, y);
        let near = smooth(0.82, 1.0, y / height);
        mix([r, g, b], old, subject.max(0.25 * (1.0 - near)))
    });
    for _ in 0..14 {
        let (x, y, r) =
            (random.unit() * width, random.unit() * height * 0.6, unit * random.between(0.015, 0.05));
        let [red, green, blue, subject] = soft.at(x, y);
        let light = luma([red, green, blue]);
        if subject < 0.04 {
            canvas.disc(
                x,
                y,
                r,
                mix([red, green, blue], [1.0, 0.95, 0.82], 0.6),
                0.05 + 0.22 * light * random.unit(),
            );
        }
    }
    let (warm, border) = (random.between(0.0, 0.06), (unit * 0.035).round());
    canvas.map(|x, y, old| {
        if x < border || y < border || x >= width - border || y >= height - border * 1.0 {
            return [0.965, 0.96, 0.94];
        }
        let d = ((x - width / 2.0) / width).powi(2) + ((y - height / 2.0) / height).powi(2);
        let grain =
            (speck(x as i32, y as i32, 22) + speck((x * 0.5) as i32, (y * 0.5) as i32, 23) - 1.0) * 0.075;
        let colour = saturate(old, 0.94);
        let colour = mix(colour, colour.map(|c| smooth(0.0, 1.0, c)), 0.55);
        let film =
            [colour[0] * (0.95 + warm) + 0.035, colour[1] * 0.94 + 0.03, colour[2] * (0.88 - warm) + 0.045];
        film.map(|c| (c * (1.08 - 0.9 * d) + grain).clamp(0.0, 1.0))
    });
}

/// Facets of flat colour behind a crisp subject with light round it.
pub fn digital(canvas: &mut Canvas, manner: Manner, random: &mut Random) {
    let unit = canvas.unit();
    let soft = canvas.soft(unit * 0.008);
    let glow = canvas.soft(unit * 0.045);
    let mut glow = glow.rows();
    let cell = unit * if manner == Manner::Noto { 0.055 } else { 0.085 };
    let salt = random.below(1000) as u32;
    let tint = if manner == Manner::Noto { hex(0xff_9a5a) } else { hex(0x5a_f0e0) };
    let cold = if manner == Manner::Noto { hex(0x3a_4ad8) } else { hex(0xff_4aa0) };
    let height = canvas.height as f32;
    let (mut at, mut facet) = ((f32::NAN, 0.0, false), [0.0; 3]);
    canvas.map_masked(|x, y, old, subject| {
        if subject == 1.0 {
            return saturate(old, 1.25).map(|c| c.clamp(0.0, 1.0));
        }
        let (u, v) = (x / cell, y / cell);
        let (i, j) = (floor(u), floor(v));
        let (fu, fv) = (u - i, v - j);
        let even = (i + j) as i32 % 2 == 0;
        let upper = if even { fu + fv < 1.0 } else { fu > fv };
        let (cu, cv) = match (even, upper) {
            (true, true) => (0.33, 0.33),
            (true, false) => (0.67, 0.67),
            (false, true) => (0.67, 0.33),
            (false, false) => (0.33, 0.67),
        };
        // One colour a facet: reckoned anew where a row comes to the next one.
        if (i, j, upper) != at {
            at = (i, j, upper);
            let [r, g, b, _] = soft.at((i + cu) * cell, (j + cv) * cell);
            let tone = speck(i as i32 * 2 + i32::from(upper), j as i32, salt) - 0.5;
            facet = saturate([r, g, b], 1.4).map(|c| smooth(-0.08, 1.05, c) * (1.0 + 0.22 * tone));
        }
        let facet = mix(facet, mix(cold, tint, y / height), 0.16);
        let halo = glow.at(x, y)[3];
        let facet = screen(facet, tint, 0.65 * halo * (1.0 - subject));
        mix(facet, saturate(old, 1.25), subject).map(|c| c.clamp(0.0, 1.0))
    });
    for _ in 0..34 {
        let (x, y) = (random.unit() * canvas.width as f32, random.unit() * height);
        let (r, turn) = (unit * random.between(0.003, 0.016), random.unit() * 6.3);
        let corner = |k: f32| (x + r * (turn + k * 2.1).cos(), y + r * (turn + k * 2.1).sin());
        canvas.polygon(
            &[corner(0.0), corner(1.0), corner(2.0)],
            if random.chance(0.5) { tint } else { [1.0; 3] },
            random.between(0.25, 0.8),
        );
    }
}

/// Rays, mist, motes of gold and a golden frame.
pub fn fantasy(canvas: &mut Canvas, manner: Manner, random: &mut Random) {
    let unit = canvas.unit();
    let soft = canvas.soft(unit * 0.04);
    let mut soft = soft.rows();
    let (width, height) = (canvas.width as f32, canvas.height as f32);
    let (lx, ly) = (canvas.lamp.0, canvas.lamp.1 - unit * 0.15);
    let (deep, gold) = match manner {
        Manner::Noto => (hex(0x3a_1f6a), hex(0xff_dca0)),
        Manner::Fluent => (hex(0x0f_4a6a), hex(0xff_c4e8)),
    };
    let shift = random.unit();
    canvas.map(|x, y, old| {
        let [r, g, b, _] = soft.at(x, y);
        let mut colour = screen(old.map(|c| c * (0.86 + 0.1 * c)), [r, g, b].map(|c| c * c * c), 0.42);
        let light = smooth(0.0, 1.0, luma(colour));
        colour = mix(saturate(colour, 1.4), mix(deep, gold, light), 0.22);
        let (dx, dy) = (x - lx, y - ly);
        let d = (dx * dx + dy * dy) / (unit * unit);
        let ray = smooth(0.42, 0.8, clouds(shift + turn(dx, dy) * 0.25, 0.4));
        colour = screen(colour, gold, 0.36 * ray / (1.0 + 2.4 * d));
        let mist = if y < height * 0.6 {
            0.0
        } else {
            clouds(shift + x / unit * 0.16, y / unit * 0.4) * smooth(0.6, 1.0, y / height)
        };
        colour = screen(colour, mix(gold, [0.8, 0.8, 1.0], 0.6), 0.2 * mist);
        let edge = ((x - width / 2.0) / width).powi(2) + ((y - height / 2.0) / height).powi(2);
        mix(colour, deep.map(|c| c * 0.4), smooth(0.22, 0.62, edge) * 0.75)
    });
    for _ in 0..46 {
        let (x, y, big) = (random.unit() * width, random.unit() * height, random.unit().powi(3));
        let r = unit * (0.0018 + 0.005 * big);
        canvas.glow(x, y, r * 5.0, gold, 0.55);
        let arm = r * (1.0 + 4.0 * big);
        canvas.polygon(
            &[(x, y - arm), (x + r * 0.4, y), (x, y + arm), (x - r * 0.4, y)],
            [1.0, 0.98, 0.9],
            0.9,
        );
        canvas.polygon(
            &[(x - arm, y), (x, y - r * 0.4), (x + arm, y), (x, y + r * 0.4)],
            [1.0, 0.98, 0.9],
            0.9,
        );
    }
    let metal = mix(gold, hex(0xc8_9030), 0.5);
    for (inset, thick) in [(0.022, 0.005), (0.034, 0.0022)] {
        frame(canvas, unit * inset, (unit * thick).max(1.0), metal);
    }
    for (x, y) in [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0)] {
        let (x, y) = (unit * 0.03 + x * (width - unit * 0.06), unit * 0.03 + y * (height - unit * 0.06));
        for (r, colour) in [(0.026, metal), (0.017, deep), (0.009, gold)] {
            let r = unit * r;
            canvas.polygon(&[(x, y - r), (x + r, y), (x, y + r), (x - r, y)], colour, 1.0);
        }
    }
}

fn frame(canvas: &mut Canvas, inset: f32, thick: f32, colour: [f32; 3]) {
    let (right, low) = (canvas.width as f32 - inset, canvas.height as f32 - inset);
    let bars = [
        (inset, inset, right, inset + thick),
        (inset, low - thick, right, low),
        (inset, inset, inset + thick, low),
        (right - thick, inset, right, low),
    ];
    for (x0, y0, x1, y1) in bars {
        canvas.polygon(&[(x0, y0), (x1, y0), (x1, y1), (x0, y1)], colour, 0.9);
    }
}

/// Magenta and cyan, lit edges, a grid on the ground, lines of a screen.
pub fn neon(canvas: &mut Canvas, manner: Manner, random: &mut Random) {
    let unit = canvas.unit();
    let (edge, wide) = (canvas.soft(unit * 0.01), canvas.soft(unit * 0.05));
    let (mut edge, mut wide) = (edge.rows(), wide.rows());
    let (width, height, horizon) = (canvas.width as f32, canvas.height as f32, canvas.horizon);
    let (hot, cold) =
        if random.chance(0.5) { (hex(0xff_2ba8), hex(0x22_e6ff)) } else { (hex(0xe8_3aff), hex(0x3a_ffd8)) };
    let (hot, cold) = if manner == Manner::Noto {
        (hot, cold)
    } else {
        (mix(hot, hex(0xff_7a3a), 0.35), mix(cold, hex(0x5a_7aff), 0.3))
    };
    let ink = if manner == Manner::Noto { hex(0x0a_0420) } else { hex(0x1c_0a44) };
    canvas.map_masked(|x, y, old, subject| {
        let light = luma(old);
        let ramp = if light < 0.5 {
            mix(ink, hot.map(|c| c * 0.72), light * 1.6)
        } else {
            mix(hot, cold, (light - 0.5) * 1.6)
        };
        let ramp = if light > 0.8 { mix(ramp, [1.0; 3], (light - 0.8) * 2.0) } else { ramp };
        let mut colour = mix(ramp.map(|c| c * 0.66), saturate(old, 1.25).map(|c| c * 0.94), 0.78 * subject);
        let t = (y - horizon) / (height - horizon);
        if t > 0.0 {
            let (u, v) = ((x - width / 2.0) / (0.12 + t) / unit, 1.0 / (0.12 + t));
            let lines = [u * 4.0, v * 5.0].map(|w| 1.0 - ((w - floor(w + 0.5)).abs() / 0.045));
            let line = lines[0].max(lines[1]).max(0.0);
            colour = screen(colour, cold, line * (1.0 - 0.85 * subject) * 0.85 * smooth(0.0, 0.08, t));
        }
        let near = edge.at(x, y)[3];
        let rim = (near * (1.0 - near) * 4.0).clamp(0.0, 1.0);
        let halo = wide.at(x, y)[3] * (1.0 - subject);
        let side = smooth(0.25, 0.75, x / width);
        colour = screen(colour, mix(hot, cold, side), rim * rim * 0.95);
        colour = screen(colour, mix(cold, hot, side), halo * 0.5);
        let line = if (y / (unit / 256.0)) as i32 % 3 == 0 { 0.86 } else { 1.0 };
        colour.map(|c| c * line)
    });
    for _ in 0..7 {
        let (x, y, long) =
            (random.unit() * width, random.unit() * horizon * 0.8, unit * random.between(0.05, 0.2));
        let thick = unit * 0.0025;
        canvas.glow(x + long / 2.0, y, long * 0.7, hot, 0.22);
        canvas.polygon(
            &[(x, y), (x + long, y), (x + long, y + thick), (x, y + thick)],
            if random.chance(0.5) { hot } else { cold },
            0.8,
        );
    }
}

/// Rounds the subject as if it were modelled, lit by a key and a fill light.
pub fn model(canvas: &mut Canvas) {
    let unit = canvas.unit();
    let broad = canvas.soft(unit * 0.03);
    let fine = canvas.soft(unit * 0.008);
    let side = if canvas.lamp.0 > canvas.width as f32 / 2.0 { 1.0 } else { -1.0 };
    let step = unit * 0.008;
    let [mut above, mut level, mut below] = [(); 3].map(|()| Slopes(broad.rows(), fine.rows()));
    canvas.map_masked(|x, y, old, subject| {
        if subject == 0.0 {
            return old;
        }
        let (left, right) = (level.at(x - step, y), level.at(x + step, y));
        let (up, down) = (above.at(x, y - step), below.at(x, y + step));
        let (nx, ny) = (
            -(right.0 - left.0) * 2.2 - (right.1 - left.1) * 0.5,
            -(down.0 - up.0) * 2.2 - (down.1 - up.1) * 0.5,
        );
        let key = (nx * 0.7 * side - ny * 0.75).clamp(-1.0, 1.0);
        let shaded = old.map(|c| c * (1.0 + 0.75 * key.min(0.0)));
        let shine = screen(shaded, [1.0, 0.97, 0.9], 0.5 * key.max(0.0));
        let [r, g, b, _] = above.1.at(x - step * side, y - step);
        let bump = ((luma(old) - luma([r, g, b])) * 0.5).clamp(-0.12, 0.12);
        mix(old, shine.map(|c| (c + bump).clamp(0.0, 1.0)), subject)
    });
}

/// How much of a place is the subject, blurred broadly and finely.
struct Slopes<'s>(Rows<'s>, Rows<'s>);

impl Slopes<'_> {
    fn at(&mut self, x: f32, y: f32) -> (f32, f32) {
        (self.0.at(x, y)[3], self.1.at(x, y)[3])
    }
}
