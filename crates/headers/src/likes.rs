//! What a browser would like to have (RFC 9110, 12.5).

use http::HeaderMap;
use http::header::{ACCEPT, ACCEPT_LANGUAGE};

/// So many of the things that one likes are looked at.
const MOST: usize = 32;

/// Which of these languages, each by its two or three letters, the browser likes best: of `de-CH,de;q=0.9,en;q=0.8`,
/// German. Of several that are liked alike the first that it names.
pub fn best(headers: &HeaderMap, languages: &[&str]) -> Option<usize> {
    let mut best: Option<(f32, usize)> = None;
    for (range, weight) in weighted(headers, &ACCEPT_LANGUAGE) {
        let code = range.split('-').next().unwrap_or_default();
        let place = languages.iter().position(|language| language.eq_ignore_ascii_case(code));
        if let Some(place) = place
            && best.is_none_or(|(other, _)| weight > other)
        {
            best = Some((weight, place));
        }
    }
    best.map(|(_, place)| place)
}

/// Whether the browser names this media type, as in `image/webp`, among those that it takes.
pub fn takes(headers: &HeaderMap, media_type: &str) -> bool {
    weighted(headers, &ACCEPT).any(|(kind, _)| kind.eq_ignore_ascii_case(media_type))
}

/// What stands in such a header, each with how much it is liked; what is not wanted at all, or by a weight that is
/// none, is left out.
fn weighted<'a>(headers: &'a HeaderMap, name: &http::HeaderName) -> impl Iterator<Item = (&'a str, f32)> {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).take(MOST).filter_map(|part| {
        let mut words = part.split(';').map(str::trim);
        let what = words.next()?;
        let weight = words.find_map(|word| word.strip_prefix("q=").or_else(|| word.strip_prefix("Q=")));
        let weight: f32 = weight.map_or(Some(1.0), |weight| weight.parse().ok())?;
        (weight > 0.0 && weight <= 1.0).then_some((what, weight))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &http::HeaderName, value: &str) -> HeaderMap {
        let value = http::HeaderValue::from_bytes(value.as_bytes());
        value.into_iter().map(|value| (name.clone(), value)).collect()
    }

    #[test]
    fn the_language_that_is_liked_best() {
        let best = |header: &str| best(&headers(&ACCEPT_LANGUAGE, header), &["en", "de"]);
        for (header, place) in [
            ("de", Some(1)),
            ("DE-ch", Some(1)),
            ("fr-FR,fr;q=0.9,de;q=0.5,en;q=0.8", Some(0)),
            ("fr, de;q=0.1", Some(1)),
            ("de;q=0, en;q=0.1", Some(0)),
            ("de;q=x,;,,q=1", None),
            ("de;q=NaN, en;q=7, fr", None),
            ("en;q=0.5, de;q=0.5", Some(0)),
            ("", None),
        ] {
            assert_eq!(best(header), place, "{header}");
        }
    }

    #[test]
    fn a_browser_takes_what_it_names() {
        let takes = |accept: &str| takes(&headers(&ACCEPT, accept), "image/webp");
        assert!(takes("image/avif,image/webp,image/apng,*/*;q=0.8"));
        assert!(takes("image/png, Image/WebP;q=0.5"));
        assert!(!takes("*/*"));
        assert!(!takes("image/webp;q=0, */*"));
        assert!(!takes("image/webpage"));
        assert!(!super::takes(&HeaderMap::new(), "image/webp"));
    }

    proptest::proptest! {
        #[test]
        fn a_header_of_anything_is_a_language_or_none(text in "[a-zA-Z;=q0-9., *-]{0,80}") {
            let languages = ["en", "de"];
            if let Some(place) = best(&headers(&ACCEPT_LANGUAGE, &text), &languages) {
                proptest::prop_assert!(text.to_lowercase().contains(languages[place]));
            }
        }
    }
}
