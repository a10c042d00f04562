//! Folders of pictures, as people have them.

use std::fs;

use super::*;
use crate::{Limits, image_maker};

fn request(prompt_index: i64, evolution: &str, prompt: &str) -> ImageRequest {
    ImageRequest {
        prompt: prompt.to_owned(),
        subject: None,
        category: None,
        width: 8,
        height: 8,
        steps: None,
        guidance: None,
        seed: 1,
        prompt_index,
        evolution: evolution.to_owned(),
    }
}

/// A folder of these files; a file without contents is a picture as wide as its place in the list.
fn folder(files: &[(&str, Option<&str>)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (width, (name, text)) in (1..).zip(files) {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        match text {
            Some(text) => fs::write(path, text).unwrap(),
            None => fs::write(path, diptych_picture::plain_png(width, 1, [9; 3]).unwrap()).unwrap(),
        }
    }
    folder
}

fn engine(folder: &Path) -> std::sync::Arc<dyn ImageMaker> {
    image_maker(&ImageSettings {
        key: "mine".to_owned(),
        engine: "folder".to_owned(),
        url: Some(folder.display().to_string()),
        model: "me/mine".to_owned(),
        api_key_env: None,
        limits: Limits { retries: 0, ..Limits::default() },
    })
    .unwrap()
}

/// The width of the picture that is found, by which the tests know it.
async fn found(
    engine: &std::sync::Arc<dyn ImageMaker>,
    index: i64,
    evolution: &str,
    prompt: &str,
) -> Result<u32, EngineError> {
    engine.make(&request(index, evolution, prompt)).await.map(|image| image.width)
}

#[tokio::test]
async fn files_are_found_by_their_names() {
    let folder = folder(&[
        ("12-quality.png", None),
        ("12.png", None),
        ("7-simplified.PNG", None),
        ("notes.txt", Some("hello")),
        ("cover.png", None),
    ]);
    let engine = engine(folder.path());
    assert_eq!(found(&engine, 12, "quality", "x").await, Ok(1));
    assert_eq!(found(&engine, 12, "simplified", "x").await, Ok(2));
    assert_eq!(found(&engine, 7, "simplified", "x").await, Ok(3));
    let missing = found(&engine, 7, "quality", "x").await.unwrap_err();
    assert!(matches!(missing, EngineError::Unusable { .. }), "{missing:?}");
    assert!(missing.to_string().contains("no image for prompt 7, quality"), "{missing}");
    assert!(engine.probe().await.unwrap().contains("3 images"));
    let image = engine.make(&request(12, "quality", "x")).await.unwrap();
    assert_eq!((image.provider, image.model.as_str(), image.seed), ("folder", "me/mine", None));
}

#[tokio::test]
async fn files_are_found_by_a_manifest() {
    let csv =
        "file,prompt_index,evolution,prompt\na.png,12,quality,\nsub/b.png,12,,\nc.png,,,\"A cat, asleep\"\n";
    let jsonl = "{\"file\": \"a.png\", \"prompt_index\": 12, \"evolution\": \"quality\"}\n\n{\"file\": \"sub/b.png\", \"prompt_index\": 12}\n{\"file\": \"c.png\", \"prompt\": \"A cat, asleep\"}\n";
    for (name, manifest) in [("manifest.csv", csv), ("manifest.jsonl", jsonl)] {
        let folder = folder(&[
            ("a.png", None),
            ("sub/b.png", None),
            ("c.png", None),
            ("9.png", None),
            (name, Some(manifest)),
        ]);
        let engine = engine(folder.path());
        assert_eq!(found(&engine, 12, "quality", "x").await, Ok(1), "{name}");
        assert_eq!(found(&engine, 12, "simplified", "x").await, Ok(2), "{name}");
        assert_eq!(found(&engine, 99, "quality", "A cat, asleep").await, Ok(3), "{name}");
        assert!(
            found(&engine, 9, "quality", "x").await.is_err(),
            "{name}: what it does not name is not there"
        );
    }
}

#[tokio::test]
async fn folders_that_cannot_serve_stop_the_run() {
    for (files, words) in [
        (vec![("notes.txt", Some("hello"))], "neither a manifest nor images"),
        (vec![("1.png", None), ("1.jpg", Some("x"))], "are both for"),
        (
            vec![("manifest.csv", Some("path,prompt\na.png,cat\n"))],
            "manifest.csv: it has no column `file` (it has: path, prompt)",
        ),
        (vec![("manifest.csv", Some("file,prompt_index\na.png,twelve\n"))], "manifest.csv"),
        (
            vec![("manifest.csv", Some("file,prompt\n../../etc/passwd,cat\n"))],
            "line 2: `../../etc/passwd` is not a path inside",
        ),
        (vec![("manifest.csv", Some("file,prompt\n/etc/passwd,cat\n"))], "not a path inside"),
        (vec![("manifest.csv", Some("file,prompt\na.png,\n"))], "give `prompt_index` or `prompt`"),
        (vec![("manifest.csv", Some("file,prompt\n"))], "has no rows"),
        (vec![("manifest.jsonl", Some("{\"file\": \"a.png\", \"prompt\": \"x\"}\n{oops\n"))], "line 2"),
    ] {
        let folder = folder(&files);
        let error = found(&engine(folder.path()), 1, "quality", "x").await.unwrap_err();
        assert!(matches!(error, EngineError::Setup { .. }), "{error:?}");
        assert!(error.to_string().contains(words) && error.to_string().contains("model `mine`"), "{error}");
    }
    let error = found(&engine(Path::new("no/such/folder")), 1, "quality", "x").await.unwrap_err();
    assert!(error.to_string().contains("no/such/folder cannot be read"), "{error}");
}

#[tokio::test]
async fn a_file_that_is_no_picture_fails_alone() {
    let folder = folder(&[("1.png", Some("<html>")), ("2.png", None), ("manifest.txt", Some(""))]);
    let engine = engine(folder.path());
    let error = found(&engine, 1, "quality", "x").await.unwrap_err();
    assert!(matches!(error, EngineError::Unusable { .. }), "{error:?}");
    assert!(error.to_string().contains("1.png"), "{error}");
    assert_eq!(found(&engine, 2, "quality", "x").await, Ok(2));
}
