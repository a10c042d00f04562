//! The embedded writer: readable English from a source prompt, a category and a sub-category.
//!
//! A source prompt of the wild is a subject with a tail of style words ("highly detailed, artstation,
//! 8 k"). The tail would contradict or double the style that the category asks for, so a phrase made
//! of nothing but style words is left out, and so is a medium that introduces the subject ("an oil
//! painting of"). Everything else is kept as it stands: every noun that is content survives. Then the
//! style is said in words of the category and its sub-category: briefly in `simplified`, richly in
//! `quality`. The same request gives the same words.

mod phrases;

use phrases::{CONTRADICTIONS, ENRICHMENTS, FRAMES, MEDIA, STYLE_WORDS, lead, manner};

/// Part of the key of everything that is written: raised whenever the words change.
pub const VERSION: u32 = 2;

/// What is to be written.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The cleaned source prompt.
    pub prompt: &'a str,
    /// Its category, as the taxonomy names it.
    pub category: &'a str,
    /// Its sub-category, as the taxonomy names it.
    pub sub_category: &'a str,
    /// Chooses among wordings.
    pub seed: u64,
}

/// There is no such evolution.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the rules know no evolution `{0}` (known: simplified, quality)")]
pub struct UnknownEvolution(String);

/// The source prompt in the style of its category and sub-category.
pub fn style_prompt(request: &Request) -> String {
    let manner = manner(request.category, request.sub_category);
    finished(&[&subject(request.prompt), &format!("{}, {manner}", lead(request.category))])
}

/// The variant of this evolution. `_style` is what [`style_prompt`] gave: the rules need no more of
/// it than the request, but a chat model does, and both are called alike.
///
/// # Errors
/// Where the rules know no such evolution.
pub fn variant(_style: &str, request: &Request, evolution: &str) -> Result<String, UnknownEvolution> {
    let subject = subject(request.prompt);
    let (lead, manner) = (lead(request.category), manner(request.category, request.sub_category));
    match evolution {
        "simplified" => Ok(finished(&[&format!("{subject}, {}", brief(lead, manner))])),
        "quality" => {
            let said = format!("{subject} {lead} {manner}").to_lowercase();
            let extra = enrichments(request, &said);
            Ok(finished(&[&subject, &format!("{lead}, {manner}, {}", extra.join(", "))]))
        }
        other => Err(UnknownEvolution(other.to_owned())),
    }
}

/// The style in a few words; the manner alone where it says the lead already.
fn brief(lead: &str, manner: &str) -> String {
    let bare = lead.trim_start_matches("a ").trim_start_matches("an ").to_lowercase();
    if manner.to_lowercase().contains(&bare) { manner.to_owned() } else { format!("{lead}, {manner}") }
}

/// Sentences, each with a capital and a full stop.
fn finished(sentences: &[&str]) -> String {
    let mut text = String::new();
    for sentence in sentences {
        let sentence = sentence.trim().trim_matches([',', '.', ';', ' ']);
        if sentence.is_empty() {
            continue;
        }
        if !text.is_empty() {
            text.push(' ');
        }
        let mut chars = sentence.chars();
        if let Some(first) = chars.next() {
            text.extend(first.to_uppercase());
            text.push_str(chars.as_str());
        }
        if !text.ends_with(['!', '?', '"', '”']) {
            text.push('.');
        }
    }
    text
}

/// What the prompt shows, without its tail of style words.
fn subject(prompt: &str) -> String {
    let joined = join_spaced_digits(&without_weights(prompt));
    let mut kept: Vec<String> = Vec::new();
    let mut all: Vec<String> = Vec::new();
    for phrase in phrases_of(&joined) {
        let phrase = phrase.trim().trim_matches(['-', ':', '|', ' ', '"']).trim();
        if phrase.is_empty() {
            continue;
        }
        // What is said twice in a row of things may be two of them ("cat, dog, dog"); style is not.
        let again = all.iter().any(|known| known.eq_ignore_ascii_case(phrase));
        if again && words(phrase).count() > 1 {
            continue;
        }
        all.push(phrase.to_owned());
        let phrase = without_medium(phrase);
        let style = words(phrase).all(|word| STYLE_WORDS.contains(&word.as_str()));
        if !style && !phrase.is_empty() {
            kept.push(phrase.to_owned());
        }
    }
    // A prompt of nothing but style words is all the subject that there is.
    if kept.is_empty() { all.join(", ") } else { kept.join(", ") }
}

fn words(phrase: &str) -> impl Iterator<Item = String> {
    phrase
        .split(|c: char| !c.is_alphanumeric() && c != '\'')
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
}

/// Phrases between commas, semicolons, bars, and full stops that end something.
fn phrases_of(text: &str) -> Vec<&str> {
    let mut phrases = Vec::new();
    let mut start = 0;
    let mut chars = text.char_indices().peekable();
    while let Some((place, c)) = chars.next() {
        let ends = match c {
            ',' => !chars.peek().is_some_and(|(_, next)| next.is_ascii_digit()),
            ';' | '|' | '\n' => true,
            '.' => {
                let before = &text[start..place];
                chars.peek().is_none_or(|(_, next)| next.is_whitespace()) && !is_abbreviation(before)
            }
            _ => false,
        };
        if ends {
            phrases.push(&text[start..place]);
            start = place + c.len_utf8();
        }
    }
    phrases.push(&text[start..]);
    phrases
}

