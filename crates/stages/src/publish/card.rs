//! The card of a dataset: what a reader must know of how it came to be.

use diptych_tables::card::{Card, CardModel};

use super::{Dataset, Totals};
use crate::Ctx;
use crate::results::RULE;
use crate::safety::Safety;

pub(super) fn card(ctx: &Ctx, totals: &Totals, safety: &Safety, dataset: Dataset) -> Card {
    let config = &ctx.config;
    let screening = |kind: &str| {
        let of_kind = safety.classifiers.iter().filter(|one| one.kind == kind);
        of_kind
            .map(|one| {
                let version = one.version.as_deref().unwrap_or("missing");
                let from = origin(&one.classifier).map_or(String::new(), |from| format!("{from}, "));
                format!("{} ({from}{version}, threshold {})", one.classifier, one.at.threshold)
            })
            .collect::<Vec<_>>()
    };
    let rehearsal = config.models.iter().any(|model| model.engine == "rehearsal");
    let mut counts = vec![
        ("prompts".to_owned(), totals.prompts),
        ("pairs".to_owned(), totals.pairs),
        ("responses".to_owned(), totals.responses),
        ("people".to_owned(), totals.people.len() as u64),
    ];
    if totals.simulated > 0 {
        counts.push(("responses of simulated annotators, no person's taste".to_owned(), totals.simulated));
    }
    Card {
        dataset: dataset.as_str().to_owned(),
        title: config.sprint.title.clone(),
        question: config.sprint.question.clone(),
        license: config.sprint.license.clone(),
        row: match dataset {
            Dataset::Preferences => "One row is a prompt with its variants and every image of them.",
            Dataset::Results => "One row is a pair of images with every response that counts.",
            Dataset::Binarized => "One row is a pair of which people chose one image.",
        }
        .to_owned(),
        counts,
        models: config
            .models
            .iter()
            .map(|model| CardModel {
                key: model.key.clone(),
                name: model.name.clone(),
                engine: model.engine.clone(),
            })
            .collect(),
        text_screening: screening("text"),
        image_screening: screening("image"),
        reviewing: reviewing(safety),
        rewriting: match config.chat.get(&config.enhance.engine) {
            Some(chat) => format!("the chat model {}", chat.model),
            None => config.enhance.engine.clone(),
        },
        rule: (dataset == Dataset::Binarized).then(|| RULE.to_owned()),
        task_categories: vec!["text-to-image".to_owned()],
        tags: if rehearsal { vec!["rehearsal".to_owned()] } else { Vec::new() },
    }
}

/// Where a known classifier's files are from: a repository on the Hub and its commit, or a Python package.
fn origin(classifier: &str) -> Option<String> {
    let known = diptych_nn::known(classifier)?;
    Some(match known.source {
        diptych_nn::Source::Wheel { package, version, .. } => format!("Python package {package} {version}"),
        diptych_nn::Source::Hub { repo, revision } => {
            let here = diptych_nn::find(known).ok().flatten().and_then(|found| found.revision);
            match here.or(revision.map(str::to_owned)) {
                Some(commit) => format!("{repo} at {commit}"),
                None => repo.to_owned(),
            }
        }
    })
}

/// What screening and people have removed and looked at, in sentences for the card.
fn reviewing(safety: &Safety) -> Vec<String> {
    let mut said = Vec::new();
    for stage in &safety.stages {
        let removed: Vec<String> = stage
            .counts
            .iter()
            .filter_map(|(decision, count)| {
                let by = decision.strip_prefix("removed: ")?;
                Some(match crate::review::REASONS.contains(&by) {
                    true => format!("{count} by people ({by})"),
                    false => format!("{count} by {by}"),
                })
            })
            .collect();
        if !removed.is_empty() {
            said.push(format!("Removed at {}: {}.", stage.stage, removed.join(", ")));
        }
    }
    if safety.row_removed > 0 {
        said.push(format!("With these rows, {} of their other parts were removed.", safety.row_removed));
    }
    let [looked_at, images] = safety.images_reviewed;
    said.push(match looked_at {
        0 => "No person has reviewed the images.".to_owned(),
        all if all == images => format!("People have looked at every one of the {images} images."),
        some => format!("People have looked at {some} of the {images} images."),
    });
    said
}
