//! Which messages match a filter, newest first, through indexes in which they lie side by side.
//!
//! A message is in these indexes once it is at an end: entered at every change, they would cost each message as much again.
//! What is open is looked for in the indexes of what is open, which are short; or, where another tenant has a backlog, among the
//! tenant's own messages since the week of its oldest open one. Recipients that are too long for an index are
//! found by walking; a row that was given a longer channel or instance by hand than the API takes, only without such a filter.
//!
//! Every part bounds the last column before the id from both sides, instead of by an equality, and has it in its order: only
//! one index gives that. With an equality, the planner walks all of a tenant's messages to find what it takes for frequent
//! and is not.
//!
//! Plans are kept. So what a plan depends on is in the text: the weeks, and the state, without which no index of one state
//! is known to serve.

use sqlx::{Postgres, QueryBuilder};
use uuid::Uuid;

use super::page::Page;
use crate::application::ports::{MessageFilter, Purposes};
use crate::domain::access::principal::Tenant;
use crate::domain::message::{Direction, MessageStatus};
use crate::domain::receipt::StuckSince;
use crate::infrastructure::storage::shared::{GIVE_RECEIPTS, awaits_receipt, id_of_those_before, id_of_those_since};

/// What is asked for.
pub struct Wanted<'a> {
    pub tenant: &'a Tenant,
    pub filter: &'a MessageFilter,
    pub page: Page,
    pub limit: i64,
    pub open: OpenOnes,
}

/// How open messages are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenOnes {
    /// The tenant has none.
    None,
    /// Among those of all tenants, which are few.
    OfAll,
    /// Among the tenant's messages from this id on.
    OfTenant(Uuid),
}

/// Open messages of all tenants that are few, if a tenant has no more than that of its own.
const FEW: i64 = 2_000;

/// The most that are counted.
const MOST_COUNTED: i64 = 20_000;

/// Counts the open messages of all tenants in these weeks, as far as there are no more than `own`, which is how many messages a
/// tenant has to be looked through instead: not further than to [`many`].
pub fn open_of_all(page: &Page, own: i64) -> QueryBuilder<Postgres> {
    let mut query = QueryBuilder::new("select count(*) as count from (");
    let parts = [("is null", "node_id, status, id"), ("is not null", "next_attempt_at, id")];
    for (number, (has_a_time, order)) in parts.into_iter().enumerate() {
        query.push(if number == 0 { "(" } else { " union all (" });
        query.push("select id from messaging_messages where status in ('pending', 'queued', 'processing')");
        query.push(" and next_attempt_at ").push(has_a_time);
        narrow_by_weeks(&mut query, page);
        query.push(" order by ").push(order).push(" limit ").push_bind(many(own)).push(")");
    }
    query.push(") as open");
    query
}

/// So many open messages that a tenant's own are looked through instead.
pub fn many(own: i64) -> i64 {
    own.clamp(FEW, MOST_COUNTED)
}

/// Messages of a tenant that are looked through, whatever they are, before rare ones are looked for: what is frequent is
/// among them, however many instances there are.
const NEWEST: i64 = 2_000;

/// Bytes of a recipient that is in the index.
const LONGEST_RECIPIENT: usize = 1_024;

/// What a client has, by names that are in the index by instance: its rows need not be read to know what they are there for.
const OWN_NAMES: &str = "(channel <> 'webhook' or channel_instance_id !~ '^status:[0-9a-f-]{36}$')";

/// The filter without a purpose, where nothing that tells of another message can match it: so no row has to be read to know
/// what it is there for.
pub fn narrowed(filter: &MessageFilter) -> MessageFilter {
    let MessageFilter { purposes, direction, status, channel, channel_instance_id, recipient, .. } = filter;
    let may_tell = *direction != Some(Direction::Received)
        && !matches!(status, Some(MessageStatus::Delivered | MessageStatus::Read))
        && channel.as_ref().is_none_or(|channel| channel.as_str() == "webhook")
        && channel_instance_id.as_ref().is_none_or(|name| name.starts_with("status:"))
        && recipient.as_ref().is_none_or(|recipient| recipient.parse::<Uuid>().is_ok());
    let is_needless = *purposes == Purposes::Own && !may_tell;
    MessageFilter { purposes: if is_needless { Purposes::Any } else { *purposes }, ..filter.clone() }
}

