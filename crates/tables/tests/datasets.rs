//! Published folders, loaded by the Python package `datasets` without a network.
//!
//! `DIPTYCH_TEST_PYTHON` names an interpreter with the packages of `tests/requirements.txt`.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::Command;

use bytes::Bytes;
use diptych_tables::card::{Card, CardModel};
use diptych_tables::cells::Image;
use diptych_tables::dataset::{DatasetWriter, Limits, Split};
use diptych_tables::features::{Features, Kind};
use diptych_tables::rows::{
    self, BinarizedRow, PreferenceRow, Preferences, ResponseRow, ResultResponse, ResultRow,
};
use serde_json::{Map, Value, json};

/// A picture whose pixels are known without a decoder: 24-bit BMP of one colour, which Pillow reads.
fn picture(number: u8) -> Bytes {
    let (width, height) = (8_u32, 8_u32);
    let mut bmp = Vec::new();
    bmp.extend(b"BM");
    bmp.extend((54 + width * height * 3).to_le_bytes());
    bmp.extend([0; 4]);
    bmp.extend(54_u32.to_le_bytes());
    bmp.extend(40_u32.to_le_bytes());
    bmp.extend(width.to_le_bytes());
    bmp.extend(height.to_le_bytes());
    bmp.extend([1, 0, 24, 0]);
    bmp.extend([0; 24]);
    for _ in 0..width * height {
        bmp.extend([number, 255 - number, 10]);
    }
    Bytes::from(bmp)
}

fn image(number: u8) -> Image {
    Image { bytes: Some(picture(number)), path: Some(format!("{number}.bmp")) }
}

