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
    /// It asks for nothing.
    #[error("a template is empty")]
    Empty,
}

/// Puts the values in place of `{name}`; `{{` and `}}` stand for braces.
///
/// # Errors
/// Where the template is empty, names something unknown or has a lone brace.
pub fn fill(template: &str, values: &[(&str, &str)]) -> Result<String, TemplateError> {
    if template.trim().is_empty() {
        return Err(TemplateError::Empty);
    }
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
    /// It begins with words about itself: "Here is the rewritten prompt:".
    Announced,
    /// It was cut at the limit of tokens.
    CutOff,
}

impl BadAnswer {
    /// The word under which drops are counted.
    pub fn reason(self) -> &'static str {
        match self {
            BadAnswer::Refused => "refused",
            BadAnswer::Empty => "empty_answer",
            BadAnswer::TooLong => "answer_too_long",
            BadAnswer::SeveralLines => "answer_not_one_line",
            BadAnswer::Announced => "answer_not_the_prompt_alone",
            BadAnswer::CutOff => "answer_cut_off",
        }
    }
}

/// Begins a refusal that the server told apart from an answer, so that both are kept in one place.
pub const REFUSAL: &str = "refusal: ";

/// How models begin when they refuse. Compared in lower case, with straight apostrophes.
const REFUSALS: [&str; 26] = [
    REFUSAL,
    "i'm sorry",
    "i am sorry",
    "i'm really sorry",
    "i'm very sorry",
    "sorry, ",
    "sorry but ",
    "sorry. ",
    "i can't ",
    "i cannot ",
    "i can not ",
    "i'm not able",
    "i am not able",
    "i'm unable",
    "i am unable",
    "i won't ",
    "i will not ",
    "i don't feel comfortable",
    "i'm not comfortable",
    "as an ai",
    "i must decline",
    "i have to decline",
    "i apologize",
    "my apologies",
    "unfortunately, i ",
    "unfortunately i ",
];

/// What only a refusal says, wherever it stands.
const REFUSING: [&str; 5] = [
    "violates the content policy",
    "violates our content policy",
    "against my guidelines",
    "goes against the content policy",
    "can't help with that request",
];

/// How models begin when they announce what they were asked for.
const ANNOUNCEMENTS: [&str; 6] = ["here is ", "here's ", "sure", "certainly", "of course", "okay"];

/// Whether the text begins with words about itself, up to a colon.
fn is_announced(lower: &str) -> bool {
    let Some((head, _)) = lower.split_once(':') else { return false };
    ["prompt", "rewritten prompt", "style prompt", "simplified prompt", "quality prompt"]
        .contains(&head.trim())
        || (head.len() < 80 && ANNOUNCEMENTS.iter().any(|start| head.starts_with(start)))
}

/// The rewritten prompt of an answer: one line, without one pair of quotation marks or a code fence
/// around it, and at most so many characters.
///
/// # Errors
/// Where it is a refusal, empty, too long, more than one line, or announces itself.
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
    // Our templates ask for the one word REFUSE; some models emphasise it, or say why.
    let bare = lower.trim_start_matches(['*', '_', '#', '[', '(', ' ']);
    let first = bare.split(|c: char| !c.is_alphabetic()).next().unwrap_or_default();
    let rest = bare[first.len()..].trim_start_matches(['*', '_', ']', ')', ' ']);
    let refuses = ["refuse", "refused"].contains(&first)
        && (rest.is_empty() || rest.starts_with([':', '.', '!', '-', '–', '\n']));
    if refuses
        || REFUSALS.iter().any(|start| bare.starts_with(start))
        || REFUSING.iter().any(|words| bare.contains(words))
    {
        return Err(BadAnswer::Refused);
    }
    if is_announced(bare) {
        return Err(BadAnswer::Announced);
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
        for refusal in [
            "REFUSE: it asks for harm.",
            "**REFUSE**",
            "Sorry but I can't help",
            "I'm really sorry, but no",
            "Unfortunately, I cannot do this",
            "I don't feel comfortable",
            "This violates the content policy.",
        ] {
            assert_eq!(read(refusal), Err(BadAnswer::Refused), "{refusal}");
        }
        for announced in ["Here is the prompt: a fox", "Sure! Prompt: a fox", "Prompt: a red fox"] {
            assert_eq!(read(announced), Err(BadAnswer::Announced), "{announced}");
        }
        for kept in ["Refuse bins at dawn, rain", "Ratio 16:9, a fox", "A sign: surely closed"] {
            assert_eq!(read(kept).unwrap(), kept);
        }
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
