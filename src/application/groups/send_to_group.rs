use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::application::broadcasts::SendBroadcast;
use crate::application::broadcasts::send_broadcast::{
    BroadcastSubmission, SendBroadcastCommand, SendBroadcastError, To,
};
use crate::application::messages::SendMessage;
use crate::application::messages::send_message::{SendMessageCommand, SendMessageError, Submission};
use crate::application::ports::{
    BroadcastRepository, Clock, GroupMembers, GroupRepository, InstanceRepository, RepositoryError, SearchError,
};
use crate::domain::Timestamp;
use crate::domain::access::idempotency::IdempotentRequest;
use crate::domain::access::principal::Principal;
use crate::domain::broadcast::counts::BroadcastStanding;
use crate::domain::broadcast::{BroadcastDraft, BroadcastId, BroadcastStatus};
use crate::domain::group::member::Identifier;
use crate::domain::group::{Group, GroupId};
use crate::domain::instance::InstanceName;
use crate::domain::instance::channel::ChannelName;
use crate::domain::message::{Content, Draft, MaxTries, MessageStatus, Priority, Recipient};

/// Sends to a group: one message to a synced one; to a custom one a broadcast, one message a member.
pub struct SendToGroup {
    pub groups: Arc<dyn GroupRepository>,
    pub instances: Arc<dyn InstanceRepository>,
    pub broadcasts: Arc<dyn BroadcastRepository>,
    pub members: Arc<dyn GroupMembers>,
    pub clock: Arc<dyn Clock>,
    /// Whether callers wait for the results of deliveries.
    pub callers_wait: bool,
}

#[derive(Clone, Debug)]
pub struct SendToGroupCommand {
    /// None: what was given is no id of a group.
    pub group: Option<GroupId>,
    /// The channel and the name of the group's instance, where its caller names it.
    pub instance: Option<(ChannelName, InstanceName)>,
    pub content: Content,
    pub max_tries: Option<MaxTries>,
    pub priority: Option<Priority>,
    pub send_at: Option<Timestamp>,
    pub request: Option<IdempotentRequest>,
}

/// What has become of the messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupReport {
    pub broadcast: Option<BroadcastId>,
    pub total: u64,
    /// None: they are delivered later.
    pub outcomes: Option<GroupOutcomes>,
    /// It was accepted by an earlier request with the same key.
    pub repeated: bool,
}

/// What has become of them so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupOutcomes {
    pub sent: u64,
    pub failed: u64,
    /// Why messages failed, by the members' identifiers; at most [`MOST_ERRORS`].
    pub errors: Vec<(String, String)>,
}

const MOST_ERRORS: u32 = 10_000;

/// Members that are read in one go.
const PAGE: u32 = 10_000;

/// How long a caller waits for the end of a broadcast, and the pause between two looks.
const PATIENCE: Duration = Duration::from_secs(25);
const PAUSE: Duration = Duration::from_millis(200);

