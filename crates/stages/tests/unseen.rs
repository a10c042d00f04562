//! Unscreened means unseen: random lives of a small sprint, in which scores come or fail, people review, report
//! and answer, thresholds change and the program stops between any two steps. After each of them, nothing that
//! is not admitted is shown to, held by, or published for anybody.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test ends at what it did not expect"
)]

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use diptych_core::config::{Overrides, Removes, SprintConfig};
use diptych_core::{
    AssignmentId, Choice, Decision, ImageHash, Name, PersonId, PromptIndex, Split, SprintState, Stage,
};
use diptych_stages::ctx::{Silent, now};
use diptych_stages::review::{self, Reviewer, Word};
use diptych_stages::{Ctx, Flow, annotate, pair};
use diptych_store::images::ImageRow;
use diptych_store::people::PersonKind;
use diptych_store::prompts::{CleanOutcome, CollectedPrompt};
use diptych_store::reviews::Verdict;
use diptych_store::scores::{Kind, Score};
use diptych_store::variants::UnitState;
use diptych_store::{Blobs, EVERY_PROMPT, Store};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tokio_util::sync::CancellationToken;

const PEOPLE: usize = 3;

#[derive(Debug, Clone)]
enum Step {
    /// A classifier says something of an image that it has not scored, or fails.
    Score {
        image: usize,
        score: Option<f64>,
    },
    /// A moderator or the organizer decides; the program may stop before pairs follow.
    Review {
        item: usize,
        text: bool,
        who: usize,
        verdict: usize,
        settles: bool,
    },
    /// Another configuration, as a run begins with it.
    Configure {
        percent: u8,
        row: bool,
        every: u32,
    },
    /// The stage `pair`.
    Pair,
    Take {
        person: usize,
    },
    Answer {
        hold: usize,
        choice: Choice,
    },
    TakeBack {
        hold: usize,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let score = prop::option::weighted(0.85, 0.0..1.0f64);
    let review = (any::<usize>(), prop::bool::weighted(0.2), 0..3usize, 0..3usize, any::<bool>());
    let choice = prop::sample::select(Choice::ALL);
    prop_oneof![
        6 => (any::<usize>(), score).prop_map(|(image, score)| Step::Score { image, score }),
        6 => review.prop_map(|(item, text, who, verdict, settles)| Step::Review { item, text, who, verdict, settles }),
        1 => (0..=100u8, any::<bool>(), 0..2u32).prop_map(|(percent, row, every)| Step::Configure { percent, row, every }),
        3 => Just(Step::Pair),
        4 => (0..PEOPLE).prop_map(|person| Step::Take { person }),
        4 => (any::<usize>(), choice).prop_map(|(hold, choice)| Step::Answer { hold, choice }),
        2 => any::<usize>().prop_map(|hold| Step::TakeBack { hold }),
    ]
}

fn config(case: usize, percent: u8, row: bool, every: u32) -> Arc<SprintConfig> {
    let toml = format!(
        "[sprint]\nslug = \"case-{case}\"\ntitle = \"S\"\n[collect]\nsources = [\"x\"]\n\
         [enhance]\nengine = \"none\"\nevolutions = [\"quality\"]\n\
         [screen]\ntext = []\nimage = [{{ use = \"judge\", threshold = {} }}]\nremoves = \"{}\"\n\
         [review]\nevery_image = {every}\n[annotate]\noverlap = 2\n\
         [classifiers.judge]\nengine = \"openai-moderation\"\npositive = [\"bad\"]\n\
         [[models]]\nkey = \"a\"\nname = \"rehearsal/noto\"\nengine = \"rehearsal\"\n\
         [[models]]\nkey = \"b\"\nname = \"rehearsal/fluent\"\nengine = \"rehearsal\"\n",
        f64::from(percent) / 100.0,
        if row { "row" } else { "item" },
    );
    Arc::new(SprintConfig::parse("sprint.toml", &toml, &Overrides::none()).unwrap())
}

struct Life {
    ctx: Ctx,
    case: usize,
    people: Vec<PersonId>,
    moderators: Vec<Reviewer>,
    holds: Vec<(usize, AssignmentId)>,
}

/// A sprint whose images are made and not screened. Their bytes are nowhere: nobody here looks at them.
async fn sprint(store: &Store, folder: &Path, case: usize) -> Ctx {
    let config = config(case, 50, true, 0);
    let ctx = Ctx {
        store: store.clone(),
        blobs: Blobs::open("file:blobs", folder).unwrap(),
        sprint: store.sprint(&config.sprint.slug, now()).await.unwrap(),
        config,
        folder: folder.to_owned(),
        queue: String::new(),
        stop: CancellationToken::new(),
        progress: Arc::new(Silent),
        retry_failed: false,
        first: None,
        settings: 0,
    };
    let text = |number: i64| format!("a fox, number {number}");
    // Few, so that what happens happens to the same pair.
    let count = case as i64 % 2 + 1;
    let prompts = (0..count).map(|number| {
        let source = Arc::from("x");
        CollectedPrompt { source, source_row: number + 1, text: text(number) }
    });
    store.collect_prompts(&ctx.sprint, "once", prompts.collect()).await.unwrap();
    let clean = (0..count)
        .map(|number| CleanOutcome { index: PromptIndex(number), outcome: Ok((text(number), Split::Train)) });
    store.record_clean(&ctx.sprint, clean.collect()).await.unwrap();
    diptych_stages::enhance::run(&ctx).await.unwrap();
    for unit in Flow::load(&ctx).await.unwrap().images {
        let variant = &unit.variant.get().row;
        let row = ImageRow {
            key: unit.key.clone(),
            variant: variant.key.clone(),
            prompt_index: variant.prompt,
            evolution: variant.evolution,
            model: unit.model.clone(),
            state: UnitState::Done,
            reason: String::new(),
            hash: ImageHash::of(unit.key.as_str().as_bytes()),
            format: "png".to_owned(),
            width: 8,
            height: 8,
            size: 8,
            provider: "test".to_owned(),
            model_name: unit.model.clone(),
            revision: None,
            prompt: variant.text.clone(),
            seed: String::new(),
            steps: None,
            guidance: None,
            request_id: None,
            cost: 0.0,
            created_at: now(),
        };
        store.record_image(&ctx.sprint, row).await.unwrap();
    }
    ctx
}

impl Life {
    async fn new(store: &Store, folder: &Path, case: usize) -> Self {
        let ctx = sprint(store, folder, case).await;
        let person = async |name: &str| {
            store.person(&Name::parse(name).unwrap(), PersonKind::Person, now()).await.unwrap().id
        };
        let mut people = Vec::new();
        for number in 0..PEOPLE {
            people.push(person(&format!("person {number}")).await);
        }
        let mut moderators = Vec::new();
        for (name, organizer) in [("one", false), ("two", false), ("boss", true)] {
            moderators.push(Reviewer { person: person(name).await, organizer });
        }
        Self { ctx, case, people, moderators, holds: Vec::new() }
    }

