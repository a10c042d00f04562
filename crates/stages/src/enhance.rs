//! Enhance: from each prompt a style prompt, and from that one variant per evolution.
//!
//! The embedded `rules` (and `none`, which changes nothing) write in the process, in large transactions. A chat model is called through
//! the queue, a prompt at a time; every answered call is kept at once, so a crash repeats only calls
//! that were in flight.

use std::collections::BTreeMap;
use std::sync::Arc;

use diptych_core::config::ChatConfig;
use diptych_core::{Evolution, Stage, UnitKey, seed};
use diptych_engine::{Chat, ChatRequest};
use diptych_store::calls::CallRow;
use diptych_store::variants::{UnitState, VariantRow};
use diptych_text::templates::BadAnswer;
use diptych_text::{rules, templates};
use rayon::prelude::*;

use crate::ctx::now;
use crate::flow::VariantUnit;
use crate::spending::Spending;
use crate::work::{self, Ended, Verdict};
use crate::{Ctx, Flow, Result, StageError};

/// So many variants go to the store in one transaction.
const BATCH: usize = 10_000;

/// How often an answer that cannot be used is asked for again.
const ATTEMPTS: u32 = 3;

/// The longest style prompt or variant, in characters: our templates ask for at most 90 words, and image
/// models read little more.
const LONGEST: usize = 1_200;

/// Put before an answer that the server says was cut off, in the table of calls.
const CUT_OFF: &str = "cut off: ";

/// The instructions for a chat model, each a template.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Instructions {
    style: String,
    variants: BTreeMap<Evolution, String>,
}

/// What writes the variants, with everything that its words depend on. Part of every variant's key.
///
/// # Errors
/// Where a template cannot be read.
pub fn descriptor(ctx: &Ctx) -> Result<String> {
    let config = &ctx.config;
    match config.chat.get(&config.enhance.engine) {
        None if config.enhance.engine == "none" => Ok("none".to_owned()),
        None => Ok(format!("rules {}", rules::VERSION)),
        Some(chat) => {
            let instructions = instructions(ctx)?;
            Ok(format!(
                "chat {} {} {:?} {}",
                chat.model,
                chat.max_tokens,
                chat.temperature,
                UnitKey::of(&[&format!("{instructions:?}")])
            ))
        }
    }
}

/// Writes what is pending.
///
/// # Errors
/// Where the store, the queue or the engine stops the run.
pub async fn run(ctx: &Ctx) -> Result<()> {
    let flow = Flow::load(ctx).await?;
    let pending: Vec<VariantUnit> = flow
        .variants
        .into_iter()
        .filter(|unit| match &unit.row {
            None => true,
            Some(row) => ctx.retry_failed && row.state == UnitState::Failed,
        })
        .collect();
    match ctx.config.chat.get(&ctx.config.enhance.engine) {
        None => by_rules(ctx, pending).await,
        Some(chat) => by_chat(ctx, chat, pending).await,
    }
}

fn row(
    unit: &VariantUnit,
    engine: &str,
    style: &str,
    outcome: Result<String, (UnitState, String)>,
) -> VariantRow {
    let (state, reason, text) = match outcome {
        Ok(text) => (UnitState::Done, String::new(), text),
        Err((state, reason)) => (state, reason, String::new()),
    };
    VariantRow {
        key: unit.key.clone(),
        prompt: unit.prompt.get().index,
        evolution: unit.evolution,
        category: unit.category.to_owned(),
        sub_category: unit.sub_category.to_owned(),
        state,
        reason,
        style_prompt: style.to_owned(),
        text,
        engine: engine.to_owned(),
    }
}

async fn by_rules(ctx: &Ctx, pending: Vec<VariantUnit>) -> Result<()> {
    ctx.progress.begin(Stage::Enhance, Some(pending.len() as u64));
    let seed_value = ctx.config.enhance.seed;
    let verbatim = ctx.config.enhance.engine == "none";
    for batch in pending.chunks(BATCH) {
        let batch = batch.to_vec();
        let rows: Vec<VariantRow> = tokio::task::spawn_blocking(move || {
            batch
                .par_iter()
                .map(|unit| if verbatim { as_it_is(unit) } else { write_by_rules(unit, seed_value) })
                .collect()
        })
        .await
        .map_err(|_| StageError::Crashed(Stage::Enhance))?;
        let count = rows.len() as u64;
        ctx.store.record_variants(&ctx.sprint, rows, now()).await?;
        ctx.progress.advance(count);
        if ctx.stop.is_cancelled() {
            return Err(StageError::Interrupted);
        }
    }
    Ok(())
}

/// The prompt itself, for people who have written what they want or whose images exist already.
fn as_it_is(unit: &VariantUnit) -> VariantRow {
    let text = &unit.prompt.get().text;
    row(unit, "none", text, Ok(text.clone()))
}

