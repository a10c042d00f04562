//! Whatever stands in a prompt, or in a chat model's answer, it is cleaned, told and screened to a good end.

#![no_main]

use diptych_text::duplicates::fold;
use diptych_text::language::Languages;
use diptych_text::lexicon::screen;
use diptych_text::normalize::normalize;
use diptych_text::templates::{fill, parse_answer};
use libfuzzer_sys::fuzz_target;
use std::sync::OnceLock;

fn english() -> &'static Languages {
    static ENGLISH: OnceLock<Languages> = OnceLock::new();
    ENGLISH.get_or_init(|| Languages::new(&["en"]).expect("English is known"))
}

fuzz_target!(|text: &str| {
    let clean = normalize(text);
    assert_eq!(normalize(&clean), clean, "what is clean stays as it is");
    assert_eq!(fold(&fold(&clean)), fold(&clean));
    let _ = english().verdict(&clean);
    let hits = screen(&clean);
    assert_eq!(hits.is_empty(), hits.score == 0.0);
    if let Ok(answer) = parse_answer(text, 1000) {
        assert!(!answer.trim().is_empty() && answer.chars().count() <= 1000);
    }
    let _ = fill(text, &[("prompt", &clean)]);
});
