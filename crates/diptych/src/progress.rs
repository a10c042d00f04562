//! How far a stage is: a bar on a terminal, a line a stage elsewhere, nothing when asked to be quiet.

use std::io::IsTerminal;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use diptych_core::Stage;
use diptych_stages::Progress;
use diptych_stages::ctx::Silent;
use indicatif::{ProgressBar, ProgressStyle};

/// Somebody who hears how far a stage is, as suits where standard error goes.
pub fn choose(quiet: bool) -> Arc<dyn Progress> {
    if quiet {
        Arc::new(Silent)
    } else {
        Arc::new(Shown { bars: std::io::stderr().is_terminal(), current: Mutex::new(None) })
    }
}

struct Shown {
    bars: bool,
    current: Mutex<Option<Current>>,
}

struct Current {
    stage: Stage,
    bar: ProgressBar,
    begun: Instant,
}

impl Shown {
    fn current(&self) -> std::sync::MutexGuard<'_, Option<Current>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[allow(clippy::print_stderr)]
impl Progress for Shown {
    fn begin(&self, stage: Stage, total: Option<u64>) {
        let bar = if !self.bars {
            ProgressBar::hidden()
        } else if let Some(total) = total {
            let style = ProgressStyle::with_template("{prefix:16} {wide_bar} {pos}/{len} {eta}");
            ProgressBar::new(total).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        } else {
            let style = ProgressStyle::with_template("{prefix:16} {spinner} {pos}");
            ProgressBar::new_spinner().with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()))
        };
        bar.set_prefix(stage.as_str());
        *self.current() = Some(Current { stage, bar, begun: Instant::now() });
    }

    fn advance(&self, units: u64) {
        if let Some(current) = &*self.current() {
            current.bar.inc(units);
        }
    }

    fn end(&self) {
        if let Some(current) = self.current().take() {
            let done = current.bar.position();
            current.bar.finish_and_clear();
            if done > 0 {
                eprintln!(
                    "{:16} {done} done in {:.1} s",
                    current.stage,
                    current.begun.elapsed().as_secs_f64()
                );
            }
        }
    }

    fn note(&self, message: &str) {
        match &*self.current() {
            Some(current) if self.bars => current.bar.suspend(|| eprintln!("{message}")),
            _ => eprintln!("{message}"),
        }
    }
}