    async fn step(&mut self, step: &Step) {
        let ctx = &self.ctx;
        let annotated = &ctx.config;
        match step {
            Step::Score { image, score } => self.score(*image, *score).await,
            Step::Review { item, text, who, verdict, settles } => {
                let judged = Flow::load(ctx).await.unwrap().judged;
                let of: Vec<_> =
                    judged.into_iter().filter(|item| (item.stage != Stage::ScreenImages) == *text).collect();
                if !of.is_empty() {
                    let contents = vec![of[item % of.len()].content.clone()];
                    let kind = if *text { Kind::Text } else { Kind::Image };
                    let verdict = [Verdict::Approve, Verdict::Reject, Verdict::Undo][*verdict];
                    let reviewer = &self.moderators[*who];
                    let (reason, note) = ("violence".to_owned(), String::new());
                    let word = Word { kind, contents, verdict, reason, note };
                    review::record(ctx, reviewer, word).await.unwrap();
                    if *settles {
                        review::settle(ctx).await.unwrap();
                    }
                }
            }
            Step::Configure { percent, row, every } => {
                self.ctx.config = config(self.case, *percent, *row, *every);
                pair::withdraw_unwanted(&self.ctx, EVERY_PROMPT).await.unwrap();
            }
            Step::Pair => pair::run(ctx).await.unwrap(),
            Step::Take { person } => {
                let who = &self.people[*person];
                let taken =
                    annotate::take(&ctx.store, &ctx.sprint, annotated, SprintState::Open, who, 2, now())
                        .await
                        .unwrap();
                for held in taken.held {
                    if !self.holds.iter().any(|(_, known)| *known == held.id) {
                        self.holds.push((*person, held.id));
                    }
                }
            }
            Step::Answer { hold, choice } if !self.holds.is_empty() => {
                let (person, hold) = &self.holds[hold % self.holds.len()];
                let given = annotate::Given { choice: *choice, duration_ms: None, comment: None };
                let who = &self.people[*person];
                annotate::respond(&ctx.store, annotate::reporting(&ctx.config), who, hold, given, now())
                    .await
                    .unwrap();
            }
            Step::TakeBack { hold } if !self.holds.is_empty() => {
                let (person, hold) = &self.holds[hold % self.holds.len()];
                annotate::take_back(&ctx.store, &annotated.annotate, &self.people[*person], hold, now())
                    .await
                    .unwrap();
            }
            Step::Answer { .. } | Step::TakeBack { .. } => {}
        }
        self.check(step).await;
    }

