//! The real use cases under a scheduler of our own, on adapters in memory, with everything going wrong that can: a seed
//! decides what, when, and who goes on next. The seed alone replays a run.
//!
//! `cargo test` runs a few hundred; `SIMULATION_SEEDS=100000 cargo test --release simulation` runs many.

mod broker;
mod channel;
mod process;
mod promises;
mod scenario;
mod scheduler;
mod weather;

use std::panic::{self, AssertUnwindSafe};

use crate::support::memory::Bug;
use scenario::{Ended, Options};

fn seeds(default: u64) -> u64 {
    std::env::var("SIMULATION_SEEDS").map_or(default, |text| text.parse().expect("SIMULATION_SEEDS is a number"))
}

const STORMY: Options = Options { faults: true, bug: None, messages: 30 };

/// What one run did and what it broke, to be read.
fn report(seed: u64, ended: &Ended, broken: &[String]) -> String {
    let mut lines = vec![format!("seed {seed} broke promises:")];
    lines.extend(broken.iter().map(|sentence| format!("  {sentence}")));
    lines.push("what happened:".to_owned());
    lines.extend(ended.faults.iter().map(|fault| format!("  {fault}")));
    let guilty = ended.database.rows().into_iter().find(|row| broken[0].contains(&row.id.to_string()));
    if let Some(row) = guilty {
        lines.push(format!("the row: {row:?}"));
        let history = ended.database.history();
        lines.extend(history.iter().filter(|change| change.id == row.id).map(|change| format!("  {change:?}")));
        let calls = ended.channel.calls();
        lines.extend(calls.iter().filter(|call| call.message == row.id).map(|call| format!("  {call:?}")));
    }
    lines.join("\n")
}

#[test]
fn whatever_goes_wrong_the_promises_are_kept() {
    quietly(|| {
        let only = std::env::var("SIMULATION_SEED").ok().map(|text| text.parse().expect("SIMULATION_SEED is a number"));
        let range = only.map_or(0..seeds(200), |seed: u64| seed..seed + 1);
        for seed in range {
            let ended = scenario::run(seed, STORMY);
            let broken = promises::broken(&ended);
            assert!(broken.is_empty(), "{}", report(seed, &ended, &broken));
        }
    });
}

#[test]
fn without_faults_the_relay_hands_nothing_over_and_each_is_called_once() {
    quietly(|| {
        for seed in 0..seeds(50) {
            let ended = scenario::run(seed, Options { faults: false, bug: None, messages: 30 });
            let broken = promises::broken_without_faults(&ended);
            assert!(broken.is_empty(), "{}", report(seed, &ended, &broken));
        }
    });
}

#[test]
fn planted_bugs_are_found() {
    quietly(|| {
        for bug in [Bug::ClaimIgnoresNextAttempt, Bug::RelayTakesProcessingOfLiveNodes] {
            let found = (0..2_000).find(|seed| {
                let ended = scenario::run(*seed, Options { bug: Some(bug), ..STORMY });
                !promises::broken(&ended).is_empty()
            });
            println!("{bug:?} is found by seed {found:?}");
            assert!(found.is_some(), "{bug:?} was not found");
        }
    });
}

/// Panics that are part of the play are not printed; those of the test are.
fn quietly(play: impl FnOnce()) {
    static HOOK: std::sync::Once = std::sync::Once::new();
    HOOK.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if info.payload().downcast_ref::<&str>() != Some(&"told to") {
                usual(info);
            }
        }));
    });
    if let Err(panicked) = panic::catch_unwind(AssertUnwindSafe(play)) {
        panic::resume_unwind(panicked);
    }
}
