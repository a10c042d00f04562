//! Makes `crates/rehearsal/data/drawings.zst`: the emoji drawings of two sets, their names and the words
//! that ask for them, in one compressed file that ships with the source. Run again only when a set has a
//! new version; the file's layout is documented in `crates/rehearsal/src/drawings.rs`, which reads it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};
use serde_json::Value;

const NOTO: &str = "@iconify-json/noto@1.2.9";
const FLUENT: &str = "@iconify-json/fluent-emoji-flat@1.2.6";
const KEYWORDS: &str = "emojilib@4.0.3";

/// The folder of the rehearsal crate's data, relative to the workspace root, where tasks run.
const FOLDER: &str = "crates/rehearsal/data";

/// People, of whom both sets hold hundreds of variants: these few generic ones stay.
const PEOPLE: &str = "woman man girl boy person baby child princess prince woman-mage man-mage mage fairy \
    woman-fairy man-fairy elf woman-elf man-elf mermaid merman vampire woman-vampire man-vampire ninja astronaut woman-astronaut \
    man-astronaut superhero woman-superhero man-superhero supervillain woman-supervillain santa-claus mrs-claus old-man old-woman \
    older-person man-beard person-beard woman-red-hair man-red-hair woman-curly-hair man-curly-hair woman-white-hair \
    man-white-hair woman-blond-hair man-blond-hair man-bald woman-dancing man-dancing woman-standing man-standing \
    person-standing person-walking woman-walking man-walking person-running woman-running man-running zombie woman-zombie \
    man-zombie detective woman-detective guard artist woman-artist man-artist scientist woman-scientist man-scientist farmer \
    woman-farmer man-farmer cook woman-cook man-cook firefighter pilot woman-pilot health-worker judge student teacher singer \
    woman-singer man-singer technologist woman-technologist police-officer construction-worker mechanic woman-with-veil \
    man-in-tuxedo person-with-crown woman-with-headscarf man-wearing-turban genie woman-genie man-genie troll baby-angel \
    person-in-lotus-position woman-in-lotus-position person-surfing person-swimming person-biking person-rowing-boat \
    person-climbing person-fencing person-juggling person-lifting-weights person-in-bed person-taking-bath person-golfing \
    person-cartwheeling person-kneeling horse-racing skier snowboarder ballet-dancer hairy-creature family \
    bust-in-silhouette busts-in-silhouette kiss couple-with-heart people-hugging speaking-head footprints brain \
    anatomical-heart lungs bone tooth eye eyes ear nose mouth tongue foot leg flexed-biceps raised-hand raised-fist \
    folded-hands handshake mechanical-arm mechanical-leg waving-hand clapping-hands fingerprint";

/// Symbols, most of which are signs and buttons: these few are things a picture can show.
const SYMBOLS: &str = "yin-yang atom-symbol peace-symbol infinity fleur-de-lis latin-cross star-of-david \
    wheel-of-dharma radioactive biohazard recycling-symbol trident-emblem star-and-crescent om menorah place-of-worship \
    khanda eight-pointed-star warning";

/// Parts of names of drawings that carry letters, or say nothing in a picture.
const UNWANTED: &str = "oclock -thirty chart- euro-banknote pound-banknote yen-banknote wheelchair mailbox \
    bookmark-tabs card- inbox outbox locked- unlocked wastebasket bell-with-slash muted -post-office map-of-japan low-battery speaker- \
    globe-with-meridians dotted-line anger zipper vomiting nauseated hundred-points eye-in-speech stop-sign \
    level-slider control-knobs incoming-envelope e-mail love-hotel toilet plunger ballot";

/// Drawings that are framed pictures of a whole scene, or too fine to be worth their bytes.
const SCENES: &str = "cityscape cityscape-at-dusk desert sunrise sunrise-over-mountains sunset milky-way night-with-stars \
    bridge-at-night foggy national-park motorway metro station flower-playing-cards landslide world-map \
    man-curly-hair woman-curly-hair wedding identification-card label credit-card calendar tear-off-calendar spiral-calendar \
    page-facing-up page-with-curl post-office bus-stop receipt book-mark bookmark dvd placard fight-cloud x-ray zzz";

/// One drawing: its category in the sets, its keywords and its SVG bodies, empty where a set lacks it.
#[derive(Default)]
struct Drawing {
    group: String,
    keywords: BTreeSet<String>,
    noto: String,
    fluent: String,
}

/// Fetches both sets and the keywords with `npm pack`, keeps what a picture can use and writes the file.
///
/// # Errors
/// When `npm` or `tar` is missing or fails, a package has another layout than expected, or the file cannot
/// be written.
#[allow(clippy::print_stdout, reason = "a task reports on the terminal")]
pub fn run() -> Result<()> {
    let scratch = std::env::temp_dir().join(format!("diptych-drawings-{}", std::process::id()));
    fs::create_dir_all(&scratch).with_context(|| format!("cannot make {}", scratch.display()))?;
    let made = collect(&scratch);
    fs::remove_dir_all(&scratch).with_context(|| format!("cannot remove {}", scratch.display()))?;
    let drawings = made?;

    let mut text = String::new();
    for (name, drawing) in &drawings {
        let keywords = drawing.keywords.iter().map(String::as_str).collect::<Vec<_>>().join(",");
        let fields = [name, &drawing.group, &keywords, &drawing.noto, &drawing.fluent];
        text.push_str(&fields.map(|field| field.replace(['\t', '\n', '\r'], " ")).join("\t"));
        text.push('\n');
    }
    let packed = zstd::bulk::compress(text.as_bytes(), 22).context("cannot compress the drawings")?;
    let path = Path::new(FOLDER).join("drawings.zst");
    fs::write(&path, &packed)
        .with_context(|| format!("cannot write {} (run from the workspace root)", path.display()))?;
    println!("{}: {} drawings, {} kB", path.display(), drawings.len(), packed.len() / 1000);
    Ok(())
}

