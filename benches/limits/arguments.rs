use std::path::PathBuf;

use clap::{Parser, ValueEnum};

use crate::figures::MANY_WEEKS;

/// Measures Correio against pgbench, its own /health/live and the receiver, and prints a table.
#[derive(Debug, Parser)]
#[command(name = "limits")]
pub struct Arguments {
    /// How often everything that is a rate or a time is measured; the median is reported.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pub runs: u32,
    /// The program to measure instead of the one just built.
    #[arg(long)]
    pub binary: Option<PathBuf>,
    /// Another build of it, measured in turns with the first.
    #[arg(long)]
    pub compare: Option<PathBuf>,
    /// Only these measurements.
    #[arg(long, value_enum, value_delimiter = ',')]
    pub only: Vec<Measurement>,
    /// Seconds at full speed end to end, before anything is measured.
    #[arg(long, default_value_t = 60)]
    pub warm_up_seconds: u32,
    /// Seconds of one run of pgbench, of wrk, or of the open loop.
    #[arg(long, default_value_t = 10)]
    pub seconds: u32,
    /// Seconds at full speed end to end.
    #[arg(long, default_value_t = 20)]
    pub flood_seconds: u32,
    /// Seconds at a steady rate end to end.
    #[arg(long, default_value_t = 60)]
    pub sustained_seconds: u32,
    /// The steady rates to try, in shares of what was reached at full speed, until one is sustained.
    #[arg(long, value_delimiter = ',', default_values_t = [1.1, 1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.3])]
    pub sustained: Vec<f64>,
    /// Messages that wait while memory and start are measured.
    #[arg(long, default_value_t = 1_000_000)]
    pub waiting: u32,
    /// Messages of 1 MiB that a dead process left.
    #[arg(long, default_value_t = 1_000)]
    pub left: u32,
    /// Rows of the large table.
    #[arg(long, default_value_t = 10_000_000)]
    pub rows: u32,
    /// Messages of this week that have ended, and left their entries in the indexes, before an idle process is measured.
    #[arg(long, default_value_t = 1_000_000)]
    pub ended: u32,
    /// Minutes of the long run.
    #[arg(long, default_value_t = 60)]
    pub soak_minutes: u32,
    /// Messages a second meanwhile: about half of what two cores sustain.
    #[arg(long, default_value_t = 1_000.0)]
    pub soak_rate: f64,
    /// Minutes for which a transaction is open.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    pub open_minutes: u32,
    /// Messages a second meanwhile.
    #[arg(long, default_value_t = 500.0)]
    pub open_rate: f64,
    /// Connections with a request each while PostgreSQL stands still; no more than a process may have files open.
    #[arg(long, default_value_t = 20_000)]
    pub connections: u32,
    /// Seconds for which it stands still.
    #[arg(long, default_value_t = 60)]
    pub frozen_seconds: u32,
    /// Messages that wait while PostgreSQL is away.
    #[arg(long, default_value_t = 200_000)]
    pub outage: u32,
    /// Seconds for which it is.
    #[arg(long, default_value_t = 60)]
    pub outage_seconds: u32,
    /// Seconds for which instances that have a pace are watched.
    #[arg(long, default_value_t = 600, value_parser = clap::value_parser!(u32).range(1..))]
    pub paced_seconds: u32,
    /// Receipts that are reported as fast as they are answered.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub receipts: u32,
    /// `RUST_LOG` of the program; what users run, without it.
    #[arg(long)]
    pub rust_log: Option<String>,
    /// A directory on a disk for what the servers write.
    #[arg(long)]
    pub directory: Option<PathBuf>,
    /// Writes the figures there, too.
    #[arg(long)]
    pub json: Option<PathBuf>,
    /// Everything once and briefly: whether this tool works.
    #[arg(long)]
    pub smoke: bool,
    /// What cargo passes to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Measurement {
    /// Durable accepts, against pgbench and /health/live.
    Accepts,
    /// How long accepting takes at half of that rate.
    Latency,
    /// End to end at full speed.
    Flood,
    /// End to end at a steady rate.
    Sustained,
    /// What an instance suffers from one whose receiver hangs.
    Neighbours,
    /// What direct mode adds to calling the receiver.
    Direct,
    /// Accepts into the embedded database, against those into PostgreSQL.
    Sqlite,
    /// Receipts, against pgbench's updates, and with many weeks.
    Receipts,
    /// A send while a provider reports.
    Events,
    /// Events of a CRM, into the database, into files and out of them.
    Webhooks,
    /// Status webhooks: end to end with one subscriber, and with none.
    Told,
    /// Memory and start with many messages waiting.
    Waiting,
    /// Memory with large messages that a dead process left.
    Left,
    /// Queries of a large table, against those of a small one.
    Rows,
    /// What a process without anything to do costs the database.
    Idle,
    /// Searches of a long history, and full speed beside them.
    Searches,
    /// Memory with very many connections while PostgreSQL stands still.
    Connections,
    /// WAL, statements and processor time a message.
    Costs,
    /// A long run through weeks of minutes; only when it is named.
    Soak,
    /// What is published again when PostgreSQL was away.
    Outage,
    /// Messages whose tries are spent while answers of claims are lost.
    LostAnswers,
    /// Changes of instances that race.
    Patches,
    /// What fifty instances that have a pace send.
    Paces,
    /// Many readers of many weeks.
    Readers,
    /// A steady rate while a transaction is open, as a dump's is; only when it is named.
    OpenTransaction,
}

