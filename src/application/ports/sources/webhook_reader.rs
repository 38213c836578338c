use serde_json::Value;

use crate::domain::Timestamp;

/// Reads what a CRM posts.
pub trait WebhookReader: Send + Sync {
    /// # Errors
    /// When it does not say what it is about, or what happened to that.
    fn read(&self, body: &[u8]) -> Result<Report, NotAReport>;
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it names neither what it is about nor what happened to that")]
pub struct NotAReport;

/// What a CRM reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// `deal`
    pub entity: String,
    /// `updated`
    pub action: String,
    /// The id of the company whose CRM it is.
    pub company: Option<String>,
    /// What its repeats have in common with it, if it can be known again.
    pub key: Option<String>,
    pub occurred_at: Option<Timestamp>,
    /// The members of its body, in order; their values are JSON, as they came.
    pub members: Vec<(String, String)>,
}

impl Report {
    /// What events have in common whose order matters, and their records' key.
    pub fn ordering_key(&self) -> String {
        format!("{}-{}", self.entity, self.company.as_deref().unwrap_or("unknown"))
    }

    /// The body with other members added; one that is there already has the added value.
    pub fn enriched(&self, added: &[(&str, Value)]) -> String {
        let is_added = |name: &str| added.iter().any(|(known, _)| *known == name);
        let own = self.members.iter().filter(|(name, _)| !is_added(name));
        let own = own.map(|(name, value)| format!("{}:{value}", Value::from(name.as_str())));
        let added = added.iter().map(|(name, value)| format!("{}:{value}", Value::from(*name)));
        format!("{{{}}}", own.chain(added).collect::<Vec<_>>().join(","))
    }
}
