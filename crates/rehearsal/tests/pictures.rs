//! What a sprint relies on: pictures that are the same each time, that differ where they should, and that
//! any prompt gives.

use std::str::FromStr;

use diptych_rehearsal::{Error, MAX_SIDE, Manner, Scene, draw, drawings_named_by, paint};
use proptest::prelude::*;

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

fn scene(prompt: &str, side: u32) -> Scene<'_> {
    Scene { prompt, category: None, manner: Manner::Noto, seed: 7, width: side, height: side }
}

/// Mean difference per channel, 0 to 255.
fn distance(a: &[u8], b: &[u8]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| f64::from(a.abs_diff(*b))).sum::<f64>() / a.len() as f64
}

/// Width and height from the frame header of a JPEG (ITU-T T.81, B.2.2).
fn dimensions(jpeg: &[u8]) -> Option<(u32, u32)> {
    assert_eq!(jpeg.first_chunk(), Some(&[0xff, 0xd8]));
    assert_eq!(jpeg.last_chunk(), Some(&[0xff, 0xd9]));
    let mut at = 2;
    while at + 9 < jpeg.len() {
        let number = |at: usize| u32::from(jpeg[at]) << 8 | u32::from(jpeg[at + 1]);
        if (0xc0..=0xc2).contains(&jpeg[at + 1]) {
            return Some((number(at + 7), number(at + 5)));
        }
        at += 2 + number(at + 2) as usize;
    }
    None
}

#[test]
fn the_same_scene_gives_the_same_bytes_and_another_seed_another_picture() {
    let asked = scene("a fox in a forest, sunset", 160);
    assert_eq!(draw(&asked).unwrap(), draw(&asked).unwrap());
    let other = Scene { seed: 8, ..asked };
    assert!(distance(&paint(&asked).unwrap(), &paint(&other).unwrap()) > 4.0);
}

#[test]
fn each_category_is_treated_in_its_own_way() {
    for manner in Manner::ALL {
        let mut pictures =
            vec![("none", paint(&Scene { manner, ..scene("a castle by the sea", 160) }).unwrap())];
        for category in CATEGORIES {
            let asked = Scene { manner, category: Some(category), ..scene("a castle by the sea", 160) };
            let picture = paint(&asked).unwrap();
            for (other, drawn) in &pictures {
                let apart = distance(&picture, drawn);
                assert!(apart > 8.0, "{category} and {other} look alike in {manner}: {apart}");
            }
            pictures.push((category, picture));
        }
    }
}

#[test]
fn the_two_manners_look_different() {
    for prompt in ["a red car in the city", "portrait of a woman", "a bowl of ramen", "an idea"] {
        let noto = paint(&scene(prompt, 128)).unwrap();
        let fluent = paint(&Scene { manner: Manner::Fluent, ..scene(prompt, 128) }).unwrap();
        assert!(distance(&noto, &fluent) > 12.0, "{prompt}");
    }
}

#[test]
fn sizes_from_one_pixel_on_are_drawn_and_too_large_ones_refused() {
    for (width, height) in [(1, 1), (3, 200), (64, 64), (333, 77), (512, 256)] {
        for category in CATEGORIES {
            let asked = Scene { width, height, category: Some(category), ..scene("two dogs on a beach", 0) };
            assert_eq!(dimensions(&draw(&asked).unwrap()), Some((width, height)), "{category}");
        }
    }
    for (width, height) in [(0, 64), (64, 0), (MAX_SIDE + 1, 64), (64, u32::MAX)] {
        let refused = draw(&Scene { width, height, ..scene("", 0) });
        assert!(matches!(refused, Err(Error::Size { width: w, height: h }) if (w, h) == (width, height)));
    }
}

#[test]
fn prompts_without_words_or_with_far_too_many_are_drawn() {
    let long = "a dragon over a castle, ".repeat(5000);
    for prompt in ["", " ,.;", "qzxv", "日本の風景", "🐉🏰", "Ω≈ç√∫˜µ≤", long.as_str()] {
        for manner in Manner::ALL {
            let jpeg = draw(&Scene { manner, ..scene(prompt, 64) }).unwrap();
            assert_eq!(dimensions(&jpeg), Some((64, 64)));
        }
    }
}

#[test]
fn words_pick_the_drawings() {
    for (prompt, first) in [
        ("two wolves under a full moon", "wolf"),
        ("A castle by the sea, art by Rosa Bonheur", "castle"),
        ("hot air balloon", "balloon"),
        ("highly detailed oil painting of strawberries", "strawberry"),
        ("portrait of a queen, artstation", "princess"),
        ("women dancing", "woman"),
    ] {
        assert_eq!(drawings_named_by(prompt).unwrap().first(), Some(&first), "{prompt}");
    }
    assert_eq!(drawings_named_by("by Fox Wolf and Lion").unwrap(), Vec::<&str>::new());
}

#[test]
fn most_real_prompts_find_a_drawing() {
    let prompts = include_str!("prompts.txt").lines().collect::<Vec<_>>();
    let found = prompts.iter().filter(|prompt| !drawings_named_by(prompt).unwrap().is_empty()).count();
    let share = found as f64 / prompts.len() as f64;
    assert!(share >= 0.85, "{share}");
}

#[test]
fn manners_go_by_their_names() {
    for manner in Manner::ALL {
        assert_eq!(Manner::from_str(manner.as_str()).unwrap(), manner);
    }
    assert!(matches!(Manner::from_str("Noto"), Err(Error::Manner(name)) if name == "Noto"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_prompt_gives_a_picture(prompt in any::<String>(), width in 1u32..80, height in 1u32..80, seed: u64, category in 0usize..13) {
        for manner in Manner::ALL {
            let asked = Scene { prompt: &prompt, category: CATEGORIES.get(category).copied(), manner, seed, width, height };
            let jpeg = draw(&asked).unwrap();
            prop_assert_eq!(dimensions(&jpeg), Some((width, height)));
        }
    }

    #[test]
    fn any_words_give_a_picture(words in prop::collection::vec("[a-z]{2,7}|fox|sea|girl|night|city|cars|gold|space", 0..12), seed: u64) {
        let prompt = words.join(" ");
        let jpeg = draw(&Scene { seed, ..scene(&prompt, 48) }).unwrap();
        prop_assert_eq!(dimensions(&jpeg), Some((48, 48)));
    }
}
