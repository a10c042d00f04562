//! Treatments that lie in hand and print: ink, pixels, brush, cut paper.

use std::f32::consts::FRAC_1_SQRT_2;

use crate::{
    Manner,
    canvas::{Canvas, screen},
    palette::{Rgb, hex, luma, mix, saturate, smooth},
    random::{Random, clouds, floor, speck, turn},
};

/// Cel paint in few tones, slanting light, petals in the wind. The outlines come with the things.
pub fn anime(canvas: &mut Canvas, manner: Manner, random: &mut Random) {
    let unit = canvas.unit();
    let (width, height) = (canvas.width as f32, canvas.height as f32);
    let levels = if manner == Manner::Noto { 7.0 } else { 9.0 };
    let (lx, _) = canvas.lamp;
    let lean = if lx > width / 2.0 { 0.55 } else { -0.55 };
    let shift = random.unit();
    canvas.map(|x, y, old| {
        let light = luma(old).max(0.01);
        // Whole steps of brightness with a narrow ramp between them, so that edges stay clean.
        let level = light * levels;
        let step = (floor(level) + smooth(0.42, 0.58, level - floor(level))) / levels;
        let colour = saturate(old.map(|c| (c * (0.12 + step * 0.98) / light).min(1.0)), 1.34);
        let beam = smooth(0.56, 0.6, clouds(shift + (x + y * lean) / unit * 0.3, 0.7)) * (1.0 - y / height);
        screen(colour, [1.0, 0.96, 0.84], 0.24 * beam)
    });
    let petal = if manner == Manner::Noto { hex(0xff_c4d8) } else { hex(0xff_f4f8) };
    for _ in 0..26 {
        let (x, y) = (random.unit() * width, random.unit() * height);
        let (r, turn) = (unit * random.between(0.006, 0.017), random.unit() * 6.3);
        let at = |along: f32, across: f32| {
            (
                x + along * r * turn.cos() - across * r * turn.sin(),
                y + along * r * turn.sin() + across * r * turn.cos(),
            )
        };
        canvas.polygon(
            &[at(-1.0, 0.0), at(-0.2, 0.5), at(0.7, 0.35), at(1.0, 0.0), at(0.7, -0.35), at(-0.2, -0.5)],
            petal,
            0.92,
        );
    }
}

/// Black ink, dots of tone, lines of speed, the frame of a panel.
pub fn manga(canvas: &mut Canvas, manner: Manner, random: &mut Random) {
    let unit = canvas.unit();
    let (width, height) = (canvas.width as f32, canvas.height as f32);
    let (fx, fy, reach) = canvas.focus;
    let dot = (unit / if manner == Manner::Noto { 120.0 } else { 84.0 }).max(2.0);
    let salt = random.below(10_000) as u32;
    let rays = if manner == Manner::Noto { 220.0 } else { 120.0 };
    canvas.map_masked(|x, y, old, subject| {
        let light = luma(old);
        let light = if subject > 0.5 { (light * 1.18).min(1.0) } else { 0.16 + light * 0.9 };
        let tone = if light > 0.8 {
            1.0
        } else if light < 0.2 {
            0.0
        } else {
            // A turned grid of round dots whose size follows the tone.
            let (u, v) = ((x + y) / dot * FRAC_1_SQRT_2, (x - y) / dot * FRAC_1_SQRT_2);
            let (du, dv) = (u - floor(u + 0.5), v - floor(v + 0.5));
            let radius = (0.8 - light).max(0.0).sqrt() * 0.74;
            smooth(radius - 0.1, radius + 0.1, (du * du + dv * dv).sqrt())
        };
        let (dx, dy) = ((x - fx) / reach, (y - fy) / reach);
        let d = (dx * dx + dy * dy).sqrt();
        let angle = turn(dx, dy) * rays / 4.0;
        let ray = angle as i32;
        let from = 1.45 + 0.7 * speck(ray, 1, salt);
        let thick = 0.16 + 0.3 * speck(ray, 2, salt);
        let hit = d > from
            && speck(ray, 3, salt) > 0.45
            && (angle.fract().abs() - 0.5).abs() < thick * (d - from).min(1.0);
        let ink = if hit && subject < 0.5 { if luma(old) < 0.3 { 1.0 } else { 0.0 } } else { tone };
        [ink * 0.975 + 0.02; 3]
    });
    let (gutter, line) = ((unit * 0.026).round(), (unit * 0.007).max(1.0));
    canvas.map(|x, y, old| {
        let edge = x.min(y).min(width - 1.0 - x).min(height - 1.0 - y);
        if edge < gutter {
            [0.97; 3]
        } else if edge < gutter + line {
            [0.03; 3]
        } else {
            old
        }
    });
}