impl Wanted<'_> {
    /// Whether what is wanted may be so rare that walking the tenant's messages would read a history. Not, where an index has
    /// exactly them; nor where no index has them.
    pub fn is_rare(filter: &MessageFilter) -> bool {
        let MessageFilter { direction, status, channel, channel_instance_id, recipient, .. } = filter;
        // There is an index of what was received, and one of what tells of others, in the order in which they are walked.
        if *direction == Some(Direction::Received) || matches!(filter.purposes, Purposes::Of(_)) {
            return false;
        }
        // Failed ones have an index of their own.
        let is_narrowed = recipient.is_some()
            || channel.is_some()
            || channel_instance_id.is_some()
            || status.is_some_and(|status| status != MessageStatus::Failed);
        is_narrowed && recipient.as_ref().is_none_or(|recipient| recipient.len() <= LONGEST_RECIPIENT)
    }

    /// By walking the tenant's messages.
    pub fn ids_by_walking(&self) -> QueryBuilder<Postgres> {
        let mut query = QueryBuilder::new("select id from messaging_messages as messages where tenant = ");
        query.push_bind(self.tenant.as_str().to_owned());
        narrow(&mut query, self.filter, &self.page);
        self.newest(&mut query, "id desc");
        query
    }

    /// Those that are among the tenant's newest.
    pub fn ids_among_the_newest(&self) -> QueryBuilder<Postgres> {
        let mut query = QueryBuilder::new(
            "select id
               from (select id, direction, purpose, status, channel, channel_instance_id, remote_jid, created_at,
                            sent_at, next_attempt_at, send_at
                       from messaging_messages
                      where tenant = ",
        );
        query.push_bind(self.tenant.as_str().to_owned());
        narrow_by_id(&mut query, self.filter, &self.page);
        query.push(format!(" order by id desc limit {NEWEST}) as messages where true"));
        narrow(&mut query, self.filter, &self.page);
        self.newest(&mut query, "id desc");
        query
    }

    /// Whether what is wanted may be open.
    pub fn may_be_open(filter: &MessageFilter) -> bool {
        filter.status.is_none_or(MessageStatus::is_open)
    }

    /// Whether nothing but a state is asked for, and time, and an index has what is in that state.
    pub fn is_of_a_state(filter: &MessageFilter) -> bool {
        let MessageFilter { status, channel, channel_instance_id, recipient, .. } = filter;
        let is_alone = recipient.is_none() && channel.is_none() && channel_instance_id.is_none();
        is_alone && status.is_some_and(|status| BY_STATE.contains(&format!("'{status}'")))
    }

    fn ids_of_a_state(&self, status: MessageStatus) -> QueryBuilder<Postgres> {
        let mut query = QueryBuilder::new("select id from messaging_messages as messages where ");
        query.push(BY_STATE);
        query.push(" and tenant = ").push_bind(self.tenant.as_str().to_owned());
        query.push(format!(" and status between '{status}' and '{status}'"));
        narrow_by_time(&mut query, self.filter, &self.page);
        self.newest(&mut query, "status desc, id desc");
        query
    }

    /// By the indexes of what is rare.
    pub fn ids(&self) -> QueryBuilder<Postgres> {
        if let Some(status) = self.filter.status.filter(|_| Self::is_of_a_state(self.filter)) {
            return self.ids_of_a_state(status);
        }
        let MessageFilter { status, recipient, .. } = self.filter;
        let ended: Vec<&str> =
            MessageStatus::ALL.into_iter().filter(|it| !it.is_open()).map(MessageStatus::as_str).collect();
        let ended = match status {
            None => ended,
            Some(status) if status.is_open() => Vec::new(),
            Some(status) => vec![status.as_str()],
        };
        let by_recipient = recipient.is_some();
        let mut query = QueryBuilder::new("");
        if !ended.is_empty() && !by_recipient {
            self.pairs(&mut query);
        }
        query.push("select id from (");
        if !ended.is_empty() && by_recipient {
            self.ended_by_recipient(&mut query);
        } else if !ended.is_empty() {
            self.ended_by_instance(&mut query, &ended);
        }
        if Self::may_be_open(self.filter) && self.open != OpenOnes::None {
            if !ended.is_empty() {
                query.push(" union all ");
            }
            self.open_ones(&mut query);
        }
        query.push(") as parts");
        self.newest(&mut query, "id desc");
        query
    }

    /// Whether one of the indexes by recipient or instance has all that is to be counted, and what is open.
    pub fn is_counted_by_index(filter: &MessageFilter) -> bool {
        let MessageFilter { channel, channel_instance_id, recipient, .. } = filter;
        Self::is_rare(filter) && (recipient.is_some() || channel.is_some() || channel_instance_id.is_some())
    }

    /// How many are in which state, what has ended and what is open each by an index that has nothing else. Planned for its
    /// values, it needs no order to get that index.
    pub fn counts(&self) -> QueryBuilder<Postgres> {
        let mut query = QueryBuilder::new("select status, count(*) as count from (");
        self.counted(&mut query, if self.filter.recipient.is_some() { BY_RECIPIENT } else { BY_INSTANCE });
        match self.open {
            OpenOnes::None => {}
            OpenOnes::OfAll => {
                for open in [OPEN_UNTIMED, OPEN_TIMED] {
                    query.push(" union all ");
                    self.counted(&mut query, open);
                }
            }
            OpenOnes::OfTenant(since) => {
                query.push(" union all ");
                self.counted(&mut query, OPEN_OF_TENANT);
                query.push(" and id >= ").push_bind(since);
            }
        }
        query.push(") as parts group by status");
        query
    }

    /// By walking the tenant's messages.
    pub fn counts_by_walking(&self) -> QueryBuilder<Postgres> {
        let mut query =
            QueryBuilder::new("select status, count(*) as count from messaging_messages as messages where tenant = ");
        query.push_bind(self.tenant.as_str().to_owned());
        narrow(&mut query, self.filter, &self.page);
        query.push(" group by status");
        query
    }

    fn counted(&self, query: &mut QueryBuilder<Postgres>, index: &str) {
        query.push("select status from messaging_messages as messages where ").push(index);
        query.push(" and tenant = ").push_bind(self.tenant.as_str().to_owned());
        if index == BY_INSTANCE && self.filter.purposes == Purposes::Own {
            query.push(" and ").push(OWN_NAMES);
            return narrow(query, &self.of_any_purpose(), &self.page);
        }
        narrow(query, self.filter, &self.page);
    }

    fn of_any_purpose(&self) -> MessageFilter {
        MessageFilter { purposes: Purposes::Any, ..self.filter.clone() }
    }

    fn ended_by_recipient(&self, query: &mut QueryBuilder<Postgres>) {
        query.push("(select id from messaging_messages as messages where ");
        query.push(BY_RECIPIENT);
        query.push(" and tenant = ").push_bind(self.tenant.as_str().to_owned());
        query.push(" and remote_jid between ").push_bind(self.filter.recipient.clone());
        query.push(" and ").push_bind(self.filter.recipient.clone());
        let others = MessageFilter { recipient: None, ..self.filter.clone() };
        narrow(query, &others, &self.page);
        self.newest(query, "remote_jid desc, id desc");
        query.push(")");
    }

    /// The channels and instances whose messages are wanted, one probe each: from one to the next greater one.
    fn pairs(&self, query: &mut QueryBuilder<Postgres>) {
        let MessageFilter { channel, channel_instance_id: instance, .. } = self.filter;
        // What is known is not walked.
        let walked = match (channel, instance) {
            (None, None) => ["channel", "channel_instance_id"].as_slice(),
            (None, Some(_)) => &["channel"],
            (Some(_), None) => &["channel_instance_id"],
            (Some(channel), Some(instance)) => {
                query.push("with all_pairs (channel, channel_instance_id) as (select ");
                query.push_bind(channel.as_str().to_owned()).push("::text, ");
                query.push_bind(instance.clone()).push("::text), ");
                return self.own_pairs(query);
            }
        };
        let columns = walked.join(", ");
        let of = |table: &str| {
            format!("({})", walked.iter().map(|it| format!("{table}.{it}")).collect::<Vec<_>>().join(", "))
        };
        let step = |query: &mut QueryBuilder<Postgres>| {
            query.push("select ").push(&columns).push(" from messaging_messages as messages where ").push(BY_INSTANCE);
            query.push(" and tenant = ").push_bind(self.tenant.as_str().to_owned());
            if let Some(channel) = channel {
                query.push(" and channel = ").push_bind(channel.as_str().to_owned());
            }
            // By whole weeks: an entry of the week that is not wanted would be one to walk past.
            narrow_by_weeks(query, &self.page);
        };
        query.push("with recursive walked (").push(&columns).push(") as ((");
        step(query);
        query.push(" order by ").push(&columns).push(" limit 1) union all ");
        query.push("select following.* from walked cross join lateral (");
        step(query);
        query.push(" and ").push(of("messages")).push(" > ").push(of("walked"));
        query.push(" order by ").push(&columns).push(" limit 1) as following), ");
        query.push("all_pairs (channel, channel_instance_id) as (select ");
        match channel {
            Some(channel) => query.push_bind(channel.as_str().to_owned()).push("::text, "),
            None => query.push("channel, "),
        };
        match instance {
            Some(instance) => query.push_bind(instance.clone()).push("::text"),
            None => query.push("channel_instance_id"),
        };
        query.push(" from walked), ");
        self.own_pairs(query);
    }

    fn own_pairs(&self, query: &mut QueryBuilder<Postgres>) {
        query.push("pairs as (select channel, channel_instance_id from all_pairs where true");
        if self.filter.purposes == Purposes::Own {
            query.push(" and ").push(OWN_NAMES);
        }
        if self.filter.stuck.is_some() {
            query.push(format!(" and channel = any('{{{}}}')", GIVE_RECEIPTS.join(",")));
        }
        query.push(") ");
    }

    fn ended_by_instance(&self, query: &mut QueryBuilder<Postgres>, statuses: &[&'static str]) {
        query.push("(select ended.id from pairs cross join unnest(");
        query.push_bind(statuses.to_vec());
        query.push(
            "::text[]) as statuses (status) cross join lateral (select id from messaging_messages as messages where ",
        );
        query.push(BY_INSTANCE);
        query.push(" and tenant = ").push_bind(self.tenant.as_str().to_owned());
        query.push(" and channel = pairs.channel and channel_instance_id = pairs.channel_instance_id");
        query.push(" and messages.status between statuses.status and statuses.status");
        narrow_by_time(query, &self.of_any_purpose(), &self.page);
        self.newest(query, "messages.status desc, id desc");
        query.push(") as ended)");
    }

    fn open_ones(&self, query: &mut QueryBuilder<Postgres>) {
        if let OpenOnes::OfTenant(since) = self.open {
            return self.open_of_tenant(query, since);
        }
        self.open(query, "is null");
        query.push(" union all ");
        self.open(query, "is not null");
    }

    /// So written that no index of what is open serves.
    fn open_of_tenant(&self, query: &mut QueryBuilder<Postgres>, since: Uuid) {
        query.push("(select id from messaging_messages as messages where ");
        query.push("(status in ('pending', 'queued', 'processing')) is true");
        query.push(" and tenant between ").push_bind(self.tenant.as_str().to_owned());
        query.push(" and ").push_bind(self.tenant.as_str().to_owned());
        query.push(" and id >= ").push_bind(since);
        narrow(query, self.filter, &self.page);
        self.newest(query, "tenant desc, id desc");
        query.push(")");
    }

    /// Whatever its tenant, what is open is short: the index of all of a tenant's messages is not.
    fn open(&self, query: &mut QueryBuilder<Postgres>, has_a_time: &str) {
        query
            .push("(select id from messaging_messages as messages where status in ('pending', 'queued', 'processing')");
        query.push(" and next_attempt_at ").push(has_a_time);
        query.push(" and (tenant = ").push_bind(self.tenant.as_str().to_owned()).push(") is true");
        narrow(query, self.filter, &self.page);
        query.push(")");
    }

    fn newest(&self, query: &mut QueryBuilder<Postgres>, order: &str) {
        query.push(" order by ").push(order).push(" limit ").push_bind(self.limit);
    }
}

/// What is in the index by state, in its words.
const BY_STATE: &str = "messages.status in ('delivered', 'read', 'cancelled')";

/// What is in the index by recipient, in its words.
const BY_RECIPIENT: &str = "messages.status in ('sent', 'delivered', 'read', 'failed', 'cancelled')
    and octet_length(messages.remote_jid) <= 1024";

/// What is in the index by instance, in its words.
const BY_INSTANCE: &str = "messages.status in ('sent', 'delivered', 'read', 'failed', 'cancelled')
    and octet_length(messages.channel) <= 255
    and octet_length(messages.channel_instance_id) <= 1024";

/// What is open, in the words of its two indexes.
const OPEN_UNTIMED: &str =
    "messages.status in ('pending', 'queued', 'processing') and messages.next_attempt_at is null";
const OPEN_TIMED: &str =
    "messages.status in ('pending', 'queued', 'processing') and messages.next_attempt_at is not null";

/// So written that neither of them serves.
const OPEN_OF_TENANT: &str = "(messages.status in ('pending', 'queued', 'processing')) is true";

/// More conditions on `messaging_messages`.
fn narrow(query: &mut QueryBuilder<Postgres>, filter: &MessageFilter, page: &Page) {
    if let Some(status) = filter.status {
        query.push(format!(" and status = '{status}'"));
    }
    if let Some(channel) = &filter.channel {
        query.push(" and channel = ").push_bind(channel.as_str().to_owned());
    }
    if let Some(channel_instance_id) = &filter.channel_instance_id {
        query.push(" and channel_instance_id = ").push_bind(channel_instance_id.clone());
    }
    if let Some(recipient) = &filter.recipient {
        query.push(" and remote_jid = ").push_bind(recipient.clone());
    }
    if filter.stuck.is_some() {
        // For the index of what waits.
        query.push(concat!(" and ", awaits_receipt!()));
    }
    if filter.is_scheduled {
        query.push(" and next_attempt_at = send_at");
    }
    narrow_by_time(query, filter, page);
}

fn narrow_by_time(query: &mut QueryBuilder<Postgres>, filter: &MessageFilter, page: &Page) {
    narrow_by_id(query, filter, page);
    match filter.purposes {
        Purposes::Own => _ = query.push(" and purpose is null"),
        Purposes::Of(purpose) => _ = query.push(format!(" and purpose = '{}'", purpose.as_str())),
        Purposes::Any => {}
    }
    if let Some(direction) = filter.direction {
        query.push(format!(" and direction = '{}'", direction.as_str()));
    }
    if let Some(stuck) = &filter.stuck {
        narrow_to_what_is_stuck(query, stuck);
    }
    if let Some(after) = filter.created_after {
        query.push(" and created_at >= ").push_bind(after);
    }
    if let Some(before) = filter.created_before {
        query.push(" and created_at < ").push_bind(before);
    }
}

fn narrow_to_what_is_stuck(query: &mut QueryBuilder<Postgres>, stuck: &[StuckSince]) {
    query.push(" and (false");
    for StuckSince { channel, sent_before } in stuck {
        query.push(" or (channel = ").push_bind(channel.as_str().to_owned());
        query.push(" and sent_at < ").push_bind(*sent_before).push(")");
    }
    query.push(")");
}

/// For the partitions and the indexes; `created_at` is in none.
fn narrow_by_id(query: &mut QueryBuilder<Postgres>, filter: &MessageFilter, page: &Page) {
    narrow_by_weeks(query, page);
    if let Some(after) = filter.created_after {
        query.push(" and id >= ").push_bind(id_of_those_since(after));
    }
    let below = filter.created_before.map_or(page.below, |before| page.below.min(id_of_those_before(before)));
    if below < Uuid::max() {
        query.push(" and id < ").push_bind(below);
    }
}

/// Ids are letters, digits and hyphens.
fn narrow_by_weeks(query: &mut QueryBuilder<Postgres>, page: &Page) {
    if page.from > Uuid::nil() {
        query.push(format!(" and id >= '{}'", page.from));
    }
    if page.to < Uuid::max() {
        query.push(format!(" and id < '{}'", page.to));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_of_a_recipients_messages_names_its_index_and_reads_what_is_open_only_if_there_may_be_some() {
        let filter = narrowed(&MessageFilter { recipient: Some("55".to_owned()), ..MessageFilter::default() });
        let tenant = Tenant::new("acme").unwrap();
        let counts = |open| {
            let wanted = Wanted { tenant: &tenant, filter: &filter, page: Page::before(None), limit: 0, open };
            wanted.counts().into_string()
        };
        let ended = format!(
            "select status, count(*) as count from (select status from messaging_messages as messages where {BY_RECIPIENT} \
             and tenant = $1 and remote_jid = $2"
        );
        assert_eq!(counts(OpenOnes::None), format!("{ended}) as parts group by status"));
        let of_all = counts(OpenOnes::OfAll);
        assert!(of_all.starts_with(&ended), "{of_all}");
        assert!([OPEN_UNTIMED, OPEN_TIMED].iter().all(|open| of_all.contains(open)), "{of_all}");
        let of_tenant = counts(OpenOnes::OfTenant(Uuid::nil()));
        assert!(of_tenant.contains(OPEN_OF_TENANT) && !of_tenant.contains(OPEN_TIMED), "{of_tenant}");
        assert!(Wanted::is_counted_by_index(&filter) && !Wanted::is_counted_by_index(&MessageFilter::default()));
    }

    #[test]
    fn a_search_that_is_narrowed_by_time_reads_no_other_week() {
        let (after, before) = ("2026-11-23T12:00:00Z".parse().unwrap(), "2026-11-24T12:00:00Z".parse().unwrap());
        let filter =
            MessageFilter { created_after: Some(after), created_before: Some(before), ..MessageFilter::default() };
        let mut query = QueryBuilder::new("select from messaging_messages where true");
        narrow(&mut query, &filter, &Page::before(None));
        let expected = "select from messaging_messages where true and id >= $1 and id < $2 and purpose is null \
                        and created_at >= $3 and created_at < $4";
        assert_eq!(query.into_string(), expected);
    }
}