/// What the loader must find of it.
fn seen(number: u8) -> Value {
    json!({"bytes_hex": hex(&picture(number)), "rgb": [10, 255 - number, number], "size": [8, 8]})
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn card(dataset: &str) -> Card {
    Card {
        dataset: dataset.into(),
        // Everything that YAML could trip over.
        title: "yes: \"no\" # {a}\n---\n- | > & * ! % @ ` 'x' \\ \u{85} \u{2028} \u{1F600} 猫".into(),
        question: "Which image is better?".into(),
        license: "Apache-2.0".into(),
        row: "One row is one thing.".into(),
        counts: vec![("pairs".into(), 3)],
        models: vec![CardModel { key: "dev".into(), name: "a/b".into(), engine: "openai".into() }],
        rewriting: "rules".into(),
        task_categories: vec!["text-to-image".into()],
        tags: vec!["null".into(), "1e3".into()],
        ..Card::default()
    }
}

/// The columns of a table with what `datasets` calls their types.
fn columns(features: &Features) -> Value {
    let columns = features.columns().iter();
    columns.map(|column| json!([column.name, type_of(&column.kind)])).collect()
}

fn type_of(kind: &Kind) -> Value {
    match kind {
        Kind::Text => json!("string"),
        Kind::Int => json!("int64"),
        Kind::Bool => json!("bool"),
        Kind::Time => json!("timestamp[us, tz=UTC]"),
        Kind::Image => json!("image"),
        Kind::Texts => json!("list<string>"),
        Kind::Group(parts) => {
            parts.iter().map(|part| (part.name.clone(), type_of(&part.kind))).collect::<Map<_, _>>().into()
        }
    }
}

fn preferences(root: &Path, manifest: &mut Vec<(&'static str, Value)>) {
    let owned = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
    let table = Preferences::new(&owned(&["simplified", "quality"]), &owned(&["dev", "sd"])).unwrap();
    // Small limits, so that there are several shards and row groups.
    let limits = Limits { group_rows: 3, group_bytes: 4000, shard_bytes: 9_000 };
    let mut writer =
        DatasetWriter::with_limits(&root.join("preferences"), table.features().clone(), limits).unwrap();
    let mut splits = [(Split::Train, "train", Vec::new()), (Split::Test, "test", Vec::new())];
    for number in 0..20_u8 {
        let mut images = BTreeMap::new();
        let mut wanted = Map::new();
        for (place, (evolution, model)) in
            [("quality", "dev"), ("simplified", "dev"), ("quality", "sd"), ("simplified", "sd")]
                .into_iter()
                .enumerate()
        {
            let shade = number * 4 + place as u8;
            let there = number != 7 || place != 2;
            if there {
                images.insert((evolution.to_owned(), model.to_owned()), image(shade));
            }
            let value = if there { seen(shade) } else { Value::Null };
            wanted.insert(format!("image_{evolution}_{model}"), value);
        }
        let row = PreferenceRow {
            prompt: format!("prompt {number} \"ü\""),
            category: Some("Anime".into()),
            subcategory: None,
            style_prompt: Some("style".into()),
            variants: BTreeMap::from([
                ("quality".into(), "fine".into()),
                ("simplified".into(), "plain".into()),
            ]),
            images,
        };
        for (name, value) in [
            ("prompt", json!(row.prompt)),
            ("category", json!("Anime")),
            ("subcategory", Value::Null),
            ("style_prompt", json!("style")),
            ("quality_prompt", json!("fine")),
            ("simplified_prompt", json!("plain")),
        ] {
            wanted.insert(name.to_owned(), value);
        }
        let split = &mut splits[usize::from(number % 5 == 4)];
        writer.push(split.0, table.row(row)).unwrap();
        split.2.push(Value::Object(wanted));
    }
    let written = writer.finish(&card("preferences")).unwrap();
    assert!(written.shards > 3);
    let mut datasets = Map::new();
    for (_, name, rows) in splits {
        datasets.insert(name.to_owned(), json!({"columns": columns(table.features()), "rows": rows}));
    }
    manifest.push(("preferences", Value::Object(datasets)));
}

fn results(root: &Path, manifest: &mut Vec<(&'static str, Value)>) {
    let mut writer = DatasetWriter::create(&root.join("results"), rows::results()).unwrap();
    let mut wanted = Vec::new();
    for number in 0..250_u8 {
        let path = format!("images/{number}.bmp");
        writer.add_file(&path, &picture(number)).unwrap();
        // The first rows have no responses at all.
        let given = if number < 150 { 0 } else { usize::from(number % 4) };
        let responses: Vec<_> = (0..given)
            .map(|place| ResultResponse {
                answer: "both_good".into(),
                user: format!("user {place}"),
                status: "submitted".into(),
            })
            .collect();
        let list = |values: Vec<String>| if values.is_empty() { Value::Null } else { json!(values) };
        wanted.push(json!({
            "id": format!("{number}-quality"), "status": "pending", "_server_id": "s",
            "images": {"image_1": path, "image_2": path, "prompt": "a\ncat"},
            "model_1": "dev", "model_2": "sd", "evolution": "quality", "category": "Anime", "sub_category": null,
            "preference.responses": list(responses.iter().map(|one| one.answer.clone()).collect()),
            "preference.responses.users": list(responses.iter().map(|one| one.user.clone()).collect()),
            "preference.responses.status": list(responses.iter().map(|one| one.status.clone()).collect()),
        }));
        let row = ResultRow {
            id: format!("{number}-quality"),
            completed: false,
            server_id: "s".into(),
            image_1: path.clone(),
            image_2: path,
            prompt: "a\ncat".into(),
            model_1: "dev".into(),
            model_2: "sd".into(),
            evolution: "quality".into(),
            category: Some("Anime".into()),
            sub_category: None,
            responses,
        };
        writer.push(Split::Train, row).unwrap();
    }
    writer.finish(&card("results")).unwrap();
    manifest.push(("results", json!({"train": {"columns": columns(&rows::results()), "rows": wanted}})));
}

fn binarized(root: &Path, manifest: &mut Vec<(&'static str, Value)>) {
    let mut writer = DatasetWriter::create(&root.join("binarized"), rows::binarized()).unwrap();
    let mut wanted = Vec::new();
    for number in 0..30_u8 {
        let row = BinarizedRow {
            id: format!("{number}-quality"),
            prompt: "a cat".into(),
            chosen: image(number),
            rejected: image(255 - number),
            chosen_model: "org/a".into(),
            rejected_model: "org/b".into(),
            evolution: "quality".into(),
            category: None,
            sub_category: Some("x".into()),
        };
        wanted.push(json!({
            "id": row.id, "prompt": "a cat", "chosen": seen(number), "rejected": seen(255 - number),
            "chosen_model": "org/a", "rejected_model": "org/b", "evolution": "quality", "category": null,
            "sub_category": "x",
        }));
        writer.push(Split::Train, row).unwrap();
    }
    writer.finish(&card("binarized")).unwrap();
    manifest.push(("binarized", json!({"train": {"columns": columns(&rows::binarized()), "rows": wanted}})));
}

fn responses(root: &Path, manifest: &mut Vec<(&'static str, Value)>) {
    let mut writer = DatasetWriter::create(&root.join("responses"), rows::responses()).unwrap();
    let row = ResponseRow {
        pair_id: "1-quality".into(),
        pseudonym: "p".into(),
        answer: "image_1".into(),
        side: "left".into(),
        time: 1_732_000_000_000_001,
        duration_ms: Some(4210),
        counts: false,
        why: Some("check".into()),
    };
    writer.push(Split::Train, row).unwrap();
    writer.finish(&card("responses")).unwrap();
    let wanted = json!({
        "pair_id": "1-quality", "pseudonym": "p", "answer": "image_1", "side": "left",
        "time": "2024-11-19T07:06:40.000001+00:00", "duration_ms": 4210, "counts": false, "why": "check",
    });
    manifest
        .push(("responses", json!({"train": {"columns": columns(&rows::responses()), "rows": [wanted]}})));
}

#[test]
#[ignore = "needs Python with datasets: cargo xtask ci"]
fn published_folders_load_with_hugging_face_datasets() {
    let python = std::env::var("DIPTYCH_TEST_PYTHON").expect("DIPTYCH_TEST_PYTHON names an interpreter");
    let root = tempfile::tempdir().unwrap();
    let mut manifest = Vec::new();
    preferences(root.path(), &mut manifest);
    results(root.path(), &mut manifest);
    binarized(root.path(), &mut manifest);
    responses(root.path(), &mut manifest);
    let manifest: Map<String, Value> =
        manifest.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let path = root.path().join("manifest.json");
    std::fs::File::create(&path).unwrap().write_all(Value::Object(manifest).to_string().as_bytes()).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/check_datasets.py");
    let output = Command::new(python).arg(script).arg(root.path()).arg(&path).output().unwrap();
    let told =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{told}");
    assert!(told.contains("4 datasets"), "{told}");
}