    async fn score(&self, image: usize, score: Option<f64>) {
        let flow = Flow::load(&self.ctx).await.unwrap();
        let images = flow.judged.iter().filter(|item| item.stage == Stage::ScreenImages);
        let open: Vec<_> = images.filter(|item| item.is_pending() || item.is_failed()).collect();
        if open.is_empty() {
            return;
        }
        let score = Score {
            content: open[image % open.len()].content.clone(),
            classifier: flow.image_policy.uses()[0].version.clone().unwrap(),
            labels: score.map_or("{}".to_owned(), |score| format!("{{\"bad\": {score}}}")),
            error: if score.is_none() { "it failed".to_owned() } else { String::new() },
            detail: "{}".to_owned(),
        };
        self.ctx.store.record_scores(&self.ctx.sprint, Kind::Image, vec![score], now()).await.unwrap();
    }

    /// The flows of all spans add up to the flow of the sprint.
    async fn check_spans(&self, whole: &Flow) {
        let (mut pairs, mut judged) = (Vec::new(), Vec::new());
        let mut out = vec![0; whole.counts.len()];
        for start in 0..self.ctx.store.prompts_end(&self.ctx.sprint).await.unwrap() {
            let part = Flow::load_span(&self.ctx, start..start + 1).await.unwrap();
            pairs.extend(part.pairs.into_iter().map(|pair| pair.key));
            judged.extend(part.judged.into_iter().map(|item| (item.stage, item.content, item.outcome)));
            out.iter_mut().zip(&part.counts).for_each(|(sum, counts)| *sum += counts.out);
        }
        assert_eq!(pairs, whole.pairs.iter().map(|pair| pair.key.clone()).collect::<Vec<_>>());
        let of_stages = whole.counts.iter().map(|counts| counts.out);
        assert_eq!(out[2..], of_stages.collect::<Vec<_>>()[2..]);
        // A stage at a time here, a prompt at a time there.
        judged.sort_by_key(|(stage, ..)| *stage);
        let of_whole =
            whole.judged.iter().map(|item| (item.stage, item.content.clone(), item.outcome.clone()));
        assert_eq!(judged, of_whole.collect::<Vec<_>>());
    }

