//! What was measured, round by round.

use std::collections::BTreeMap;

/// Of what a figure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Figure {
    /// A second, by pgbench with 64 clients.
    Inserts,
    /// Milliseconds of one insert, by pgbench with one client.
    Commit,
    /// A second.
    Health,
    /// A second.
    Accepts,
    /// Requests a second: half of that rate, or less.
    OpenLoop,
    /// Milliseconds, at that rate.
    AcceptMedian,
    AcceptP99,
    /// Milliseconds, of the same load on the receiver.
    ReceiverP99,
    /// Messages a second, until the last was sent.
    Flood,
    /// Likewise, through one instance with its default share of the workers.
    FloodOfShare,
    /// Messages a second, without a backlog that grows.
    Sustained,
    /// Milliseconds until a message of an instance is sent, alone and beside one whose receiver hangs.
    AloneP99,
    BesideP99,
    /// Messages a second through one partition, likewise.
    PartitionAlone,
    PartitionBeside,
    /// Records of messages that had one before PostgreSQL was away.
    RepublishedRecords,
    /// Messages that failed with fewer calls than they have tries, since answers of claims were lost.
    FailedEarly,
    /// Changes of instances that were answered, and are not there.
    LostPatches,
    /// Calls of instances that have a pace, in shares of what it allows.
    PacedShare,
    /// Requests that were not answered as they should be, while many read.
    RefusedReads,
    /// Milliseconds of a request in direct mode, of a call of the receiver, and of what is between them.
    DirectMedian,
    ReceiverMedian,
    DirectAdds,
    /// Events a second that a CRM reports into the database, beside single sends, and into files, beside appends that share
    /// their syncs; and out of the files.
    SendsBesideWebhooks,
    Webhooks,
    Appends,
    SpooledWebhooks,
    DrainedWebhooks,
    /// Accepts a second where accepting is all the work, by the database they go into.
    SqliteAccepts,
    PostgresAccepts,
    /// Megabytes.
    ApiMemory,
    WorkerMemory,
    /// Megabytes, of a process that takes over large messages, in direct mode and through Kafka.
    LeftDirectMemory,
    LeftKafkaMemory,
    /// Messages a second of a worker that works off what waits.
    Drain,
    /// Seconds.
    Start,
    /// Microseconds.
    Small(Query),
    Large(Query),
    /// Milliseconds of the relay's look, with nothing due and so many weeks.
    Look(u32),
    /// Hundredths of a core, of PostgreSQL for one process, likewise.
    IdleProcessor(u32),
    /// Megabytes of the program and of all tables, and milliseconds of a look, early and late in a long run.
    EarlyMemory,
    LateMemory,
    EarlyTables,
    LateTables,
    EarlyLook,
    LateLook,
    /// Milliseconds of the slowest of all searches, and how many were refused.
    SlowestSearch,
    RefusedSearches,
    /// Messages a second with a long history, until the last was sent, alone and beside searches.
    FloodBesideNone,
    FloodBesideSearches,
    /// Megabytes, of a process with very many requests that PostgreSQL does not answer.
    FrozenMemory,
    /// Milliseconds, while a transaction that was just opened is, at the end of one that was open for long, and from a minute
    /// after that on.
    JustOpened(Aspect),
    LongOpen(Aspect),
    MinuteAfter(Aspect),
    /// Rows a second, by pgbench with 64 clients, and receipts a second that move their messages, likewise.
    Updates,
    Receipts,
    /// Microseconds of a receipt, with so many weeks.
    ReceiptCost(u32),
    /// Milliseconds of a send at a steady rate, alone and while a provider reports.
    SendP99,
    SendBesideEventsP99,
    /// Messages a second, until the last was sent and told: without what notes changes, where nobody has subscribed, and with one
    /// subscriber of everything.
    FloodBeforeSubscribers,
    FloodOfNoSubscribers,
    FloodTold,
    /// A message, for accepting it and for all of its way.
    AcceptCosts(Cost),
    WholeCosts(Cost),
}

/// Weeks of an installation that is new, and of one that is three years old.
pub const FEW_WEEKS: u32 = 10;
/// Those that a process makes by itself.
pub const SINGLE_WEEKS: u32 = 5;
pub const MANY_WEEKS: u32 = 160;

/// What is asked of a table with many rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Query {
    Claim,
    Find,
    Status,
    FailedPage,
    TakeNothing,
}

impl Query {
    pub const ALL: [Self; 5] = [Self::Claim, Self::Find, Self::Status, Self::FailedPage, Self::TakeNothing];

    pub const LAST: Self = Self::TakeNothing;

    pub fn name(self) -> &'static str {
        match self {
            Self::Claim => "claiming one message",
            Self::Find => "finding one by its id",
            Self::Status => "one message with its attempts",
            Self::FailedPage => "a page of a tenant's failed ones",
            Self::TakeNothing => "the relay, when nothing is due",
        }
    }
}

/// What a transaction that is open makes slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Aspect {
    /// The p99 of accepts.
    Accept,
    /// The p99 from accepted to sent.
    Sent,
    /// The median of the relay's looks.
    Look,
}

impl Aspect {
    pub const ALL: [Self; 3] = [Self::Accept, Self::Sent, Self::Look];

    pub fn name(self) -> &'static str {
        match self {
            Self::Accept => "accept p99",
            Self::Sent => "accepted to sent p99",
            Self::Look => "the relay's look",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cost {
    /// Bytes.
    Wal,
    Statements,
    /// Microseconds of the server's processor time.
    Processor,
}

/// The figures of each build, by round.
#[derive(Default)]
pub struct Figures(BTreeMap<(Figure, &'static str), BTreeMap<u32, f64>>);

impl Figures {
    /// Says it, too: whoever waits sees that something happens.
    pub fn record(&mut self, build: &'static str, round: u32, figure: Figure, value: f64) {
        eprintln!("  {figure:?} ({build}): {value:.3}");
        self.0.entry((figure, build)).or_default().insert(round, value);
    }

    /// Of every round; empty where it was not measured.
    pub fn of(&self, build: &'static str, figure: Figure) -> Vec<f64> {
        self.0.get(&(figure, build)).map(|rounds| rounds.values().copied().collect()).unwrap_or_default()
    }

    /// Of this round.
    pub fn in_round(&self, build: &'static str, round: u32, figure: Figure) -> Option<f64> {
        self.0.get(&(figure, build))?.get(&round).copied()
    }

    /// Of each round that has both, how one compares with the other.
    pub fn ratios(&self, (build, figure): (&'static str, Figure), (other, limit): (&'static str, Figure)) -> Vec<f64> {
        let rounds = self.0.get(&(figure, build)).into_iter().flatten();
        let ratios = rounds.filter_map(|(round, value)| Some(value / self.in_round(other, *round, limit)?));
        // Nothing compares with a count of 0.
        ratios.filter(|ratio| ratio.is_finite()).collect()
    }
}
