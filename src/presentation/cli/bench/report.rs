//! What a run found out: as a table for people, as one line of JSON for programs.

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::time::Duration;

use serde::Serialize;

use super::instances::States;
use super::latency::LatencySummary;
use super::load::Mode;
use super::tally::{Answers, Arrivals};

/// At most this many different errors are listed; the rest is only counted.
const ERRORS_LISTED: usize = 5;

/// What the run was asked to do.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Options {
    pub url: String,
    pub channel: &'static str,
    pub mode: Mode,
    pub messages: Option<u64>,
    pub duration_seconds: Option<f64>,
    /// Messages a second; null: as fast as the connections allow.
    pub rate: Option<f64>,
    pub concurrency: u32,
    /// Bytes of text.
    pub payload_size: u32,
    pub recipients: u64,
    pub instances: u64,
}

/// How the server answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AnsweredMode {
    Direct,
    Kafka,
    /// Processes in either mode behind one address.
    Mixed,
    /// It accepted nothing.
    None,
}

/// One kind of error, and how often it happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ErrorCount {
    pub error: String,
    pub count: u64,
}

/// Rates are a second; what was not measured is null.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    pub mode: AnsweredMode,
    pub accepted: u64,
    /// From the first send to the last accept.
    pub accepted_per_second: f64,
    pub accept_ms: Option<LatencySummary>,
    /// Different messages that the receiver got.
    pub delivered: Option<u64>,
    /// From the first send to the last delivery.
    pub delivered_per_second: Option<f64>,
    pub end_to_end_ms: Option<LatencySummary>,
    pub duplicates: Option<u64>,
    /// Accepted, and not delivered within the wait.
    pub undelivered: Option<u64>,
    /// Requests that were not accepted.
    pub errors: u64,
    pub errors_by_kind: Vec<ErrorCount>,
    /// Messages that were to be sent and were not.
    pub unsent: u64,
    pub states: Option<States>,
    pub options: Options,
}

impl Report {
    pub fn new(
        options: Options,
        answers: &Answers,
        arrivals: Option<&Arrivals>,
        unsent: u64,
        states: Option<States>,
    ) -> Self {
        Self {
            mode: match (answers.direct, answers.kafka) {
                (0, 0) => AnsweredMode::None,
                (_, 0) => AnsweredMode::Direct,
                (0, _) => AnsweredMode::Kafka,
                _ => AnsweredMode::Mixed,
            },
            accepted: answers.accepted.len(),
            accepted_per_second: per_second(answers.accepted.len(), answers.last),
            accept_ms: answers.latencies.summary(),
            delivered: arrivals.map(|it| it.delivered.len()),
            delivered_per_second: arrivals.map(|it| per_second(it.delivered.len(), it.last)),
            end_to_end_ms: arrivals.and_then(|it| it.latencies.summary()),
            duplicates: arrivals.map(|it| it.duplicates),
            undelivered: arrivals.map(|it| answers.accepted.not_in(&it.delivered)),
            errors: answers.failed(),
            errors_by_kind: most_frequent(&answers.errors),
            unsent,
            states,
            options,
        }
    }

    /// Why the run was not a success, in a sentence.
    pub fn shortcomings(&self) -> Option<String> {
        let shortcomings = [
            (self.errors, "were not accepted"),
            (self.unsent, "were not sent in their time"),
            (self.undelivered.unwrap_or(0), "were accepted and not delivered"),
        ];
        let mut shortcomings: Vec<String> = shortcomings
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{count} {what}"))
            .collect();
        if shortcomings.is_empty() && self.accepted == 0 {
            shortcomings.push("none was sent".to_owned());
        }
        (!shortcomings.is_empty()).then(|| format!("of the messages, {}", shortcomings.join(", ")))
    }

    /// # Errors
    /// Never, for numbers and texts.
    pub fn json(&self) -> Result<String, String> {
        serde_json::to_string(self).map_err(|error| format!("the report cannot be written: {error}"))
    }
}

fn per_second(count: u64, time: Duration) -> f64 {
    if time.is_zero() { 0.0 } else { count as f64 / time.as_secs_f64() }
}

