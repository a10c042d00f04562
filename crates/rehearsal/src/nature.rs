//! Which drawings stand, fly, swim, hang in the sky or lie on a table.

use crate::{Manner, drawings::Drawing};

/// How a thing behaves in a scene.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nature {
    /// A head without a body, which gets shoulders when it is a person's.
    Head,
    /// Head and shoulders, cut off below.
    Bust,
    /// Stands on the ground, as large as a person.
    Stander,
    /// A tree or another tall plant.
    Tree,
    /// A house, a castle, a mountain.
    Huge,
    Vehicle,
    /// Floats on water.
    Ship,
    Swimmer,
    Flyer,
    /// Hangs high in the sky.
    Heaven,
    /// Lies on a table or grows on the ground.
    Small,
}

const HEADS: &str =
    " woman man girl boy person baby child old-man old-woman older-person man-beard person-beard man-bald ";
const NOTO_HEADS: &str = " princess prince person-with-crown ";
const FLUENT_HEADS: &str =
    " woman-red-hair man-red-hair woman-white-hair man-white-hair woman-blond-hair man-blond-hair ";
const BUSTS: &str = " princess prince person-with-crown woman-mage man-mage mage woman-elf man-elf elf woman-vampire man-vampire \
    vampire ninja astronaut woman-astronaut man-astronaut zombie woman-zombie man-zombie detective woman-detective guard artist \
    woman-artist man-artist scientist woman-scientist man-scientist farmer woman-farmer man-farmer cook woman-cook man-cook \
    firefighter pilot woman-pilot health-worker judge student teacher singer woman-singer man-singer technologist \
    woman-technologist police-officer construction-worker mechanic woman-with-veil man-in-tuxedo woman-with-headscarf \
    man-wearing-turban mrs-claus santa-claus woman-red-hair man-red-hair woman-white-hair man-white-hair woman-blond-hair \
    man-blond-hair bust-in-silhouette baby-angel ";
const TREES: &str =
    " evergreen-tree deciduous-tree palm-tree leafless-tree christmas-tree cactus sauropod giraffe ";
const SHIPS: &str =
    " sailboat ship passenger-ship speedboat motor-boat ferry canoe person-rowing-boat person-surfing ";
const SWIMMERS: &str = " whale spouting-whale dolphin orca shark octopus jellyfish squid fish tropical-fish blowfish seal \
    person-swimming shrimp mermaid merman diving-mask ";
const FLYERS: &str = " bird eagle owl-flying dove bat butterfly monarch-butterfly honeybee airplane small-airplane helicopter rocket \
    flying-saucer satellite parachute balloon kite phoenix fairy woman-fairy man-fairy superhero woman-superhero man-superhero \
    ghost fly mosquito black-bird parrot feather wing magic-wand musical-notes musical-note party-popper fireworks sparkles \
    red-heart heart-on-fire two-hearts hole cyclone high-voltage alien-monster baby-angel genie woman-genie man-genie infinity ";
const HEAVENS: &str = " sun full-moon crescent-moon star glowing-star shooting-star comet meteor ringed-planet cloud rainbow \
    globe-showing-americas sun-with-face full-moon-face cloud-with-rain cloud-with-lightning sun-behind-cloud ";
const GROUND_SMALL: &str = " mushroom tulip rose sunflower blossom hibiscus hyacinth white-flower herb seedling rock \
    sheaf-of-rice snail lady-beetle ant spider beetle bug worm frog mouse baby-chick hatching-chick chipmunk crab turtle \
    hedgehog hamster rabbit four-leaf-clover fallen-leaf maple-leaf jack-o-lantern coral spiral-shell skull ";

fn listed(list: &str, name: &str) -> bool {
    list.match_indices(name)
        .any(|(at, _)| list[..at].ends_with(' ') && list[at + name.len()..].starts_with(' '))
}

/// How the drawing behaves, by its name and, failing that, its group.
pub fn nature(drawing: &Drawing, manner: Manner) -> Nature {
    let name = drawing.name;
    let noto = manner == Manner::Noto;
    if listed(HEADS, name) || listed(if noto { NOTO_HEADS } else { FLUENT_HEADS }, name) {
        return Nature::Head;
    }
    for (list, nature) in [
        (BUSTS, Nature::Bust),
        (TREES, Nature::Tree),
        (SHIPS, Nature::Ship),
        (SWIMMERS, Nature::Swimmer),
        (FLYERS, Nature::Flyer),
        (HEAVENS, Nature::Heaven),
        (GROUND_SMALL, Nature::Small),
    ] {
        if listed(list, name) {
            return nature;
        }
    }
    const HUGE: [&str; 34] = [
        "castle",
        "house",
        "houses",
        "mountain",
        "volcano",
        "fuji",
        "church",
        "mosque",
        "temple",
        "building",
        "hotel",
        "hospital",
        "school",
        "factory",
        "stadium",
        "bank",
        "tower",
        "wheel",
        "coaster",
        "tent",
        "statue",
        "shrine",
        "synagogue",
        "store",
        "hut",
        "lighthouse",
        "island",
        "kaaba",
        "moai",
        "fountain",
        "construction",
        "office",
        "slide",
        "carousel",
    ];
    let part = |words: &[&str]| words.iter().any(|word| name.split('-').any(|part| part == *word));
    match drawing.group {
        "Animals & Nature" | "People & Body" | "Smileys & Emotion" => Nature::Stander,
        "Travel & Places" if part(&HUGE) => Nature::Huge,
        "Travel & Places"
            if part(&[
                "fire",
                "compass",
                "watch",
                "clock",
                "hourglass",
                "bell",
                "anchor",
                "luggage",
                "umbrella",
                "wood",
                "rock",
                "snowflake",
                "droplet",
                "brick",
                "seat",
            ]) =>
        {
            Nature::Small
        }
        "Travel & Places" if part(&["wave", "snowman", "tornado"]) => Nature::Stander,
        "Travel & Places" => Nature::Vehicle,
        _ => Nature::Small,
    }
}
