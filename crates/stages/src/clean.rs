//! Clean: what is kept of the collected prompts, and why the rest is not.
//!
//! In this order: normalised; exact duplicates (case-folded); length; language; near duplicates of a
//! kept prompt. The outcome depends on the prompts in their order and on the configuration alone, on
//! any number of threads. Rows stream through, so only what is needed to know a duplicate is held.

use diptych_core::config::{CleanConfig, SprintConfig};
use diptych_core::{PromptIndex, Split, Stage, UnitKey, seed};
use diptych_store::prompts::CleanOutcome;
use diptych_store::sprints::StageMark;
use diptych_text::duplicates::{ExactDuplicates, NearDuplicates};
use diptych_text::language::{Languages, Verdict};
use diptych_text::normalize::normalize;
use futures::TryStreamExt;
use rayon::prelude::*;

use crate::ctx::now;
use crate::{Ctx, Result, StageError};

/// Raised whenever the same prompts would come out differently.
const VERSION: u32 = 1;

/// So many prompts are cleaned and written at once.
const BATCH: usize = 20_000;

/// Cleans, unless the prompts and the configuration are those of the last time.
///
/// # Errors
/// Where there is no prompt, no prompt is kept, a language is unknown, or the store fails.
pub async fn run(ctx: &Ctx) -> Result<()> {
    let collected = ctx.store.stage_mark(&ctx.sprint, Stage::Collect).await?;
    let Some(collected) = collected.filter(|mark| !mark.key.is_empty()) else {
        return Err(StageError::Nothing("collect is not done: run `diptych run collect` first".to_owned()));
    };
    let key = fingerprint(&ctx.config, &collected.key);
    ctx.progress.begin(Stage::Clean, None);
    let mark = ctx.store.stage_mark(&ctx.sprint, Stage::Clean).await?;
    if mark.is_some_and(|mark| mark.key == key) {
        return Ok(());
    }
    let mut cleaner = Cleaner::new(&ctx.config.clean)?;
    ctx.store.unmark_stage(&ctx.sprint, Stage::Clean).await?;
    let mut prompts = ctx.store.prompts(&ctx.sprint);
    let (mut kept, mut batch) = (0, Vec::with_capacity(BATCH));
    loop {
        let next = prompts.try_next().await?;
        let ended = next.is_none();
        batch.extend(next.map(|row| (PromptIndex(row.idx), row.text)));
        if batch.len() == BATCH || ended {
            let rows = std::mem::take(&mut batch);
            let count = rows.len() as u64;
            let (returned, outcomes) = tokio::task::spawn_blocking(move || {
                let outcomes = cleaner.clean(rows);
                (cleaner, outcomes)
            })
            .await
            .map_err(|_| StageError::Crashed(Stage::Clean))?;
            cleaner = returned;
            kept += outcomes.iter().filter(|row| row.outcome.is_ok()).count();
            ctx.store.record_clean(&ctx.sprint, outcomes).await?;
            ctx.progress.advance(count);
        }
        if ctx.stop.is_cancelled() {
            return Err(StageError::Interrupted);
        }
        if ended {
            break;
        }
    }
    if kept == 0 {
        return Err(StageError::Nothing(
            "clean has dropped every prompt: `diptych status` says why; loosen [clean] in sprint.toml"
                .to_owned(),
        ));
    }
    let mark = StageMark { key, report: String::new() };
    Ok(ctx.store.mark_stage(&ctx.sprint, Stage::Clean, mark, now()).await?)
}

fn fingerprint(config: &SprintConfig, collected: &str) -> String {
    UnitKey::of(&["clean", &VERSION.to_string(), collected, &format!("{:?}", config.clean)]).to_string()
}

/// The state that decides about prompts in their order.
pub struct Cleaner {
    config: CleanConfig,
    languages: Option<Languages>,
    exact: ExactDuplicates,
    /// The prompt of each row that `exact` has seen.
    exact_rows: Vec<PromptIndex>,
    near: NearDuplicates,
    /// The prompt of each row that `near` has seen.
    near_rows: Vec<PromptIndex>,
}

impl Cleaner {
    /// One that has seen nothing.
    ///
    /// # Errors
    /// Where a configured language is unknown.
    pub fn new(config: &CleanConfig) -> Result<Self> {
        let codes: Vec<&str> = config.languages.iter().map(String::as_str).collect();
        let languages = if codes.is_empty() {
            None
        } else {
            Some(
                Languages::new(&codes)
                    .map_err(|error| StageError::Nothing(format!("[clean] languages: {error}")))?,
            )
        };
        Ok(Self {
            config: config.clone(),
            languages,
            exact: ExactDuplicates::new(),
            exact_rows: Vec::new(),
            near: NearDuplicates::new(config.near_duplicates),
            near_rows: Vec::new(),
        })
    }

