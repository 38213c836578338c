//! Each measurement, in turns: what disturbs the machine for a minute disturbs both sides of a ratio.

mod history;
mod receipts;
mod speed;
mod strain;
mod turn;
mod webhooks;

use crate::Result;
use crate::arguments::{Arguments, Extent, Measurement};
use crate::build::Build;
use crate::figures::Figures;
use crate::machine;
use crate::report::Report;
use crate::stage::Stage;
use history::{idle, left, queries, searches, soak, waiting};
use receipts::{applied, events};
use speed::{accepts, costs, direct, flood, latency, plain_inserts, sqlite, sustained, told};
use strain::{connections, lost_answers, neighbours, open_transaction, outage, paces, patches, readers};
use turn::Turn;
use webhooks::taken;

/// What is measured in every round, in this order.
const IN_ROUNDS: [Measurement; 11] = [
    Measurement::Accepts,
    Measurement::Latency,
    Measurement::Flood,
    Measurement::Sustained,
    Measurement::Neighbours,
    Measurement::Direct,
    Measurement::Sqlite,
    Measurement::Receipts,
    Measurement::Events,
    Measurement::Webhooks,
    Measurement::Told,
];

/// What is measured once, because it takes long and is no rate; what of it is a time is repeated within.
const ONCE: [Measurement; 14] = [
    Measurement::Waiting,
    Measurement::Left,
    Measurement::Rows,
    Measurement::Idle,
    Measurement::Searches,
    Measurement::Connections,
    Measurement::Costs,
    Measurement::Outage,
    Measurement::LostAnswers,
    Measurement::Patches,
    Measurement::Paces,
    Measurement::Readers,
    Measurement::OpenTransaction,
    Measurement::Soak,
];

/// Those that need no broker.
const BROKERLESS: [Measurement; 4] =
    [Measurement::Direct, Measurement::Rows, Measurement::Patches, Measurement::Receipts];

/// Those that are compared with plain inserts.
const COMPARED: [Measurement; 3] = [Measurement::Accepts, Measurement::Flood, Measurement::Sustained];

/// Measures everything that was asked for, and prints it. When one measurement goes wrong, the others are made all the same.
///
/// # Errors
/// When something is not installed, could not be measured, or went wrong.
pub async fn all(arguments: &Arguments) -> Result<()> {
    let builds = Build::all(arguments)?;
    let extent = arguments.settled();
    let stage = Stage::set(arguments).await?;
    let machine = machine::description(&stage).await?;
    let mut figures = Figures::default();
    let mut wrong = Vec::new();
    for (measurement, build, round) in plan(arguments, &builds, extent.runs) {
        eprintln!("{} of build {}, round {}", measurement.name(), build.name, round + 1);
        let mut turn = Turn { stage: &stage, build, extent: &extent, round, figures: &mut figures };
        if let Err(error) = measurement.measure(&mut turn).await {
            let warning = stage.last_warning().map(|warning| format!(" (the log: {warning})")).unwrap_or_default();
            let sentence = format!("{} of build {}: {error}{warning}", measurement.name(), build.name);
            eprintln!("  {sentence}");
            wrong.push(sentence);
        }
        stage.forget_logs();
    }
    let report = Report { machine, builds: &builds, extent: &extent, figures: &figures };
    println!("{}", report.table());
    let json = report.json();
    println!("{json}");
    if let Some(path) = &arguments.json {
        std::fs::write(path, format!("{json}\n"))?;
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("; ").into()) }
}

