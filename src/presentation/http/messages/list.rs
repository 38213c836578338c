//! `GET /api/messaging/messages`: which messages, and a page of them.

use super::data::MessageData;
use crate::application::messages::read_messages::Asked;
use crate::application::ports::{MessageFilter, Purposes};
use crate::domain::access::principal::Scope;
use crate::domain::instance::channel::ChannelName;
use crate::domain::message::{Direction, MessageStatus, Purpose};
use crate::presentation::http::wire::answers::{Authenticated, Searching, WithQuery};
use crate::presentation::http::wire::caller::Caller;
use crate::presentation::http::wire::fields::{Flag, Name, Problems, RecipientField};
use crate::presentation::http::wire::moment::Moment;
use crate::presentation::http::wire::page::{Cursor, Limit, Page};
use crate::presentation::http::wire::problem::Problem;
use crate::presentation::http::wire::query::Query;
use crate::presentation::http::wire::state::SharedState;
use axum::extract::State;
use axum::response::Response;
use deserr::Deserr;
use utoipa::{IntoParams, ToSchema};

/// Which messages to count.
#[derive(Debug, Deserr, IntoParams)]
#[deserr(error = Problems, rename_all = camelCase, deny_unknown_fields)]
#[into_params(rename_all = "camelCase", parameter_in = Query)]
pub struct CountQuery {
    /// Those that were sent, when absent.
    #[deserr(default)]
    direction: Option<DirectionField>,
    /// `status`: those that tell subscribers of changes (status webhooks). When absent, all others.
    #[deserr(default)]
    purpose: Option<PurposeField>,
    #[deserr(default)]
    status: Option<StatusField>,
    #[deserr(default)]
    channel: Option<Name>,
    #[deserr(default)]
    channel_instance_id: Option<Name>,
    #[deserr(default)]
    remote_jid: Option<RecipientField>,
    /// `true`: only those that have been `sent` for longer than `STUCK_AFTER` without a receipt, on channels that give receipts.
    #[deserr(default)]
    #[param(value_type = Option<bool>)]
    stuck: Option<Flag>,
    /// Created at this moment or later.
    #[deserr(default)]
    created_after: Option<Moment>,
    /// Created before this moment.
    #[deserr(default)]
    created_before: Option<Moment>,
}

/// Which messages to list, and which page of them.
#[derive(Debug, Deserr, IntoParams)]
#[deserr(error = Problems, rename_all = camelCase, deny_unknown_fields)]
#[into_params(rename_all = "camelCase", parameter_in = Query)]
pub struct ListQuery {
    /// Both, when absent.
    #[deserr(default)]
    direction: Option<DirectionField>,
    /// `status`: those that tell subscribers of changes (status webhooks). When absent, all others.
    #[deserr(default)]
    purpose: Option<PurposeField>,
    #[deserr(default)]
    status: Option<StatusField>,
    #[deserr(default)]
    channel: Option<Name>,
    #[deserr(default)]
    channel_instance_id: Option<Name>,
    #[deserr(default)]
    remote_jid: Option<RecipientField>,
    /// `true`: only those that have been `sent` for longer than `STUCK_AFTER` without a receipt, on channels that give receipts.
    #[deserr(default)]
    #[param(value_type = Option<bool>)]
    stuck: Option<Flag>,
    /// Created at this moment or later.
    #[deserr(default)]
    created_after: Option<Moment>,
    /// Created before this moment.
    #[deserr(default)]
    created_before: Option<Moment>,
    /// `true`: those alone that wait for their `sendAt`.
    #[param(value_type = Option<bool>)]
    #[deserr(default)]
    scheduled: Option<Flag>,
    /// Messages a page; 50 when absent.
    #[deserr(default)]
    limit: Option<Limit>,
    /// `nextCursor` of the page before.
    #[deserr(default)]
    cursor: Option<Cursor>,
}

#[derive(Clone, Copy, Debug, Deserr, ToSchema)]
#[deserr(error = Problems, rename_all = lowercase)]
#[schema(rename_all = "lowercase")]
pub enum DirectionField {
    Sent,
    Received,
}

