use std::collections::BTreeMap;

use serde_json::Value;

use crate::Result;
use crate::connection::Answer;

/// How many kinds are shown.
const SHOWN: usize = 12;

/// Requests, and how those were refused that were.
#[derive(Default)]
pub struct Refusals {
    requests: u64,
    /// By what was asked and answered.
    kinds: BTreeMap<String, u64>,
}

impl Refusals {
    pub fn count_in(&mut self, asked: &str, answer: Result<Answer>) {
        self.requests += 1;
        let kind = match answer {
            Ok(answer) if matches!(answer.status, 200 | 202) => return,
            Ok(answer) => format!("{asked}: {} {}", answer.status, reason(answer.body())),
            Err(error) => format!("{asked}: {error}"),
        };
        *self.kinds.entry(kind).or_default() += 1;
    }

    pub fn add(&mut self, others: Self) {
        self.requests += others.requests;
        for (kind, count) in others.kinds {
            *self.kinds.entry(kind).or_default() += count;
        }
    }

    pub fn count(&self) -> u64 {
        self.kinds.values().sum()
    }

    /// On standard error, the most frequent first.
    pub fn say(&self) {
        eprintln!("  {} of {} requests were refused", self.count(), self.requests);
        let mut kinds: Vec<_> = self.kinds.iter().collect();
        kinds.sort_unstable_by_key(|(_, count)| std::cmp::Reverse(**count));
        for (kind, count) in kinds.into_iter().take(SHOWN) {
            eprintln!("    {count} times {kind}");
        }
    }
}

/// What the body of a problem says.
fn reason(body: &str) -> String {
    let problem: Value = serde_json::from_str(body).unwrap_or_default();
    let said = problem["detail"].as_str().or_else(|| problem["title"].as_str());
    said.unwrap_or("without a reason").to_owned()
}
