//! The words of the pages, one file a language, and which of them a browser wants.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::OnceLock;

use axum::Extension;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method};
use axum::response::{IntoResponse, Redirect, Response};
use diptych_core::config::{Overlap, SprintSection};
use diptych_headers::{Client, best, cookie, local_path};
use diptych_stages::alerts::Alert;
use diptych_stages::phrase::Phrase;
use diptych_stages::results::Note;
use diptych_store::privacy::LEFT;
use serde::Deserialize;

use crate::gates::Alarm;
use crate::problem::Query;
use crate::session::with_cookie;
use crate::state::App;

/// The cookie of who has chosen a language.
const COOKIE: &str = "diptych_language";

/// A year, in seconds.
const YEAR: i64 = 365 * 24 * 3600;

/// A page's scripts that say words, and how the names begin that they put together.
struct Scripts {
    texts: &'static [&'static str],
    built: &'static [&'static str],
}

const ANNOTATE: Scripts = Scripts {
    texts: &[include_str!("../assets/annotate.js"), include_str!("../assets/practice.js")],
    built: &["saved_", "practice_", "empty_", "because_"],
};

const REVIEW: Scripts =
    Scripts { texts: &[include_str!("../assets/review.js")], built: &["reason_", "decision_", "because_"] };

/// Codes and words; the first is for who wants none of them.
const FILES: [(&str, &str); 2] =
    [("en", include_str!("../texts/en.json")), ("de", include_str!("../texts/de.json"))];

/// The words of one language.
pub(crate) struct Texts {
    /// As `lang` names it.
    pub(crate) code: &'static str,
    words: BTreeMap<String, String>,
    /// Those that the scripts of the page for comparing say, as JSON that may stand in it.
    pub(crate) annotate: String,
    /// The same of the review page.
    pub(crate) review: String,
}

/// Who reads a page.
#[derive(Clone)]
pub(crate) struct Reader {
    /// The words for them.
    pub(crate) t: &'static Texts,
    /// Where the same page is asked for in another language; empty where it is not to be had again.
    pub(crate) here: String,
}

impl<S: Sync> FromRequestParts<S> for Reader {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let here = match parts.method {
            Method::GET => parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default(),
            _ => String::new(),
        };
        Ok(Self { t: wanted(&parts.headers), here })
    }
}

/// A language, and the page to come back to.
#[derive(Debug, Deserialize)]
pub(crate) struct LanguageChoice {
    #[serde(default)]
    to: String,
    #[serde(default)]
    next: String,
}

/// Remembers on this browser which language is wanted, and leads back.
pub(crate) async fn choose(
    State(app): State<App>,
    Extension(client): Extension<Client>,
    Query(choice): Query<LanguageChoice>,
) -> Response {
    let back = Redirect::to(local_path(&choice.next)).into_response();
    match named(&choice.to) {
        Some(texts) => with_cookie(back, COOKIE, texts.code, YEAR, app.cookie_rules(client)),
        None => back,
    }
}

impl Texts {
    /// The words for this; the name itself, where there are none.
    pub(crate) fn say<'a>(&'a self, name: &'a str) -> &'a str {
        self.words.get(name).map_or(name, String::as_str)
    }

