//! One spelling for one prompt. Everything after this step compares, counts and shows text, so what a
//! reader cannot see (control characters, doubled white space, markup, two ways to write "é") goes first.

use unicode_normalization::{UnicodeNormalization, is_nfc};

/// A tag or a comment longer than this, in bytes, is taken for text.
const LONGEST_TAG: usize = 500;
/// The longest entity this knows is `&#1114111;`.
const LONGEST_ENTITY: usize = 12;

/// `text` in Unicode NFC, without control, zero-width and direction characters, without HTML tags,
/// comments, `<lora:…>` and `<|…|>` marks, with HTML entities decoded, every run of white space one
/// space, and none at the ends.
///
/// What only looks like markup stays: `<3`, `a < b`, `<cat-toy>`, `AT&T`. Applying it twice changes
/// nothing more.
#[must_use]
pub fn normalize(text: &str) -> String {
    let mut now = pass(text);
    // A pass nearly always ends it; what a decoded entity and NFC make together may need one more.
    // Every change after the first pass shortens the text or composes it, so this ends.
    loop {
        let next = pass(&now);
        if next == now {
            return now;
        }
        now = next;
    }
}

fn pass(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    if text.is_ascii() || is_nfc(text) {
        append(text.chars(), &mut out);
    } else {
        append(text.nfc(), &mut out);
    }
    out.truncate(out.trim_end().len());
    if is_nfc(&out) { out } else { out.nfc().collect() }
}

fn append(chars: impl Iterator<Item = char>, out: &mut String) {
    let mut chars = chars.peekable();
    while let Some(c) = chars.next() {
        if c == '\u{200C}' || c == '\u{200D}' {
            // Joiners spell Persian and Indic words and hold emoji together; between Latin letters
            // they only hide.
            let joins = |n: char| !n.is_ascii() && !n.is_whitespace() && !invisible(n);
            if out.chars().next_back().is_some_and(joins) && chars.peek().copied().is_some_and(joins) {
                out.push(c);
            }
            continue;
        }
        push(c, out);
    }
}

/// Pushes one character; when it ends an entity or a tag, that is replaced in place. Looking back from
/// the end (instead of ahead from the start) settles nested ones like `&amp;lt;` in one pass.
fn push(c: char, out: &mut String) {
    if c.is_whitespace() {
        if !out.is_empty() && !out.ends_with(' ') {
            out.push(' ');
        }
        return;
    }
    if c.is_control() || invisible(c) {
        return;
    }
    out.push(c);
    if c == ';' {
        if let Some((start, decoded)) = last_from(out, b'&', LONGEST_ENTITY)
            .and_then(|start| entity(&out[start + 1..out.len() - 1]).map(|d| (start, d)))
        {
            out.truncate(start);
            push(decoded, out);
        }
    } else if c == '>'
        && let Some(start) = last_from(out, b'<', LONGEST_TAG)
        && is_markup(&out[start + 1..out.len() - 1])
    {
        out.truncate(start);
        push(' ', out);
    }
}

/// Where the last `mark` (an ASCII byte) lies in the last `reach` bytes.
fn last_from(text: &str, mark: u8, reach: usize) -> Option<usize> {
    let from = text.len().saturating_sub(reach);
    text.as_bytes()[from..].iter().rposition(|&b| b == mark).map(|at| from + at)
}

fn invisible(c: char) -> bool {
    matches!(c,
        '\u{AD}' | '\u{34F}' | '\u{61C}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}' | '\u{180E}'
        | '\u{200B}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}'
        | '\u{3164}' | '\u{FEFF}' | '\u{FFA0}' | '\u{FFF9}'..='\u{FFFB}' | '\u{FFFE}' | '\u{FFFF}'
        | '\u{E0000}'..='\u{E007F}')
}

/// The character that the inside of `&…;` stands for.
fn entity(name: &str) -> Option<char> {
    if let Some(number) = name.strip_prefix('#') {
        let code = match number.strip_prefix(['x', 'X']) {
            Some(hex) => u32::from_str_radix(hex, 16),
            None => number.parse(),
        };
        return char::from_u32(code.ok()?);
    }
    Some(match name {
        "amp" | "AMP" => '&',
        "lt" | "LT" => '<',
        "gt" | "GT" => '>',
        "quot" | "QUOT" => '"',
        "apos" => '\'',
        "nbsp" | "ensp" | "emsp" | "thinsp" => ' ',
        "shy" | "zwj" | "zwnj" | "lrm" | "rlm" => '\u{AD}',
        "ndash" => '–',
        "mdash" => '—',
        "hellip" => '…',
        "lsquo" => '‘',
        "rsquo" => '’',
        "ldquo" => '“',
        "rdquo" => '”',
        "laquo" => '«',
        "raquo" => '»',
        "bull" => '•',
        "middot" => '·',
        "deg" => '°',
        "times" => '×',
        "copy" => '©',
        "reg" => '®',
        "trade" => '™',
        "euro" => '€',
        "pound" => '£',
        "eacute" => 'é',
        "egrave" => 'è',
        "agrave" => 'à',
        "ccedil" => 'ç',
        "ntilde" => 'ñ',
        "auml" => 'ä',
        "ouml" => 'ö',
        "uuml" => 'ü',
        "szlig" => 'ß',
        _ => return None,
    })
}