/// Blocks of few colours, dithered in a four by four pattern.
pub fn pixels(canvas: &mut Canvas, manner: Manner) {
    const BAYER: [[f32; 4]; 4] =
        [[0.0, 8.0, 2.0, 10.0], [12.0, 4.0, 14.0, 6.0], [3.0, 11.0, 1.0, 9.0], [15.0, 7.0, 13.0, 5.0]];
    let block = (canvas.unit() / if manner == Manner::Noto { 112.0 } else { 84.0 }).round().max(2.0) as usize;
    let levels = if manner == Manner::Noto { 6.0 } else { 5.0 };
    let (width, height) = (canvas.width, canvas.height);
    let across = width.div_ceil(block);
    let mut cells = Vec::with_capacity(across * height.div_ceil(block));
    for y in (0..height).step_by(block) {
        for x in (0..width).step_by(block) {
            let (mut sum, mut covered, mut count) = ([0.0; 3], 0.0, 0.0);
            for v in (y..(y + block).min(height)).step_by(2) {
                for u in (x..(x + block).min(width)).step_by(2) {
                    let colour = canvas.at(u as f32, v as f32);
                    (0..3).for_each(|i| sum[i] += colour[i]);
                    covered += f32::from(canvas.mask[v * width + u]);
                    count += 1.0;
                }
            }
            cells.push((sum.map(|s| s / count), covered / count > 127.0));
        }
    }
    let down = cells.len() / across;
    let inside = |i: usize, j: usize| i < across && j < down && cells[j * across + i].1;
    let mut painted = Vec::with_capacity(cells.len());
    for (index, (colour, subject)) in cells.iter().enumerate() {
        let (i, j) = (index % across, index / across);
        let rim = *subject
            && !(inside(i + 1, j)
                && inside(i.wrapping_sub(1), j)
                && inside(i, j + 1)
                && inside(i, j.wrapping_sub(1)));
        let threshold = (BAYER[j % 4][i % 4] + 0.5) / 16.0;
        let strength = if *subject { 0.22 } else { 0.55 };
        let quantised = saturate(*colour, 1.25)
            .map(|c| (floor(c * levels + (threshold - 0.5) * strength + 0.5) / levels).clamp(0.0, 1.0));
        painted.push(if rim { quantised.map(|c| c * 0.35) } else { quantised });
    }
    canvas.map(|x, y, _| painted[y as usize / block * across + x as usize / block]);
}

