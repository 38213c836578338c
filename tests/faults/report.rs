use std::fs::File;
use std::io::Write;
use std::sync::Once;
use std::time::Duration;

use super::clients::Sent;
use super::duplicates::Duplicates;
use super::setting::Setting;

/// One line of the table.
pub struct Report<'r> {
    pub fault: &'static str,
    pub setting: Setting,
    /// From the first fault to the end of the last, servers started again.
    pub lasted: Duration,
    pub sent: &'r Sent,
    pub delivered: usize,
    pub failed: usize,
    pub duplicates: &'r Duplicates,
    pub open: usize,
    /// From when the last message was accepted until nothing was open.
    pub recovery: Duration,
    pub worst_latency: Duration,
}

const HEAD: &str = "| fault | mode | lasted | accepted | delivered | failed, tries used | duplicates and why | open after 60 s | \
    nothing open after | worst latency | longest refusal | refused with |\n|---|---|--:|--:|--:|--:|---|--:|--:|--:|--:|---|";

impl Report<'_> {
    /// To the terminal, and to the file that `FAULTS_REPORT` names.
    pub fn publish(&self) {
        static HEAD_PRINTED: Once = Once::new();
        HEAD_PRINTED.call_once(|| publish(HEAD));
        publish(&self.line());
    }

    fn line(&self) -> String {
        let seconds = |time: Duration| format!("{:.1} s", time.as_secs_f64());
        let cells = [
            self.fault.to_owned(),
            self.setting.name().to_owned(),
            seconds(self.lasted),
            self.sent.acceptances.len().to_string(),
            self.delivered.to_string(),
            self.failed(),
            self.duplicates(),
            self.open.to_string(),
            seconds(self.recovery),
            seconds(self.worst_latency),
            seconds(self.sent.longest_refusal()),
            counted(self.sent.refusals.iter()),
        ];
        format!("| {} |", cells.join(" | "))
    }

    fn failed(&self) -> String {
        match self.duplicates.taken_though_failed {
            0 => self.failed.to_string(),
            taken => format!("{} ({taken} of them taken)", self.failed),
        }
    }

    fn duplicates(&self) -> String {
        let mut told = vec![self.duplicates.total().to_string()];
        if !self.duplicates.by_reason.is_empty() {
            told.push(format!("({})", counted(self.duplicates.by_reason.iter())));
        }
        if !self.duplicates.without_reason.is_empty() {
            told.push(format!("{} WITHOUT A REASON", self.duplicates.without_reason.len()));
        }
        told.join(" ")
    }
}

fn counted<'c>(counts: impl Iterator<Item = (&'c String, &'c usize)>) -> String {
    counts.map(|(what, count)| format!("{count} {what}")).collect::<Vec<_>>().join(", ")
}

fn publish(line: &str) {
    println!("{line}");
    if let Some(path) = std::env::var_os("FAULTS_REPORT") {
        let mut file = File::options().create(true).append(true).open(path).unwrap();
        writeln!(file, "{line}").unwrap();
    }
}
