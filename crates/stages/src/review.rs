//! Review: what moderators see, and what becomes of what they decide.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use diptych_core::{Decision, PersonId, Stage};
use diptych_store::reviews::{NewReview, Review, Verdict, last_words};
use diptych_store::scores::Kind;
use serde::Serialize;

use crate::ctx::now;
use crate::screen::{Item, content_of_text};
use crate::{Ctx, Flow, Result, StageError, flow};

/// Why something is rejected.
pub const REASONS: [&str; 7] =
    ["sexual", "violence", "hateful", "self_harm", "real_person", "broken", "other"];

/// From more prompts on, all pairs are planned anew at once, and not a prompt's after another's.
const MOST_BY_ONE: usize = 50;

/// The most items of one decision.
pub const MOST_AT_ONCE: usize = 500;

/// An item as moderators see it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Reviewable {
    /// `text` or `image`.
    pub kind: &'static str,
    /// Its hash.
    pub content: String,
    /// The text itself, or what the image was made of.
    pub text: String,
    /// The stage that it stands at: `screen-prompts`, `screen-variants` or `screen-images`.
    pub stage: &'static str,
    /// Its category, where it has one.
    pub category: String,
    /// The model that made it, where it is an image.
    pub model: String,
    /// `passed`, `removed`, `needs_review`, `not_screened`, or `pending`.
    pub decision: &'static str,
    /// Why: a classifier, a person's reason, `disputed`, `every_image`…
    pub reason: String,
    /// What each classifier says.
    pub scores: BTreeMap<String, f64>,
    /// Why a classifier failed on it: its name, and what it said.
    pub errors: BTreeMap<String, String>,
    /// Moderators who approve.
    pub approvals: u32,
    /// Moderators who reject.
    pub rejections: u32,
    /// Whether people have decided about it: an organizer, a moderator who rejects, or as many who approve as the
    /// sprint asks for.
    pub reviewed: bool,
    /// Whether every image is to be looked at and this one is not yet, whatever classifiers say.
    pub to_look_at: bool,
    /// What stands of the word of the person who asks: `approve`, `reject`, or nothing.
    pub mine: &'static str,
    /// Who says what of it, where moderators disagree.
    pub words: Vec<WordOf>,
    /// Whether somebody has reported a pair with it, or several have skipped it, and nobody has looked since.
    pub reported: bool,
    /// Whether it was not reported as toxic, but skipped by several people.
    pub skipped: bool,
}

/// What one person says of an item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WordOf {
    /// Their name.
    pub who: String,
    /// `approve` or `reject`.
    pub verdict: &'static str,
    /// Why, where they reject it.
    pub reason: String,
}

impl Reviewable {
    fn of(
        item: &Item,
        text: String,
        // Whether somebody has called it toxic; none where nobody has brought a pair with it before the moderators.
        reported: Option<bool>,
        every: u32,
        words: &[&Review],
        asking: Option<&PersonId>,
    ) -> Self {
        let (decision, reason) = match &item.outcome {
            crate::screen::Outcome::Pending => ("pending", String::new()),
            crate::screen::Outcome::Decided(decision, reason) => (decision.as_str(), reason.clone()),
        };
        let standing = item.standing.clone().unwrap_or_default();
        let is_image = item.stage == Stage::ScreenImages;
        let reviewed = item.is_reviewed(if is_image { every } else { 0 });
        let mine = words.iter().find(|review| Some(&review.person) == asking);
        let word = |review: &&Review| WordOf {
            who: review.name.clone(),
            verdict: review.verdict.as_str(),
            reason: review.reason.clone(),
        };
        Self {
            kind: if is_image { "image" } else { "text" },
            content: item.content.clone(),
            text,
            stage: item.stage.as_str(),
            category: item.category.clone(),
            model: item.model.clone(),
            decision,
            reason,
            scores: item.scores.iter().cloned().collect(),
            errors: item.errors.iter().cloned().collect(),
            approvals: standing.approvals,
            rejections: standing.rejections,
            reviewed,
            to_look_at: is_image && every > 0 && !reviewed,
            mine: mine.map_or("", |review| review.verdict.as_str()),
            words: if standing.is_disputed() { words.iter().map(word).collect() } else { Vec::new() },
            reported: reported.is_some(),
            skipped: reported == Some(false),
        }
    }

    /// Whether it waits for the person who asks: not where they have said what they can, and it waits for others.
    pub fn waits(&self) -> bool {
        let for_others = !self.mine.is_empty() && self.words.is_empty();
        self.reported || (self.decision == Decision::NeedsReview.as_str() || self.to_look_at) && !for_others
    }
}

/// Everything that can be reviewed, each content once, in the order of the prompts, as it stands for the person
/// who asks.
///
/// # Errors
/// Where the store fails.
pub async fn items(ctx: &Ctx, asking: Option<&PersonId>) -> Result<Vec<Reviewable>> {
    let flow = Flow::load(ctx).await?;
    let log = ctx.store.reviews(&ctx.sprint).await?;
    let words = last_words(&log);
    let mut reported: HashMap<String, bool> = HashMap::new();
    for pair in ctx.store.reported_pairs(&ctx.sprint).await? {
        for image in [pair.image_1, pair.image_2] {
            *reported.entry(image).or_default() |= pair.reports > 0;
        }
    }
    let texts: HashMap<&str, &str> = flow
        .images
        .iter()
        .filter_map(|unit| Some((unit.row.as_ref()?.hash.as_str(), unit.variant.get().row.text.as_str())))
        .collect();
    let mut seen = HashSet::new();
    let mut items = Vec::new();
    for item in &flow.judged {
        let kind = item.stage == Stage::ScreenImages;
        if seen.insert((kind, item.content.as_str())) {
            let text =
                item.text.clone().or_else(|| texts.get(item.content.as_str()).map(|text| (*text).to_owned()));
            let is_reported = reported.get(&item.content).copied().filter(|_| kind);
            let kind = if kind { Kind::Image } else { Kind::Text };
            let words = words.get(&(kind, item.content.as_str())).map_or(&[][..], Vec::as_slice);
            let every = ctx.config.review.every_image;
            items.push(Reviewable::of(item, text.unwrap_or_default(), is_reported, every, words, asking));
        }
    }
    // Pictures of one text stand together as they are planned, model by model; who reviews them is not to see which.
    for of_one_text in items.chunk_by_mut(|one, next| one.kind == next.kind && one.text == next.text) {
        of_one_text.sort_by(|one, other| one.content.cmp(&other.content));
    }
    Ok(items)
}