    /// The words for this, with each `{blank}` filled.
    pub(crate) fn fill<'a>(&self, name: &str, blanks: impl AsRef<[(&'a str, &'a str)]>) -> String {
        let mut parts = self.say(name).split('{');
        let mut text = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let (blank, rest) = part.split_once('}').unwrap_or((part, ""));
            let filled = blanks.as_ref().iter().find(|(known, _)| *known == blank);
            text.push_str(filled.map_or("", |(_, with)| with));
            text.push_str(rest);
        }
        text
    }

    /// A phrase, its blanks filled.
    pub(crate) fn phrase(&self, phrase: &Phrase) -> String {
        let blanks = phrase.blanks.iter().map(|(blank, filled)| (*blank, filled.as_str()));
        self.fill(phrase.name, blanks.collect::<Vec<_>>())
    }

    /// The words for this, with one number in them.
    pub(crate) fn count(&self, name: &str, number: i64) -> String {
        let number = self.number(number);
        let blank = self.say(name).split(['{', '}']).nth(1).unwrap_or_default();
        self.fill(name, [(blank, number.as_str())])
    }

    /// A number as the language writes it.
    pub(crate) fn number(&self, number: i64) -> String {
        let english = thousands(number.unsigned_abs());
        let sign = if number < 0 { "−" } else { "" };
        format!("{sign}{}", english.replace(',', self.say("thousands_mark")))
    }

    /// A number with this many places, as the language writes it.
    pub(crate) fn decimal(&self, number: f64, places: usize) -> String {
        format!("{number:.places$}").replace('.', self.say("decimal_mark"))
    }

    /// A share with its interval: `62 % (55–68)`.
    pub(crate) fn share(&self, share: Option<(f64, (f64, f64))>) -> String {
        share.map_or_else(
            || "–".to_owned(),
            |(value, (low, high))| {
                format!("{:.0}\u{a0}% ({:.0}–{:.0})", value * 100.0, low * 100.0, high * 100.0)
            },
        )
    }

    /// What organizers should look at.
    pub(crate) fn alert(&self, alert: &Alert) -> String {
        let number = |number: &i64| self.number(*number);
        match alert {
            Alert::OnePerson { name, given, all } => self.fill(
                "alert_person",
                [("name", name.as_str()), ("given", &number(given)), ("all", &number(all))],
            ),
            Alert::OneAddress { about, all } => {
                self.fill("alert_address", [("about", number(about).as_str()), ("all", &number(all))])
            }
            Alert::Fall { hour, usual } => {
                self.fill("alert_fall", [("hour", number(hour).as_str()), ("usual", &number(usual))])
            }
        }
    }

    /// Whether these are the words that programs are told, too.
    pub(crate) fn is_english(&self) -> bool {
        self.code == "en"
    }

    /// What a gate could not tell lately.
    pub(crate) fn alarm(&self, Alarm { times, minutes, why }: &Alarm) -> String {
        let ago = match *minutes {
            0 => self.say("alarm_now").to_owned(),
            minutes => self.fill("alarm_minutes", [("minutes", minutes.to_string().as_str())]),
        };
        let why = self.phrase(why);
        self.fill("alarm", [("times", times.to_string().as_str()), ("ago", &ago), ("why", &why)])
    }

    /// What somebody is in a sprint, to them.
    pub(crate) fn role(&self, role: &str) -> &str {
        self.words.get(&format!("me_is_{role}")).map_or("", String::as_str)
    }

    /// A person's name as the page shows it.
    pub(crate) fn name<'a>(&'a self, name: &'a str) -> &'a str {
        if name == LEFT { self.say("somebody_who_left") } else { name }
    }

    /// Why something is rejected, or waits; a classifier's name stays as it is.
    pub(crate) fn reason<'a>(&'a self, reason: &'a str) -> &'a str {
        self.words.get(&format!("reason_{reason}")).map_or(reason, String::as_str)
    }

    /// A decision with its reason, as the safety report names them: `removed: violence`.
    pub(crate) fn decided(&self, decided: &str) -> String {
        let (decision, reason) = decided.split_once(": ").unwrap_or((decided, ""));
        let name = format!("decision_{}", decision.replace(' ', "_"));
        let decision = self.words.get(&name).map_or(decision, String::as_str);
        match reason {
            "" => decision.to_owned(),
            reason => format!("{decision}: {}", self.reason(reason)),
        }
    }

    /// What a link to an image of this hash says.
    pub(crate) fn image(&self, hash: &str) -> String {
        self.fill("log_image", [("name", hash.get(..12).unwrap_or(hash))])
    }

    /// What has become of a proposal, for who made it.
    pub(crate) fn proposed(&self, state: &str, title: &str) -> String {
        self.fill(&format!("me_proposed_{state}"), [("title", title)])
    }

    /// How many people answer a pair.
    pub(crate) fn overlap(&self, Overlap { min, max }: Overlap) -> String {
        match min == max {
            true => self.number(i64::from(max)),
            false => {
                let [min, max] = [min, max].map(|people| self.number(i64::from(people)));
                self.fill("overlap_range", [("min", min.as_str()), ("max", &max)])
            }
        }
    }

    /// The question that people answer; one that an organizer has written stays as it is.
    pub(crate) fn question(&self, sprint: &SprintSection) -> String {
        let usual = sprint.question == SprintSection::usual_question();
        if usual { self.say("usual_question").to_owned() } else { sprint.question.clone() }
    }

    /// What a reader must know of a sprint.
    pub(crate) fn notes(&self, notes: &[Note]) -> String {
        notes.iter().map(|note| self.say(note.key())).collect::<Vec<_>>().join(" ")
    }
}