/// What is measured of which build in which round, in this order.
fn plan<'b>(arguments: &Arguments, builds: &'b [Build], runs: u32) -> Vec<(Step, &'b Build, u32)> {
    let is_compared = COMPARED.into_iter().any(|measurement| arguments.wants(measurement));
    let baseline = is_compared.then_some(Step::PlainInserts);
    // What is sustained is looked for below what is reached at full speed.
    let is_wanted =
        |it: Measurement| arguments.wants(it) || (it == Measurement::Flood && arguments.wants(Measurement::Sustained));
    let wanted = |measurements: &[Measurement]| -> Vec<Step> {
        measurements.iter().copied().filter(|it| is_wanted(*it)).map(Step::Of).collect()
    };
    let needs_broker = |it: &Measurement| arguments.wants(*it) && !BROKERLESS.contains(it);
    let mut plan = Vec::new();
    if IN_ROUNDS.iter().chain(&ONCE).any(needs_broker) {
        plan.extend(builds.first().map(|build| (Step::WarmUp, build, 0)));
    }
    for round in 0..runs {
        for step in baseline.into_iter().chain(wanted(&IN_ROUNDS)) {
            let turns = builds.iter().map(|build| (step, build, round));
            // In turns, so that neither is always the second.
            if round % 2 == 0 { plan.extend(turns) } else { plan.extend(turns.rev()) }
        }
    }
    for step in wanted(&ONCE) {
        // Queries are asked through the library, of which there is one; so are weeks dropped.
        let is_of_one =
            [Measurement::Rows, Measurement::OpenTransaction, Measurement::Soak].map(Step::Of).contains(&step);
        let count = if is_of_one { 1 } else { builds.len() };
        plan.extend(builds[..count].iter().map(|build| (step, build, 0)));
    }
    plan
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Of the broker.
    WarmUp,
    /// What others are compared with.
    PlainInserts,
    Of(Measurement),
}

impl Step {
    fn name(self) -> String {
        match self {
            Self::WarmUp => "warming up".to_owned(),
            Self::PlainInserts => "pgbench".to_owned(),
            Self::Of(measurement) => format!("{measurement:?}").to_lowercase(),
        }
    }

    async fn measure(self, turn: &mut Turn<'_>) -> Result<()> {
        match self {
            Self::WarmUp => warm_up(turn).await,
            Self::PlainInserts => plain_inserts::measure(turn).await,
            Self::Of(Measurement::Accepts) => accepts::measure(turn).await,
            Self::Of(Measurement::Latency) => latency::measure(turn).await,
            Self::Of(Measurement::Flood) => flood::measure(turn).await,
            Self::Of(Measurement::Sustained) => sustained::measure(turn).await,
            Self::Of(Measurement::Neighbours) => neighbours::measure(turn).await,
            Self::Of(Measurement::Direct) => direct::measure(turn).await,
            Self::Of(Measurement::Sqlite) => sqlite::measure(turn).await,
            Self::Of(Measurement::Receipts) => applied::measure(turn).await,
            Self::Of(Measurement::Events) => events::measure(turn).await,
            Self::Of(Measurement::Webhooks) => taken::measure(turn).await,
            Self::Of(Measurement::Told) => told::measure(turn).await,
            Self::Of(Measurement::Waiting) => waiting::measure(turn).await,
            Self::Of(Measurement::Left) => left::measure(turn).await,
            Self::Of(Measurement::Rows) => queries::measure(turn).await,
            Self::Of(Measurement::Idle) => idle::measure(turn).await,
            Self::Of(Measurement::Searches) => searches::measure(turn).await,
            Self::Of(Measurement::Connections) => connections::measure(turn).await,
            Self::Of(Measurement::Costs) => costs::measure(turn).await,
            Self::Of(Measurement::Soak) => soak::measure(turn).await,
            Self::Of(Measurement::Outage) => outage::measure(turn).await,
            Self::Of(Measurement::LostAnswers) => lost_answers::measure(turn).await,
            Self::Of(Measurement::Paces) => paces::measure(turn).await,
            Self::Of(Measurement::Patches) => patches::measure(turn).await,
            Self::Of(Measurement::Readers) => readers::measure(turn).await,
            Self::Of(Measurement::OpenTransaction) => open_transaction::measure(turn).await,
        }
    }
}

/// At full speed, and recorded for nobody: a broker whose code is not compiled yet takes ten times as long for a message, on
/// processors that all share.
async fn warm_up(turn: &Turn<'_>) -> Result<()> {
    let extent = Extent { flood_seconds: turn.extent.warm_up_seconds, ..turn.extent.clone() };
    let mut figures = Figures::default();
    let Turn { stage, build, round, .. } = *turn;
    flood::measure(&mut Turn { stage, build, extent: &extent, round, figures: &mut figures }).await
}
