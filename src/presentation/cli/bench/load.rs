//! The load: workers with a connection each, which send what is due.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use clap::ValueEnum;
use hyper::StatusCode;
use hyper::http::request::Parts;
use serde::Serialize;
use tokio::task::JoinSet;

use super::client::{Answer, CallError, Connection};
use super::message::Template;
use super::schedule::{Schedule, Turn};
use super::tally::Answers;

/// How long a worker leaves a server alone that it cannot connect to.
const PAUSE: Duration = Duration::from_millis(100);

/// How the server is to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Either way; the report says which.
    Auto,
    /// 200: it delivers while we wait.
    Direct,
    /// 202: it delivers later.
    Kafka,
}

/// What the workers share.
pub struct Load {
    pub schedule: Schedule,
    pub answers: Mutex<Answers>,
    pub mode: Mode,
    /// Of a request to send.
    pub head: Parts,
}

impl Load {
    /// Sends with these connections until there is nothing left to send.
    pub async fn run(self: &Arc<Self>, connections: Vec<Connection>, template: &Template) {
        let pace = {
            let (load, workers) = (self.clone(), connections.len());
            tokio::task::spawn_blocking(move || load.schedule.keep_the_rate(workers))
        };
        let mut workers = JoinSet::new();
        for connection in connections {
            workers.spawn(self.clone().work(connection, template.clone()));
        }
        while workers.join_next().await.is_some() {}
        let _it_ends_with_the_turns = pace.await;
    }

    async fn work(self: Arc<Self>, mut connection: Connection, mut template: Template) {
        while let Some(turn) = self.schedule.next().await {
            let body = template.fill(turn.sequence, u64::try_from(turn.start.as_micros()).unwrap_or(0));
            let answer = connection.call(&self.head, body).await;
            let unreachable = matches!(answer, Err(CallError::Unreachable(_)));
            self.note(turn, answer, self.schedule.began().elapsed());
            if unreachable {
                tokio::time::sleep(PAUSE).await;
            }
        }
    }

    fn note(&self, turn: Turn, answer: Result<Answer, CallError>, now: Duration) {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let error = match answer {
            Ok(answer) => match answer.status {
                StatusCode::OK => {
                    answers.direct += 1;
                    None
                }
                StatusCode::ACCEPTED => {
                    answers.kafka += 1;
                    None
                }
                _ => Some(answer.kind()),
            },
            Err(error) => Some(error.to_string()),
        };
        if let Some(error) = error {
            *answers.errors.entry(error).or_default() += 1;
            return;
        }
        answers.accepted.insert(turn.sequence);
        answers.latencies.record(now.saturating_sub(turn.start));
        answers.last = now;
        if self.contradiction(&answers).is_some() {
            self.schedule.stop.cancel();
        }
    }

    /// What is wrong with the server's mode; None when it is the one that was asked for.
    pub fn contradiction(&self, answers: &Answers) -> Option<&'static str> {
        match self.mode {
            Mode::Direct if answers.kafka > 0 => {
                Some("the server answers 202: it runs in Kafka mode, and --mode says direct")
            }
            Mode::Kafka if answers.direct > 0 => {
                Some("the server answers 200: it runs in direct mode, and --mode says kafka")
            }
            _ => None,
        }
    }
}
