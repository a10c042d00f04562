//! A first look at a text before people see it: sexual content, above all with minors, and slurs. It is a
//! word list, so it knows no context: it finds the plain cases at once, and a classifier may follow.
//!
//! The lists are our own and are matched by whole words. The crate `rustrict` was tried for slurs and
//! dropped: on 6,000 real user prompts it flagged 53 words as offensive, nearly all of them names
//! (Hokusai, Schwarzenegger, Houdini, Kilian, Hoang) and one a slur. On the same prompts, which their
//! collector had filtered, the lists hit 52, or 0.9 % (read one by one): of the 7 with score 1 six deserve it (the
//! seventh only swears), of the rest, all of them of the kind "sexy" and "seductive", three do not mean a
//! person's allure. `sensual` was taken out again: two thirds of its 16 hits meant a mood. In the 1,632
//! PartiPrompts nothing is hit. Violence is not screened here.

use serde::{Deserialize, Serialize};

/// Words that are sexual wherever they stand in a prompt.
const SEXUAL: &[&str] = &[
    "ahegao",
    "anal",
    "bdsm",
    "blowjob",
    "bondage",
    "boner",
    "boobs",
    "boob",
    "bukkake",
    "busty",
    "clit",
    "clitoris",
    "creampie",
    "cum",
    "cumshot",
    "cunnilingus",
    "cunt",
    "deepthroat",
    "dildo",
    "ejaculating",
    "ejaculation",
    "erection",
    "erotic",
    "erotica",
    "fellatio",
    "fetish",
    "foreplay",
    "fuck",
    "fucked",
    "fucking",
    "futa",
    "futanari",
    "gangbang",
    "genitalia",
    "genitals",
    "handjob",
    "hentai",
    "horny",
    "jizz",
    "labia",
    "masturbate",
    "masturbates",
    "masturbating",
    "masturbation",
    "milf",
    "naked",
    "nipple",
    "nipples",
    "nsfw",
    "nude",
    "nudes",
    "nudity",
    "orgasm",
    "orgasms",
    "orgy",
    "penis",
    "penises",
    "phallus",
    "porn",
    "porno",
    "pornographic",
    "pornography",
    "pornstar",
    "pubic",
    "pussy",
    "r34",
    "rule34",
    "scrotum",
    "semen",
    "sex",
    "sexual",
    "slut",
    "slutty",
    "sluts",
    "striptease",
    "stripper",
    "testicles",
    "threesome",
    "tits",
    "titties",
    "titty",
    "topless",
    "undressed",
    "vagina",
    "vaginal",
    "vulva",
    "whore",
    "whores",
    "unclothed",
    "playboy",
    "onlyfans",
    "upskirt",
    "panties",
    "thong",
    "camgirl",
    "sexy",
    "lewd",
    "ecchi",
    "cleavage",
    "seductive",
    "lingerie",
    "sultry",
    "homoerotic",
    "sluty",
    "underboob",
    "sideboob",
    "breasts",
];

/// Words of [`SEXUAL`] that ask for allure rather than for the act or the body: half the score.
const MILD: &[&str] = &[
    "busty",
    "cleavage",
    "ecchi",
    "lewd",
    "lingerie",
    "playboy",
    "seductive",
    "sexy",
    "panties",
    "thong",
    "stripper",
    "sultry",
    "breasts",
];

/// Words that make a sexual one harmless when they follow or go before it.
const HARMLESS: &[(&str, &str)] = &[
    ("nude", "color"),
    ("nude", "colors"),
    ("nude", "colour"),
    ("nude", "colours"),
    ("nude", "lipstick"),
    ("nude", "tones"),
    ("nude", "tone"),
    ("nude", "palette"),
    ("nude", "heels"),
    ("nude", "shoes"),
    ("nude", "makeup"),
    ("naked", "eye"),
    ("naked", "mole"),
    ("naked", "tree"),
    ("naked", "trees"),
    ("naked", "branches"),
    ("naked", "gun"),
    ("naked", "chef"),
    ("pussy", "cat"),
    ("pussy", "willow"),
    ("pussy", "riot"),
    ("sex", "pistols"),
    ("sex", "education"),
    ("phallus", "impudicus"),
    ("not", "nude"),
    ("not", "naked"),
    ("no", "nudity"),
    ("non", "nude"),
    ("no", "nude"),
    ("not", "nsfw"),
    ("no", "nsfw"),
    ("not", "sexual"),
    ("non", "sexual"),
    ("great", "tits"),
    ("blue", "tits"),
    ("chicken", "breasts"),
    ("turkey", "breasts"),
    ("maine", "coon"),
    ("main", "coon"),
    ("coon", "cat"),
    ("coon", "hound"),
];

/// Words that say a person is a minor.
const MINOR: &[&str] = &[
    "child",
    "children",
    "kid",
    "kids",
    "toddler",
    "toddlers",
    "baby",
    "babies",
    "infant",
    "preteen",
    "teen",
    "teens",
    "teenage",
    "teenager",
    "teenagers",
    "underage",
    "minor",
    "minors",
    "schoolgirl",
    "schoolgirls",
    "schoolboy",
    "loli",
    "lolita",
    "shota",
    "girl",
    "girls",
    "boy",
    "boys",
    "juvenile",
    "adolescent",
    "kindergarten",
];
/// Of [`MINOR`], those that prompts use of grown people too: they count only beside an age under 18, "little"
/// or "young".
const ALSO_GROWN: &[&str] = &["girl", "girls", "boy", "boys", "baby", "babies", "minor", "minors"];
/// Words that are about sexualised minors by themselves.
const MINOR_SEXUAL: &[&str] = &["loli", "lolicon", "shota", "shotacon", "jailbait", "pedo", "pedophilia"];