/// Tags that people paste with a text. Unknown names stay, since `<cat-toy>` is a learned word.
const TAGS: &[&str] = &[
    "a",
    "abbr",
    "article",
    "b",
    "blockquote",
    "body",
    "br",
    "button",
    "center",
    "cite",
    "code",
    "del",
    "div",
    "em",
    "figure",
    "font",
    "footer",
    "form",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "head",
    "header",
    "hr",
    "html",
    "i",
    "iframe",
    "img",
    "input",
    "ins",
    "label",
    "li",
    "link",
    "main",
    "mark",
    "meta",
    "nav",
    "ol",
    "p",
    "pre",
    "q",
    "s",
    "script",
    "section",
    "small",
    "span",
    "strike",
    "strong",
    "style",
    "sub",
    "sup",
    "svg",
    "table",
    "tbody",
    "td",
    "th",
    "thead",
    "title",
    "tr",
    "tt",
    "u",
    "ul",
    "video",
];

/// Whether the inside of `<…>` is markup.
fn is_markup(inside: &str) -> bool {
    if inside.starts_with("!--") || inside.to_ascii_lowercase().starts_with("!doctype") {
        return true;
    }
    if inside.len() >= 2 && inside.starts_with('|') && inside.ends_with('|') {
        return true;
    }
    if ["lora:", "lyco:", "hypernet:"].iter().any(|kind| inside.starts_with(kind)) {
        return true;
    }
    let body = inside.strip_prefix('/').unwrap_or(inside);
    let end = body.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(body.len());
    let (name, rest) = body.split_at(end);
    let rest = rest.trim().trim_end_matches('/').trim_end();
    // `<b and c>` is a comparison, `<b class="x">` a tag.
    (rest.is_empty() || (rest.contains('=') && !rest.starts_with('=')))
        && TAGS.contains(&name.to_ascii_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::normalize;
    use proptest::prelude::*;

    #[test]
    fn cleans_what_cannot_be_seen() {
        for (dirty, clean) in [
            ("  a \t cat\r\n\r\nsleeps\u{a0} ", "a cat sleeps"),
            ("cafe\u{301}", "café"),
            ("a\u{0}b\u{7}c\u{200b}d\u{202e}e\u{feff}", "abcde"),
            ("pass\u{200d}word", "password"),
            ("<p>A <b>red</b> fox<br/>jumps</p>", "A red fox jumps"),
            ("<!-- note -->a hut <a href=\"https://x.org/?a=1\">here</a>", "a hut here"),
            (
                "salt &amp; pepper, &quot;big&quot; &#39;n&#x27; &nbsp; small",
                "salt & pepper, \"big\" 'n' small",
            ),
            ("&amp;lt;i&amp;gt;slanted&amp;lt;/i&amp;gt;", "slanted"),
            ("castle <lora:fog_v2:0.8>, <|endoftext|> mist", "castle , mist"),
            ("<B <B <B >>>x", "x"),
            ("", ""),
            ("\u{200b} \n", ""),
        ] {
            assert_eq!(normalize(dirty), clean, "{dirty:?}");
        }
    }

    #[test]
    fn keeps_what_only_looks_like_markup() {
        for text in [
            "I <3 you",
            "a < b > c",
            "x<y and y>z",
            "if a <b and c> d",
            "<cat-toy> on a sofa",
            "AT&T; logo",
            "Q&A",
            "R&B; singer",
            ">_<",
            "-->",
            "family 👨\u{200d}👩\u{200d}👧",
            "می\u{200c}خواهم",
            "❤\u{fe0f} heart",
        ] {
            assert_eq!(normalize(text), text);
        }
    }

    #[test]
    fn long_hostile_text_takes_linear_time() {
        for unit in ["&amp;", "<", ">", "<b ", "&#38;#38;", "amp;", "<!--"] {
            let text = unit.repeat(100_000 / unit.len());
            let once = normalize(&text);
            assert_eq!(normalize(&once), once);
        }
    }

    proptest! {
        #[test]
        fn twice_is_once(text in "(\\PC|[<>&;#/a-c0-9 \u{301}\u{200d}\u{1F468}\n]|&amp;|&lt;|&gt;|<b>|<i |&#38;|&#769;|=|--){0,40}") {
            let once = normalize(&text);
            prop_assert_eq!(normalize(&once), once.clone());
            prop_assert!(!once.contains("  ") && once.trim() == once);
            prop_assert!(!once.chars().any(char::is_control));
        }
    }
}
