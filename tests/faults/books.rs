//! What clients were told, what the rows say, and what the channel got: three books that have to agree.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::clients::{Acceptance, Sent, Told};
use super::duplicates::{Duplicates, Story};
use super::receiver::Call;
use super::row::{Row, rows};
use super::stage::Stage;

pub struct Books<'s> {
    stage: &'s Stage,
    accepted: BTreeMap<&'s str, &'s Acceptance>,
    /// Of idempotency keys that made two.
    errors: Vec<String>,
    rows: BTreeMap<String, Row>,
    calls: BTreeMap<String, Vec<Call>>,
}

pub struct Balance {
    pub delivered: usize,
    pub failed: usize,
    pub errors: Vec<String>,
}

impl<'s> Books<'s> {
    pub async fn of(stage: &'s Stage, sent: &'s Sent) -> Self {
        let mut accepted = BTreeMap::new();
        let mut errors = Vec::new();
        for acceptance in &sent.acceptances {
            if accepted.insert(acceptance.id.as_str(), acceptance).is_some() {
                errors.push(format!("{}: one message for two keys", acceptance.id));
            }
        }
        let mut calls: BTreeMap<String, Vec<Call>> = BTreeMap::new();
        for call in stage.receiver.calls() {
            calls.entry(call.id.clone()).or_default().push(call);
        }
        Self { stage, accepted, errors, rows: rows(stage).await, calls }
    }

    pub fn balance(&self) -> Balance {
        let (mut delivered, mut failed, mut errors) = (0, 0, self.errors.clone());
        let ids: BTreeSet<&str> = self.accepted.keys().copied().chain(self.rows.keys().map(String::as_str)).collect();
        for id in ids {
            match self.end_of(id) {
                Ok(true) => delivered += 1,
                Ok(false) => failed += 1,
                Err(error) => errors.push(format!("{id}: {error}")),
            }
        }
        let unknown = self.calls.keys().filter(|id| !self.rows.contains_key(*id));
        errors.extend(unknown.map(|id| format!("{id}: delivered, and there is no such message")));
        Balance { delivered, failed, errors }
    }

    /// Whether it was delivered, or failed with every try used; what is wrong, if it is neither.
    fn end_of(&self, id: &str) -> Result<bool, String> {
        let row = self.rows.get(id).ok_or("accepted, and lost")?;
        let acceptance = self.accepted.get(id).ok_or("a second message of one key")?;
        let calls = self.calls.get(id).map_or(&[][..], Vec::as_slice);
        if i64::try_from(calls.len()).unwrap() > row.tries + broken_off(calls).min(row.tries) {
            return Err(format!("{} calls for {} tries", calls.len(), row.tries));
        }
        let agrees = match acceptance.told {
            Told::Queued | Told::Pending => true,
            Told::Sent => row.status == "sent",
            Told::Failed => row.status == "failed",
        };
        if !agrees {
            return Err(format!("its client was told {:?}, and it is {}", acceptance.told, row.status));
        }
        let taken = calls.iter().any(|call| call.took);
        match row.status.as_str() {
            "sent" if taken => Ok(true),
            "sent" => Err("said to be sent, and never received".to_owned()),
            // The one try of a message whose caller waits: it is told, and decides.
            "failed" if matches!(acceptance.told, Told::Failed | Told::Pending) && row.tries == 1 => Ok(false),
            "failed" if row.retries >= row.max_retries => Ok(false),
            "failed" => Err(format!("failed after {} of {} tries", row.retries, row.max_retries)),
            open => Err(format!("still {open}")),
        }
    }

    /// Those that the channel took more than once.
    pub fn duplicates(&self) -> Duplicates {
        let mut duplicates = Duplicates::default();
        for (id, calls) in &self.calls {
            if let Some(row) = self.rows.get(id) {
                duplicates.add(&Story { id, calls, row }, &self.stage.disturbances);
            }
        }
        duplicates
    }

    /// From when a client first wanted to send a message until the channel first took it.
    pub fn worst_latency(&self) -> Duration {
        let latencies = self.accepted.iter().filter_map(|(id, acceptance)| {
            let taken = self.calls.get(*id)?.iter().find(|call| call.took)?;
            (taken.at - acceptance.due).to_std().ok()
        });
        latencies.max().unwrap_or_default()
    }

    /// Some of those that are, to look into.
    pub fn open(&self) -> Vec<String> {
        let open = self.rows.iter().filter(|(_, row)| !["sent", "failed"].contains(&row.status.as_str()));
        open.map(|(id, row)| format!("{id} {} after {} tries", row.status, row.tries)).take(20).collect()
    }
}

/// How many of the calls had no answer. One whose connection had been there before is repeated at once, on a new connection: both
/// are one try.
fn broken_off(calls: &[Call]) -> i64 {
    i64::try_from(calls.iter().filter(|call| !call.answered).count()).unwrap()
}