/// Who decides.
#[derive(Debug, Clone)]
pub struct Reviewer {
    /// The person.
    pub person: PersonId,
    /// Whether an organizer, whose word is the last one.
    pub organizer: bool,
}

/// What somebody decides.
#[derive(Debug, Clone)]
pub struct Word {
    /// Texts or images.
    pub kind: Kind,
    /// Which, by their hashes: 1 to [`MOST_AT_ONCE`].
    pub contents: Vec<String>,
    /// What is decided about them.
    pub verdict: Verdict,
    /// Why they are rejected: a word of [`REASONS`].
    pub reason: String,
    /// What the moderator adds.
    pub note: String,
}

/// Records a decision, and applies it: when this returns, what was rejected is shown to nobody, and what was
/// approved to everybody.
///
/// # Errors
/// As [`record`].
pub async fn decide(ctx: &Ctx, reviewer: &Reviewer, word: Word) -> Result<()> {
    let prompts = record(ctx, reviewer, word).await?;
    if prompts.len() > MOST_BY_ONE || ctx.store.stage_mark(&ctx.sprint, Stage::Pair).await?.is_none() {
        return settle(ctx).await;
    }
    for prompt in prompts {
        crate::pair::set_span(ctx, prompt..prompt + 1).await?;
    }
    Ok(())
}

/// Records a decision. What was rejected is shown to nobody when this returns, even if the program stops then;
/// what was approved is shown by the next [`settle`]. Gives the prompts that the items came of.
///
/// # Errors
/// Where the reason is unknown, there are too many items, or the store fails.
pub async fn record(ctx: &Ctx, reviewer: &Reviewer, word: Word) -> Result<BTreeSet<i64>> {
    let Word { kind, contents, verdict, reason, note } = word;
    let known = REASONS.contains(&reason.as_str());
    if verdict == Verdict::Reject && !known {
        return Err(StageError::Refused(format!(
            "a rejection needs a reason: one of {}",
            REASONS.join(", ")
        )));
    }
    if contents.is_empty() || contents.len() > MOST_AT_ONCE {
        return Err(StageError::Refused(format!("decide on 1 to {MOST_AT_ONCE} items at once")));
    }
    let (prompts, unknown) = match kind {
        Kind::Image => {
            let unknown = ctx.store.unknown_images(&ctx.sprint, &contents).await?;
            (ctx.store.prompts_of_images(&ctx.sprint, &contents).await?, unknown)
        }
        Kind::Text => prompts_of_texts(ctx, &contents).await?,
    };
    if let Some(first) = unknown.first() {
        let first: String = first.chars().take(80).collect();
        return Err(StageError::Nothing(format!(
            "the sprint has no {} `{first}`; nothing was decided",
            if kind == Kind::Image { "image" } else { "text" }
        )));
    }
    let review = NewReview {
        prompts: prompts.iter().copied().collect(),
        kind,
        contents,
        person: reviewer.person.clone(),
        organizer: reviewer.organizer,
        verdict,
        reason: if verdict == Verdict::Reject { reason } else { String::new() },
        note: note.chars().filter(|c| *c != '\0').take(500).collect(),
        whole_row: ctx.config.screen.removes == diptych_core::config::Removes::Row,
        now: now(),
    };
    ctx.store.record_review(&ctx.sprint, review).await?;
    Ok(prompts)
}

/// The prompts that have these texts, as they are or in a variant, and those of the texts that none has.
async fn prompts_of_texts(ctx: &Ctx, contents: &[String]) -> Result<(BTreeSet<i64>, Vec<String>)> {
    let sought: HashSet<&str> = contents.iter().map(String::as_str).collect();
    let mut unknown: HashSet<String> = contents.iter().cloned().collect();
    let mut found = BTreeSet::new();
    for span in flow::spans(ctx).await? {
        let prompts = ctx.store.clean_prompts(&ctx.sprint, span.clone()).await?;
        let variants = ctx.store.variants(&ctx.sprint, span).await?;
        let texts = prompts.iter().map(|prompt| (prompt.index, &prompt.text));
        for (prompt, text) in texts.chain(variants.iter().map(|variant| (variant.prompt, &variant.text))) {
            let content = content_of_text(text);
            if sought.contains(content.as_str()) {
                unknown.remove(&content);
                found.insert(prompt.0);
            }
        }
    }
    Ok((found, unknown.into_iter().collect()))
}

/// Makes the pairs follow from what was decided, where the sprint has come as far as pairs.
///
/// # Errors
/// Where the store fails.
pub async fn settle(ctx: &Ctx) -> Result<()> {
    match ctx.store.stage_mark(&ctx.sprint, Stage::Pair).await? {
        Some(_) => crate::pair::set(ctx).await.map(|_| ()),
        None => Ok(()),
    }
}
