//! What a tenant looks for in its messages.

use std::time::{Duration, Instant};

use chrono::Utc;

use super::long_history::{
    CHANNEL, FREQUENT_RECIPIENT, LARGEST_INSTANCE, RARE_CHANNEL, RARE_INSTANCE, RARE_RECIPIENT, RECIPIENT,
    SMALL_INSTANCE,
};
use crate::Result;
use crate::connection::Connection;
use crate::requests;

/// A search that takes longer has failed: its client is gone.
const LONGEST: Duration = Duration::from_secs(60);

/// A query of `GET /messages`.
#[derive(Clone)]
pub struct Filter {
    pub query: String,
    /// Whether there is a message that it has to find.
    finds: bool,
}

pub struct Search {
    pub took: Duration,
    /// With a 5xx, or not answered at all.
    pub was_refused: bool,
}

impl Filter {
    /// Asks for the first page.
    ///
    /// # Errors
    /// When the server does not understand it, or does not find what is there.
    pub async fn ask(&self, connection: &mut Connection) -> Result<Search> {
        let request = requests::search(&self.query);
        let begin = Instant::now();
        let answer = tokio::time::timeout(LONGEST, connection.answer_to(&request)).await;
        let took = begin.elapsed();
        match answer {
            Ok(Ok(answer)) if answer.status == 200 => {
                if self.finds && !answer.text().contains(r#""data":[{"#) {
                    return Err(format!("{} finds nothing", self.query).into());
                }
                Ok(Search { took, was_refused: false })
            }
            Ok(Ok(answer)) if answer.status < 500 => {
                Err(format!("{} was answered with {}: {}", self.query, answer.status, answer.text()).into())
            }
            _ => Ok(Search { took, was_refused: true }),
        }
    }
}

/// Each filter alone, with much and with little to find, and some together.
pub fn filters(has_cancelled: bool) -> Vec<Filter> {
    let [yesterday, ten_weeks_ago, weeks_ago, long_ago] = [1, 70, 71, 129].map(days_ago);
    let found = [
        "limit=50".to_owned(),
        "status=queued".to_owned(),
        "status=sent".to_owned(),
        "status=delivered".to_owned(),
        "status=read".to_owned(),
        "status=failed".to_owned(),
        format!("remoteJid={FREQUENT_RECIPIENT}"),
        format!("remoteJid={RECIPIENT}"),
        format!("remoteJid={RARE_RECIPIENT}"),
        format!("channel={CHANNEL}"),
        format!("channel={RARE_CHANNEL}"),
        format!("channelInstanceId={LARGEST_INSTANCE}"),
        format!("channelInstanceId={SMALL_INSTANCE}"),
        format!("channelInstanceId={RARE_INSTANCE}"),
        format!("createdAfter={yesterday}"),
        format!("createdAfter={long_ago}"),
        format!("createdBefore={yesterday}"),
        format!("createdBefore={long_ago}"),
        format!("createdAfter={weeks_ago}&createdBefore={ten_weeks_ago}"),
        format!("status=failed&channel={CHANNEL}"),
        format!("status=failed&createdBefore={long_ago}"),
        format!("status=sent&remoteJid={RARE_RECIPIENT}"),
        format!("channel={CHANNEL}&channelInstanceId={LARGEST_INSTANCE}&createdBefore={ten_weeks_ago}"),
    ];
    let perhaps = [
        "status=pending".to_owned(),
        "status=processing".to_owned(),
        format!("status=failed&remoteJid={FREQUENT_RECIPIENT}"),
        format!("status=read&remoteJid={FREQUENT_RECIPIENT}"),
        format!("status=failed&channelInstanceId={RARE_INSTANCE}"),
        format!("status=read&createdAfter={weeks_ago}&createdBefore={ten_weeks_ago}"),
        format!("remoteJid={RECIPIENT}&createdBefore={ten_weeks_ago}"),
    ];
    let cancelled = has_cancelled.then(|| "status=cancelled".to_owned());
    let found = found.into_iter().chain(cancelled).map(|query| Filter { query, finds: true });
    found.chain(perhaps.map(|query| Filter { query, finds: false })).collect()
}

fn days_ago(days: i64) -> String {
    (Utc::now() - chrono::Duration::days(days)).format("%Y-%m-%dT%H:%M:%SZ").to_string()
}