/// Strokes of a brush that follow a slow wind, finer on the subject, over the weave of the cloth.
pub fn painting(canvas: &mut Canvas, manner: Manner, random: &mut Random) {
    let unit = canvas.unit();
    let source = canvas.pixmap.clone();
    let (width, height) = (canvas.width as f32, canvas.height as f32);
    let shift = random.unit();
    // Watercolour-like broad touches for the one, knife-like short ones for the other.
    let (long, thick) = if manner == Manner::Noto { (0.05, 0.0105) } else { (0.03, 0.017) };
    for (size, spacing, fine) in [(1.3, 0.032, false), (0.36, 0.0125, true)] {
        let gap = (unit * spacing).max(1.5);
        let (columns, rows) = ((width / gap) as usize + 2, (height / gap) as usize + 2);
        for index in 0..columns * rows {
            let (i, j) = (index % columns, index / columns);
            let x = (i as f32 + random.between(-0.5, 0.5)) * gap;
            let y = (j as f32 + random.between(-0.5, 0.5)) * gap;
            let (px, py) =
                ((x.max(0.0) as usize).min(canvas.width - 1), (y.max(0.0) as usize).min(canvas.height - 1));
            let at = py * canvas.width + px;
            let covered = canvas.mask[at] > 100;
            if fine != covered {
                continue;
            }
            let data = source.data();
            let tone = 1.0 + random.between(-0.13, 0.13);
            let colour =
                saturate([0, 1, 2].map(|i| (f32::from(data[at * 4 + i]) / 255.0 * tone).min(1.0)), 1.12);
            let turn =
                clouds(shift + x / unit * 0.12, shift + y / unit * 0.12) * 7.0 + random.between(-0.3, 0.3);
            stroke(canvas, (x, y), turn, (unit * long * size, unit * thick * size), colour);
        }
    }
    let weave = (unit / 300.0).max(1.0);
    let mut wear = 0.0;
    canvas.map(|x, y, old| {
        if (x as usize).is_multiple_of(4) {
            wear = clouds(x / unit * 0.8, y / unit * 0.8) - 0.5;
        }
        let cloth = ((x / weave) as i32 + (y / weave) as i32) % 2;
        let by = 1.0 + 0.05 * (cloth as f32 - 0.5) + 0.1 * wear;
        old.map(|c| (c * by).clamp(0.0, 1.0))
    });
}

/// One touch of the brush, with the lighter ridges its bristles leave.
fn stroke(canvas: &mut Canvas, (x, y): (f32, f32), turn: f32, (long, thick): (f32, f32), colour: Rgb) {
    let (sin, cos) = turn.sin_cos();
    let rise = (long * sin).abs() + thick * cos.abs();
    let salt = (x * 31.0 + y * 17.0) as u32;
    // Across the touch, from -4 to 4.
    let bristles: [f32; 9] = std::array::from_fn(|at| 1.0 + 0.12 * (speck(at as i32 - 4, 0, salt) - 0.5));
    for row in (y - rise).max(0.0) as usize..((y + rise).max(0.0) as usize + 1).min(canvas.height) {
        let dy = row as f32 - y;
        // The part of the row that the touch can reach: it is much longer than thick.
        let span = |half: f32, slope: f32, middle: f32| {
            if slope.abs() < 1e-3 {
                (-long - thick, long + thick)
            } else {
                ((middle - half / slope.abs()), (middle + half / slope.abs()))
            }
        };
        let (a0, a1) = span(long, cos, -dy * sin / cos);
        let (b0, b1) = span(thick, sin, dy * cos / sin);
        let (left, right) = (x + a0.max(b0), x + a1.min(b1));
        canvas.region(left, row as f32, right, row as f32 + 1.0, |px, _, old| {
            let dx = px - x;
            let (along, across) = ((dx * cos + dy * sin) / long, (dy * cos - dx * sin) / thick);
            let inside = 1.0 - along * along * along.abs() - across * across;
            if inside <= 0.0 {
                return old;
            }
            let ridge = bristles[((across * 4.0) as i32 + 4).clamp(0, 8) as usize] - 0.1 * across;
            mix(old, colour.map(|c| (c * ridge).min(1.0)), (inside * 3.0).min(0.86))
        });
    }
}

