//! What no compiler checks: the floors of the crates, the map, file headers, machine paths.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

/// Each crate's floor; a crate imports only from lower ones.
const FLOORS: &[(&str, u8)] = &[
    ("core", 0),
    ("stats", 0),
    ("picture", 0),
    ("text", 0),
    ("headers", 0),
    ("model", 0),
    ("columns", 0),
    ("rows", 0),
    ("reply", 0),
    ("rehearsal", 0),
    ("backup", 1),
    ("store", 1),
    ("engine", 1),
    ("queue", 1),
    ("tables", 2),
    ("nn", 2),
    ("stages", 3),
    ("web", 4),
    ("diptych", 5),
];

/// The longest source file, in lines.
const LONGEST: usize = 700;

/// Checks the tree.
pub fn run(root: &Path) -> Result<()> {
    let listed = Command::new("git")
        .current_dir(root)
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .output()
        .context("git cannot be started")?;
    let files: Vec<String> = String::from_utf8_lossy(&listed.stdout).lines().map(ToOwned::to_owned).collect();
    if files.is_empty() {
        bail!("git lists no file: is this a checkout?");
    }
    let mut texts = BTreeMap::new();
    for file in &files {
        if let Ok(bytes) = std::fs::read(root.join(file))
            && let Ok(text) = String::from_utf8(bytes)
        {
            texts.insert(file.as_str(), text);
        }
    }
    let mut found = floors(&texts);
    found.extend(headers(&texts));
    found.extend(the_map(&texts, &|path| root.join(path).exists()));
    found.extend(machine_paths(&texts));
    for problem in &found {
        report(problem);
    }
    if !found.is_empty() {
        bail!("{} things are not tidy", found.len());
    }
    Ok(())
}

#[allow(clippy::print_stdout)]
fn report(problem: &str) {
    println!("{problem}");
}

type Texts<'a> = BTreeMap<&'a str, String>;

/// Imports between crates point down.
fn floors(texts: &Texts) -> Vec<String> {
    let floor = |name: &str| FLOORS.iter().find(|(known, _)| *known == name).map(|(_, floor)| *floor);
    let mut found = Vec::new();
    for (file, text) in texts {
        let Some(name) = file.strip_prefix("crates/").and_then(|rest| rest.strip_suffix("/Cargo.toml"))
        else {
            continue;
        };
        let Some(own) = floor(name) else {
            found.push(format!("{file}: the crate {name} has no floor: give it one in xtask/src/tidy.rs"));
            continue;
        };
        let normal = text.split("[dev-dependencies]").next().unwrap_or_default();
        for line in normal.lines() {
            let Some(other) =
                line.strip_prefix("diptych-").and_then(|rest| rest.split(['.', ' ', '=']).next())
            else {
                continue;
            };
            if floor(other).is_none_or(|other| other >= own) {
                found.push(format!("{file}: {name} imports {other}, which is not on a floor below it"));
            }
        }
    }
    found
}

/// Every source file opens with why it exists, and is not longer than one idea needs.
fn headers(texts: &Texts) -> Vec<String> {
    let mut found = Vec::new();
    for (file, text) in texts.iter().filter(|(file, _)| file.ends_with(".rs")) {
        if !text.starts_with("//!") {
            found.push(format!("{file}: it must open with a `//!` that says why it exists"));
        }
        let lines = text.lines().count();
        if lines > LONGEST {
            found.push(format!("{file}: {lines} lines are more than {LONGEST}: split it along the idea"));
        }
        if text.lines().any(|line| line.ends_with([' ', '\t'])) {
            found.push(format!("{file}: a line ends in white space"));
        }
    }
    found
}

/// Every path that ARCHITECTURE.md names exists, and every crate stands in it.
fn the_map(texts: &Texts, exists: &dyn Fn(&str) -> bool) -> Vec<String> {
    let Some(map) = texts.get("ARCHITECTURE.md") else {
        return vec!["ARCHITECTURE.md is missing".to_owned()];
    };
    let mut found = Vec::new();
    for path in
        map.split('`').skip(1).step_by(2).filter(|code| {
            code.starts_with("crates/") || code.starts_with("xtask/") || code.starts_with("docs/")
        })
    {
        if !exists(path) {
            found.push(format!("ARCHITECTURE.md names `{path}`, which does not exist"));
        }
    }
    for (name, _) in FLOORS {
        if !map.contains(&format!("`crates/{name}`")) {
            found.push(format!("ARCHITECTURE.md does not say what `crates/{name}` is"));
        }
    }
    found
}

/// No path of somebody's machine.
fn machine_paths(texts: &Texts) -> Vec<String> {
    // Written in parts, so that this file does not name them.
    let needles = ["work", "root", "farm", "home"].map(|name| format!("/{name}/"));
    let mut found = Vec::new();
    for (file, text) in texts.iter().filter(|(file, _)| !file.starts_with("data/")) {
        for (number, line) in text.lines().enumerate() {
            for needle in &needles {
                let absolute = line.match_indices(needle.as_str()).any(|(place, _)| {
                    let before = line[..place].chars().next_back();
                    before.is_none_or(|c| !(c.is_alphanumeric() || "._-~/}".contains(c)))
                });
                if absolute {
                    found.push(format!("{file}:{}: a path of a machine (`{needle}…`)", number + 1));
                }
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts<'a>(files: &[(&'a str, &str)]) -> Texts<'a> {
        files.iter().map(|(name, text)| (*name, (*text).to_owned())).collect()
    }

    #[test]
    fn imports_point_down() {
        let found = floors(&texts(&[
            (
                "crates/store/Cargo.toml",
                "[dependencies]\ndiptych-core.workspace = true\ndiptych-web.workspace = true\n",
            ),
            ("crates/core/Cargo.toml", "[dependencies]\n[dev-dependencies]\ndiptych-web = \"1\"\n"),
            ("crates/new/Cargo.toml", ""),
        ]));
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].contains("new") && found[1].contains("store imports web"));
    }

    #[test]
    fn files_open_with_their_reason() {
        let found = headers(&texts(&[("a.rs", "//! Good.\n"), ("b.rs", "fn main() {} \n")]));
        assert_eq!(found.len(), 2, "{found:?}");
    }

    #[test]
    fn the_map_names_what_is_there() {
        let crates: String = FLOORS.iter().map(|(name, _)| format!("`crates/{name}` ")).collect();
        let found = the_map(&texts(&[("ARCHITECTURE.md", &(crates + "`crates/gone.rs`"))]), &|path| {
            path != "crates/gone.rs"
        });
        assert_eq!(found, ["ARCHITECTURE.md names `crates/gone.rs`, which does not exist"]);
        assert_eq!(the_map(&texts(&[("ARCHITECTURE.md", "")]), &|_| true).len(), FLOORS.len());
    }

    #[test]
    fn machine_paths_are_found() {
        let bad = format!("see {}x", ["/", "root", "/"].concat());
        let found =
            machine_paths(&texts(&[("a.md", &bad), ("b.md", "crates/work/x and https://a.b/home/x")]));
        assert_eq!(found.len(), 1, "{found:?}");
    }
}
