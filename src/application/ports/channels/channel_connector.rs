use std::time::Duration;

use async_trait::async_trait;

use crate::domain::instance::ConnectionStatus;
use crate::domain::instance::channel::ChannelName;
use crate::domain::instance::credentials::Credentials;

/// A channel whose instances have to be connected at a provider, such as by scanning a code with a phone, before anything
/// can be sent through them.
///
/// No answer holds a credential. Each call ends within [`longest_call`](Self::longest_call).
#[async_trait]
pub trait ChannelConnector: Send + Sync {
    fn channel(&self) -> ChannelName;

    /// How long a call may take at the most.
    fn longest_call(&self) -> Duration;

    /// Makes the instance at the provider, or takes it over when it is there; has its events sent to `events`, if given; and
    /// begins to connect it.
    async fn connect(&self, account: &Account, events: Option<&EventAddress>) -> Connection;

    /// How it is now, with a fresh code if it is not connected: asks for a connection then.
    async fn code(&self, account: &Account) -> Connection;

    /// Whether it is connected, and nothing else.
    async fn standing(&self, account: &Account) -> Connection;

    /// Whether the provider takes one call of the instance at a time; none when it does not tell.
    async fn takes_one_call(&self, account: &Account) -> Option<bool>;

    /// Connects anew. What the provider answers stands for a while only.
    async fn restart(&self, account: &Account) -> Connection;

    /// Takes the connection away: a code is needed again.
    async fn log_out(&self, account: &Account) -> Connection;

    /// Deletes it at the provider.
    ///
    /// # Errors
    /// A sentence. That there is none is no error.
    async fn remove(&self, account: &Account) -> Result<(), String>;
}

/// Where an instance is at its provider, and what opens it.
#[derive(Clone, Debug)]
pub struct Account {
    pub channel_instance_id: String,
    pub credentials: Credentials,
}

/// The header in which a provider brings the secret with each event.
pub const SECRET_HEADER: &str = "x-correio-secret";

/// Where the provider sends events, and the secret that comes with them.
#[derive(Clone)]
pub struct EventAddress {
    pub url: String,
    pub secret: String,
}

/// What the provider said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    pub status: ConnectionStatus,
    pub code: Option<Code>,
    /// A sentence for people about what went wrong, or is missing.
    pub problem: Option<String>,
    /// Whether the provider has answered at all: if not, the status is a guess.
    pub is_answered: bool,
}

/// What is scanned to connect. Valid for less than a minute, and never stored.
#[derive(Clone, PartialEq, Eq)]
pub struct Code {
    /// What the code says.
    pub text: Option<String>,
    /// A whole `data:image/png;base64,…`.
    pub image: Option<String>,
}

impl std::fmt::Debug for Code {
    /// Whoever has it can take the account over.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Code(***)")
    }
}

impl Connection {
    pub fn of(status: ConnectionStatus) -> Self {
        Self { status, code: None, problem: None, is_answered: true }
    }

    pub fn failed(problem: impl Into<String>) -> Self {
        Self { status: ConnectionStatus::Error, code: None, problem: Some(problem.into()), is_answered: true }
    }

    /// The provider did not answer.
    pub fn unanswered(problem: impl Into<String>) -> Self {
        Self { is_answered: false, ..Self::failed(problem) }
    }
}
