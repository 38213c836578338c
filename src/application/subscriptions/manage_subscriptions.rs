use std::sync::Arc;

use crate::application::ports::{
    Channels, Clock, EventExpressions, Ids, InstanceRepository, RepositoryError, SubscriptionRepository,
};
use crate::domain::access::principal::{MissingScope, Principal};
use crate::domain::event::kind::KindPattern;
use crate::domain::instance::InstanceName;
use crate::domain::instance::channel::ChannelName;
use crate::domain::problem::FieldProblem;
use crate::domain::subscription::{
    MOST_BYTES_OF_A_TENANT, MOST_OF_A_TENANT, MOST_PATTERNS, Subscription, SubscriptionId,
};

/// Keeps the subscriptions of tenants.
pub struct ManageSubscriptions {
    pub subscriptions: Arc<dyn SubscriptionRepository>,
    pub instances: Arc<dyn InstanceRepository>,
    pub expressions: Arc<dyn EventExpressions>,
    pub channels: Channels,
    pub ids: Arc<dyn Ids>,
    pub clock: Arc<dyn Clock>,
}

/// What a subscription is to be.
#[derive(Clone, Debug)]
pub struct SubscriptionDraft {
    pub name: String,
    pub kinds: Vec<KindPattern>,
    pub filter: Option<String>,
    pub template: Option<String>,
    pub channel: ChannelName,
    pub channel_instance_id: InstanceName,
    pub recipient: Option<String>,
    pub is_enabled: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum ManageSubscriptionsError {
    #[error("the subscription has {} problem(s)", .0.len())]
    Invalid(Vec<FieldProblem>),
    /// What it sends would go around this.
    #[error(transparent)]
    Forbidden(#[from] MissingScope),
    /// Also one of another tenant.
    #[error("there is no such subscription")]
    Unknown,
    #[error("there is a subscription of this name")]
    NameTaken,
    #[error("a tenant has at most {MOST_OF_A_TENANT} subscriptions")]
    TooMany,
    #[error(
        "the filters and templates of a tenant's subscriptions have at most {MOST_BYTES_OF_A_TENANT} bytes together"
    )]
    TooLarge,
    #[error(transparent)]
    Repository(RepositoryError),
}

impl From<RepositoryError> for ManageSubscriptionsError {
    fn from(error: RepositoryError) -> Self {
        match error {
            RepositoryError::Conflict => Self::NameTaken,
            error => Self::Repository(error),
        }
    }
}

impl ManageSubscriptions {
    /// # Errors
    /// All that is wrong with it at once, with paths into the request.
    pub async fn create(
        &self,
        caller: &Principal,
        draft: SubscriptionDraft,
    ) -> Result<Subscription, ManageSubscriptionsError> {
        self.check(caller, &draft, None).await?;
        let now = self.clock.now();
        let subscription = Subscription {
            id: SubscriptionId(self.ids.next()),
            tenant: caller.tenant.clone(),
            user_id: caller.subject.clone(),
            name: draft.name,
            kinds: draft.kinds,
            filter: draft.filter,
            template: draft.template,
            channel: draft.channel,
            channel_instance_id: draft.channel_instance_id,
            recipient: draft.recipient,
            is_enabled: draft.is_enabled,
            created_at: now,
            updated_at: now,
        };
        self.has_room(&subscription).await?;
        self.subscriptions.insert(&subscription).await?;
        Ok(subscription)
    }

    /// Beside the others of its tenant.
    async fn has_room(&self, subscription: &Subscription) -> Result<(), ManageSubscriptionsError> {
        let mut others = self.subscriptions.list(&subscription.tenant).await?;
        others.retain(|other| other.id != subscription.id);
        if others.len() >= MOST_OF_A_TENANT {
            return Err(ManageSubscriptionsError::TooMany);
        }
        let bytes: usize = others.iter().map(Subscription::bytes).sum();
        if bytes + subscription.bytes() > MOST_BYTES_OF_A_TENANT {
            return Err(ManageSubscriptionsError::TooLarge);
        }
        Ok(())
    }

    /// # Errors
    /// When the database does not answer.
    pub async fn list(&self, caller: &Principal) -> Result<Vec<Subscription>, ManageSubscriptionsError> {
        Ok(self.subscriptions.list(&caller.tenant).await?)
    }

