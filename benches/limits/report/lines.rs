//! What the table says of each figure, and what is asked of it.

use crate::figures::{Aspect, Cost, FEW_WEEKS, Figure, MANY_WEEKS, Query, SINGLE_WEEKS};

/// What a line of the table is about.
#[derive(Clone)]
pub struct Line {
    pub what: String,
    pub figure: Figure,
    pub unit: &'static str,
    /// With what it is compared; without, the target is for the figure itself.
    pub against: Option<(&'static str, Figure)>,
    pub target: Option<Target>,
}

#[derive(Clone, Copy)]
pub enum Target {
    /// More is better: what is asked for, and what is hoped for.
    AtLeast(f64, f64),
    /// Less is better.
    AtMost(f64, f64),
}

impl Target {
    pub fn sides(self) -> (&'static str, f64, f64) {
        match self {
            Self::AtLeast(asked, hoped) => (">=", asked, hoped),
            Self::AtMost(asked, hoped) => ("<=", asked, hoped),
        }
    }

    pub fn verdict(self, value: f64) -> &'static str {
        let reaches = |limit: f64| match self {
            Self::AtLeast(..) => value >= limit,
            Self::AtMost(..) => value <= limit,
        };
        let (_, asked, hoped) = self.sides();
        match (reaches(asked), reaches(hoped)) {
            (_, true) => "yes, the aim",
            (true, false) => "yes",
            (false, false) => "no",
        }
    }
}