/// What takes long, and is made only when it is named.
const LONG: [Measurement; 2] = [Measurement::Soak, Measurement::OpenTransaction];

/// How long a warm-up, or a part that has to be brief, takes at the least.
const SMOKE_SECONDS: u32 = 2;
const SMOKE_ROWS: u32 = 2_000;
const SMOKE_SOAK_SECONDS: u32 = 8;
const SMOKE_PACED_SECONDS: u32 = 10;

impl Arguments {
    pub fn wants(&self, measurement: Measurement) -> bool {
        let is_named = self.only.contains(&measurement);
        is_named || (self.only.is_empty() && (!LONG.contains(&measurement) || self.smoke))
    }

    /// As given, or brief.
    pub fn settled(&self) -> Extent {
        if self.smoke {
            return Extent {
                runs: 1,
                warm_up_seconds: SMOKE_SECONDS,
                seconds: SMOKE_SECONDS,
                flood_seconds: SMOKE_SECONDS,
                sustained_seconds: SMOKE_SECONDS,
                // What any build sustains, on any machine.
                sustained: vec![0.2],
                waiting: SMOKE_ROWS,
                left: 20,
                rows: 2 * SMOKE_ROWS,
                ended: SMOKE_ROWS,
                soak_seconds: SMOKE_SOAK_SECONDS,
                soak_rate: 100.0,
                open_seconds: 3 * SMOKE_SECONDS,
                open_window_seconds: SMOKE_SECONDS,
                open_rest_seconds: SMOKE_SECONDS,
                open_rate: 100.0,
                connections: 200,
                frozen_seconds: SMOKE_SECONDS,
                searchers: 4,
                outage: 500,
                outage_seconds: SMOKE_SECONDS,
                quiet_seconds: SMOKE_SECONDS,
                failing: 50,
                reading_seconds: SMOKE_SECONDS,
                read_weeks: 20,
                small_rows: SMOKE_ROWS,
                calls: 50,
                receipts: SMOKE_ROWS,
                paced_seconds: SMOKE_PACED_SECONDS,
                send_rate: 50.0,
                event_rate: 200.0,
            };
        }
        Extent {
            runs: self.runs,
            warm_up_seconds: self.warm_up_seconds.max(1),
            seconds: self.seconds.max(1),
            flood_seconds: self.flood_seconds.max(1),
            sustained_seconds: self.sustained_seconds.max(1),
            sustained: self.sustained.clone(),
            waiting: self.waiting,
            left: self.left,
            rows: self.rows,
            ended: self.ended,
            soak_seconds: 60 * self.soak_minutes,
            soak_rate: self.soak_rate,
            open_seconds: 60 * self.open_minutes,
            open_window_seconds: 120,
            open_rest_seconds: 60,
            open_rate: self.open_rate,
            connections: self.connections.max(1),
            frozen_seconds: self.frozen_seconds,
            searchers: 20,
            outage: self.outage,
            outage_seconds: self.outage_seconds,
            quiet_seconds: 30,
            failing: 2_000,
            // A search may wait for five seconds, and take as many.
            reading_seconds: self.seconds.max(10),
            read_weeks: MANY_WEEKS,
            small_rows: 10_000.min(self.rows),
            calls: 1_000,
            receipts: self.receipts,
            paced_seconds: self.paced_seconds,
            send_rate: 500.0,
            event_rate: 2_000.0,
        }
    }
}

/// How much is measured.
#[derive(Clone)]
pub struct Extent {
    pub runs: u32,
    pub warm_up_seconds: u32,
    pub seconds: u32,
    pub flood_seconds: u32,
    pub sustained_seconds: u32,
    pub sustained: Vec<f64>,
    pub waiting: u32,
    pub left: u32,
    pub rows: u32,
    pub ended: u32,
    pub soak_seconds: u32,
    pub soak_rate: f64,
    pub open_seconds: u32,
    /// The most that is looked at of its beginning, of its end, and afterwards.
    pub open_window_seconds: u32,
    /// After its end, before that.
    pub open_rest_seconds: u32,
    pub open_rate: f64,
    pub connections: u32,
    pub frozen_seconds: u32,
    /// Clients that search at the same time.
    pub searchers: usize,
    pub outage: u32,
    pub outage_seconds: u32,
    /// Without anything published, after which nothing more is.
    pub quiet_seconds: u32,
    /// Messages that their receiver fails.
    pub failing: u32,
    pub paced_seconds: u32,
    pub reading_seconds: u32,
    pub read_weeks: u32,
    pub small_rows: u32,
    /// Queries of a kind in a run.
    pub calls: usize,
    pub receipts: u32,
    /// A second, beside each other.
    pub send_rate: f64,
    pub event_rate: f64,
}