fn most_frequent(errors: &BTreeMap<String, u64>) -> Vec<ErrorCount> {
    let mut counted: Vec<ErrorCount> =
        errors.iter().map(|(error, &count)| ErrorCount { error: error.clone(), count }).collect();
    counted.sort_by_key(|error| std::cmp::Reverse(error.count));
    counted.truncate(ERRORS_LISTED);
    counted
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mode = match self.mode {
            AnsweredMode::Direct => "direct",
            AnsweredMode::Kafka => "kafka",
            AnsweredMode::Mixed => "mixed",
            AnsweredMode::None => "none",
        };
        row(f, "mode", mode)?;
        row(f, "accepted", &format!("{}   {:.1}/s", self.accepted, self.accepted_per_second))?;
        if let (Some(delivered), Some(rate)) = (self.delivered, self.delivered_per_second) {
            row(f, "delivered", &format!("{delivered}   {rate:.1}/s"))?;
        }
        for (name, count) in [("duplicates", self.duplicates), ("undelivered", self.undelivered)] {
            if let Some(count) = count {
                row(f, name, &count.to_string())?;
            }
        }
        if self.unsent > 0 {
            row(f, "unsent", &self.unsent.to_string())?;
        }
        row(f, "errors", &self.errors.to_string())?;
        for error in &self.errors_by_kind {
            row(f, "", &format!("{} x {}", error.count, error.error))?;
        }
        let heading = ["p50", "p95", "p99", "max"].iter().fold(String::new(), |mut text, name| {
            let _never_fails = write!(text, "{name:>12}");
            text
        });
        row(f, "latency (ms)", &heading)?;
        for (name, summary) in [("accept", self.accept_ms), ("end to end", self.end_to_end_ms)] {
            if let Some(LatencySummary { p50, p95, p99, max }) = summary {
                row(f, name, &format!("{p50:>12.2}{p95:>12.2}{p99:>12.2}{max:>12.2}"))?;
            }
        }
        if let Some(states) = &self.states {
            let counted: Vec<String> = states
                .by_name()
                .iter()
                .filter(|(_, count)| *count > 0)
                .map(|(name, count)| format!("{count} {name}"))
                .collect();
            row(f, "states", if counted.is_empty() { "none".to_owned() } else { counted.join(", ") }.as_str())?;
        }
        Ok(())
    }
}

fn row(f: &mut fmt::Formatter<'_>, name: &str, value: &str) -> fmt::Result {
    writeln!(f, "{name:<14}{value}")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn options() -> Options {
        Options {
            url: "http://127.0.0.1:3000".to_owned(),
            channel: "webhook",
            mode: Mode::Auto,
            messages: Some(3),
            duration_seconds: None,
            rate: None,
            concurrency: 1,
            payload_size: 100,
            recipients: 1,
            instances: 1,
        }
    }

    fn two_of_three() -> (Answers, Arrivals) {
        let (mut answers, mut arrivals) = (Answers::new().unwrap(), Arrivals::new().unwrap());
        for sequence in 0..2 {
            answers.accepted.insert(sequence);
            answers.latencies.record(Duration::from_millis(2));
        }
        answers.kafka = 2;
        answers.last = Duration::from_millis(500);
        answers.errors.insert("HTTP 503 unavailable".to_owned(), 1);
        arrivals.arrive(1, Duration::ZERO, Duration::from_secs(1));
        (answers, arrivals)
    }

    #[test]
    fn a_run_is_told_in_numbers() {
        let (answers, arrivals) = two_of_three();
        let states = States { sent: 1, queued: 1, total: 2, ..States::default() };
        let report = Report::new(options(), &answers, Some(&arrivals), 0, Some(states));
        let json: Value = serde_json::from_str(&report.json().unwrap()).unwrap();
        assert_eq!(
            (&json["mode"], &json["accepted"], &json["acceptedPerSecond"]),
            (&json!("kafka"), &json!(2), &json!(4.0))
        );
        assert_eq!((&json["delivered"], &json["deliveredPerSecond"]), (&json!(1), &json!(1.0)));
        assert_eq!((&json["undelivered"], &json["duplicates"], &json["errors"]), (&json!(1), &json!(0), &json!(1)));
        assert_eq!(json["errorsByKind"], json!([{ "error": "HTTP 503 unavailable", "count": 1 }]));
        assert_eq!((&json["states"]["sent"], &json["options"]["payloadSize"]), (&json!(1), &json!(100)));
        let p50 = json["acceptMs"]["p50"].as_f64().unwrap();
        assert!((p50 - 2.0).abs() < 0.01, "{p50}");
        assert_eq!(
            report.shortcomings().unwrap(),
            "of the messages, 1 were not accepted, 1 were accepted and not delivered"
        );
        let table = report.to_string();
        for word in ["kafka", "4.0/s", "1 x HTTP 503 unavailable", "1 queued, 1 sent", "end to end"] {
            assert!(table.contains(word), "{word}: {table}");
        }
    }

    #[test]
    fn what_was_not_measured_is_null() {
        let report = Report::new(options(), &Answers::new().unwrap(), None, 0, None);
        let json: Value = serde_json::from_str(&report.json().unwrap()).unwrap();
        for name in ["delivered", "deliveredPerSecond", "endToEndMs", "acceptMs", "states"] {
            assert_eq!(json.get(name), Some(&Value::Null), "{name}");
        }
        assert_eq!(json["acceptedPerSecond"], json!(0.0));
        assert_eq!(report.shortcomings().unwrap(), "of the messages, none was sent");
    }

    #[test]
    fn five_kinds_of_errors_are_told_the_most_frequent_first() {
        let errors = (0..9).map(|kind| (format!("kind {kind}"), kind)).collect();
        let counts: Vec<u64> = most_frequent(&errors).iter().map(|error| error.count).collect();
        assert_eq!(counts, [8, 7, 6, 5, 4]);
    }
}
