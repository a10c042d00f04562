//! Spending: no call is made that could go past `[budget] max`.
//!
//! What a call may cost at the most is set aside before it is made, and what it did cost takes its
//! place after. Calls that run at the same time see each other's reserves.

use std::sync::{Arc, Mutex, PoisonError};

use diptych_core::Stage;
use diptych_core::config::SprintConfig;

use crate::enhance;
use crate::{Ctx, Flow, Result, StageError};

/// What was spent and what is set aside.
#[derive(Clone)]
pub struct Spending {
    max: Option<f64>,
    committed: Arc<Mutex<f64>>,
}

/// Money set aside for one call; given back when dropped, unless settled.
pub struct Reserve {
    spending: Spending,
    amount: f64,
}

impl Spending {
    /// Begins with what the sprint's recorded calls have cost.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn load(ctx: &Ctx) -> Result<Self> {
        let spent = ctx.store.spent(&ctx.sprint).await?;
        Ok(Self::new(ctx.config.budget.max, spent))
    }

    fn new(max: Option<f64>, spent: f64) -> Self {
        Self { max, committed: Arc::new(Mutex::new(spent)) }
    }

    /// Sets money aside for a call that costs at most `amount`.
    ///
    /// # Errors
    /// Where that would go past the budget.
    pub fn reserve(&self, amount: f64) -> Result<Reserve> {
        let mut committed = self.committed.lock().unwrap_or_else(PoisonError::into_inner);
        // A millionth of a unit is forgiven: sums of prices are not exact.
        if let Some(max) = self.max
            && amount > 0.0
            && *committed + amount > max + 1e-6
        {
            return Err(StageError::Budget { max, spent: *committed, next: amount });
        }
        *committed += amount;
        drop(committed);
        Ok(Reserve { spending: self.clone(), amount })
    }
}

impl Reserve {
    /// The call was made and has cost this much.
    pub fn settle(mut self, cost: f64) {
        // What is left of the reserve goes back when it is dropped.
        self.amount -= cost;
    }
}

impl Drop for Reserve {
    fn drop(&mut self) {
        *self.spending.committed.lock().unwrap_or_else(PoisonError::into_inner) -= self.amount;
    }
}

/// What one stage would take.
#[derive(Debug, Clone, PartialEq)]
pub struct Estimate {
    /// The stage.
    pub stage: Stage,
    /// Units to be done.
    pub units: u64,
    /// Whether fewer may come, because an earlier stage has not said yet what it lets through.
    pub at_most: bool,
    /// Calls to engines, where every call is answered at once.
    pub calls: u64,
    /// In the unit of the configured prices, at most.
    pub cost: f64,
}

/// What each stage would take from here on. What an earlier stage has not decided yet is taken to
/// come through.
pub fn estimate(ctx: &Ctx, flow: &Flow) -> Vec<Estimate> {
    let config = &ctx.config;
    let pending: Vec<u64> = flow.counts.iter().map(|counts| counts.pending).collect();
    let evolutions = config.enhance.evolutions.len() as u64;
    let models = config.models.len() as u64;
    let mut estimates = Vec::new();
    // Items that earlier stages may still send on, in the unit of the stage at hand.
    let mut coming = 0;
    for (stage, own) in Stage::ALL.iter().zip(pending) {
        let grown = match stage {
            Stage::Enhance => coming * evolutions,
            Stage::Generate => coming * models,
            Stage::Pair => coming / models.max(1) * config.model_pairs().len() as u64,
            _ => coming,
        };
        // A pair that waits for its images is pending already.
        let units = if *stage == Stage::Pair { own.max(grown) } else { own + grown };
        let (calls, cost) = match stage {
            Stage::Enhance => match config.chat.get(&config.enhance.engine) {
                Some(chat) => {
                    let calls = units + units.div_ceil(evolutions.max(1));
                    // Templates and prompts are rarely longer than 600 tokens; answers have a limit.
                    (calls, calls as f64 * enhance::cost(chat, 600, u64::from(chat.max_tokens)))
                }
                None => (0, 0.0),
            },
            Stage::Generate => {
                let each: f64 = config.models.iter().map(|model| model.price.unwrap_or(0.0)).sum();
                (units, units as f64 / models.max(1) as f64 * each)
            }
            _ => (0, 0.0),
        };
        estimates.push(Estimate { stage: *stage, units, at_most: grown > 0, calls, cost });
        coming = units;
    }
    estimates
}

/// What a budget does not cover, though it may cost money: one sentence each. Nothing where there is no budget.
pub fn unpriced(config: &SprintConfig) -> Vec<String> {
    if config.budget.max.is_none() {
        return Vec::new();
    }
    let mut found = Vec::new();
    let chat = &config.enhance.engine;
    if config.chat.get(chat).is_some_and(|chat| chat.price.is_none()) {
        found.push(format!("[chat.{chat}] has no `price`: what it costs does not count against the budget"));
    }
    let remote = ["openai", "huggingface", "fal"];
    for model in config.models.iter().filter(|model| remote.contains(&model.engine.as_str())) {
        if model.price.is_none() {
            found.push(format!(
                "the model `{}` has no `price`: what it costs does not count against the budget",
                model.key
            ));
        }
    }
    for used in config.screen.text.iter().chain(&config.screen.image) {
        if config.classifiers.get(&used.name).is_some_and(|own| own.engine != "folder") {
            found.push(format!(
                "the classifier `{}` is asked over the network: what it costs does not count against the budget",
                used.name
            ));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_price_is_said_where_there_is_a_budget() {
        let toml = |budget: &str| {
            format!(
                "[sprint]\nslug = \"s\"\ntitle = \"S\"\n[collect]\nsources = [\"a.txt\"]\n[enhance]\nengine = \"writer\"\n\
                 [chat.writer]\nurl = \"http://127.0.0.1:9\"\nmodel = \"m\"\n{budget}\n\
                 [[models]]\nkey = \"dev\"\nname = \"a/b\"\nengine = \"fal\"\n\
                 [[models]]\nkey = \"sd\"\nname = \"a/c\"\nengine = \"openai\"\nprice = 0.1\n"
            )
        };
        let of = |budget| {
            let none = diptych_core::config::Overrides::none();
            unpriced(&SprintConfig::parse("sprint.toml", &toml(budget), &none).unwrap())
        };
        assert_eq!(of(""), Vec::<String>::new());
        let said = of("[budget]\nmax = 1.0");
        assert_eq!(said.len(), 2, "{said:?}");
        assert!(said[0].contains("chat.writer") && said[1].contains("`dev`"), "{said:?}");
    }

    #[test]
    fn reserves_count_until_they_are_settled_or_given_back() {
        let spending = Spending::new(Some(1.0), 0.5);
        let first = spending.reserve(0.4).unwrap();
        assert!(matches!(spending.reserve(0.2), Err(StageError::Budget { .. })));
        first.settle(0.1); // 0.6 spent
        let second = spending.reserve(0.4).unwrap();
        drop(second); // never made
        assert!(spending.reserve(0.4).is_ok());
        assert!(Spending::new(None, 1e9).reserve(1e9).is_ok());
        assert!(Spending::new(Some(0.0), 0.0).reserve(0.0).is_ok());
    }
}
