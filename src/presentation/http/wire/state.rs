//! What the handlers need of the process.

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{FromRef, Path};
use ipnet::IpNet;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::application::gateway::Gateway;
use crate::presentation::http::kafka_rest::OpenStreams;
use crate::presentation::http::topics::TopicSettings;
use crate::presentation::http::wire::body::BodyLimits;
use crate::presentation::http::wire::held::LargeAnswers;
use crate::presentation::http::wire::readiness::Readiness;
use crate::presentation::http::wire::serving::InFlight;

/// What the handlers need, shared: each request has several handles to it.
pub type SharedState = Arc<AppState>;

pub struct AppState {
    pub gateway: Arc<Gateway>,
    /// Runs the work that must go on when its caller hangs up.
    pub tasks: TaskTracker,
    pub bodies: BodyLimits,
    pub large_answers: LargeAnswers,
    pub in_flight: InFlight,
    pub streams: OpenStreams,
    pub readiness: Readiness,
    /// What a CRM proves itself by; none: it needs no proof.
    pub webhook_secret: Option<String>,
    pub topics: TopicSettings,
    /// Bytes of memory that the process has.
    pub resident_memory: fn() -> u64,
    /// Whose word about their clients is taken.
    pub trusted_proxies: Vec<IpNet>,
}

impl FromRef<SharedState> for BodyLimits {
    fn from_ref(state: &SharedState) -> Self {
        state.bodies.clone()
    }
}

/// An id in a path; anything that is not a hyphenated UUID names nothing.
pub fn path_id(path: Result<Path<String>, PathRejection>) -> Option<Uuid> {
    let Path(text) = path.ok()?;
    id_of(&text)
}

/// The same, elsewhere.
pub fn id_of(text: &str) -> Option<Uuid> {
    text.parse::<uuid::fmt::Hyphenated>().ok().map(Uuid::from)
}