impl From<DirectionField> for Direction {
    fn from(field: DirectionField) -> Self {
        match field {
            DirectionField::Sent => Direction::Sent,
            DirectionField::Received => Direction::Received,
        }
    }
}

/// What a message is there for that no client sent.
#[derive(Clone, Copy, Debug, Deserr, ToSchema)]
#[deserr(error = Problems, rename_all = lowercase)]
#[schema(rename_all = "lowercase")]
pub enum PurposeField {
    Status,
}

/// Those that clients sent and channels brought, or those for this purpose.
pub fn purposes(field: Option<PurposeField>) -> Purposes {
    match field {
        None => Purposes::Own,
        Some(PurposeField::Status) => Purposes::Of(Purpose::Status),
    }
}

#[derive(Clone, Copy, Debug, Deserr, ToSchema)]
#[deserr(error = Problems, rename_all = lowercase)]
#[schema(rename_all = "lowercase")]
pub enum StatusField {
    Pending,
    Queued,
    Processing,
    Sent,
    Delivered,
    Read,
    Failed,
    Cancelled,
}

impl From<StatusField> for MessageStatus {
    fn from(field: StatusField) -> Self {
        match field {
            StatusField::Pending => MessageStatus::Pending,
            StatusField::Queued => MessageStatus::Queued,
            StatusField::Processing => MessageStatus::Processing,
            StatusField::Sent => MessageStatus::Sent,
            StatusField::Delivered => MessageStatus::Delivered,
            StatusField::Read => MessageStatus::Read,
            StatusField::Failed => MessageStatus::Failed,
            StatusField::Cancelled => MessageStatus::Cancelled,
        }
    }
}

impl From<CountQuery> for Asked {
    fn from(query: CountQuery) -> Self {
        let filter = MessageFilter {
            purposes: purposes(query.purpose),
            direction: query.direction.map(Direction::from),
            status: query.status.map(MessageStatus::from),
            channel: query.channel.map(|name| ChannelName::new(name.into_string())),
            channel_instance_id: query.channel_instance_id.map(Name::into_string),
            recipient: query.remote_jid.map(|recipient| recipient.0.into_string()),
            created_after: query.created_after.map(|at| at.0),
            created_before: query.created_before.map(|at| at.0),
            ..MessageFilter::default()
        };
        Self { filter, stuck: query.stuck.is_some_and(|stuck| stuck.0) }
    }
}

impl ListQuery {
    fn asked(self) -> Asked {
        let is_scheduled = self.scheduled.is_some_and(|scheduled| scheduled.0);
        let Asked { filter, stuck }: Asked = CountQuery {
            direction: self.direction,
            purpose: self.purpose,
            status: self.status,
            channel: self.channel,
            channel_instance_id: self.channel_instance_id,
            remote_jid: self.remote_jid,
            stuck: self.stuck,
            created_after: self.created_after,
            created_before: self.created_before,
        }
        .into();
        let queued = Some(MessageStatus::Queued).filter(|_| is_scheduled);
        let filter = MessageFilter { is_scheduled, status: filter.status.or(queued), ..filter };
        Asked { filter, stuck }
    }
}

/// List messages
///
/// Newest first. A page ends sooner than `limit` says where the contents come to 16 MiB: only `nextCursor` says whether
/// it is the last. One that takes longer than 5 s is ended: narrow it.
#[utoipa::path(get, path = "/api/messaging/messages", operation_id = "listMessages", tag = "messages",
    params(ListQuery),
    responses((status = 200, body = Page<MessageData>, description = "A page of them"),
        Authenticated, Searching, WithQuery))]
pub async fn list(
    State(state): State<SharedState>,
    caller: Caller,
    Query(query): Query<ListQuery>,
) -> Result<Response, Problem> {
    let caller = caller.must(Scope::MessagesRead)?;
    let limit = query.limit.map_or(Limit::DEFAULT, |limit| limit.0);
    let before = query.cursor.map(|cursor| cursor.0);
    let room = state.large_answers.of_list(&caller.tenant, limit).await?;
    let page = state.gateway.messages.read.page(caller, query.asked(), before, limit).await?;
    room.json(&Page {
        success: true,
        data: page.messages.into_iter().map(MessageData::from).collect(),
        next_cursor: page.next.map(|id| Cursor(id).text()),
    })
}
