//! People's names: what is shown, and what tells whether two of them are the same.

use unicode_normalization::UnicodeNormalization as _;

/// The longest name, in characters.
pub const LONGEST_NAME: usize = 40;

/// A name that a person may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    shown: String,
    handle: String,
}

/// Why a text is no name, in words for the person who wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing that can be seen.
    #[error("a name has letters or digits that can be seen")]
    Empty,
    /// More than [`LONGEST_NAME`].
    #[error("a name has at most {LONGEST_NAME} characters")]
    Long,
}

impl Name {
    /// What is left of a text when it is written as names are: one space between words, composed characters,
    /// and nothing that cannot be seen. Marks that change the direction of what stands beside a name go; the
    /// two joiners that some scripts are written with stay.
    ///
    /// # Errors
    /// Where nothing is left, or too much.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        // Longer than any name in any spelling: not worth looking at, and not to be kept.
        if text.len() > 64 * LONGEST_NAME {
            return Err(NameError::Long);
        }
        let shown = visible(text);
        let handle = handle(&shown);
        if handle.chars().all(|c| !c.is_alphanumeric()) {
            return Err(NameError::Empty);
        }
        if shown.chars().count() > LONGEST_NAME {
            return Err(NameError::Long);
        }
        Ok(Self { shown, handle })
    }

    /// For whom nothing better is known.
    pub fn someone() -> Self {
        Self { shown: "Someone".to_owned(), handle: "someone".to_owned() }
    }

    /// For who comes without a name.
    pub fn guest() -> Self {
        Self { shown: "Guest".to_owned(), handle: "guest".to_owned() }
    }

    /// As it is shown.
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// What no two people have in common: the name without case, joiners and differences that only a computer
    /// sees (NFKC).
    pub fn handle(&self) -> &str {
        &self.handle
    }

    /// The same name for one more person who has it.
    #[must_use]
    pub fn numbered(&self, number: usize) -> Self {
        let tail = format!(" {number}");
        let most = LONGEST_NAME - tail.chars().count();
        let shown = self.shown.chars().take(most).collect::<String>().trim_end().to_owned() + &tail;
        Self { handle: handle(&shown), shown }
    }
}

/// A text as people write it in a line: composed characters, one space between words, and nothing that cannot be
/// seen or that turns the direction of what stands beside it.
pub fn visible(text: &str) -> String {
    let seen: String =
        text.nfc().map(|c| if c.is_control() { ' ' } else { c }).filter(|c| !is_hidden(*c)).collect();
    seen.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn handle(shown: &str) -> String {
    let joined: String = shown.nfkc().filter(|c| !matches!(c, '\u{200c}' | '\u{200d}')).collect();
    joined.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Characters that take no place: zero-width spaces, marks of direction, fillers, variation selectors of tags.
fn is_hidden(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
        | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Result<String, NameError> {
        Name::parse(text).map(|name| name.shown().to_owned())
    }

    #[test]
    fn names_of_every_script_stay_as_they_are() {
        for name in [
            "Zoë",
            "Ångström",
            "李小龍",
            "محمد",
            "דָּוִד",
            "Ольга",
            "నాగార్జున",
            "می‌خواهم",
            "O'Brien-Smith",
            "x",
            "7",
        ] {
            assert_eq!(shown(name), Ok(name.nfc().collect()), "{name}");
        }
    }

    #[test]
    fn what_cannot_be_seen_is_not_part_of_a_name() {
        assert_eq!(shown("  A\u{200b}d\u{202e}a \t\n B. "), Ok("Ada B.".to_owned()));
        assert_eq!(shown("e\u{301}"), Ok("é".to_owned()));
        for empty in ["", " ", "\u{200b}\u{200d}", "\u{3164}", "...", "\0", "\u{202e}", "👻"] {
            assert_eq!(shown(empty), Err(NameError::Empty), "{empty:?}");
        }
    }

    #[test]
    fn names_that_look_the_same_are_the_same() {
        let handle = |text: &str| Name::parse(text).unwrap().handle().to_owned();
        for (one, other) in [
            ("Ada", "ADA"),
            ("Ada", "Ａｄａ"),
            ("ada b", "Ada\u{a0}B"),
            ("ada", "a\u{200d}da"),
            ("ﬁn", "FIN"),
        ] {
            assert_eq!(handle(one), handle(other), "{one} {other}");
        }
        assert_ne!(handle("Ada"), handle("Ada 2"));
    }

    #[test]
    fn a_name_is_not_long() {
        assert_eq!(shown(&"ß".repeat(40)), Ok("ß".repeat(40)));
        for long in ["a".repeat(41), "ß".repeat(10_000), format!("{}a", "\u{200b}".repeat(3000))] {
            assert_eq!(shown(&long), Err(NameError::Long));
        }
        let numbered = Name::parse(&"a".repeat(40)).unwrap().numbered(12);
        assert_eq!(numbered.shown(), format!("{} 12", "a".repeat(37)));
        assert_eq!(Name::parse("Ada").unwrap().numbered(2).handle(), "ada 2");
        for made in [Name::someone(), Name::guest()] {
            assert_eq!(Name::parse(made.shown()), Ok(made));
        }
    }
}
