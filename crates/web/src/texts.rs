//! The words of the page where people compare, one file a language, and which of them a browser wants.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use axum::http::{HeaderMap, header};

use crate::session::cookie;

/// The cookie of who has chosen a language.
pub(crate) const COOKIE: &str = "diptych_language";

/// Codes and words; the first is for who wants none of them.
const FILES: [(&str, &str); 2] =
    [("en", include_str!("../texts/en.json")), ("de", include_str!("../texts/de.json"))];

/// The words of one language.
pub(crate) struct Texts {
    /// As `lang` names it.
    pub(crate) code: &'static str,
    words: BTreeMap<String, String>,
    /// All of them as JSON that may stand in a page.
    pub(crate) script: String,
}

impl Texts {
    /// The words for this; the name itself, where there are none.
    pub(crate) fn say<'a>(&'a self, name: &'a str) -> &'a str {
        self.words.get(name).map_or(name, String::as_str)
    }
}

/// All languages.
pub(crate) fn languages() -> &'static [Texts] {
    static LANGUAGES: OnceLock<Vec<Texts>> = OnceLock::new();
    LANGUAGES.get_or_init(|| {
        let texts = |(code, file): (&'static str, &str)| {
            let words: BTreeMap<String, String> = serde_json::from_str(file).unwrap_or_default();
            let script = serde_json::to_string(&words).unwrap_or_default().replace('<', "\\u003c");
            Texts { code, words, script }
        };
        FILES.into_iter().map(texts).collect()
    })
}

/// The language with this code.
pub(crate) fn named(code: &str) -> Option<&'static Texts> {
    languages().iter().find(|texts| texts.code == code)
}

/// The language that was chosen on this browser, or else that which it likes best.
pub(crate) fn wanted(headers: &HeaderMap) -> &'static Texts {
    let chosen = cookie(headers, COOKIE);
    let likes =
        headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    chosen.and_then(|code| named(&code)).or_else(|| liked(likes)).unwrap_or(&languages()[0])
}

/// The best of `de-CH,de;q=0.9,en;q=0.8` (RFC 9110, 12.5.4); the first of several that are liked alike.
fn liked(header: &str) -> Option<&'static Texts> {
    let mut best: Option<(f32, &'static Texts)> = None;
    for range in header.split(',').take(32) {
        let mut parts = range.trim().split(';');
        let code = parts.next().unwrap_or_default().split('-').next().unwrap_or_default().to_lowercase();
        let weight =
            parts.find_map(|part| part.trim().strip_prefix("q=")).map_or(Some(1.0), |q| q.parse().ok());
        if let (Some(texts), Some(weight)) = (named(&code), weight)
            && weight > 0.0
            && best.is_none_or(|(other, _)| weight > other)
        {
            best = Some((weight, texts));
        }
    }
    best.map(|(_, texts)| texts)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const PAGES: [&str; 4] = [
        include_str!("../templates/annotate.html"),
        include_str!("../templates/plain.html"),
        include_str!("../assets/annotate.js"),
        include_str!("../assets/practice.js"),
    ];

    #[test]
    fn every_language_has_every_word_and_no_other() {
        let of = |texts: &'static Texts| texts.words.keys().collect::<BTreeSet<_>>();
        let english = of(&languages()[0]);
        assert!(english.len() > 50);
        for texts in languages() {
            assert_eq!(of(texts), english, "{}", texts.code);
            for (name, words) in &texts.words {
                let blanks = |text: &str| {
                    text.split('{')
                        .skip(1)
                        .filter_map(|rest| rest.split('}').next())
                        .map(str::to_owned)
                        .collect::<BTreeSet<_>>()
                };
                assert_eq!(blanks(words), blanks(languages()[0].say(name)), "{} of {name}", texts.code);
                assert!(!words.trim().is_empty(), "{name}");
            }
        }
    }

    #[test]
    fn every_word_is_used_and_every_used_one_is_there() {
        let mut used = BTreeSet::new();
        for page in PAGES {
            // `say("name"`, and choices of names: `? "name" : "name"`.
            // Whatever stands between two quotes, wherever the first of them began.
            used.extend(page.split('"'));
            for call in page.split("say(\"").skip(1) {
                let name = call.split('"').next().unwrap();
                let begins = name.ends_with('_');
                let known = |word: &&String| if begins { word.starts_with(name) } else { *word == name };
                assert!(languages()[0].words.keys().any(|word| known(&word)), "{name}");
            }
        }
        let built = ["saved_", "practice_", "practice_prompt_", "empty_"];
        for name in languages()[0].words.keys() {
            let is_built = built.iter().any(|start| name.starts_with(start));
            assert!(used.contains(name.as_str()) || is_built, "nothing says {name}");
        }
    }

    #[test]
    fn a_browser_gets_the_language_that_it_likes_best() {
        for (header, code) in [
            ("", "en"),
            ("de", "de"),
            ("DE-ch", "de"),
            ("fr-FR,fr;q=0.9,de;q=0.5,en;q=0.8", "en"),
            ("fr, de;q=0.1", "de"),
            ("de;q=0, en;q=0.1", "en"),
            ("de;q=x,;,,q=1", "en"),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_LANGUAGE, header.parse().unwrap());
            assert_eq!(wanted(&headers).code, code, "{header}");
        }
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT_LANGUAGE, "en".parse().unwrap());
        headers.insert(header::COOKIE, "a=b; diptych_language=de".parse().unwrap());
        assert_eq!(wanted(&headers).code, "de", "what was chosen stands");
    }
}