fn write_by_rules(unit: &VariantUnit, seed_value: u64) -> VariantRow {
    let prompt = unit.prompt.get();
    let request = rules::Request {
        prompt: &prompt.text,
        category: unit.category,
        sub_category: unit.sub_category,
        seed: seed::draw(seed_value, "wording", prompt.index.0),
    };
    let style = rules::style_prompt(&request);
    let text = rules::variant(&style, &request, unit.evolution.as_str())
        .map_err(|error| (UnitState::Failed, error.to_string()));
    row(unit, "rules", &style, text)
}

/// The variants of one prompt, written together because they share its style prompt.
#[derive(Clone)]
struct PromptUnit {
    variants: Vec<VariantUnit>,
}

struct Writer {
    ctx: Ctx,
    name: String,
    config: ChatConfig,
    engine: Arc<dyn Chat>,
    instructions: Instructions,
    spending: Spending,
}

async fn by_chat(ctx: &Ctx, chat: &ChatConfig, pending: Vec<VariantUnit>) -> Result<()> {
    let name = ctx.config.enhance.engine.clone();
    let engine = crate::engines::chat(&name, chat, &ctx.stop)?;
    let writer = Arc::new(Writer {
        ctx: ctx.clone(),
        name,
        config: chat.clone(),
        engine,
        instructions: instructions(ctx)?,
        spending: Spending::load(ctx).await?,
    });
    let mut by_prompt: BTreeMap<i64, Vec<VariantUnit>> = BTreeMap::new();
    for unit in pending {
        by_prompt.entry(unit.prompt.get().index.0).or_default().push(unit);
    }
    let units = by_prompt
        .into_values()
        .map(|variants| {
            let keys: Vec<&str> = variants.iter().map(|unit| unit.key.as_str()).collect();
            (UnitKey::of(&keys), PromptUnit { variants })
        })
        .collect();
    work::units(ctx, Stage::Enhance, units, chat.concurrency, move |unit| {
        let writer = Arc::clone(&writer);
        async move { writer.write(unit).await }
    })
    .await
}

/// How asking a chat model for a text has ended, where it did not give one.
enum NoText {
    /// For good, or until `--retry-failed`.
    Ended(UnitState, String),
    /// In passing.
    Later(String),
}

impl Writer {
    async fn write(&self, unit: PromptUnit) -> Result<Ended> {
        let Some(first) = unit.variants.first() else { return Ok(Ended::Recorded) };
        let prompt = first.prompt.get();
        let mut values = vec![
            ("prompt", prompt.text.as_str()),
            ("category", first.category),
            ("sub_category", first.sub_category),
        ];
        let style = match self.ask("style", &self.instructions.style, &values, first).await? {
            Ok(style) => style,
            Err(NoText::Later(message)) => return Ok(self.later(&message)),
            Err(NoText::Ended(state, reason)) => {
                let rows = unit
                    .variants
                    .iter()
                    .map(|variant| row(variant, &self.config.model, "", Err((state, reason.clone()))))
                    .collect();
                self.ctx.store.record_variants(&self.ctx.sprint, rows, now()).await?;
                return Ok(Ended::Recorded);
            }
        };
        values.push(("style_prompt", &style));
        let mut rows = Vec::new();
        let mut ended = Ended::Recorded;
        for variant in &unit.variants {
            let Some(template) = self.instructions.variants.get(&variant.evolution) else { continue };
            match self.ask(variant.evolution.as_str(), template, &values, variant).await? {
                Ok(text) => rows.push(row(variant, &self.config.model, &style, Ok(text))),
                Err(NoText::Later(message)) => ended = self.later(&message),
                Err(NoText::Ended(state, reason)) => {
                    rows.push(row(variant, &self.config.model, &style, Err((state, reason))));
                }
            }
        }
        self.ctx.store.record_variants(&self.ctx.sprint, rows, now()).await?;
        Ok(ended)
    }

    fn later(&self, message: &str) -> Ended {
        tracing::warn!(engine = self.name, message, "call failed in passing");
        Ended::Pending
    }

    /// Asks for one text; an answer that cannot be used is asked for again, a few times.
    async fn ask(
        &self,
        purpose: &str,
        template: &str,
        values: &[(&str, &str)],
        unit: &VariantUnit,
    ) -> Result<Result<String, NoText>> {
        let text = templates::fill(template, values)
            .map_err(|error| StageError::Template(format!("templates/{purpose}.txt: {error}")))?;
        let mut last = (UnitState::Dropped, String::new());
        for attempt in 0..ATTEMPTS {
            let reply = match self.call(purpose, &text, attempt, unit).await? {
                Ok(reply) => reply,
                // What came was no answer at all.
                Err(NoText::Ended(UnitState::Failed, reason)) => {
                    last = (UnitState::Failed, reason);
                    continue;
                }
                Err(no_text) => return Ok(Err(no_text)),
            };
            let parsed = match reply.starts_with(CUT_OFF) {
                true => Err(BadAnswer::CutOff),
                false => templates::parse_answer(&reply, LONGEST),
            };
            match parsed {
                Ok(text) => return Ok(Ok(text)),
                Err(bad) => last = (UnitState::Dropped, bad.reason().to_owned()),
            }
        }
        Ok(Err(NoText::Ended(last.0, last.1)))
    }