#[derive(Debug, thiserror::Error)]
pub enum SendToGroupError {
    /// Also for a group of another tenant.
    #[error("there is no such group")]
    UnknownGroup,
    /// It was deleted.
    #[error("there is no such instance")]
    UnknownInstance,
    #[error("the group is of another instance")]
    OtherInstance,
    #[error(transparent)]
    Send(#[from] SendMessageError),
    #[error(transparent)]
    Broadcast(#[from] SendBroadcastError),
    #[error(transparent)]
    Search(#[from] SearchError),
    #[error(transparent)]
    Repository(#[from] RepositoryError),
}

impl SendToGroup {
    /// A caller that hangs up must not drop this future.
    ///
    /// # Errors
    /// When the tenant has no such group, it is of another instance than the caller says, or nothing was accepted.
    pub async fn execute(
        &self,
        send: &SendMessage,
        broadcast: &SendBroadcast,
        caller: &Principal,
        command: SendToGroupCommand,
    ) -> Result<GroupReport, SendToGroupError> {
        if let Some(request) = &command.request
            && let Some(report) = self.earlier_report(send, broadcast, caller, request).await?
        {
            return Ok(report);
        }
        let id = command.group.ok_or(SendToGroupError::UnknownGroup)?;
        let group = self.groups.find(&caller.tenant, id).await?.ok_or(SendToGroupError::UnknownGroup)?;
        match group.external_id.clone().filter(|_| group.kind.is_synced()) {
            Some(external_id) => self.send_once(send, caller, command, &group, external_id).await,
            None => self.send_to_each(broadcast, caller, command).await,
        }
    }

    /// The answer to an earlier request with the same key. Looked up before anything else, because it holds even when the group has
    /// been deleted since.
    async fn earlier_report(
        &self,
        send: &SendMessage,
        broadcast: &SendBroadcast,
        caller: &Principal,
        request: &IdempotentRequest,
    ) -> Result<Option<GroupReport>, SendToGroupError> {
        if let Some(earlier) = broadcast.earlier_submission(caller, request).await? {
            return self.report(caller, earlier).await.map(Some);
        }
        Ok(send.earlier_submission(caller, request).await?.map(report_of_one))
    }

    async fn send_once(
        &self,
        send: &SendMessage,
        caller: &Principal,
        command: SendToGroupCommand,
        group: &Group,
        external_id: String,
    ) -> Result<GroupReport, SendToGroupError> {
        let instance = self.instances.find(&caller.tenant, group.instance_id).await?;
        let instance = instance.ok_or(SendToGroupError::UnknownInstance)?;
        if let Some((channel, name)) = &command.instance
            && (*channel != instance.channel || name.as_str() != instance.channel_instance_id)
        {
            return Err(SendToGroupError::OtherInstance);
        }
        let parsed = (Recipient::parse(external_id), InstanceName::parse(instance.channel_instance_id));
        let (Ok(recipient), Ok(channel_instance_id)) = parsed else { return Err(SendToGroupError::UnknownInstance) };
        let draft = Draft {
            max_tries: command.max_tries,
            priority: command.priority,
            send_at: command.send_at,
            group: Some(group.id),
            ..Draft::new(recipient, command.content)
        };
        let (channel, request) = (instance.channel, command.request);
        let one = SendMessageCommand { channel, channel_instance_id, draft, request };
        Ok(report_of_one(send.execute(caller, one).await?))
    }

    async fn send_to_each(
        &self,
        broadcast: &SendBroadcast,
        caller: &Principal,
        command: SendToGroupCommand,
    ) -> Result<GroupReport, SendToGroupError> {
        let draft = BroadcastDraft {
            group: None,
            content: command.content,
            is_template: false,
            max_tries: command.max_tries,
            priority: command.priority,
            rate_per_minute: None,
            send_at: command.send_at,
        };
        let (to, request) = (To::Group(command.group), command.request);
        let command = SendBroadcastCommand { instance: command.instance, to, draft, request };
        let submission = broadcast.execute(caller, command).await?;
        self.report(caller, submission).await
    }

    /// What becomes of a broadcast while its caller waits.
    async fn report(
        &self,
        caller: &Principal,
        submission: BroadcastSubmission,
    ) -> Result<GroupReport, SendToGroupError> {
        let BroadcastSubmission { mut standing, repeated } = submission;
        let (id, total) = (standing.broadcast.id, u64::from(standing.broadcast.total));
        let is_for_later = standing.broadcast.status == BroadcastStatus::Scheduled;
        if !self.callers_wait || is_for_later {
            return Ok(GroupReport { broadcast: Some(id), total, outcomes: None, repeated });
        }
        let began = self.clock.monotonic();
        while !standing.broadcast.status.is_at_its_end() && self.clock.monotonic().saturating_sub(began) < PATIENCE {
            self.clock.sleep(PAUSE).await;
            standing = self.broadcasts.find(&caller.tenant, id).await?.unwrap_or(standing);
        }
        let outcomes = self.outcomes(&standing).await?;
        Ok(GroupReport { broadcast: Some(id), total, outcomes: Some(outcomes), repeated })
    }

    async fn outcomes(&self, standing: &BroadcastStanding) -> Result<GroupOutcomes, SendToGroupError> {
        use MessageStatus::{Delivered, Failed, Read, Sent};
        let sent = [Sent, Delivered, Read].iter().map(|status| standing.counts.of(*status)).sum();
        let failed = standing.counts.of(Failed);
        let errors = match failed {
            0 => Vec::new(),
            _ => self.broadcasts.failures(&standing.broadcast, MOST_ERRORS).await?,
        };
        let errors = self.by_identifier(standing, errors).await?;
        Ok(GroupOutcomes { sent, failed, errors })
    }

    /// A member is called as the group's owner calls them, also where messages to them go to another address.
    async fn by_identifier(
        &self,
        standing: &BroadcastStanding,
        mut errors: Vec<(String, String)>,
    ) -> Result<Vec<(String, String)>, SendToGroupError> {
        let Some(group) = standing.broadcast.group else { return Ok(errors) };
        if !errors.iter().any(|(recipient, _)| Identifier::may_be_of_another(recipient)) {
            return Ok(errors);
        }
        let (mut identifiers, mut after) = (HashMap::new(), None);
        loop {
            let page = self.members.list(group, after, PAGE).await?;
            after = page.members.last().map(|member| member.id);
            let named = page.members.into_iter().map(|member| (member.identifier.recipient(), member.identifier));
            identifiers.extend(named.filter(|(recipient, identifier)| recipient != identifier.as_str()));
            if !page.more {
                break;
            }
        }
        for (recipient, _) in &mut errors {
            if let Some(identifier) = identifiers.get(recipient) {
                identifier.as_str().clone_into(recipient);
            }
        }
        Ok(errors)
    }
}

fn report_of_one(Submission { message, repeated, .. }: Submission) -> GroupReport {
    let outcomes = if message.status.is_open() {
        None
    } else if message.sent_at.is_some() {
        Some(GroupOutcomes { sent: 1, ..GroupOutcomes::default() })
    } else {
        let error = message.error.unwrap_or_else(|| "The message was cancelled.".to_owned());
        Some(GroupOutcomes { failed: 1, errors: vec![(message.recipient, error)], ..GroupOutcomes::default() })
    };
    GroupReport { broadcast: None, total: 1, outcomes, repeated }
}
