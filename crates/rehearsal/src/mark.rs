//! The mark that tells a rehearsal picture from a real one: the word in small letters, lower right.

use crate::{
    canvas::Canvas,
    palette::{luma, mix},
};

/// "rehearsal" in letters of 3×5 pixels, one bit each, row by row from the left.
const LETTERS: [u16; 9] = [
    0b000_110_100_100_100, // r
    0b010_101_111_100_011, // e
    0b100_100_110_101_101, // h
    0b010_101_111_100_011, // e
    0b000_011_101_101_011, // a
    0b000_110_100_100_100, // r
    0b011_100_010_001_110, // s
    0b000_011_101_101_011, // a
    0b100_100_100_100_110, // l
];

/// Writes the mark; a picture too small for it stays without.
pub fn stamp(canvas: &mut Canvas) {
    let dot = (canvas.unit() / 330.0).floor().max(1.0);
    let (width, height) = (dot * 4.0 * LETTERS.len() as f32, dot * 5.0);
    let (left, top) = (canvas.width as f32 - width - 3.0 * dot, canvas.height as f32 - height - 4.0 * dot);
    if left < 0.0 || top < 0.0 {
        return;
    }
    let below = canvas.at(left + width / 2.0, top + height / 2.0);
    let ink = if luma(below) > 0.55 { [0.0; 3] } else { [1.0; 3] };
    canvas.region(left, top, left + width - 1.0, top + height - 1.0, |x, y, old| {
        let (column, row) = (((x - left) / dot) as usize, ((y - top) / dot) as usize);
        let set = column % 4 < 3
            && row < 5
            && column / 4 < 9
            && LETTERS[column / 4] >> (14 - row * 3 - column % 4) & 1 == 1;
        if set { mix(old, ink, 0.5) } else { old }
    });
}
