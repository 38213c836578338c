//! What the handlers need of the process.

use std::sync::Arc;

use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::application::access::authenticate::Authenticate;
use crate::application::instances::create_instance::CreateInstance;
use crate::application::instances::delete_instance::DeleteInstance;
use crate::application::instances::read_instances::ReadInstances;
use crate::application::instances::update_instance::UpdateInstance;
use crate::application::messages::read_messages::ReadMessages;
use crate::application::messages::replay_messages::ReplayMessages;
use crate::application::messages::send_message::SendMessage;
use crate::application::operations::report_health::ReportHealth;

/// What the handlers need, shared: each request has several handles to it.
pub type SharedState = Arc<AppState>;

pub struct AppState {
    pub authenticate: Arc<Authenticate>,
    pub send_message: Arc<SendMessage>,
    pub read_messages: Arc<ReadMessages>,
    pub replay_messages: Arc<ReplayMessages>,
    pub create_instance: Arc<CreateInstance>,
    pub read_instances: Arc<ReadInstances>,
    pub update_instance: Arc<UpdateInstance>,
    pub delete_instance: Arc<DeleteInstance>,
    pub report_health: Arc<ReportHealth>,
    /// Where work goes that a caller who hangs up must not cancel.
    pub tasks: TaskTracker,
    pub max_body_bytes: usize,
}

/// An id in a path; anything that is no hyphenated UUID names nothing.
pub fn path_id(path: Result<Path<String>, PathRejection>) -> Option<Uuid> {
    let Path(text) = path.ok()?;
    text.parse::<uuid::fmt::Hyphenated>().ok().map(Uuid::from)
}
