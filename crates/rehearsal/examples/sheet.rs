//! Draws a contact sheet: `sheet OUT.png PROMPTS.txt [CELL]`, each prompt in both manners, the categories in turn.
//! A line may begin with a category and a tab.
#![allow(clippy::print_stdout, clippy::expect_used)]

use std::{env, fs, time::Instant};

use diptych_rehearsal::{Manner, Scene, paint};
use resvg::tiny_skia::{IntSize, Pixmap};

const CATEGORIES: [&str; 12] = [
    "Cinematic",
    "Photographic",
    "Anime",
    "Manga",
    "Digital art",
    "Pixel art",
    "Fantasy art",
    "Neonpunk",
    "3D Model",
    "Painting",
    "Animation",
    "Illustration",
];

fn main() {
    let arguments = env::args().collect::<Vec<_>>();
    let [_, out, prompts, rest @ ..] = arguments.as_slice() else {
        println!("usage: sheet OUT.png PROMPTS.txt [CELL]");
        return;
    };
    let cell = rest.first().map_or(256, |cell| cell.parse::<u32>().expect("the cell is a number of pixels"));
    let text = fs::read_to_string(prompts).expect("the prompts can be read");
    let lines = text.lines().filter(|line| !line.is_empty()).collect::<Vec<_>>();
    let columns = 8;
    let rows = (lines.len() as u32 * 2).div_ceil(columns);
    let mut sheet = vec![255; (columns * cell * rows * cell * 4) as usize];
    let mut spent = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let (category, prompt) = line.split_once('\t').unwrap_or((CATEGORIES[index % 12], line));
        for (side, manner) in Manner::ALL.into_iter().enumerate() {
            let (width, height) = (768, 768);
            let scene = Scene { prompt, category: Some(category), manner, seed: index as u64, width, height };
            // The better of two: the first may parse drawings, and other programs may take the core.
            let timed = || {
                let start = Instant::now();
                let jpeg = diptych_rehearsal::draw(&scene).expect("the scene can be drawn");
                (start.elapsed().as_secs_f64() * 1000.0, jpeg.len(), category)
            };
            let (first, second) = (timed(), timed());
            spent.push(if first.0 < second.0 { first } else { second });
            let rgb = paint(&scene).expect("the scene can be painted");
            let at = index as u32 * 2 + side as u32;
            let (x0, y0) = ((at % columns) * cell, (at / columns) * cell);
            // Averages boxes of pixels, so that the sheet shows what the eye would see from afar.
            for y in 0..cell {
                for x in 0..cell {
                    let (xs, ys) = (
                        x * width / cell..((x + 1) * width / cell).max(x * width / cell + 1),
                        y * height / cell..((y + 1) * height / cell).max(y * height / cell + 1),
                    );
                    let mut sum = [0u32; 3];
                    let mut count = 0;
                    for v in ys {
                        for u in xs.clone() {
                            let from = ((v * width + u) * 3) as usize;
                            (0..3).for_each(|i| sum[i] += u32::from(rgb[from + i]));
                            count += 1;
                        }
                    }
                    let to = (((y0 + y) * columns * cell + x0 + x) * 4) as usize;
                    (0..3).for_each(|i| sheet[to + i] = (sum[i] / count) as u8);
                }
            }
        }
    }
    let size = IntSize::from_wh(columns * cell, rows * cell).expect("the sheet has a size");
    let pixmap = Pixmap::from_vec(sheet, size).expect("the sheet has all its pixels");
    pixmap.save_png(out).expect("the sheet can be written");
    for category in CATEGORIES {
        let of = spent.iter().filter(|s| s.2 == category).map(|s| s.0).collect::<Vec<_>>();
        println!("{category}: {:.1} ms", of.iter().sum::<f64>() / of.len().max(1) as f64);
    }
    spent.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mean = spent.iter().map(|s| s.0).sum::<f64>() / spent.len() as f64;
    let bytes = spent.iter().map(|s| s.1).sum::<usize>() / spent.len();
    println!(
        "{} pictures, mean {mean:.1} ms, median {:.1}, slowest {:?}, {bytes} bytes each",
        spent.len(),
        spent[spent.len() / 2].0,
        spent.last()
    );
}