/// Cut paper under a lamp, on a strip of film. The white edges come with the things.
pub fn animation(canvas: &mut Canvas, manner: Manner) {
    let unit = canvas.unit();
    let (width, height) = (canvas.width as f32, canvas.height as f32);
    let edge = canvas.soft(unit * 0.012);
    let mut edge = edge.rows();
    let levels = if manner == Manner::Noto { 6.0 } else { 8.0 };
    let drop = unit * 0.014;
    let band = (unit * 0.075).round();
    let hole = unit * 0.034;
    let pitch = height / (height / (unit * 0.1)).round().max(1.0);
    canvas.map_masked(|x, y, old, subject| {
        let side = x.min(width - 1.0 - x);
        if side < band {
            let (u, v) =
                ((side - band / 2.0).abs() / (hole * 0.5), ((y % pitch) - pitch / 2.0).abs() / (hole * 0.62));
            let punched = u.powi(6) + v.powi(6) < 1.0;
            return if punched { [0.93, 0.91, 0.86] } else { [0.1, 0.09, 0.1] };
        }
        let light = luma(old).max(0.02);
        let level = light * levels;
        let step = (floor(level) + smooth(0.35, 0.65, level - floor(level))) / levels;
        let flat = saturate(old.map(|c| (c * (step + 0.06) / light).min(1.0)), 1.2);
        let colour = mix(flat, old, subject * 0.7);
        let shadow = edge.at(x - drop, y - drop)[3] * (1.0 - subject);
        let colour = mix(colour, [0.08, 0.06, 0.14], shadow * 0.45);
        let fibre =
            clouds(x / unit * 1.7, y / unit * 0.9) - 0.5 + (speck(x as i32, y as i32 / 2, 31) - 0.5) * 0.35;
        colour.map(|c| (c * (1.0 + 0.13 * fibre) + 0.02).clamp(0.0, 1.0))
    });
}

/// Few inks on grainy paper that the picture fades into, hatched where it is dark.
pub fn illustration(canvas: &mut Canvas, manner: Manner, random: &mut Random) {
    let unit = canvas.unit();
    let (width, height) = (canvas.width as f32, canvas.height as f32);
    let paper = if manner == Manner::Noto { hex(0xf6_ecd8) } else { hex(0xfb_f4ea) };
    let ink = if manner == Manner::Noto { hex(0x2c_2430) } else { hex(0x1f_2f6a) };
    let shift = random.unit();
    let pitch = (unit / 130.0).max(2.0);
    let mut wash = 0.0;
    canvas.map_masked(|x, y, old, subject| {
        let light = luma(old);
        // It changes slowly.
        if (x as usize).is_multiple_of(4) {
            wash = clouds(shift + x / unit * 0.5, shift + y / unit * 0.5) - 0.5;
        }
        let grain = speck(x as i32, y as i32, 41) - 0.5;
        // Inks are thinner than paint: colours lighten towards the paper and lie in few steps.
        let levels = 5.0;
        let stepped = old.map(|c| (floor(c * levels + 0.5 + wash * 0.5) / levels).clamp(0.0, 1.0));
        let pale = mix(mix(stepped, old, 0.35 + 0.4 * subject), paper, 0.26 - 0.16 * subject);
        let colour = [
            pale[0] * (0.35 + 0.65 * paper[0]),
            pale[1] * (0.35 + 0.65 * paper[1]),
            pale[2] * (0.35 + 0.65 * paper[2]),
        ];
        let (hatch, cross) = ((x + y * 1.1) / pitch + wash * 2.0, (x - y * 0.9) / pitch + wash * 2.0);
        let (hatch, cross) = (hatch - floor(hatch), cross - floor(cross));
        let line = f32::from(light < 0.42 && hatch < 0.3) + f32::from(light < 0.24 && cross < 0.28);
        let colour = mix(colour, ink, 0.5 * line.min(1.0) * (1.0 - 0.75 * subject));
        // The wash ends in a ragged edge before the sheet does.
        let edge = x.min(y).min(width - x).min(height - y) / unit;
        let wander = if edge < 0.1 { clouds(x / unit * 0.45 + shift, y / unit * 0.45) - 0.5 } else { 0.0 };
        let ragged = edge + wander * 0.07;
        let inside = smooth(0.035, 0.05, ragged).max(subject * smooth(0.02, 0.03, edge));
        mix(paper, colour, inside).map(|c| (c + grain * 0.045).clamp(0.0, 1.0))
    });
}