/// A question that somebody proposes, as it is kept: the usual one stands in every reader's language.
pub(crate) fn kept_question(question: &str) -> &str {
    let usual = languages().iter().any(|texts| texts.say("usual_question") == question.trim());
    if usual { SprintSection::usual_question() } else { question }
}

/// All languages.
pub(crate) fn languages() -> &'static [Texts] {
    static LANGUAGES: OnceLock<Vec<Texts>> = OnceLock::new();
    LANGUAGES.get_or_init(|| {
        let texts = |(code, file): (&'static str, &str)| {
            let words: BTreeMap<String, String> = serde_json::from_str(file).unwrap_or_default();
            let [annotate, review] = [ANNOTATE, REVIEW].map(|scripts| said_by(&scripts, &words));
            Texts { code, words, annotate, review }
        };
        FILES.into_iter().map(texts).collect()
    })
}

/// The words that these scripts say, as JSON that may stand in a page.
fn said_by(scripts: &Scripts, words: &BTreeMap<String, String>) -> String {
    let says = |name: &str| {
        scripts.built.iter().any(|start| name.starts_with(start))
            || scripts.texts.iter().any(|text| text.contains(&format!("\"{name}\"")))
    };
    let said: BTreeMap<_, _> = words.iter().filter(|(name, _)| says(name)).collect();
    serde_json::to_string(&said).unwrap_or_default().replace('<', "\\u003c")
}

/// A number with commas, as English writes it.
fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The language with this code.
fn named(code: &str) -> Option<&'static Texts> {
    languages().iter().find(|texts| texts.code == code)
}

