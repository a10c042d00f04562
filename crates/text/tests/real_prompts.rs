//! The rules on real prompts: what they drop there is known and may not grow unseen.

// What is dropped is printed so that it can be read: `cargo test -- --nocapture`.
#![allow(clippy::expect_used, clippy::print_stdout)]

use diptych_text::language::{Languages, Verdict};
use diptych_text::lexicon;
use diptych_text::normalize::normalize;

const PARTI: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../data/parti-prompts.tsv"));
const USERS: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../data/user-prompts.jsonl"));
const OTHERS: &str = include_str!("data/other-languages.tsv");

fn parti() -> Vec<String> {
    PARTI.lines().skip(1).filter_map(|line| line.split('\t').next()).map(normalize).collect()
}

fn users() -> Vec<String> {
    USERS
        .lines()
        .map(|line| {
            let row: serde_json::Value = serde_json::from_str(line).expect("a JSON line");
            normalize(row["prompt"].as_str().expect("a prompt"))
        })
        .collect()
}

fn dropped(texts: &[String], allowed: &[&str]) -> Vec<String> {
    let languages = Languages::new(allowed).expect("known codes");
    texts
        .iter()
        .filter_map(|text| match languages.verdict(text) {
            Verdict::Other { language, confidence } => Some(format!("{language} {confidence:.2} {text}")),
            Verdict::Allowed | Verdict::Unsure => None,
        })
        .inspect(|line| println!("{line}"))
        .collect()
}

#[test]
fn english_prompts_are_kept() {
    let texts = parti();
    assert_eq!(texts.len(), 1632);
    let drops = dropped(&texts, &["en"]);
    assert!(drops.len() * 200 < texts.len(), "{drops:#?}");
}

#[test]
fn few_user_prompts_are_dropped() {
    let texts = users();
    assert_eq!(texts.len(), 6000);
    let drops = dropped(&texts, &["en"]);
    assert!(drops.len() * 200 < texts.len(), "{drops:#?}");
}

#[test]
fn other_languages_are_dropped_and_their_own_kept() {
    let rows: Vec<(&str, &str)> =
        OTHERS.lines().map(|line| line.split_once('\t').expect("code and prompt")).collect();
    assert_eq!(rows.len(), 200);
    let english = Languages::new(&["en"]).expect("known");
    let kept: Vec<_> =
        rows.iter().filter(|(_, text)| !matches!(english.verdict(text), Verdict::Other { .. })).collect();
    println!("kept under English: {} {kept:#?}", kept.len());
    assert!(kept.len() * 10 <= rows.len(), "{kept:#?}");

    let mine_dropped: Vec<_> = rows
        .iter()
        .map(|(code, text)| (code, text, Languages::new(&[code]).expect("known").verdict(text)))
        .filter(|(_, _, verdict)| matches!(verdict, Verdict::Other { .. }))
        .collect();
    println!("own language dropped: {} {mine_dropped:#?}", mine_dropped.len());
    assert!(mine_dropped.len() * 50 <= rows.len(), "{mine_dropped:#?}");
}

#[test]
fn an_unknown_language_is_named_with_the_known_ones() {
    let message = Languages::new(&["xx"]).expect_err("unknown").to_string();
    assert!(message.contains("`xx`") && message.contains("en, de"), "{message}");
    assert!(Languages::new::<&str>(&[]).is_err());
}

#[test]
fn the_lexicon_hits_a_small_share() {
    let hits: Vec<_> = users()
        .into_iter()
        .map(|text| (lexicon::screen(&text), text))
        .filter(|(hits, _)| !hits.is_empty())
        .collect();
    for (hits, text) in &hits {
        println!(
            "HIT {:.1} {}{}{} {:?} | {text}",
            hits.score,
            u8::from(hits.sexual),
            u8::from(hits.minor),
            u8::from(hits.slur),
            hits.words
        );
    }
    assert!((30..300).contains(&hits.len()), "{}", hits.len());
    let parti = parti();
    let in_parti: Vec<_> = parti.iter().filter(|text| !lexicon::screen(text).is_empty()).collect();
    println!("PARTI {in_parti:#?}");
    assert!(in_parti.is_empty(), "{in_parti:#?}");
}

#[test]
fn a_script_that_no_known_language_is_written_in_is_another_language() {
    let english = Languages::new(&["en"]).expect("known");
    for text in ["একটি লাল শিয়াল বরফে", "சிவப்பு நரி பனியில்", "წითელი მელა თოვლში", "կարմիր աղվես ձյան մեջ"]
    {
        assert!(matches!(english.verdict(text), Verdict::Other { language: "und", .. }), "{text}");
    }
    assert!(!matches!(english.verdict("a 𝓯𝓪𝓷𝓬𝔂 fox, ｆｕｌｌ width"), Verdict::Other { .. }));
}