fn collect(scratch: &Path) -> Result<BTreeMap<String, Drawing>> {
    let mut drawings = BTreeMap::<String, Drawing>::new();
    let keywords = read_json(&unpack(scratch, KEYWORDS)?.join("dist/emoji-en-US.json"))?;
    for (package, is_noto) in [(NOTO, true), (FLUENT, false)] {
        let folder = unpack(scratch, package)?;
        let icons = read_json(&folder.join("icons.json"))?;
        let metadata = read_json(&folder.join("metadata.json"))?;
        let characters = read_json(&folder.join("chars.json"))?;
        let mut words = words_by_name(&characters, &keywords)?;
        let categories = metadata["categories"].as_object().context("metadata.json holds no categories")?;
        for (group, names) in categories {
            for name in names.as_array().into_iter().flatten().filter_map(Value::as_str) {
                let shared = shared_name(name);
                let Some(body) = icons["icons"][name]["body"].as_str() else { continue };
                if !wanted(group, &shared) {
                    continue;
                }
                let drawing = drawings.entry(shared).or_default();
                drawing.group.clone_from(group);
                drawing.keywords.append(&mut words.remove(name).unwrap_or_default());
                *(if is_noto { &mut drawing.noto } else { &mut drawing.fluent }) = minimised(body);
            }
        }
    }
    if drawings.len() < 500 {
        bail!("only {} drawings were found: the packages have another layout than expected", drawings.len());
    }
    Ok(drawings)
}

/// The keywords of emojilib, which go by character, under the names the set gives the characters.
fn words_by_name(characters: &Value, keywords: &Value) -> Result<BTreeMap<String, BTreeSet<String>>> {
    let by_character = keywords.as_object().context("emojilib holds no keywords")?;
    let plain = |text: &str| text.replace('\u{fe0f}', "");
    let by_character =
        by_character.iter().map(|(key, words)| (plain(key), words)).collect::<BTreeMap<_, _>>();
    let mut found = BTreeMap::<String, BTreeSet<String>>::new();
    for (code, name) in characters.as_object().context("chars.json holds no names")? {
        let character = code.split('-').filter_map(|hex| char::from_u32(u32::from_str_radix(hex, 16).ok()?));
        let character = plain(&character.collect::<String>());
        let (Some(name), Some(words)) = (name.as_str(), by_character.get(&character)) else { continue };
        let words = words.as_array().into_iter().flatten().filter_map(Value::as_str);
        let words = words.map(|word| word.replace('_', " ").to_lowercase());
        let usable =
            |word: &String| word.len() > 2 && word.chars().all(|c| c.is_ascii_alphabetic() || c == ' ');
        found.entry(name.to_owned()).or_default().extend(words.filter(usable));
    }
    Ok(found)
}

/// The two sets name some people and animals differently: the name that both go by here.
fn shared_name(name: &str) -> String {
    match name {
        "blackbird" => "black-bird".into(),
        "phoenix-bird" => "phoenix".into(),
        "man-merpeople" => "merman".into(),
        "woman-merpeople" => "mermaid".into(),
        "piata" => "pinata".into(),
        "person-elf"
        | "person-fairy"
        | "person-genie"
        | "person-mage"
        | "person-superhero"
        | "person-supervillain"
        | "person-vampire"
        | "person-zombie" => name.trim_start_matches("person-").into(),
        _ => name.replace("blonde-hair", "blond-hair"),
    }
}

fn wanted(group: &str, name: &str) -> bool {
    let among = |list: &str| list.split_whitespace().any(|kept| kept == name);
    match group {
        "Flags" => false,
        "Symbols" => among(SYMBOLS),
        "People & Body" => among(PEOPLE) && !among(SCENES),
        _ => !among(SCENES) && !UNWANTED.split_whitespace().any(|part| name.contains(part)),
    }
}

/// The body without attributes that renderers ignore and without spaces between its tags.
fn minimised(body: &str) -> String {
    body.replace("> <", "><").replace(" xml:space=\"preserve\"", "").trim().to_owned()
}

fn unpack(scratch: &Path, package: &str) -> Result<PathBuf> {
    let packed = output(Command::new("npm").args(["pack", "--silent", package]).current_dir(scratch))?;
    let archive =
        packed.lines().last().with_context(|| format!("npm pack {package} named no archive"))?.to_owned();
    let folder = scratch.join(archive.trim_end_matches(".tgz"));
    fs::create_dir_all(&folder)?;
    output(Command::new("tar").arg("xzf").arg(scratch.join(&archive)).arg("-C").arg(&folder))?;
    Ok(folder.join("package"))
}

fn output(command: &mut Command) -> Result<String> {
    let done = command.output().with_context(|| format!("cannot start {command:?}"))?;
    if !done.status.success() {
        bail!("{command:?} failed: {}", String::from_utf8_lossy(&done.stderr));
    }
    Ok(String::from_utf8(done.stdout)?)
}

fn read_json(path: &Path) -> Result<Value> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is not JSON", path.display()))
}
