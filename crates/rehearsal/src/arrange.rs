//! What is in a scene: how large and how far off each thing is.

use crate::{
    Manner,
    backdrop::{Footing, Setting},
    drawings::Drawing,
    nature::{Nature, nature},
    random::Random,
    words::{Place, Reading},
};

/// Drawings with letters or figures on them, which nobody would show mirrored.
const LETTERED: [&str; 22] = [
    "1st-place-medal",
    "2nd-place-medal",
    "3rd-place-medal",
    "alarm-clock",
    "ambulance",
    "bank",
    "convenience-store",
    "department-store",
    "dollar-banknote",
    "hospital",
    "hotel",
    "joker",
    "keyboard",
    "mantelpiece-clock",
    "newspaper",
    "oncoming-taxi",
    "pager",
    "rolled-up-newspaper",
    "school",
    "slot-machine",
    "stopwatch",
    "watch",
];

/// A thing with its place in the scene.
#[derive(Clone, Copy)]
pub struct Item {
    pub drawing: usize,
    pub nature: Nature,
    /// Middle, as a share of the width.
    pub x: f32,
    /// Foot, as a share of the way from horizon (0) to bottom (1); heights above the horizon are negative.
    pub depth: f32,
    /// Height in units.
    pub height: f32,
    pub flip: bool,
    pub main: bool,
}

/// Whether a thing looks the other way than it was drawn.
fn turned(drawing: &Drawing, chance: f32, random: &mut Random) -> bool {
    random.chance(chance) && !LETTERED.contains(&drawing.name)
}

/// Gives the people of the prompt their parts: full figures where several things meet, other heads now and then.
pub fn play(
    subjects: &[(usize, usize)],
    all: &[Drawing],
    manner: Manner,
    reading: &Reading,
    random: &mut Random,
) -> Vec<(usize, usize)> {
    let find = |name: &str| all.iter().position(|drawing| drawing.name == name && drawing.in_set(manner));
    let mut cast = |(at, &(drawing, copies)): (usize, &(usize, usize))| {
        let name = all[drawing].name;
        let figure = at > 0 || copies > 1 || !reading.portrait && random.chance(0.35);
        let parts: &[&str] = match (name, figure) {
            ("woman", true) => &["woman-standing", "woman-walking", "woman-standing"],
            ("man" | "man-beard", true) => &["man-standing", "man-walking"],
            ("person", true) => &["person-standing", "person-walking", "woman-standing", "man-walking"],
            ("woman", false) => &["woman", "woman", "woman-red-hair", "woman-blond-hair"],
            ("man", false) => &["man", "man", "man-beard", "man-red-hair", "man-blond-hair"],
            ("person", false) => {
                &["person", "woman", "man", "woman-red-hair", "man-beard", "woman-white-hair", "older-person"]
            }
            _ => &[],
        };
        let part = if parts.is_empty() { None } else { find(random.pick(parts)) };
        (part.unwrap_or(drawing), copies)
    };
    subjects.iter().enumerate().map(&mut cast).collect()
}