/// Whether a full stop after this belongs to its last word: an initial (`h. r. giger`), a title, a month.
fn is_abbreviation(text: &str) -> bool {
    const SHORT: &[&str] = &[
        "dr", "mr", "mrs", "ms", "st", "jr", "sr", "prof", "vs", "no", "jan", "feb", "mar", "apr", "jun",
        "jul", "aug", "sep", "sept", "oct", "nov", "dec",
    ];
    let word = text.rsplit(|c: char| !c.is_alphanumeric()).next().unwrap_or_default().to_lowercase();
    (word.chars().count() == 1 && word.chars().all(char::is_alphabetic)) || SHORT.contains(&word.as_str())
}

/// Without what some tools read as emphasis: `((word))`, `[word]`, `word::2`, `(word:1.3)`.
fn without_weights(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '(' | ')' | '[' | ']' | '{' | '}' => {}
            ':' => {
                let mut ahead = chars.clone().skip_while(|c| *c == ':').peekable();
                // `10:30` and `16:9` are what they say.
                let of_a_number = out.ends_with(|c: char| c.is_ascii_digit()) && chars.peek() != Some(&':');
                if !of_a_number && ahead.peek().is_some_and(char::is_ascii_digit) {
                    while chars.peek().is_some_and(|c| *c == ':' || c.is_ascii_digit() || *c == '.') {
                        chars.next();
                    }
                } else {
                    out.push(c);
                }
            }
            _ => out.push(c),
        }
    }
    out
}

/// `1 9 5 0` to `1950` and `8 k` to `8k`: an old tokenizer's traces in much prompt data.
fn join_spaced_digits(text: &str) -> String {
    let mut out: Vec<String> = Vec::new();
    let mut run = false;
    for word in text.split_whitespace() {
        let digit = word.len() == 1 && word.as_bytes()[0].is_ascii_digit();
        let unit = ["k", "k,", "mm", "mm,", "d", "d,", "s", "s,"].contains(&word);
        let digits_and_mark = word.len() == 2
            && word.as_bytes()[0].is_ascii_digit()
            && [b',', b'.', b';'].contains(&word.as_bytes()[1]);
        match out.last_mut() {
            Some(last) if run && (digit || unit || digits_and_mark) => last.push_str(word),
            _ => out.push(word.to_owned()),
        }
        run = digit;
    }
    // Words that a comma was torn off from: "fox , boat".
    out.join(" ").replace(" ,", ",").replace(" .", ".")
}

/// Without a medium that introduces the subject: "an oil painting of a fox" is "a fox".
fn without_medium(phrase: &str) -> &str {
    let mut rest = phrase;
    for article in ["a ", "an ", "the "] {
        if let Some(after) = strip_prefix_ignoring_case(rest, article) {
            rest = after;
            break;
        }
    }
    // Adjectives of style may stand before the medium: "highly detailed digital painting of".
    let mut seen_medium = false;
    let mut cursor = rest;
    while let Some((word, after)) = cursor.split_once(' ') {
        let lower = word.to_lowercase();
        if seen_medium && lower == "of" {
            return after.trim_start();
        }
        // "an oil painting in the style of Rembrandt": the name is content. "A painting in a museum" is a
        // painting in a museum.
        if seen_medium && lower == "in" {
            let of_style = ["in the style of ", "in the manner of ", "in style of "];
            return if of_style.iter().any(|start| strip_prefix_ignoring_case(cursor, start).is_some()) {
                cursor
            } else {
                phrase
            };
        }
        if MEDIA.contains(&lower.as_str()) {
            seen_medium = true;
        } else if !STYLE_WORDS.contains(&lower.as_str()) && !FRAMES.contains(&lower.as_str()) {
            break;
        }
        cursor = after;
    }
    phrase
}

fn strip_prefix_ignoring_case<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let start = text.get(..prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then(|| &text[prefix.len()..])
}

/// Three phrases that enrich the category, none of which says again what is said already.
fn enrichments(request: &Request, said: &str) -> Vec<&'static str> {
    let choices =
        ENRICHMENTS.iter().find(|(category, _)| *category == request.category).map_or(&[][..], |(_, c)| c);
    let contradicts = |phrase: &str| {
        CONTRADICTIONS
            .iter()
            .any(|(manner, words)| said.contains(manner) && words.iter().any(|word| phrase.contains(word)))
    };
    let mut chosen: Vec<&'static str> = Vec::new();
    let mut state = mixed(request.seed ^ mixed(hash(request.prompt)));
    let mut left: Vec<&'static str> = choices.to_vec();
    while chosen.len() < 3 && !left.is_empty() {
        state = mixed(state);
        let phrase = left.swap_remove((state % left.len() as u64) as usize);
        let fresh = |word: &String| word.len() < 5 || !said.contains(word.as_str());
        let doubled =
            |word: &String| word.len() >= 5 && chosen.iter().any(|other| other.contains(word.as_str()));
        if contradicts(phrase) {
            continue;
        }
        if words(phrase).all(|word| fresh(&word)) && !words(phrase).any(|word| doubled(&word)) {
            chosen.push(phrase);
        }
    }
    if chosen.is_empty() { vec!["carefully composed"] } else { chosen }
}

/// SplitMix64's finisher. Source: Steele, Lea and Flood, "Fast splittable pseudorandom number
/// generators" (2014).
fn mixed(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// FNV-1a. Source: the draft "The FNV Non-Cryptographic Hash Algorithm".
fn hash(text: &str) -> u64 {
    text.bytes()
        .fold(0xCBF2_9CE4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3))
}
