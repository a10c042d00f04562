//! Reads a prompt: which drawings its words ask for, where and when the scene is, in which colours.

use std::{
    collections::{HashMap, HashSet},
    sync::OnceLock,
};

use crate::{
    Error,
    drawings::{self, Drawing},
    palette::{Rgb, hex},
};

/// A longer prompt is read up to here: no sprint's prompt comes near, and reading stays fast.
const READ_LIMIT: usize = 8000;
const MOST_SUBJECTS: usize = 6;

/// Where a scene is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Field,
    Forest,
    Mountains,
    Desert,
    Snow,
    Beach,
    Sea,
    Underwater,
    City,
    Space,
    Interior,
    Studio,
    /// The turntable of a modelling program; no word asks for it.
    Stage,
    Abstract,
}

/// The light of a scene.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hour {
    Day,
    Sunset,
    Night,
    Dawn,
    Storm,
}

/// What falls or hangs in the air.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weather {
    Rain,
    Snow,
    Fog,
}

/// A drawing that the prompt asks for.
#[derive(Debug, Clone, Copy)]
pub struct Subject {
    /// Its place in [`drawings::all`].
    pub drawing: usize,
    /// How many of it, at least 1.
    pub copies: usize,
    /// How sure it is that the words mean it: 1 by a loose keyword to 4 by the table of synonyms.
    weight: u8,
}

/// What the prompt says.
#[derive(Debug, Default)]
pub struct Reading {
    /// The asked drawings, the main one first.
    pub subjects: Vec<Subject>,
    pub place: Option<Place>,
    pub hour: Option<Hour>,
    pub weather: Option<Weather>,
    /// A colour that the words name.
    pub tint: Option<Rgb>,
    /// The picture is of one head and shoulders.
    pub portrait: bool,
    /// 0 for a terse prompt to 1 for one full of wishes.
    pub richness: f32,
}

const PLACES: &[(Place, &str)] = &[
    (
        Place::Underwater,
        "underwater undersea submarine seabed aquarium reef deep_sea atlantis seafloor under_the_sea",
    ),
    (
        Place::Space,
        "space galaxy cosmos cosmic nebula planet orbit universe stars_and_planets interstellar outer_space astral spaceship starship asteroid supernova milky_way saturn jupiter sci_fi_space black_hole celestial",
    ),
    (
        Place::Sea,
        "sea ocean lake river harbor harbour waves ship boat sailboat yacht pirate sailing pond bay lagoon waterfall island",
    ),
    (Place::Beach, "beach shore coast tropical seaside tropics hawaii"),
    (
        Place::Desert,
        "desert sahara dune dunes egypt pyramid pyramids wasteland mars arid cactus western wild_west egyptian pharaoh mad_max",
    ),
    (
        Place::Snow,
        "snow snowy winter arctic antarctic antarctica ice icy glacier frozen tundra blizzard christmas alaska frost",
    ),
    (
        Place::Forest,
        "forest woods jungle woodland rainforest swamp grove mossy wilderness elven trees mushrooms",
    ),
    (
        Place::City,
        "city street urban downtown town skyscraper skyscrapers cityscape cyberpunk metropolis alley tokyo york london paris skyline road highway times_square night_club rooftop dystopian",
    ),
    (Place::Mountains, "mountain mountains alps himalaya valley canyon cliff peak peaks hills"),
    (
        Place::Interior,
        "room kitchen interior bedroom library office indoors table bathroom classroom cafe restaurant bar inside living_room laboratory museum hall shelf desk tavern shop studio_apartment cozy dungeon throne_room",
    ),
    (
        Place::Field,
        "field meadow garden farm countryside prairie village park grassland savanna grass lawn vineyard landscape",
    ),
    (
        Place::Studio,
        "studio white_background plain_background product_photo black_background simple_background logo isolated sticker icon",
    ),
    (Place::Abstract, "abstract pattern fractal psychedelic geometric surreal mandala texture wallpaper"),
];

