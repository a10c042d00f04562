//! Whatever stands beside a model: labels whose scores are between 0 and 1, pictures of one size that fits into memory,
//! or a few words that say why not. A first byte `A` is of `config.json`, `B` of `preprocessor_config.json`; with any
//! other it is a list of pictures and prompts, from `F` on a folder's, all of whose files lie inside it.

#![no_main]

use std::path::{Component, Path};

use diptych_model::{Config, LARGEST, Preparation};
use diptych_rows::{Listed, manifest, pictures};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let [which, text @ ..] = bytes else { return };
    let Ok(text) = str::from_utf8(text) else { return };
    let why = match which {
        b'A' => Config::parse(text).map(|config| scores(&config)).err(),
        b'B' => Preparation::parse(text).map(|how| sizes(&how)).err(),
        b'C' => manifest(text, Listed::JsonLines).map(|_| ()).err(),
        b'D' => manifest(text, Listed::Separated(b'\t')).map(|_| ()).err(),
        b'F' => inside(text, Listed::JsonLines).err(),
        b'G' => inside(text, Listed::Separated(b',')).err(),
        _ => manifest(text, Listed::Separated(b',')).map(|_| ()).err(),
    };
    assert!(why.is_none_or(|why| !why.is_empty() && why.len() < text.len() * 2 + 1_000));
});

/// A folder's list names files inside the folder alone.
fn inside(text: &str, listed: Listed) -> Result<(), String> {
    let rows = pictures(text, listed)?;
    let lines = text.split('\n').count() as u64;
    assert!(!rows.is_empty() && rows.is_sorted_by_key(|row| row.0));
    for (line, _, file) in rows {
        assert!((1..=lines).contains(&line), "line {line} of {lines}");
        let mut depth = file.components();
        assert!(
            depth.all(|part| matches!(part, Component::Normal(_) | Component::CurDir)),
            "{file:?} leads elsewhere"
        );
        assert!(Path::new("/folder").join(&file).starts_with("/folder"), "{file:?} leads elsewhere");
    }
    Ok(())
}

fn scores(config: &Config) {
    let count = config.labels.len();
    assert!(count > 0);
    assert!(config.scores(&vec![0.0; count + 1]).is_err());
    let logits: Vec<f32> = (0..count).map(|place| place as f32 * 1e3 - 5e2).collect();
    let scores = config.scores(&logits).expect("a value for each label");
    assert!(scores.values().all(|score| (0.0..=1.0).contains(score)), "{scores:?}");
}

fn sizes(how: &Preparation) {
    let (width, height) = how.size();
    let largest = LARGEST as usize;
    assert!((1..=largest).contains(&width) && (1..=largest).contains(&height), "{width} by {height}");
    if let Some((_, deviation)) = how.normalize {
        assert!(deviation.iter().all(|value| value.is_normal()));
    }
}
