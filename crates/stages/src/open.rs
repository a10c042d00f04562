//! What a sprint may change once people have answered in it, and what it may not.
//!
//! It may grow: more prompts, another model, a higher overlap; stricter or laxer screening; another title, and other
//! words about it, to which people agree anew. What people have answered must stay what it was: the question, the
//! licence under which they gave it, the models whose pictures they compared, and how many people are asked at least.

use std::collections::BTreeMap;

use diptych_core::Stage;
use diptych_core::config::{Overlap, SprintConfig};
use diptych_store::sprints::StageMark;
use serde::{Deserialize, Serialize};

use crate::ctx::now;
use crate::{Ctx, Result, StageError};

/// What stays as it was when the pairs were made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Promise {
    question: String,
    license: String,
    overlap: Overlap,
    /// Keys and names.
    models: BTreeMap<String, String>,
}

impl Promise {
    /// What this configuration promises.
    pub fn of(config: &SprintConfig) -> Self {
        Self {
            question: config.sprint.question.clone(),
            license: config.sprint.license.clone(),
            overlap: config.annotate.overlap,
            models: config.models.iter().map(|model| (model.key.clone(), model.name.clone())).collect(),
        }
    }

    /// What of it another one breaks, a sentence each.
    pub fn broken_by(&self, other: &Self) -> Vec<String> {
        let mut broken = Vec::new();
        if other.question != self.question {
            broken.push(format!("`sprint.question` was \"{}\" when people answered it", self.question));
        }
        if other.license != self.license {
            broken.push(format!("people gave their answers under `sprint.license` = \"{}\"", self.license));
        }
        for (key, name) in &self.models {
            match other.models.get(key) {
                Some(now) if now == name => {}
                Some(_) => broken
                    .push(format!("the model `{key}` was named \"{name}\" when its pictures were compared")),
                None => broken
                    .push(format!("the model `{key}` (\"{name}\") is in pairs that people have answered")),
            }
        }
        if other.overlap.min < self.overlap.min || other.overlap.max < self.overlap.max {
            broken.push(format!("`annotate.overlap` was {}, and may only grow", self.overlap));
        }
        broken
    }
}

/// Refuses a configuration that breaks what an open sprint has promised to those who have answered in it. Before anybody
/// has, it is noted what people will be asked.
///
/// # Errors
/// [`StageError::Refused`] then, with all that is broken; else where the store fails.
pub async fn check(ctx: &Ctx) -> Result<()> {
    let mark = ctx.store.stage_mark(&ctx.sprint, Stage::Pair).await?;
    // Pairs of an earlier version of this program carry no promise.
    let promise = mark.and_then(|mark| serde_json::from_str::<Promise>(&mark.report).ok());
    let (Some(promise), now) = (promise, Promise::of(&ctx.config)) else { return Ok(()) };
    if !ctx.store.has_responses(&ctx.sprint).await? {
        // Overlap and models stay as the pairs have them, until these are made anew.
        let asked = Promise { question: now.question, license: now.license, ..promise.clone() };
        return if asked == promise { Ok(()) } else { note(ctx, &asked).await };
    }
    let broken = promise.broken_by(&now);
    if broken.is_empty() {
        return Ok(());
    }
    Err(StageError::Refused(format!(
        "people have answered in this sprint, and sprint.toml changes what must stay: {}. Put it back, or begin a new \
         sprint; nothing was changed",
        broken.join("; ")
    )))
}

/// Notes what the sprint's pairs promise: from then on what moderators decide changes pairs.
///
/// # Errors
/// Where the store fails.
pub async fn note(ctx: &Ctx, promise: &Promise) -> Result<()> {
    let promise = serde_json::to_string(promise).unwrap_or_default();
    let mark = StageMark { key: "paired".to_owned(), report: promise };
    Ok(ctx.store.mark_stage(&ctx.sprint, Stage::Pair, mark, now()).await?)
}

#[cfg(test)]
mod tests {
    use diptych_core::config::{Overrides, template};

    use super::*;

    #[test]
    fn an_open_sprint_may_grow_and_no_more() {
        let text = template::sprint_toml("birds", "Birds", &["prompts.txt".to_owned()]);
        let of =
            |text: &str| Promise::of(&SprintConfig::parse("sprint.toml", text, &Overrides::none()).unwrap());
        let promise = of(&text);
        let model =
            "[[models]]\nkey = \"new\"\nname = \"rehearsal/noto\"\nengine = \"rehearsal\"\n\n[budget]";
        for (from, to) in [
            ("overlap = 3", "overlap = 4"),
            ("overlap = 3", "overlap = { min = 3, max = 5 }"),
            ("title = \"Birds\"", "title = \"All birds\""),
            ("[budget]", model),
        ] {
            assert!(text.contains(from), "{from}");
            assert_eq!(promise.broken_by(&of(&text.replace(from, to))), Vec::<String>::new(), "{to}");
        }
        for (from, to, says) in [
            ("overlap = 3", "overlap = 2", "may only grow"),
            ("overlap = 3", "overlap = { min = 2, max = 3 }", "may only grow"),
            ("key = \"dev\"", "key = \"other\"", "the model `dev`"),
            ("question = \"Which", "question = \"What", "`sprint.question`"),
            ("license = \"Apache-2.0\"", "license = \"MIT\"", "under `sprint.license` = \"Apache-2.0\""),
        ] {
            assert!(text.contains(from), "{from}");
            let broken = promise.broken_by(&of(&text.replace(from, to)));
            assert!(broken.len() == 1 && broken[0].contains(says), "{to}: {broken:?}");
        }
    }
}