    /// Decides about the next prompts, in order.
    pub fn clean(&mut self, prompts: Vec<(PromptIndex, String)>) -> Vec<CleanOutcome> {
        if self.config.keep_all {
            let kept = |(index, text)| CleanOutcome { index, outcome: Ok((text, self.split(index))) };
            return prompts.into_iter().map(kept).collect();
        }
        let normal: Vec<String> = prompts.par_iter().map(|(_, text)| normalize(text)).collect();
        let repeats = self.exact.push_batch(&normal);
        self.exact_rows.extend(prompts.iter().map(|(index, _)| *index));
        let mut outcomes: Vec<Result<(), (&'static str, Option<PromptIndex>)>> = normal
            .par_iter()
            .zip(&repeats)
            .map(|(text, repeats)| match repeats {
                _ if text.is_empty() => Err(("empty", None)),
                Some(row) => Err(("duplicate", Some(self.exact_rows[*row as usize]))),
                None => self.alone(text),
            })
            .collect();
        let candidates: Vec<usize> = (0..outcomes.len()).filter(|place| outcomes[*place].is_ok()).collect();
        let texts: Vec<&str> = candidates.iter().map(|place| normal[*place].as_str()).collect();
        let near = self.near.push_batch(&texts);
        self.near_rows.extend(candidates.iter().map(|place| prompts[*place].0));
        for (place, near) in candidates.into_iter().zip(near) {
            if let Some(row) = near {
                outcomes[place] = Err(("near_duplicate", Some(self.near_rows[row as usize])));
            }
        }
        prompts
            .into_iter()
            .zip(normal)
            .zip(outcomes)
            .map(|(((index, _), text), outcome)| CleanOutcome {
                index,
                outcome: outcome.map(|()| (text, self.split(index))),
            })
            .collect()
    }

    /// What can be said of a text without the others.
    fn alone(&self, text: &str) -> Result<(), (&'static str, Option<PromptIndex>)> {
        let length = text.chars().count();
        if length < self.config.length.min {
            return Err(("too_short", None));
        }
        if length > self.config.length.max {
            return Err(("too_long", None));
        }
        match self.languages.as_ref().map(|languages| languages.verdict(text)) {
            Some(Verdict::Other { .. }) => Err(("language", None)),
            _ => Ok(()),
        }
    }

    fn split(&self, index: PromptIndex) -> Split {
        let draw = seed::unit(seed::draw(self.config.seed, "held out", index.0));
        if draw < self.config.held_out { Split::Test } else { Split::Train }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The kept text, or why it was dropped and what it duplicates.
    type Said = (Option<String>, Option<(&'static str, Option<i64>)>);

    fn outcomes(config: &CleanConfig, texts: &[&str], batch: usize) -> Vec<Said> {
        let mut cleaner = Cleaner::new(config).unwrap();
        let rows: Vec<_> = texts
            .iter()
            .enumerate()
            .map(|(place, text)| (PromptIndex(place as i64 + 10), (*text).to_owned()))
            .collect();
        rows.chunks(batch)
            .flat_map(|rows| cleaner.clean(rows.to_vec()))
            .map(|row| match row.outcome {
                Ok((text, _)) => (Some(text), None),
                Err((reason, of)) => (None, Some((reason, of.map(|index| index.0)))),
            })
            .collect()
    }

    #[test]
    fn every_drop_has_its_reason_and_what_it_duplicates() {
        let long = "a ".repeat(60_000);
        let texts = [
            "A red  fox in the <b>snow</b> at dawn, soft light, by the frozen river bank",
            "a red fox in the snow at dawn, soft light, by the frozen river bank",
            "a red fox in the snow at dawn, soft light, by the frozen river",
            "ab",
            &long,
            "ein alter Mann sitzt am Fenster und liest in einem dicken Buch über die Geschichte der Stadt",
            "a boat",
            "\u{7} ",
        ];
        for batch in [1, 3, 100] {
            let found = outcomes(&CleanConfig::default(), &texts, batch);
            let said: Vec<_> = found.iter().map(|row| row.1).collect();
            assert_eq!(
                said,
                [
                    None,
                    Some(("duplicate", Some(10))),
                    Some(("near_duplicate", Some(10))),
                    Some(("too_short", None)),
                    Some(("too_long", None)),
                    Some(("language", None)),
                    None,
                    Some(("empty", None)),
                ],
                "batches of {batch}"
            );
            assert_eq!(
                found[0].0.as_deref(),
                Some("A red fox in the snow at dawn, soft light, by the frozen river bank")
            );
        }
    }

    #[test]
    fn the_configuration_allows_just_the_languages_that_can_be_told() {
        assert_eq!(diptych_core::config::LANGUAGES, diptych_text::language::known());
    }

    #[test]
    fn what_is_to_be_kept_is_kept_as_it_stands() {
        let config = CleanConfig { keep_all: true, ..CleanConfig::default() };
        let texts = ["a  fox", "a fox", "a fox", "<b>ein Fuchs im tiefen Schnee am Fluss</b>", "x"];
        let kept: Vec<_> = outcomes(&config, &texts, 2).into_iter().map(|(text, _)| text.unwrap()).collect();
        assert_eq!(kept, texts);
    }

    #[test]
    fn about_the_held_out_share_is_held_out_and_always_the_same() {
        let cleaner = Cleaner::new(&CleanConfig::default()).unwrap();
        let test = (0..10_000).filter(|index| cleaner.split(PromptIndex(*index)) == Split::Test).count();
        assert!((400..600).contains(&test), "{test}"); // 500 expected, standard deviation 22
    }
}
