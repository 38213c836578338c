//! Each measurement, in turns: what disturbs the machine for a minute disturbs both sides of a ratio.

mod accepts;
mod costs;
mod direct;
mod flood;
mod large_table;
mod latency;
mod plain_inserts;
mod queries;
mod sqlite;
mod sustained;
mod waiting;

use crate::Result;
use crate::arguments::{Arguments, Extent, Measurement};
use crate::build::Build;
use crate::figures::{Figure, Figures};
use crate::machine;
use crate::report::Report;
use crate::stage::Stage;

/// One build's turn.
struct Turn<'a> {
    stage: &'a Stage,
    build: &'a Build,
    extent: &'a Extent,
    figures: &'a mut Figures,
}

impl Turn<'_> {
    fn record(&mut self, figure: Figure, value: f64) {
        self.figures.record(self.build.name, figure, value);
    }

    fn last(&self, figure: Figure) -> Option<f64> {
        self.figures.last(self.build.name, figure)
    }

    /// Where the messages of an instance go to.
    fn receiver(&self) -> String {
        format!("http://{}/", self.stage.nginx.address)
    }
}

/// What is measured in every round, in this order.
const IN_ROUNDS: [Measurement; 6] = [
    Measurement::Accepts,
    Measurement::Latency,
    Measurement::Flood,
    Measurement::Sustained,
    Measurement::Direct,
    Measurement::Sqlite,
];

/// What is measured once, because it takes long and is no rate; what of it is a time is repeated within.
const ONCE: [Measurement; 3] = [Measurement::Waiting, Measurement::Rows, Measurement::Costs];

/// Those that are compared with plain inserts.
const COMPARED: [Measurement; 3] = [Measurement::Accepts, Measurement::Flood, Measurement::Sustained];

/// Measures everything that was asked for, and prints it.
///
/// # Errors
/// When something is not installed, could not be measured, or went wrong.
pub async fn all(arguments: &Arguments) -> Result<()> {
    let builds = Build::all(arguments)?;
    let extent = arguments.settled();
    let stage = Stage::set(arguments).await?;
    let machine = machine::description(&stage).await?;
    let mut figures = Figures::default();
    let is_compared = COMPARED.into_iter().any(|measurement| arguments.wants(measurement));
    let in_rounds: Vec<Measurement> = IN_ROUNDS.into_iter().filter(|it| arguments.wants(*it)).collect();
    for round in 0..if in_rounds.is_empty() { 0 } else { extent.runs } {
        eprintln!("round {} of {}", round + 1, extent.runs);
        // In turns, so that neither is always the second.
        let turns: Vec<&Build> = if round % 2 == 0 { builds.iter().collect() } else { builds.iter().rev().collect() };
        if is_compared {
            for build in &turns {
                plain_inserts::measure(&mut Turn { stage: &stage, build, extent: &extent, figures: &mut figures })
                    .await?;
            }
        }
        for measurement in in_rounds.iter().copied() {
            for build in &turns {
                measure(measurement, Turn { stage: &stage, build, extent: &extent, figures: &mut figures }).await?;
            }
        }
    }
    for measurement in ONCE.into_iter().filter(|measurement| arguments.wants(*measurement)) {
        // Queries are asked through the library, of which there is one.
        let count = if measurement == Measurement::Rows { 1 } else { builds.len() };
        for build in &builds[..count] {
            measure(measurement, Turn { stage: &stage, build, extent: &extent, figures: &mut figures }).await?;
        }
    }
    let report = Report { machine, builds: &builds, extent: &extent, figures: &figures };
    println!("{}", report.table());
    let json = report.json();
    println!("{json}");
    if let Some(path) = &arguments.json {
        std::fs::write(path, format!("{json}\n"))?;
    }
    Ok(())
}

async fn measure(measurement: Measurement, mut turn: Turn<'_>) -> Result<()> {
    eprintln!("{measurement:?} ({})", turn.build.name);
    let turn = &mut turn;
    match measurement {
        Measurement::Accepts => accepts::measure(turn).await,
        Measurement::Latency => latency::measure(turn).await,
        Measurement::Flood => flood::measure(turn).await,
        Measurement::Sustained => sustained::measure(turn).await,
        Measurement::Direct => direct::measure(turn).await,
        Measurement::Sqlite => sqlite::measure(turn).await,
        Measurement::Waiting => waiting::measure(turn).await,
        Measurement::Rows => queries::measure(turn).await,
        Measurement::Costs => costs::measure(turn).await,
    }
}
