//! The rules over real prompts: what must hold for every one of them.
#![allow(clippy::unwrap_used)] // a test that cannot read its data should fail

use diptych_text::rules::{Request, style_prompt, variant};

const USER_PROMPTS: &str = include_str!("../../../data/user-prompts.jsonl");
const PARTI_PROMPTS: &str = include_str!("../../../data/parti-prompts.tsv");
const TAXONOMY: &str = include_str!("../../core/data/taxonomy.json");

/// Every twelfth user prompt and every fifth of the others, each with a sub-category in turn.
fn requests() -> Vec<(String, String, String)> {
    let taxonomy: std::collections::BTreeMap<String, Vec<String>> = serde_json::from_str(TAXONOMY).unwrap();
    let styles: Vec<(String, String)> = taxonomy
        .into_iter()
        .flat_map(|(category, subs)| subs.into_iter().map(move |sub| (category.clone(), sub)))
        .collect();
    let user = USER_PROMPTS.lines().step_by(12).map(|line| {
        let row: serde_json::Value = serde_json::from_str(line).unwrap();
        row["prompt"].as_str().unwrap().to_owned()
    });
    let parti =
        PARTI_PROMPTS.lines().skip(1).step_by(5).map(|line| line.split('\t').next().unwrap().to_owned());
    user.chain(parti)
        .filter(|prompt| prompt.chars().count() > 3)
        .enumerate()
        .map(|(place, prompt)| {
            let (category, sub) = styles[place * 37 % styles.len()].clone();
            (diptych_text::normalize::normalize(&prompt), category, sub)
        })
        .collect()
}

#[test]
fn every_real_prompt_becomes_readable_english() {
    for (prompt, category, sub_category) in requests() {
        let request = Request { prompt: &prompt, category: &category, sub_category: &sub_category, seed: 42 };
        let style = style_prompt(&request);
        let simple = variant(&style, &request, "simplified").unwrap();
        let rich = variant(&style, &request, "quality").unwrap();
        assert_ne!(simple, rich, "{prompt}");
        assert!(rich.len() > simple.len(), "{prompt}");
        for text in [&style, &simple, &rich] {
            assert!(!text.contains(", ,") && !text.contains("  ") && !text.contains(" ,"), "{text}");
            assert!(!text.starts_with([',', '.', ' ']), "{text}");
            assert!(text.ends_with(['.', '!', '?', '"', '”']), "{text}");
            assert!(!text.chars().next().unwrap().is_lowercase(), "{text}");
            let phrases: Vec<String> = text
                .split([',', '.'])
                .map(|phrase| phrase.trim().to_lowercase())
                .filter(|phrase| phrase.len() > 3)
                .collect();
            let mut once = phrases.clone();
            once.sort();
            once.dedup();
            assert_eq!(once.len(), phrases.len(), "a phrase is doubled: {text}");
        }
        assert_eq!(style, style_prompt(&request), "the same request, the same words");
    }
}

#[test]
fn content_survives_and_style_words_of_the_source_do_not_contradict() {
    let request = |prompt| Request { prompt, category: "Pixel art", sub_category: "low-res", seed: 1 };
    for (prompt, kept, gone) in [
        (
            "a highly detailed oil painting of a red fox, artstation, 8 k, octane render, by greg rutkowski",
            &["red fox", "greg rutkowski"][..],
            &["oil", "8k", "octane", "artstation", "detailed"][..],
        ),
        (
            "portrait of a raccoon, oil painting in the style of Rembrandt",
            &["raccoon", "style of Rembrandt"],
            &["oil"],
        ),
        ("a ( ( glass ) ) house, 1 9 5 0 sci - fi::2", &["glass", "house", "1950", "sci"], &["((", "::"]),
        ("digital painting, artstation", &["igital painting"], &[]),
        ("a monster by h. r. giger and dr. seuss, trending", &["h. r. giger", "dr. seuss"], &["trending"]),
        ("a painting in a museum", &["painting in a museum"], &[]),
        ("a clock at 10:30, ratio 16:9, a (fox:1.3)", &["10:30", "16:9", "fox"], &["1.3"]),
        ("a stage on Jan. 5, 2020", &["Jan. 5", "2020"], &[]),
    ] {
        for evolution in ["simplified", "quality"] {
            let text = variant("", &request(prompt), evolution).unwrap();
            for word in kept {
                assert!(text.contains(word), "`{word}` is missing: {text}");
            }
            for word in gone {
                assert!(!text.to_lowercase().contains(word), "`{word}` is left: {text}");
            }
        }
    }
    assert!(variant("", &request("a fox"), "baroque").is_err());
}

#[test]
fn nothing_is_in_black_and_white_and_in_colour_at_once() {
    for (prompt, category, sub_category) in requests() {
        for seed in 0..6 {
            let request = Request { prompt: "a fox", category: &category, sub_category: &sub_category, seed };
            let text = variant("", &request, "quality").unwrap().to_lowercase();
            if text.contains("black and white") {
                assert!(!text.contains("colour") && !text.contains("warm"), "{prompt}: {text}");
            }
            assert!(!(text.contains("clay") && text.contains("squash")), "{text}");
            assert!(!(text.contains("bokeh") && text.contains("depth of field")), "{text}");
        }
    }
}

#[test]
fn every_sub_category_has_words_of_its_own() {
    let taxonomy: std::collections::BTreeMap<String, Vec<String>> = serde_json::from_str(TAXONOMY).unwrap();
    for (category, subs) in taxonomy {
        for sub_category in subs {
            let request =
                Request { prompt: "a fox", category: &category, sub_category: &sub_category, seed: 1 };
            let style = style_prompt(&request);
            assert!(
                !style.contains("a manner of its own") && !style.contains("A picture"),
                "{category}, {sub_category}"
            );
        }
    }
}

proptest::proptest! {
    #[test]
    fn no_text_makes_the_rules_panic(prompt in proptest::prelude::any::<String>(), seed: u64) {
        let request = Request { prompt: &prompt, category: "Anime", sub_category: "vibrant", seed };
        let style = style_prompt(&request);
        proptest::prop_assert!(variant(&style, &request, "quality").is_ok());
    }
}