/// The language that was chosen on this browser, or else that which it likes best.
fn wanted(headers: &HeaderMap) -> &'static Texts {
    let liked = || {
        let codes: Vec<&str> = languages().iter().map(|texts| texts.code).collect();
        best(headers, &codes).and_then(|place| languages().get(place))
    };
    cookie(headers, COOKIE).and_then(named).or_else(liked).unwrap_or(&languages()[0])
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use axum::http::header;

    use super::*;

    /// Whatever says words.
    const PAGES: [&str; 37] = [
        ANNOTATE.texts[0],
        ANNOTATE.texts[1],
        REVIEW.texts[0],
        include_str!("../templates/annotate.html"),
        include_str!("../templates/base.html"),
        include_str!("../templates/enter.html"),
        include_str!("../templates/home.html"),
        include_str!("../templates/invite.html"),
        include_str!("../templates/log.html"),
        include_str!("../templates/me.html"),
        include_str!("../templates/organize.html"),
        include_str!("../templates/people.html"),
        include_str!("../templates/plain.html"),
        include_str!("../templates/privacy.html"),
        include_str!("../templates/propose.html"),
        include_str!("../templates/results.html"),
        include_str!("../templates/review.html"),
        include_str!("../templates/safety.html"),
        include_str!("../templates/terms.html"),
        include_str!("../templates/who.html"),
        include_str!("annotate.rs"),
        include_str!("enter.rs"),
        include_str!("gates.rs"),
        include_str!("lib.rs"),
        include_str!("meet.rs"),
        include_str!("me.rs"),
        include_str!("openid.rs"),
        include_str!("organize.rs"),
        include_str!("pages.rs"),
        include_str!("people.rs"),
        include_str!("problem.rs"),
        include_str!("propose.rs"),
        include_str!("results.rs"),
        include_str!("review.rs"),
        include_str!("terms.rs"),
        include_str!("../../stages/src/begin.rs"),
        include_str!("../../stages/src/results.rs"),
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
            let calls = ["say(\"", "t.fill(\"", "t.count(\"", "Phrase::new(\"", "self.unknown(\""];
            let calls = calls.into_iter().flat_map(|call| page.split(call).skip(1));
            for call in calls {
                let name = call.split('"').next().unwrap();
                let begins = name.ends_with('_');
                let known = |word: &&String| if begins { word.starts_with(name) } else { *word == name };
                assert!(languages()[0].words.keys().any(|word| known(&word)), "{name}");
            }
        }
        // Said by this file, or put together.
        let own = [
            "me_proposed_",
            "me_is_",
            "thousands_mark",
            "decimal_mark",
            "usual_question",
            "alert_",
            "alarm",
            "log_image",
            "overlap_range",
        ];
        let built = [ANNOTATE.built, REVIEW.built, &own].concat();
        assert!(REVIEW.texts[0].contains(&format!("\"{LEFT}\"")), "who left is known by that name");
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

    #[test]
    fn blanks_are_filled_and_numbers_written_as_the_language_does() {
        let [english, german] = ["en", "de"].map(|code| named(code).unwrap());
        assert_eq!(english.fill("of", [("part", "{whole}"), ("whole", "3")]), "{whole} of 3");
        assert_eq!(german.count("me_answers", 1234), "Antworten: 1.234.");
        assert_eq!((english.number(1_234_567), english.number(0)), ("1,234,567".to_owned(), "0".to_owned()));
        assert_eq!(german.decimal(0.756, 2), "0,76");
        assert_eq!(english.fill("of", []), " of ");
    }

    #[test]
    fn what_stages_say_in_english_stands_in_the_english_file() {
        for note in Note::ALL {
            assert_eq!(languages()[0].say(note.key()), note.to_string());
        }
        assert_eq!(languages()[0].say("usual_question"), SprintSection::usual_question());
    }

    #[test]
    fn every_reason_and_decision_has_words() {
        for texts in languages() {
            for reason in diptych_stages::review::REASONS {
                assert_ne!(texts.reason(reason), reason);
            }
            for decision in diptych_core::Decision::ALL {
                assert!(texts.words.contains_key(&format!("decision_{}", decision.as_str())));
            }
        }
        let german = named("de").unwrap();
        assert_eq!(german.decided("removed: violence"), "entfernt: Gewalt");
        assert_eq!(german.decided("not there"), "nicht da");
        assert_eq!(german.decided("needs_review: nsfw failed"), "für Menschen: nsfw failed");
    }

    #[test]
    fn what_organizers_must_hear_is_said_in_their_language() {
        let [english, german] = ["en", "de"].map(|code| named(code).unwrap());
        let ana = Alert::OnePerson { name: "Ana".to_owned(), given: 251, all: 1000 };
        assert_eq!(english.alert(&ana), "“Ana” has given 251 of the 1,000 answers of the last 24 hours.");
        let fall = Alert::Fall { hour: 7, usual: 40 };
        assert_eq!(
            german.alert(&fall),
            "Die letzte Stunde brachte 7 Antworten; eine Stunde des Tages davor brachte 40."
        );
        let address = Alert::OneAddress { about: 900, all: 1000 };
        assert!(english.alert(&address).starts_with("One address has sent about 900 of the 1,000 answers"));
        let why = Phrase::new("why_no_token").with("provider", &"Ours");
        let alarm = Alarm { times: 2, minutes: 0, why };
        assert!(english.alarm(&alarm).contains("2× in the last hour, last just now: Ours sent no ID token."));
        let german = german.alarm(&Alarm { minutes: 5, ..alarm });
        assert!(german.contains("zuletzt vor 5 min: Ours hat kein ID-Token geschickt."), "{german}");
    }

    #[test]
    fn every_kind_of_problem_has_words() {
        let kinds: Vec<&str> = include_str!("problem.rs").split("\"/problems/").skip(1).collect();
        assert!(kinds.len() > 10);
        for kind in kinds {
            let name = format!("because_{}", kind.split('"').next().unwrap());
            assert_ne!(languages()[0].say(&name), name);
        }
    }

    #[test]
    fn the_usual_question_is_kept_as_one_in_whichever_language_it_was_proposed() {
        let german = languages()[1].say("usual_question");
        assert_eq!(kept_question(german), SprintSection::usual_question());
        assert_eq!(kept_question(" Which bird?"), " Which bird?");
    }

    #[test]
    fn scripts_get_the_words_that_they_say() {
        let of = |script: &str| serde_json::from_str::<BTreeMap<String, String>>(script).unwrap();
        let [annotate, review] = [of(&languages()[0].annotate), of(&languages()[0].review)];
        assert!(annotate.contains_key("saved_left") && annotate.contains_key("unreachable"));
        assert!(review.contains_key("reason_violence") && review.contains_key("review_approved"));
        assert!(!annotate.contains_key("review_approved") && !review.contains_key("saved_left"));
    }
}
