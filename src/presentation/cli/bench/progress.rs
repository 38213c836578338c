//! The progress bar: on standard error, and only on a terminal.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::task::JoinHandle;

use super::load::Load;
use super::schedule::Plan;
use super::tally::Arrivals;

const EVERY: Duration = Duration::from_millis(200);

/// Shows how far a run is, until it is dropped.
pub struct Progress {
    bar: ProgressBar,
    /// None where it would not be seen.
    ticking: Option<JoinHandle<()>>,
}

impl Progress {
    pub fn show(plan: Plan, load: Arc<Load>, arrivals: Option<Arc<Mutex<Arrivals>>>) -> Self {
        let milliseconds = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let length = plan.messages().or(plan.duration.map(milliseconds));
        let bar = ProgressBar::with_draw_target(length, ProgressDrawTarget::stderr());
        if bar.is_hidden() {
            return Self { bar, ticking: None };
        }
        if let Ok(style) = ProgressStyle::with_template("{elapsed:>4} [{wide_bar}] {percent:>3}%  {msg}") {
            bar.set_style(style.progress_chars("=> "));
        }
        let shown = bar.clone();
        let ticking = tokio::spawn(async move {
            let mut tick = tokio::time::interval(EVERY);
            loop {
                tick.tick().await;
                let answers = load.answers.lock().unwrap_or_else(PoisonError::into_inner);
                let (accepted, failed) = (answers.accepted.len(), answers.failed());
                drop(answers);
                let delivered = arrivals.as_ref().map(|arrivals| {
                    let arrivals = arrivals.lock().unwrap_or_else(PoisonError::into_inner);
                    format!(", {} delivered", arrivals.delivered.len())
                });
                let elapsed = milliseconds(load.schedule.began().elapsed());
                shown.set_position(plan.messages().map_or(elapsed, |_| load.schedule.taken()));
                shown.set_message(format!("{accepted} accepted{}, {failed} errors", delivered.unwrap_or_default()));
            }
        });
        Self { bar, ticking: Some(ticking) }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(ticking) = &self.ticking {
            ticking.abort();
        }
        self.bar.finish_and_clear();
    }
}
