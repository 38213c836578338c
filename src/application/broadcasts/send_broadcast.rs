use std::collections::HashSet;
use std::sync::Arc;

use crate::application::messages::open_bound::{OpenBound, TooManyOpen};
use crate::application::node::node_identity::NodeIdentity;
use crate::application::ports::{
    AcceptedBroadcast, BroadcastRepository, ChannelSender, Channels, Clock, GroupMembers, GroupRepository, Ids,
    InstanceRepository, KeptBroadcast, MessageRepository, RepositoryError, SearchError,
};
use crate::domain::access::idempotency::IdempotentRequest;
use crate::domain::access::principal::{MissingScope, Principal};
use crate::domain::broadcast::counts::{BroadcastCounts, BroadcastStanding};
use crate::domain::broadcast::recipient::BroadcastRecipient;
use crate::domain::broadcast::{Broadcast, BroadcastDraft, BroadcastId, MOST_RECIPIENTS};
use crate::domain::group::{Group, GroupId};
use crate::domain::instance::channel::ChannelName;
use crate::domain::instance::{Instance, InstanceName};
use crate::domain::message::{Draft, MaxTries, Recipient};
use crate::domain::problem::FieldProblem;

/// Accepts one content for many recipients: stored, whatever their number, and made into messages afterwards.
pub struct SendBroadcast {
    pub broadcasts: Arc<dyn BroadcastRepository>,
    pub groups: Arc<dyn GroupRepository>,
    pub members: Arc<dyn GroupMembers>,
    pub instances: Arc<dyn InstanceRepository>,
    pub channels: Channels,
    pub identity: NodeIdentity,
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn Ids>,
    /// Tries for a message whose instance and sender name none.
    pub max_tries: MaxTries,
    /// A key that a message has is taken.
    pub messages: Arc<dyn MessageRepository>,
    pub open_bound: Arc<OpenBound>,
}

#[derive(Clone, Debug)]
pub struct SendBroadcastCommand {
    /// The channel and the name of the instance; none: the group's.
    pub instance: Option<(ChannelName, InstanceName)>,
    pub to: To,
    pub draft: BroadcastDraft,
    pub request: Option<IdempotentRequest>,
}

/// To whom it goes.
#[derive(Clone, Debug)]
pub enum To {
    /// Those that are listed more than once get one message.
    Listed(Vec<BroadcastRecipient>),
    /// The members of a group, or a synced one itself; none: what was given is no id of a group.
    Group(Option<GroupId>),
}