    /// # Errors
    /// [`ManageSubscriptionsError::Unknown`] also for another tenant's.
    pub async fn find(&self, caller: &Principal, id: SubscriptionId) -> Result<Subscription, ManageSubscriptionsError> {
        self.subscriptions.find(&caller.tenant, id).await?.ok_or(ManageSubscriptionsError::Unknown)
    }

    /// Replaces what `change` makes of it.
    ///
    /// # Errors
    /// As of [`ManageSubscriptions::create`].
    pub async fn update(
        &self,
        caller: &Principal,
        id: SubscriptionId,
        change: impl FnOnce(&mut SubscriptionDraft) + Send,
    ) -> Result<Subscription, ManageSubscriptionsError> {
        let found = self.find(caller, id).await?;
        let before = found.bytes();
        let mut draft = SubscriptionDraft {
            name: found.name.clone(),
            kinds: found.kinds.clone(),
            filter: found.filter.clone(),
            template: found.template.clone(),
            channel: found.channel.clone(),
            channel_instance_id: found.channel_instance_id.clone(),
            recipient: found.recipient.clone(),
            is_enabled: found.is_enabled,
        };
        change(&mut draft);
        self.check(caller, &draft, Some(&found)).await?;
        let updated = Subscription {
            name: draft.name,
            kinds: draft.kinds,
            filter: draft.filter,
            template: draft.template,
            channel: draft.channel,
            channel_instance_id: draft.channel_instance_id,
            recipient: draft.recipient,
            is_enabled: draft.is_enabled,
            updated_at: self.clock.now(),
            ..found
        };
        if updated.bytes() > before {
            self.has_room(&updated).await?;
        }
        let is_there = self.subscriptions.update(&updated).await?;
        if is_there { Ok(updated) } else { Err(ManageSubscriptionsError::Unknown) }
    }

    /// # Errors
    /// [`ManageSubscriptionsError::Unknown`] also for another tenant's.
    pub async fn delete(&self, caller: &Principal, id: SubscriptionId) -> Result<(), ManageSubscriptionsError> {
        let is_deleted = self.subscriptions.delete(&caller.tenant, id).await?;
        if is_deleted { Ok(()) } else { Err(ManageSubscriptionsError::Unknown) }
    }

    /// `former`: what it was. Expressions that stay need not be such as are taken today, as long as it is not enabled with them.
    async fn check(
        &self,
        caller: &Principal,
        draft: &SubscriptionDraft,
        former: Option<&Subscription>,
    ) -> Result<(), ManageSubscriptionsError> {
        let mut problems = Vec::new();
        if draft.kinds.is_empty() || draft.kinds.len() > MOST_PATTERNS {
            problems.push(FieldProblem::new("/types", format!("must have 1 to {MOST_PATTERNS} items")));
        }
        let former = former.filter(|former| former.is_enabled || !draft.is_enabled);
        let is_new =
            |text: &Option<String>, of: fn(&Subscription) -> &Option<String>| former.is_none_or(|it| of(it) != text);
        let filter = draft.filter.iter().filter(|_| is_new(&draft.filter, |it| &it.filter));
        let filter = filter.map(|filter| ("/filter", self.expressions.check_filter(filter)));
        let mut texts = Vec::new();
        if is_new(&draft.template, |it| &it.template) {
            texts.push(("/template", &draft.template));
        }
        if is_new(&draft.recipient, |it| &it.recipient) {
            texts.push(("/remoteJid", &draft.recipient));
        }
        let templates = texts.into_iter().flat_map(|(path, text)| text.iter().map(move |text| (path, text)));
        let templates = templates.map(|(path, text)| (path, self.expressions.check_template(text)));
        for (path, checked) in filter.chain(templates) {
            problems.extend(checked.err().map(|error| FieldProblem::new(path, error.to_string())));
        }
        let sender = self.channels.find(&draft.channel);
        if let Some(sender) = sender {
            caller.must(sender.scope())?;
            let name = draft.channel_instance_id.as_str();
            if self.instances.find_by_name(&caller.tenant, &draft.channel, name).await?.is_none() {
                problems.push(FieldProblem::new("/channelInstanceId", "is not an instance of this channel"));
            }
        } else {
            problems.push(self.channels.unknown());
        }
        if problems.is_empty() { Ok(()) } else { Err(ManageSubscriptionsError::Invalid(problems)) }
    }
}