/// Gives the subjects their places: the first one the best, the others round it.
pub fn arrange(
    manner: Manner,
    subjects: &[(usize, usize)],
    all: &[Drawing],
    setting: &Setting,
    reading: &Reading,
    random: &mut Random,
) -> Vec<Item> {
    let mut items = Vec::new();
    let Some(&(first, copies)) = subjects.first() else { return items };
    let kind = nature(&all[first], manner);
    let side = if manner == Manner::Noto { 1.0 } else { -1.0 } * if random.chance(0.25) { -1.0 } else { 1.0 };
    let alone = subjects.len() == 1 && copies == 1;
    let x = 0.5 + side * if alone { 0.03 } else { 0.07 };
    let bigger = if manner == Manner::Noto { 1.0 } else { 1.08 };
    let (height, depth) = match kind {
        Nature::Head => (0.5, 1.0),
        Nature::Bust => (if reading.portrait { 0.68 } else { 0.58 }, 1.0),
        Nature::Huge => (0.6, 0.5),
        Nature::Tree => (0.64, 0.6),
        // Nothing hangs over the turntable.
        Nature::Flyer | Nature::Heaven | Nature::Swimmer if setting.place == Place::Stage => (0.5, 0.6),
        Nature::Flyer => (0.42, -0.6),
        Nature::Heaven => (0.4, -0.9),
        Nature::Swimmer => (0.44, if setting.footing() == Footing::Land { 0.6 } else { -0.5 }),
        Nature::Ship => (0.52, 0.5),
        Nature::Vehicle => (0.4, 0.62),
        Nature::Small => (0.46, 0.6),
        Nature::Stander if all[first].group == "People & Body" => (0.66, 0.72),
        Nature::Stander => (0.52, 0.62),
    };
    // Where there is no ground, everything hangs at the height of the eye.
    let stands = matches!(kind, Nature::Head | Nature::Bust);
    let depth = if setting.footing() == Footing::Afloat && !stands && depth > 0.0 { -0.62 } else { depth };
    let flip = turned(&all[first], 0.3, random);
    items.push(Item { drawing: first, nature: kind, x, depth, height: height * bigger, flip, main: true });
    // More of the main thing stands round it, smaller with distance.
    for copy in 1..copies.min(5) {
        let away = if copy % 2 == 0 { -side } else { side };
        let step = (copy as f32 + 1.0) / 2.0;
        let spread = if matches!(kind, Nature::Head | Nature::Bust) { 0.3 } else { 0.25 };
        let (scale, back) = (0.72 - 0.1 * step, (depth - 0.14 * step).max(depth.min(-0.8)));
        let x = x - away * spread * step + random.between(-0.03, 0.03);
        items.push(Item {
            drawing: first,
            nature: kind,
            x,
            depth: back,
            height: height * scale,
            flip: turned(&all[first], 0.5, random),
            main: false,
        });
    }
    let slots = [
        (-side * 0.31, 0.45),
        (side * 0.33, 0.85),
        (-side * 0.36, 0.95),
        (side * 0.4, 0.3),
        (-side * 0.14, 0.98),
    ];
    let mut slots = slots.into_iter();
    let mut high = [(-side * 0.28, -0.82), (side * 0.3, -0.95), (-side * 0.05, -1.05)].into_iter();
    let mut behind = [(-side * 0.3, 0.04), (side * 0.36, 0.02)].into_iter();
    let most = 3 + (reading.richness * 3.0) as usize;
    for &(drawing, copies) in subjects.iter().skip(1).take(most) {
        let nature = nature(&all[drawing], manner);
        for _ in 0..copies.min(3) {
            let slot = match nature {
                Nature::Flyer | Nature::Heaven => high.next(),
                Nature::Huge => behind.next(),
                _ => slots.next(),
            };
            let Some((dx, depth)) = slot else { break };
            let base = match nature {
                Nature::Flyer | Nature::Heaven => 0.17,
                Nature::Huge => 0.42,
                Nature::Tree => 0.5,
                Nature::Small => 0.22,
                _ => 0.3,
            };
            let far = if depth > 0.1 { 0.6 + 0.4 * depth } else { 1.0 };
            let x = 0.5 + dx + random.between(-0.03, 0.03);
            items.push(Item {
                drawing,
                nature,
                x,
                depth,
                height: base * far * random.between(0.92, 1.1),
                flip: turned(&all[drawing], 0.5, random),
                main: false,
            });
        }
    }
    items
}

/// Small companions that belong to the place, where the prompt left room.
pub fn decorate(
    manner: Manner,
    all: &[Drawing],
    setting: &Setting,
    reading: &Reading,
    items: &[Item],
    random: &mut Random,
) -> Vec<Item> {
    let names: &[&str] = match setting.place {
        Place::Forest => &["evergreen-tree", "deciduous-tree", "mushroom", "herb", "evergreen-tree"],
        Place::Field => &["deciduous-tree", "tulip", "blossom", "herb", "deciduous-tree"],
        Place::Mountains => &["evergreen-tree", "rock", "herb", "evergreen-tree"],
        Place::Snow => &["evergreen-tree", "evergreen-tree", "rock"],
        Place::Desert => &["cactus", "rock", "cactus"],
        Place::Beach => &["palm-tree", "spiral-shell", "palm-tree"],
        Place::Underwater => &["coral", "tropical-fish", "spiral-shell", "tropical-fish", "coral"],
        Place::City => &["deciduous-tree"],
        Place::Space => &["rock"],
        Place::Interior => &["potted-plant", "books"],
        Place::Sea | Place::Studio | Place::Stage | Place::Abstract => &[],
    };
    let mut found = Vec::new();
    if names.is_empty() {
        return found;
    }
    let count = (3.0 + 2.0 * reading.richness) as usize + usize::from(items.is_empty()) * 2;
    for index in 0..count.min(6) {
        let name = names[index % names.len()];
        let Some(drawing) = all.iter().position(|drawing| drawing.name == name && drawing.in_set(manner))
        else {
            continue;
        };
        if items.iter().any(|item| item.drawing == drawing) {
            continue;
        }
        let kind = nature(&all[drawing], manner);
        let x = if index % 2 == 0 { random.between(0.02, 0.2) } else { random.between(0.8, 0.98) };
        let (height, depth) = match kind {
            Nature::Tree => (random.between(0.3, 0.5), random.between(0.08, 0.5)),
            Nature::Swimmer => (random.between(0.08, 0.13), random.between(-0.9, -0.2)),
            _ if setting.place == Place::Interior => (0.26, 0.14),
            _ => (random.between(0.09, 0.16), random.between(0.5, 0.95)),
        };
        let height = if kind == Nature::Tree { height * (0.6 + depth) } else { height };
        found.push(Item {
            drawing,
            nature: kind,
            x,
            depth,
            height,
            flip: turned(&all[drawing], 0.5, random),
            main: false,
        });
    }
    found
}
