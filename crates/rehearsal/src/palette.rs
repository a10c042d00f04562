//! Colours, and the palette that a scene is painted with.

use crate::{
    Manner,
    random::Random,
    words::{Hour, Place, Reading},
};

/// Red, green, blue, each 0 to 1.
pub type Rgb = [f32; 3];

/// The colour that `0xRRGGBB` names.
pub fn hex(code: u32) -> Rgb {
    [16, 8, 0].map(|shift| ((code >> shift) & 0xff) as f32 / 255.0)
}

/// From `a` (at 0) to `b` (at 1).
pub fn mix(a: Rgb, b: Rgb, t: f32) -> Rgb {
    [a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t, a[2] + (b[2] - a[2]) * t]
}

/// Lit by a coloured light.
pub fn lit(a: Rgb, b: Rgb) -> Rgb {
    [a[0] * b[0], a[1] * b[1], a[2] * b[2]]
}

/// Brightness as the eye weighs it (Rec. 601).
pub fn luma(c: Rgb) -> f32 {
    0.299 * c[0] + 0.587 * c[1] + 0.114 * c[2]
}

/// More (over 1) or less colourful.
pub fn saturate(c: Rgb, by: f32) -> Rgb {
    let grey = luma(c);
    c.map(|v| (grey + (v - grey) * by).clamp(0.0, 1.0))
}

/// 0 below `low`, 1 above `high`, smooth between.
pub fn smooth(low: f32, high: f32, v: f32) -> f32 {
    let t = ((v - low) / (high - low)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

/// The colours of one scene.
#[derive(Debug, Clone, Copy)]
pub struct Palette {
    pub top: Rgb,
    pub middle: Rgb,
    pub low: Rgb,
    pub sun: Rgb,
    /// Distant and near ground.
    pub ground: [Rgb; 2],
    pub water: [Rgb; 2],
    /// What the light does to things.
    pub light: Rgb,
    /// Walls, clothes and other free choices.
    pub accent: Rgb,
    pub stars: bool,
}

/// The palette for the place and hour, bent to the colours that the prompt names and to the seed.
pub fn choose(manner: Manner, place: Place, hour: Hour, reading: &Reading, random: &mut Random) -> Palette {
    let noto = manner == Manner::Noto;
    let sky = match (hour, noto) {
        (Hour::Day, true) => [0x2f_78c4, 0x84_bfe6, 0xee_f0dc, 0xff_f8dc],
        (Hour::Day, false) => [0x6c_cbe4, 0xb4_e6e8, 0xfd_f2d4, 0xff_fdf2],
        (Hour::Sunset, true) => [0x38_2a66, 0xbe_5670, 0xff_b268, 0xff_e2a4],
        (Hour::Sunset, false) => [0x7a_3f86, 0xee_6e76, 0xff_cb88, 0xff_eab0],
        (Hour::Night, true) => [0x06_0a22, 0x15_2458, 0x3d_4e92, 0xf5_edd8],
        (Hour::Night, false) => [0x0e_3446, 0x1a_5864, 0x56_a094, 0xff_f0b4],
        (Hour::Dawn, true) => [0x86_a4c4, 0xd8_c8d0, 0xfb_e4c4, 0xff_f4e0],
        (Hour::Dawn, false) => [0xa8_c8d8, 0xf4_d4cc, 0xfd_eed8, 0xff_fdf4],
        (Hour::Storm, true) => [0x28_303c, 0x55_626e, 0xa0_a6a0, 0xd8_dcd8],
        (Hour::Storm, false) => [0x3c_4660, 0x6a_7890, 0xb8_c0c4, 0xe8_ecec],
    }
    .map(hex);
    let light = match hour {
        Hour::Day => [1.0, 1.0, 1.0],
        Hour::Sunset => [0.86, 0.62, 0.6],
        Hour::Night => [0.3, 0.36, 0.56],
        Hour::Dawn => [0.98, 0.92, 0.88],
        Hour::Storm => [0.6, 0.65, 0.7],
    };
    let ground = match (place, noto) {
        (Place::Snow, _) => [0xc8_d8ec, 0xf4_f8fc],
        (Place::Desert, true) => [0xe0_ae6c, 0xb4_7838],
        (Place::Desert, false) => [0xf4_c47c, 0xe0_955a],
        (Place::Beach, _) => [0xf0_dcae, 0xdc_b878],
        (Place::Forest, true) => [0x5c_8040, 0x2c_4c24],
        (Place::Forest, false) => [0x86_b266, 0x4a_8050],
        (Place::City, true) => [0x86_8a96, 0x4a_4e5a],
        (Place::City, false) => [0xb0_a8c0, 0x7e_7896],
        (Place::Mountains, true) => [0x84_9060, 0x4c_5c3a],
        (Place::Space, true) => [0x6a_6478, 0x34_3044],
        (Place::Space, false) => [0x8a_6aa0, 0x54_3c78],
        (_, true) => [0x86_a850, 0x3e_6a30],
        (_, false) => [0xaa_d26a, 0x68_aa5a],
    }
    .map(hex);
    let water = if noto { [0x6a_a8c0, 0x12_4a78] } else { [0x8c_d8dc, 0x2c_8cb0] }.map(hex);
    let mut palette = Palette {
        top: sky[0],
        middle: sky[1],
        low: sky[2],
        sun: sky[3],
        ground: ground.map(|c| lit(c, light)),
        water: water.map(|c| lit(c, mix(light, [1.0; 3], 0.15))),
        light,
        accent: hex(random.pick(if noto {
            &[0x7a_3b46, 0x2f_5d7a, 0x4b_6a4a, 0x6a_4a80, 0xa8_6a34, 0x39_4a6a]
        } else {
            &[0xff_7a6b, 0x4f_9de0, 0x58_c08a, 0xb0_7be0, 0xff_b84a, 0x2f_b6bd]
        })),
        stars: hour == Hour::Night,
    };
    // The same hour is not the same every day.
    let drift = [random.between(-0.05, 0.05), random.between(-0.04, 0.04), random.between(-0.05, 0.05)];
    for colour in [&mut palette.top, &mut palette.middle] {
        *colour = [0, 1, 2].map(|i| (colour[i] + drift[i] * (0.4 + colour[i])).clamp(0.0, 1.0));
    }
    if let Some(tint) = reading.tint {
        palette.accent = tint;
        let toned = |colour: Rgb, by: f32| {
            let level = luma(colour) / luma(tint).max(0.15);
            mix(colour, tint.map(|v| (v * level).min(1.0)), by)
        };
        palette.top = toned(palette.top, 0.22);
        palette.middle = toned(palette.middle, 0.2);
        palette.low = toned(palette.low, 0.1);
    }
    palette
}