const HOURS: &[(Hour, &str)] = &[
    (
        Hour::Sunset,
        "sunset dusk evening golden_hour twilight sundown warm autumn fire fiery lava orange_sky epic dramatic_lighting",
    ),
    (
        Hour::Night,
        "night midnight moonlight moonlit dark moon stars starry nocturnal nighttime gothic horror neon cyberpunk bioluminescent gloomy halloween creepy",
    ),
    (Hour::Dawn, "dawn sunrise morning misty pastel soft_lighting dreamy spring ethereal delicate"),
    (
        Hour::Storm,
        "storm stormy thunder lightning_storm thunderstorm tempest apocalyptic war grim rainy rain cloudy overcast dystopian",
    ),
    (Hour::Day, "day daylight sunny noon bright summer blue_sky daytime sunlight cheerful sunshine"),
];

const WEATHERS: &[(Weather, &str)] = &[
    (Weather::Rain, "rain rainy raining storm thunderstorm downpour"),
    (Weather::Snow, "snow snowing snowfall blizzard snowy"),
    (Weather::Fog, "fog foggy mist misty haze hazy smoke smoky"),
];

const COLOURS: &[(u32, &str)] = &[
    (0xd6_2f3a, "red crimson scarlet blood"),
    (0xf0_8a2c, "orange amber copper"),
    (0xf4_cf3c, "yellow golden gold"),
    (0x3f_a65a, "green emerald lime jade"),
    (0x2b_6fd0, "blue azure sapphire cobalt"),
    (0x2f_b8b8, "teal turquoise cyan aqua"),
    (0x8a_4fd0, "purple violet lavender indigo"),
    (0xf0_78b4, "pink magenta rose_coloured rose_gold"),
    (0x8a_5a3a, "brown sepia wooden bronze brass"),
    (0xee_f1f5, "white ivory porcelain"),
    (0x30_323c, "black ebony obsidian"),
    (0x9a_a2ad, "grey gray silver chrome metallic"),
];

/// Words of prompts that speak about the picture, not about what it shows.
const SILENT: &str = "a an and the of in on with at to by for from is are be as it its this that these those or but not no \
    very into over under through up down out off style styled art artwork artist artists artstation trending detailed detail \
    details highly intricate sharp focus lighting light digital painting illustration concept render rendered rendering \
    octane unreal engine quality high resolution hd uhd photo photograph photography photorealistic realistic cinematic \
    beautiful stunning elegant smooth matte oil canvas acrylic watercolor watercolour ink sketch drawing drawn pencil line color colour colors colours \
    colorful coloured colored vibrant vivid full body shot close wide angle view side front back top center centered \
    symmetrical composition dramatic epic fantasy anime manga comic cartoon disney pixar ghibli movie film still scene \
    image picture poster cover design model print year old new big small large little huge tiny giant long short young \
    good great best masterpiece award winning amazing hyper ultra super extremely professional soft hard one two three four \
    five six seven eight nine ten some many few lot lots made making wearing holding standing sitting looking look having \
    being playing having like while where who which there here his their my your our all every other another between \
    behind front near next inside outside around above below 4k 8k 3d 2d vs non ray tracing volumetric global illumination \
    depth field bokeh lens camera mm f1 dslr canon nikon sony kodak portra hdr rtx vray blender zbrush c4d cgi maya \
    deviantart pinterest instagram behance pixiv cgsociety character sheet reference turnaround key visual studio \
    retro vintage modern classic old fashioned contemporary minimalistic minimalist minimal simple complex clean pretty cute \
    funny weird strange text sign says saying letter letters word words written words number open face faces expression \
    pop screen page board mixed media shape shapes point live set part parts kind type form eyes hands hair head arms";

struct Lexicon {
    phrases: HashMap<String, (usize, u8)>,
    places: HashMap<String, Place>,
    hours: HashMap<String, Hour>,
    weathers: HashMap<String, Weather>,
    colours: HashMap<String, Rgb>,
    silent: HashSet<&'static str>,
}