/// A broadcast that was accepted.
#[derive(Clone, Debug)]
pub struct BroadcastSubmission {
    pub standing: BroadcastStanding,
    /// It was accepted by an earlier request with the same key.
    pub repeated: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum SendBroadcastError {
    #[error("the request has {} problem(s)", .0.len())]
    Invalid(Vec<FieldProblem>),
    #[error(transparent)]
    Forbidden(#[from] MissingScope),
    /// Also for an instance of another tenant.
    #[error("there is no such instance")]
    UnknownInstance,
    /// Also for a group of another tenant.
    #[error("there is no such group")]
    UnknownGroup,
    #[error("the idempotency key was used with another body")]
    KeyReused,
    /// With all of its recipients the tenant would have more messages open than it may. Nothing was stored.
    #[error("the tenant has {} messages open", .0.open)]
    TooManyOpen(TooManyOpen),
    #[error(transparent)]
    Search(#[from] SearchError),
    #[error(transparent)]
    Repository(#[from] RepositoryError),
}

/// Members that are read in one go.
const PAGE: u32 = 10_000;

impl SendBroadcast {
    /// # Errors
    /// When it was not accepted, or it is not known whether it was.
    pub async fn execute(
        &self,
        caller: &Principal,
        command: SendBroadcastCommand,
    ) -> Result<BroadcastSubmission, SendBroadcastError> {
        if let Some(request) = &command.request {
            if let Some(earlier) = self.earlier_submission(caller, request).await? {
                return Ok(earlier);
            }
            if self.messages.kept_request(&caller.tenant, &request.key, self.clock.now()).await?.is_some() {
                return Err(SendBroadcastError::KeyReused);
            }
        }
        let (instance, group) = self.destination(caller, &command).await?;
        let sender = self.channels.find(&instance.channel).ok_or_else(|| self.unknown_channel())?;
        caller.must(sender.scope())?;
        self.check(sender.as_ref(), &command.draft)?;
        let recipients = self.recipients(command.to, group.as_ref(), sender.as_ref()).await?;
        let total = u32::try_from(recipients.len()).unwrap_or(u32::MAX);
        let entered = self.open_bound.enter(&caller.tenant, total.into()).await;
        let _entered = entered.map_err(SendBroadcastError::TooManyOpen)?;
        let (node, now) = (self.identity.current_or_wait().await?, self.clock.now());
        let id = BroadcastId(self.ids.next());
        let draft = BroadcastDraft { group: group.map(|group| group.id), ..command.draft };
        let broadcast = Broadcast::accept(caller, &instance, draft, total, self.max_tries, (id, node), now);
        match self.broadcasts.accept(&broadcast, &recipients, command.request.as_ref()).await? {
            AcceptedBroadcast::Stored => {
                let standing = BroadcastStanding { broadcast, counts: BroadcastCounts::default() };
                Ok(BroadcastSubmission { standing, repeated: false })
            }
            AcceptedBroadcast::KeyTaken(kept) => {
                let request = command.request.as_ref().ok_or(SendBroadcastError::KeyReused)?;
                self.repeat(caller, kept, request).await
            }
        }
    }

    /// The answer to an earlier request with the same key.
    ///
    /// # Errors
    /// When the key was used with another body, or the database does not answer.
    pub async fn earlier_submission(
        &self,
        caller: &Principal,
        request: &IdempotentRequest,
    ) -> Result<Option<BroadcastSubmission>, SendBroadcastError> {
        let kept = self.broadcasts.kept_request(&caller.tenant, &request.key, self.clock.now()).await?;
        match kept {
            Some(kept) => self.repeat(caller, kept, request).await.map(Some),
            None => Ok(None),
        }
    }

    async fn repeat(
        &self,
        caller: &Principal,
        kept: KeptBroadcast,
        request: &IdempotentRequest,
    ) -> Result<BroadcastSubmission, SendBroadcastError> {
        if kept.fingerprint != request.fingerprint {
            return Err(SendBroadcastError::KeyReused);
        }
        let standing = self.broadcasts.find(&caller.tenant, kept.id).await?;
        let gone = || RepositoryError::Corrupt("the broadcast of a key is gone".to_owned());
        Ok(BroadcastSubmission { standing: standing.ok_or_else(gone)?, repeated: true })
    }

    async fn destination(
        &self,
        caller: &Principal,
        command: &SendBroadcastCommand,
    ) -> Result<(Instance, Option<Group>), SendBroadcastError> {
        let group = match &command.to {
            To::Listed(_) => None,
            To::Group(id) => {
                let id = id.ok_or(SendBroadcastError::UnknownGroup)?;
                let found = self.groups.find(&caller.tenant, id).await?;
                Some(found.ok_or(SendBroadcastError::UnknownGroup)?)
            }
        };
        let found = match (&command.instance, &group) {
            (Some((channel, name)), _) => self.instances.find_by_name(&caller.tenant, channel, name.as_str()).await?,
            (None, Some(group)) => self.instances.find(&caller.tenant, group.instance_id).await?,
            (None, None) => None,
        };
        let instance = found.ok_or(SendBroadcastError::UnknownInstance)?;
        if group.as_ref().is_some_and(|group| group.instance_id != instance.id) {
            let problem = FieldProblem::new("/groupId", "is a group of another instance");
            return Err(SendBroadcastError::Invalid(vec![problem]));
        }
        Ok((instance, group))
    }

    /// What would be wrong with each message, whoever gets it.
    fn check(&self, sender: &dyn ChannelSender, draft: &BroadcastDraft) -> Result<(), SendBroadcastError> {
        let problems = sender.check_message("-", &draft.content).err().unwrap_or_default();
        let mut problems: Vec<FieldProblem> = problems.into_iter().filter(|it| it.path != "/remoteJid").collect();
        if draft.content.template.is_some() && !sender.takes_templates() {
            problems.push(FieldProblem::new("/template", "is not known to this channel"));
        }
        let anyone = Recipient::parse("-").map(|anyone| Draft::new(anyone, draft.content.clone()));
        let one = anyone.map(|one| Draft { send_at: draft.send_at, ..one });
        if one.is_ok_and(|one| !one.is_within_a_year(self.clock.now())) {
            problems.push(FieldProblem::new("/sendAt", "must be at most a year ahead"));
        }
        if problems.is_empty() { Ok(()) } else { Err(SendBroadcastError::Invalid(problems)) }
    }

    /// Each once, in their order, however they are written: the first holds.
    async fn recipients(
        &self,
        to: To,
        group: Option<&Group>,
        sender: &dyn ChannelSender,
    ) -> Result<Vec<BroadcastRecipient>, SendBroadcastError> {
        let mut recipients = match (to, group) {
            (To::Listed(recipients), _) => recipients,
            (To::Group(_), None) => return Err(SendBroadcastError::UnknownGroup),
            (To::Group(_), Some(group)) => match &group.external_id {
                Some(external_id) if group.kind.is_synced() => vec![BroadcastRecipient::new(external_id.as_str())],
                _ => self.members(group.id).await?,
            },
        };
        let mut seen = HashSet::with_capacity(recipients.len());
        recipients.retain(|recipient| seen.insert(sender.same_as(&recipient.address).into_owned()));
        if recipients.len() > MOST_RECIPIENTS {
            let problem = FieldProblem::new("/recipients", format!("must be at most {MOST_RECIPIENTS}"));
            return Err(SendBroadcastError::Invalid(vec![problem]));
        }
        Ok(recipients)
    }

    /// Those that are active. `{{name}}` is filled with what a member is called.
    async fn members(&self, group: GroupId) -> Result<Vec<BroadcastRecipient>, SendBroadcastError> {
        let (mut recipients, mut after) = (Vec::new(), None);
        loop {
            let page = self.members.list(group, after, PAGE).await?;
            after = page.members.last().map(|member| member.id);
            let active = page.members.into_iter().filter(|member| member.is_active);
            recipients.extend(active.map(|member| BroadcastRecipient {
                variables: member.name.map(|name| ("name".to_owned(), name)).into_iter().collect(),
                ..BroadcastRecipient::new(member.identifier.recipient())
            }));
            if !page.more {
                return Ok(recipients);
            }
        }
    }

    fn unknown_channel(&self) -> SendBroadcastError {
        SendBroadcastError::Invalid(vec![self.channels.unknown()])
    }
}
