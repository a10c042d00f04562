//! Templates of what a chat model is asked, and the strict reading of what it answers.

/// Asks for a prompt's style prompt.
pub const STYLE: &str = include_str!("../templates/style.txt");
/// Asks for the variant `simplified`.
pub const SIMPLIFIED: &str = include_str!("../templates/simplified.txt");
/// Asks for the variant `quality`.
pub const QUALITY: &str = include_str!("../templates/quality.txt");

/// Why a template cannot be filled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// It names something that there is not.
    #[error(
        "a template names `{{{name}}}`, which there is not (known: {known}); a brace by itself is written twice"
    )]
    Unknown {
        /// What it names.
        name: String,
        /// What it could name.
        known: String,
    },
    /// A brace is not closed, or was never opened.
    #[error("a template has a single `{0}`; a brace by itself is written twice")]
    LoneBrace(char),
}

/// Puts the values in place of `{name}`; `{{` and `}}` stand for braces.
///
/// # Errors
/// Where the template names something unknown or has a lone brace.
pub fn fill(template: &str, values: &[(&str, &str)]) -> Result<String, TemplateError> {
    let mut text = String::with_capacity(template.len() + 200);
    let mut rest = template;
    while let Some(place) = rest.find(['{', '}']) {
        text.push_str(&rest[..place]);
        let brace = if rest[place..].starts_with('{') { '{' } else { '}' };
        rest = &rest[place + 1..];
        if let Some(after) = rest.strip_prefix(brace) {
            text.push(brace);
            rest = after;
            continue;
        }
        let end = rest.find('}').filter(|_| brace == '{').ok_or(TemplateError::LoneBrace(brace))?;
        let name = rest[..end].trim();
        let value =
            values.iter().find(|(known, _)| *known == name).ok_or_else(|| TemplateError::Unknown {
                name: name.to_owned(),
                known: values.iter().map(|(known, _)| *known).collect::<Vec<_>>().join(", "),
            })?;
        text.push_str(value.1);
        rest = &rest[end + 1..];
    }
    text.push_str(rest);
    Ok(text)
}

/// Why an answer cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadAnswer {
    /// The model will not.
    Refused,
    /// There is no text.
    Empty,
    /// There is more text than was asked for.
    TooLong,
    /// There is more than one line, so it is not the prompt alone.
    SeveralLines,
}

impl BadAnswer {
    /// The word under which drops are counted.
    pub fn reason(self) -> &'static str {
        match self {
            BadAnswer::Refused => "refused",
            BadAnswer::Empty => "empty_answer",
            BadAnswer::TooLong => "answer_too_long",
            BadAnswer::SeveralLines => "answer_not_one_line",
        }
    }
}

/// Begins a refusal that the server told apart from an answer, so that both are kept in one place.
pub const REFUSAL: &str = "refusal: ";

/// How models begin when they refuse. Compared in lower case, with straight apostrophes.
const REFUSALS: [&str; 15] = [
    REFUSAL,
    "i'm sorry",
    "i am sorry",
    "sorry, ",
    "i can't ",
    "i cannot ",
    "i can not ",
    "i'm not able",
    "i am not able",
    "i'm unable",
    "i am unable",
    "i won't ",
    "as an ai",
    "i must decline",
    "i apologize",
];

/// The rewritten prompt of an answer: one line, without one pair of quotation marks or a code fence
/// around it, and at most so many characters.
///
/// # Errors
/// Where it is a refusal, empty, too long or more than one line.
pub fn parse_answer(answer: &str, most_chars: usize) -> Result<String, BadAnswer> {
    let mut text = answer.trim();
    if let Some(inner) = text.strip_prefix("```").and_then(|inner| inner.strip_suffix("```")) {
        // The fence's first line may name a language.
        text = inner.split_once('\n').map_or(inner, |(_, body)| body).trim();
    }
    for (open, close) in [('"', '"'), ('“', '”'), ('\'', '\''), ('`', '`')] {
        let inner = text.strip_prefix(open).and_then(|inner| inner.strip_suffix(close));
        if let Some(inner) = inner.filter(|inner| !inner.contains(open)) {
            text = inner.trim();
            break;
        }
    }
    if text.is_empty() {
        return Err(BadAnswer::Empty);
    }
    let lower = text.to_lowercase().replace('’', "'");
    let word = lower.trim_end_matches(['.', '!']);
    if word == "refuse" || word == "refused" || REFUSALS.iter().any(|start| lower.starts_with(start)) {
        return Err(BadAnswer::Refused);
    }
    if text.chars().count() > most_chars {
        return Err(BadAnswer::TooLong);
    }
    if text.lines().filter(|line| !line.trim().is_empty()).count() > 1 {
        return Err(BadAnswer::SeveralLines);
    }
    Ok(text.split_whitespace().collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn values_take_the_place_of_their_names() {
        let values = [("prompt", "a {fox}"), ("category", "Anime")];
        assert_eq!(fill("{category}: {prompt} {{x}}", &values).unwrap(), "Anime: a {fox} {x}");
        assert!(fill("{promt}", &values).unwrap_err().to_string().contains("known: prompt, category"));
        assert_eq!(fill("a { b", &values), Err(TemplateError::LoneBrace('{')));
        assert_eq!(fill("a } b", &values), Err(TemplateError::LoneBrace('}')));
    }

    #[test]
    fn the_default_templates_can_be_filled() {
        let values = [("prompt", "p"), ("category", "c"), ("sub_category", "s"), ("style_prompt", "sp")];
        for template in [STYLE, SIMPLIFIED, QUALITY] {
            assert!(!fill(template, &values).unwrap().contains('{'));
        }
    }

    #[test]
    fn answers_are_read_strictly() {
        let read = |text: &str| parse_answer(text, 40);
        assert_eq!(read(" \"A red  fox\" \n").unwrap(), "A red fox");
        assert_eq!(read("```text\nA red fox\n```").unwrap(), "A red fox");
        assert_eq!(read("\"No\" said the \"fox\"").unwrap(), "\"No\" said the \"fox\"");
        assert_eq!(read("REFUSE."), Err(BadAnswer::Refused));
        assert_eq!(read("I’m sorry, but I can’t help."), Err(BadAnswer::Refused));
        assert_eq!(read(" \"\" "), Err(BadAnswer::Empty));
        assert_eq!(read(&"x".repeat(41)), Err(BadAnswer::TooLong));
        assert_eq!(read("Here it is:\nA red fox"), Err(BadAnswer::SeveralLines));
        assert_eq!(read("A sorry fox").unwrap(), "A sorry fox");
    }

    proptest! {
        #[test]
        fn no_text_makes_them_panic(template in "[a-z{} ]{0,40}", answer in any::<String>()) {
            let _ = fill(&template, &[("a", "b")]);
            if let Ok(text) = parse_answer(&answer, 100) {
                prop_assert!(!text.is_empty() && text.chars().count() <= 100 && !text.contains('\n'));
            }
        }
    }
}