fn lexicon() -> Result<&'static Lexicon, Error> {
    static LEXICON: OnceLock<Option<Lexicon>> = OnceLock::new();
    LEXICON.get_or_init(|| drawings::all().ok().map(build)).as_ref().ok_or(Error::Drawings)
}

fn build(all: &[Drawing]) -> Lexicon {
    let by_name =
        all.iter().enumerate().map(|(index, drawing)| (drawing.name, index)).collect::<HashMap<_, _>>();
    let silent = SILENT.split_whitespace().collect::<HashSet<_>>();
    let mut phrases = HashMap::new();
    for line in include_str!("../data/synonyms.txt").lines().filter(|line| !line.starts_with('#')) {
        let Some((name, words)) = line.split_once(": ") else { continue };
        let Some(&index) = by_name.get(name) else { continue };
        for word in words.split_whitespace() {
            phrases.entry(word.replace('_', " ")).or_insert((index, 4));
        }
    }
    let mut loose = HashMap::<&str, Vec<usize>>::new();
    for (index, drawing) in all.iter().enumerate() {
        phrases.entry(drawing.name.replace('-', " ")).or_insert((index, 3));
        if drawing.group != "Smileys & Emotion" {
            for word in drawing.keywords.split(',').filter(|word| !silent.contains(word)) {
                loose.entry(word).or_default().push(index);
            }
        }
    }
    // A keyword that many drawings share says little about any of them.
    for (word, indices) in loose {
        if indices.len() <= 3 && word.len() > 2 {
            phrases.entry(word.to_owned()).or_insert((indices[0], 1));
        }
    }
    Lexicon {
        phrases,
        places: table(PLACES),
        hours: table(HOURS),
        weathers: table(WEATHERS),
        colours: COLOURS
            .iter()
            .flat_map(|(c, words)| words.split(' ').map(move |w| (w.replace('_', " "), hex(*c))))
            .collect(),
        silent,
    }
}

fn table<T: Copy>(rows: &[(T, &str)]) -> HashMap<String, T> {
    let mut map = HashMap::new();
    for (value, words) in rows {
        for word in words.split(' ') {
            map.entry(word.replace('_', " ")).or_insert(*value);
        }
    }
    map
}

/// Reads the prompt.
///
/// # Errors
/// [`Error::Drawings`] when the embedded drawings are damaged.
pub fn read(prompt: &str) -> Result<Reading, Error> {
    let lexicon = lexicon()?;
    let words = split(prompt);
    let mut reading = Reading { richness: (words.len() as f32 / 40.0).min(1.0), ..Reading::default() };
    let mut found = Vec::<(usize, Subject)>::new();
    let mut at = 0;
    while at < words.len() {
        let longest = 3.min(words.len() - at);
        let phrase = (1..=longest).rev().find_map(|length| {
            let words = &words[at..at + length];
            if words[..length - 1].iter().any(|word| word == ",") {
                return None;
            }
            notice(lexicon, &words.join(" "), &mut reading);
            let (drawing, weight) = lookup(lexicon, words)?;
            Some((length, drawing, weight))
        });
        if let Some((length, drawing, weight)) = phrase {
            let copies = copies(&words, at, at + length - 1);
            if !found.iter().any(|(_, subject)| subject.drawing == drawing) {
                found.push((at, Subject { drawing, copies, weight }));
            }
            // The other words of a phrase may still name a place or a colour.
            for word in &words[at + 1..at + length] {
                notice(lexicon, word, &mut reading);
            }
            at += length;
        } else {
            at += 1;
        }
    }
    // "Portrait" or "character" says only that there is someone: whoever is named more closely stands for them.
    let all = drawings::all()?;
    let someone = |subject: &Subject| all[subject.drawing].name == "person";
    let named = |subject: &Subject| {
        let figure = matches!(all[subject.drawing].group, "People & Body" | "Animals & Nature");
        subject.weight >= 3 && !someone(subject) && figure || all[subject.drawing].name == "robot"
    };
    if found.iter().any(|(_, subject)| named(subject)) {
        found.retain(|(_, subject)| !someone(subject));
    }
    // The main thing comes early and surely; a sure word outruns a loose one by ten words.
    found.sort_by_key(|(at, subject)| *at as i64 - 10 * i64::from(subject.weight));
    reading.subjects = found.into_iter().map(|(_, subject)| subject).take(MOST_SUBJECTS).collect();
    Ok(reading)
}