    /// One call, unless its answer is known.
    async fn call(
        &self,
        purpose: &str,
        text: &str,
        attempt: u32,
        unit: &VariantUnit,
    ) -> Result<Result<String, NoText>> {
        let config = &self.config;
        let key = UnitKey::of(&[
            "call",
            &config.model,
            purpose,
            text,
            &unit.prompt.get().index.to_string(),
            &format!("{} {:?} {attempt}", config.max_tokens, config.temperature),
        ]);
        if let Some(call) = self.ctx.store.call(&self.ctx.sprint, &key).await? {
            return Ok(Ok(call.reply));
        }
        let request = ChatRequest {
            system: None,
            user: text.to_owned(),
            max_tokens: config.max_tokens,
            temperature: config.temperature,
            seed: Some(seed::draw(self.ctx.config.enhance.seed, "chat", i64::from(attempt)) >> 33),
        };
        // A token is at least one byte, so this is more than the prompt can cost.
        let most = cost(config, text.len() as u64 + 16, u64::from(config.max_tokens));
        let reserve = self.spending.reserve(most)?;
        let asked = serde_json::json!({
            "purpose": purpose, "user": request.user, "max_tokens": config.max_tokens,
            "temperature": config.temperature, "attempt": attempt,
        })
        .to_string();
        let reply = match self.engine.complete(&request).await {
            Ok(reply) => reply,
            Err(error) => {
                return match work::judge(error) {
                    Verdict::Drop(reason) => {
                        Ok(Err(NoText::Ended(UnitState::Dropped, short(&format!("refused: {reason}")))))
                    }
                    Verdict::Fail(reason) => {
                        // It may have been paid for, and nobody has said what it used: the most that it
                        // can have cost is kept, under a name that is no answer to this call.
                        reserve.settle(most);
                        let reason = short(&reason);
                        let call = CallRow {
                            key: UnitKey::of(&["unusable", key.as_str(), &now().to_string()]).to_string(),
                            engine: self.name.clone(),
                            model: config.model.clone(),
                            request: asked,
                            reply: reason.clone(),
                            input_tokens: 0,
                            output_tokens: 0,
                            cost: most,
                            request_id: None,
                        };
                        self.ctx.store.record_call(&self.ctx.sprint, call, now()).await?;
                        Ok(Err(NoText::Ended(UnitState::Failed, reason)))
                    }
                    Verdict::Later(message) => Ok(Err(NoText::Later(message))),
                    Verdict::Stop(error) => Err(error),
                };
            }
        };
        let paid = cost(config, reply.usage.input_tokens, reply.usage.output_tokens);
        reserve.settle(paid);
        let text = match (reply.refusal, reply.finish_reason.as_deref()) {
            (Some(words), _) => format!("{}{words}", templates::REFUSAL),
            (None, Some("content_filter")) => format!("{}{}", templates::REFUSAL, reply.text),
            (None, Some("length")) => format!("{CUT_OFF}{}", reply.text),
            (None, _) => reply.text,
        };
        let call = CallRow {
            key: key.to_string(),
            engine: self.name.clone(),
            model: reply.model,
            request: asked,
            reply: text.clone(),
            input_tokens: i64::try_from(reply.usage.input_tokens).unwrap_or(i64::MAX),
            output_tokens: i64::try_from(reply.usage.output_tokens).unwrap_or(i64::MAX),
            cost: paid,
            request_id: reply.request_id,
        };
        self.ctx.store.record_call(&self.ctx.sprint, call, now()).await?;
        Ok(Ok(text))
    }
}

/// What so many tokens cost, in the unit of the configured prices.
pub(crate) fn cost(config: &ChatConfig, input_tokens: u64, output_tokens: u64) -> f64 {
    config
        .price
        .map_or(0.0, |price| (input_tokens as f64 * price.input + output_tokens as f64 * price.output) / 1e6)
}

/// The word under which a dropped row is counted, of its whole reason: what stands before its details.
pub(crate) fn counted(reason: &str) -> &str {
    reason.split_once(": ").map_or(reason, |(word, _)| word)
}

/// A reason as rows keep it.
pub(crate) fn short(reason: &str) -> String {
    reason.lines().next().unwrap_or_default().chars().take(200).collect()
}

/// The templates of the sprint's folder, or the ones that come with the program.
fn instructions(ctx: &Ctx) -> Result<Instructions> {
    let read = |name: &str, default: &str| {
        let path = ctx.folder.join("templates").join(format!("{name}.txt"));
        match std::fs::read_to_string(&path) {
            Ok(text) => Ok(text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(default.to_owned()),
            Err(error) if error.kind() == std::io::ErrorKind::InvalidData => Err(StageError::Template(
                format!("{}: it is not UTF-8 text: save it as UTF-8", path.display()),
            )),
            Err(source) => Err(StageError::File { path: path.display().to_string(), source }),
        }
    };
    Ok(Instructions {
        style: read("style", templates::STYLE)?,
        variants: BTreeMap::from([
            (Evolution::Simplified, read("simplified", templates::SIMPLIFIED)?),
            (Evolution::Quality, read("quality", templates::QUALITY)?),
        ]),
    })
}