pub fn lines() -> Vec<Line> {
    use Figure::*;
    use Target::{AtLeast, AtMost};
    let line = |what: &str, figure, unit| Line { what: what.to_owned(), figure, unit, against: None, target: None };
    let against = |line, against, target| Line { against: Some(against), target, ..line };
    let target = |line, target| Line { target: Some(target), ..line };
    let (pgbench, health) = (("pgbench", Inserts), ("/health/live", Health));
    let mut lines = vec![
        line("plain inserts, pgbench, 64 clients", Inserts, "/s"),
        line("/health/live, 128 connections", Health, "/s"),
        against(line("durable accepts, 128 connections", Accepts, "/s"), pgbench, Some(AtLeast(2.0, 2.5))),
        against(line("durable accepts, 128 connections", Accepts, "/s"), health, Some(AtLeast(0.4, 0.5))),
        line("open loop: half of that, at most 5,000", OpenLoop, "/s"),
        line("the receiver's p99, under that load", ReceiverP99, "ms"),
        line("accept p50, under that load", AcceptMedian, "ms"),
        target(line("accept p99, under that load", AcceptP99, "ms"), AtMost(10.0, 5.0)),
        against(line("end to end, sustained", Sustained, "/s"), pgbench, Some(AtLeast(0.8, 1.0))),
        against(line("end to end, flood", Flood, "/s"), pgbench, None),
        against(line("the same, one instance's share", FloodOfShare, "/s"), ("flood", Flood), None),
        line("accepted to sent p99, 200/s", AloneP99, "ms"),
        against(
            line("the same beside an instance that hangs", BesideP99, "ms"),
            ("alone", AloneP99),
            Some(AtMost(3.0, 1.5)),
        ),
        line("one partition at 500/s", PartitionAlone, "/s"),
        against(
            line("the same beside an instance that hangs", PartitionBeside, "/s"),
            ("alone", PartitionAlone),
            Some(AtLeast(0.8, 0.95)),
        ),
        target(line("records published again after PostgreSQL was away", RepublishedRecords, ""), AtMost(2_000.0, 0.0)),
        target(line("failed with fewer calls than tries, claims unanswered", FailedEarly, ""), AtMost(0.0, 0.0)),
        target(line("changes lost, of racing PATCHes", LostPatches, ""), AtMost(0.0, 0.0)),
        target(line("50 instances at 600 a minute, of what their paces allow", PacedShare, ""), AtLeast(0.99, 0.999)),
        target(line("requests refused, many readers of many weeks", RefusedReads, ""), AtMost(0.0, 0.0)),
        line("one plain insert, pgbench, p50", Commit, "ms"),
        line("calling the receiver oneself, p50", ReceiverMedian, "ms"),
        line("direct mode, p50", DirectMedian, "ms"),
        target(line("added by direct mode, above two commits", DirectAdds, "ms"), AtMost(1.0, 0.5)),
        line("memory of the API, messages waiting", ApiMemory, "MB"),
        target(line("memory of a worker, messages waiting", WorkerMemory, "MB"), AtMost(200.0, 100.0)),
        target(
            line("peak memory: due messages of 1 MiB left by a dead process", LeftDirectMemory, "MB"),
            AtMost(300.0, 150.0),
        ),
        target(line("the same through Kafka", LeftKafkaMemory, "MB"), AtMost(300.0, 150.0)),
        line("a worker alone, working them off", Drain, "/s"),
        target(line("start to ready, messages waiting", Start, "s"), AtMost(2.0, 1.0)),
    ];
    for query in Query::ALL {
        let large = line(&format!("{}, large table", query.name()), Large(query), "us");
        lines.push(against(large, ("the small one", Small(query)), Some(AtMost(1.5, 1.2))));
    }
    for (weeks, most) in [(FEW_WEEKS, 4.0), (MANY_WEEKS, 6.0)] {
        let look = line(&format!("the relay's look with nothing due, {weeks} weeks"), Look(weeks), "ms");
        lines.push(target(look, AtMost(most, 1.0)));
        let idle = line(&format!("PostgreSQL for an idle process, {weeks} weeks"), IdleProcessor(weeks), "% of a core");
        lines.push(target(idle, AtMost(2.0, 0.5)));
    }
    for (what, late, early, unit) in [
        ("memory late in a long run", LateMemory, EarlyMemory, "MB"),
        ("tables and indexes late in a long run", LateTables, EarlyTables, "MB"),
        ("the relay's look late in a long run", LateLook, EarlyLook, "ms"),
    ] {
        lines.push(against(line(what, late, unit), ("early", early), Some(AtMost(1.2, 1.05))));
    }
    lines.extend([
        target(line("20 searches of one kind at once: the slowest", SlowestSearch, "ms"), AtMost(1_000.0, 100.0)),
        line("searches that were refused", RefusedSearches, ""),
        line("end to end, flood, with a long history", FloodBesideNone, "/s"),
        against(
            line("end to end, flood, beside 20 searches", FloodBesideSearches, "/s"),
            ("without", FloodBesideNone),
            Some(AtLeast(0.7, 0.9)),
        ),
        target(line("peak memory of the API, PostgreSQL frozen", FrozenMemory, "MB"), AtMost(400.0, 250.0)),
    ]);
    for aspect in Aspect::ALL {
        let of = |when: &str, figure| line(&format!("{}, {when}", aspect.name()), figure, "ms");
        let just_opened = ("just opened", JustOpened(aspect));
        let held = of("a transaction open for long", LongOpen(aspect));
        let after = of("a minute after it has ended", MinuteAfter(aspect));
        lines.extend([
            of("a transaction just opened", JustOpened(aspect)),
            against(held, just_opened, Some(AtMost(2.0, 1.2))),
            against(after, just_opened, Some(AtMost(1.2, 1.0))),
        ]);
    }
    let weeks = |weeks: u32| line(&format!("a receipt, {weeks} weeks"), ReceiptCost(weeks), "us");
    lines.extend([
        line("one-row updates by their keys, pgbench, 64 clients", Updates, "/s"),
        against(
            line("receipts applied, 128 connections", Receipts, "/s"),
            ("pgbench", Updates),
            Some(AtLeast(1.5, 3.0)),
        ),
        against(weeks(MANY_WEEKS), ("a few weeks", ReceiptCost(SINGLE_WEEKS)), Some(AtMost(1.2, 1.0))),
        line("a send's p99 at 500/s", SendP99, "ms"),
        against(
            line("the same beside 2,000 provider events/s", SendBesideEventsP99, "ms"),
            ("alone", SendP99),
            Some(AtMost(2.0, 1.2)),
        ),
        line("end to end, flood, before there were status webhooks", FloodBeforeSubscribers, "/s"),
        against(
            line("end to end, flood, status webhooks nobody asked for", FloodOfNoSubscribers, "/s"),
            ("before", FloodBeforeSubscribers),
            Some(AtLeast(0.98, 1.0)),
        ),
        against(
            line("end to end, flood, one subscriber told of everything", FloodTold, "/s"),
            ("none", FloodOfNoSubscribers),
            Some(AtLeast(0.4, 0.5)),
        ),
    ]);
    let sqlite = line("accepts into SQLite", SqliteAccepts, "/s");
    lines.push(against(sqlite, ("PostgreSQL", PostgresAccepts), Some(AtLeast(0.5, 0.5))));
    let into_database = line("webhooks into the database, 128 connections", Webhooks, "/s");
    let into_files = line("webhooks into the spool, 128 connections", SpooledWebhooks, "/s");
    lines.extend([
        against(into_database, ("single sends", SendsBesideWebhooks), Some(AtLeast(0.4, 0.7))),
        against(into_files, ("appends that share syncs", Appends), Some(AtLeast(0.3, 0.6))),
        target(line("webhooks out of the spool", DrainedWebhooks, "/s"), AtLeast(5_000.0, 20_000.0)),
    ]);
    for (of, costs) in [("an accepted", AcceptCosts as fn(Cost) -> Figure), ("a delivered", WholeCosts)] {
        lines.push(line(&format!("WAL of {of} message"), costs(Cost::Wal), "B"));
        lines.push(line(&format!("statements of {of} message"), costs(Cost::Statements), ""));
        lines.push(line(&format!("processor time of {of} message"), costs(Cost::Processor), "us"));
    }
    lines
}