fn notice(lexicon: &Lexicon, phrase: &str, reading: &mut Reading) {
    if reading.place.is_none() {
        reading.place = lexicon.places.get(phrase).copied();
    }
    if reading.hour.is_none() {
        reading.hour = lexicon.hours.get(phrase).copied();
    }
    if reading.weather.is_none() {
        reading.weather = lexicon.weathers.get(phrase).copied();
    }
    if reading.tint.is_none() {
        reading.tint = lexicon.colours.get(phrase).copied();
    }
    reading.portrait |= ["portrait", "headshot", "face", "bust", "close up", "selfie"].contains(&phrase);
}

fn lookup(lexicon: &Lexicon, words: &[String]) -> Option<(usize, u8)> {
    let phrase = words.join(" ");
    if words.len() == 1 && (lexicon.silent.contains(phrase.as_str()) || phrase.len() < 2) {
        return None;
    }
    let known = |phrase: &str| lexicon.phrases.get(phrase).copied();
    known(&phrase).or_else(|| singulars(&phrase).iter().find_map(|word| known(word)))
}

/// What the word may be the plural of.
fn singulars(word: &str) -> Vec<String> {
    [("ies", "y"), ("ves", "f"), ("ves", "fe"), ("es", ""), ("s", ""), ("men", "man")]
        .iter()
        .filter_map(|(ending, single)| word.strip_suffix(ending).map(|stem| format!("{stem}{single}")))
        .filter(|single| single.len() > 2)
        .collect()
}

/// How many the words ask for: a number before it, or a few for a plural.
fn copies(words: &[String], first: usize, last: usize) -> usize {
    const NUMBERS: [&str; 6] = ["one", "two", "three", "four", "five", "six"];
    let before = &words[first.saturating_sub(2)..first];
    let number =
        before.iter().find_map(|word| NUMBERS.iter().position(|number| number == word).map(|n| n + 1));
    let word = &words[last];
    let plural = word.ends_with('s') && !word.ends_with("ss") && word.len() > 3
        || word.ends_with("men") && word.len() > 3;
    let many = before.iter().any(|word| {
        ["many", "lots", "group", "army", "field", "herd", "crowd", "pack", "of"].contains(&word.as_str())
    });
    number.unwrap_or(match (plural, many) {
        (true, true) => 4,
        (true, false) => 3,
        (false, _) => 1,
    })
}

/// Lower-case words, with "," for each stop, and without the names of those by whom the picture is to be.
fn split(prompt: &str) -> Vec<String> {
    let end = prompt
        .char_indices()
        .map(|(at, c)| at + c.len_utf8())
        .take_while(|&end| end <= READ_LIMIT)
        .last()
        .unwrap_or(0);
    let mut words = Vec::<String>::new();
    let mut names = 0;
    let mut word = String::new();
    for c in prompt[..end].chars().chain([' ']) {
        if c.is_alphanumeric() {
            word.extend(c.to_lowercase());
            continue;
        }
        if !word.is_empty() {
            let word = std::mem::take(&mut word);
            if names > 0
                && ["the", "a", "an", "my", "his", "her", "its", "their", "with", "in", "on", "at"]
                    .contains(&word.as_str())
            {
                names = 0;
            }
            if word == "by" {
                names = 4;
            } else if names > 0 {
                names = if word == "and" { 4 } else { names - 1 };
            } else if word != "s" {
                words.push(word);
            }
        }
        if matches!(c, ',' | '.' | ';' | '|' | '(' | ')' | '!' | ':') {
            names = 0;
            words.push(",".to_owned());
        }
    }
    words
}