/// Slurs against groups of people. Words with a common harmless sense (`dyke`, `spade`, `negro`) are left out.
const SLURS: &[&str] = &[
    "beaner",
    "beaners",
    "chink",
    "chinks",
    "coon",
    "coons",
    "darkie",
    "darkies",
    "fag",
    "fags",
    "faggot",
    "faggots",
    "golliwog",
    "gook",
    "gooks",
    "kike",
    "kikes",
    "nigga",
    "niggas",
    "nigger",
    "niggers",
    "oldfag",
    "paki",
    "pakis",
    "raghead",
    "ragheads",
    "retard",
    "retarded",
    "retards",
    "shemale",
    "shemales",
    "spic",
    "spics",
    "towelhead",
    "towelheads",
    "trannies",
    "tranny",
    "wetback",
    "wetbacks",
];

/// What was found in a text.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Hits {
    /// 0 nothing, 0.5 only alluring words, 1 sexual words or a slur.
    pub score: f32,
    /// The words that were found, folded, each once, in the order of the text.
    pub words: Vec<String>,
    /// Sexual content.
    pub sexual: bool,
    /// Sexual words beside words for a minor: always to be removed.
    pub minor: bool,
    /// A slur against a group of people.
    pub slur: bool,
}

impl Hits {
    /// Whether nothing was found.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }
}

/// Looks for sexual content and slurs in `text`.
#[must_use]
pub fn screen(text: &str) -> Hits {
    let folded = crate::duplicates::fold(text);
    let words: Vec<&str> =
        folded.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let mut hits = Hits::default();
    for (i, word) in words.iter().enumerate() {
        let beside = |a: usize, b: usize| match (words.get(a), words.get(b)) {
            (Some(a), Some(b)) => HARMLESS.contains(&(a, b)),
            _ => false,
        };
        let harmless = beside(i, i + 1) || (i > 0 && beside(i - 1, i));
        let sexual = SEXUAL.contains(word) && !harmless;
        let minor = MINOR_SEXUAL.contains(word);
        let slur = SLURS.contains(word) && !harmless;
        if sexual || minor || slur {
            let weight = if sexual && MILD.contains(word) { 0.5 } else { 1.0 };
            hits.score = hits.score.max(weight);
            hits.sexual |= sexual || minor;
            hits.minor |= minor;
            hits.slur |= slur;
            note(&mut hits.words, word);
        }
    }
    if hits.sexual {
        for (i, word) in words.iter().enumerate().filter(|(_, word)| MINOR.contains(word)) {
            if !ALSO_GROWN.contains(word) || speaks_of_youth(&words, i) {
                hits.minor = true;
                hits.score = 1.0;
                note(&mut hits.words, word);
            }
        }
    }
    hits
}

fn note(words: &mut Vec<String>, word: &str) {
    if !words.iter().any(|known| known == word) {
        words.push(word.to_owned());
    }
}

/// Whether "little", "young" or the like stands within three words before, or an age under 18 within three
/// words on either side.
fn speaks_of_youth(words: &[&str], at: usize) -> bool {
    let from = at.saturating_sub(3);
    words[from..at].iter().any(|word| matches!(*word, "little" | "young" | "small" | "underage" | "tiny"))
        || words[from..(at + 4).min(words.len())].windows(2).any(|pair| {
            pair[0].parse::<u32>().is_ok_and(|age| (1..18).contains(&age))
                && matches!(pair[1], "year" | "years" | "yo")
        })
}

#[cfg(test)]
mod tests {
    use super::screen;

    #[test]
    fn harmless_words_stay() {
        for text in [
            "the town of Scunthorpe at dawn",
            "a cock crowing on a farm fence",
            "breast of chicken with rosemary",
            "nude colour lipstick on a table",
            "seen with the naked eye",
            "a pussy cat on a mat",
            "the Sex Pistols on stage",
            "Essex and Sussex on a map",
            "a shiitake mushroom",
            "Dick Tracy in the rain",
            "a class of bass players",
            "a bloody sword after the battle",
            "a Maine Coon cat",
            "Hokusai and Houdini",
            "a turkey with two chicken breasts",
            "a child with a balloon",
            "a young girl in a garden",
        ] {
            assert!(screen(text).is_empty(), "{text}: {:?}", screen(text));
        }
    }

    #[test]
    fn sexual_words_are_found_and_named() {
        let hits = screen("A NUDE woman, Topless");
        assert!(hits.sexual && !hits.minor && !hits.slur);
        assert_eq!(hits.words, ["nude", "topless"]);
        assert!(screen("a faggot").slur);
        assert!((screen("a seductive look").score - 0.5).abs() < f32::EPSILON);
    }

    #[test]
    fn minors_beside_sexual_words_are_always_told() {
        for text in ["a naked child", "erotic teenager", "loli", "young girl, nude", "nude 15 year old boy"] {
            assert!(screen(text).minor, "{text}");
        }
        assert!(!screen("nude girl, 25 years old").minor);
    }
}