    /// What anybody but a moderator can see is admitted, by the scores, reviews and configuration of now.
    async fn check(&self, step: &Step) {
        let ctx = &self.ctx;
        let whole = Flow::load(ctx).await.unwrap();
        self.check_spans(&whole).await;
        let judged = whole.judged;
        let mut admitted = HashSet::new();
        let mut removed = HashSet::new();
        for item in &judged {
            match item.decision() {
                Some(Decision::Passed | Decision::NotScreened) => _ = admitted.insert(item.content.as_str()),
                Some(Decision::Removed) => _ = removed.insert(item.prompt),
                Some(Decision::NeedsReview) | None => {}
            }
        }
        let reported = ctx.store.withheld_pairs(&ctx.sprint).await.unwrap();
        let shown = ctx.store.pairs(&ctx.sprint, EVERY_PROMPT).await.unwrap();
        for pair in &shown {
            for image in [&pair.image_1, &pair.image_2] {
                assert!(admitted.contains(image.as_str()), "{step:?} shows an image that is not admitted");
            }
            let row_is_gone =
                ctx.config.screen.removes == Removes::Row && removed.contains(&pair.prompt_index.0);
            assert!(!row_is_gone, "{step:?} shows a pair of a removed row");
            assert!(!reported.contains(pair.key.as_str()), "{step:?} shows a reported pair");
        }
        // Nobody holds a pair that is not among those, and no picture of another one is given.
        for person in &self.people {
            let taken =
                annotate::take(&ctx.store, &ctx.sprint, &ctx.config, SprintState::Open, person, 1, now());
            for held in taken.await.unwrap().held {
                for name in [held.left, held.right] {
                    let picture = ctx.store.picture(&name).await.unwrap().unwrap();
                    assert!(
                        picture.current && admitted.contains(picture.image.as_str()),
                        "{step:?}: a picture"
                    );
                }
            }
        }
        let published = diptych_stages::publish::published_pairs(ctx).await.unwrap();
        let shown: HashSet<&str> = shown.iter().map(|pair| pair.row_id.as_str()).collect();
        assert!(
            published.iter().all(|row| shown.contains(row.as_str())),
            "{step:?} publishes what is not shown"
        );
    }
}

fn lives(store: &Store, folder: &Path, runtime: &tokio::runtime::Runtime) {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(40);
    let mut runner = TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
    let (case, lived) = (std::cell::Cell::new(0), std::cell::Cell::new(0));
    let started = std::time::Instant::now();
    let outcome = runner.run(&prop::collection::vec(step(), 10..60), |steps| {
        case.set(case.get() + 1);
        // A slow disk gets fewer cases, rather than a slow test.
        if cases > 40 || started.elapsed().as_secs() < 15 {
            lived.set(lived.get() + 1);
            runtime.block_on(async {
                let mut life = Life::new(store, folder, case.get()).await;
                for step in &steps {
                    life.step(step).await;
                }
            });
        }
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
    assert!(lived.get() > 0);
    println!("{} of {cases} lives were lived", lived.get());
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

#[test]
fn what_is_not_admitted_is_seen_by_nobody() {
    let (runtime, folder) = (runtime(), tempfile::tempdir().unwrap());
    let store = runtime.block_on(Store::open("sqlite:diptych.db", folder.path())).unwrap();
    lives(&store, folder.path(), &runtime);
}

#[test]
#[ignore = "needs PostgreSQL: cargo xtask ci"]
fn what_is_not_admitted_is_seen_by_nobody_on_postgres() {
    let (runtime, folder) = (runtime(), tempfile::tempdir().unwrap());
    let url = std::env::var("DIPTYCH_TEST_POSTGRES").unwrap();
    let store = runtime.block_on(Store::open(&url, folder.path())).unwrap();
    lives(&store, folder.path(), &runtime);
}
