//! What the adapters in memory promise beyond the ports: weather, a history, and bugs for those who ask for them.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use correio::application::ports::{Outcome, RepositoryError, Take};
use correio::domain::message::{Guard, Message, MessageStatus};

use crate::support::databases::Adapters;
use crate::support::given::{at, instance, message_of, node, outcome, request, retry, sent, take};
use crate::support::memory::{Bug, CRASH, Change, MemoryDatabase, Statement, Weather};

/// Notes what comes by, and loses what it is told to.
#[derive(Default)]
struct Storm {
    requests: bool,
    answers: bool,
    seen: Mutex<Vec<&'static str>>,
}

#[async_trait]
impl Weather for Storm {
    async fn carry(&self, operation: &'static str, statement: Statement) -> Result<(), RepositoryError> {
        self.seen.lock().unwrap().push(operation);
        if self.requests {
            return Err(RepositoryError::Unavailable("never arrived".to_owned()));
        }
        statement();
        if self.answers { Err(RepositoryError::Unavailable("never answered".to_owned())) } else { Ok(()) }
    }
}

impl Storm {
    fn seen(&self) -> Vec<&'static str> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }
}

fn is_unavailable<T>(result: Result<T, RepositoryError>) -> bool {
    result.is_err_and(|error| error.may_pass())
}

#[tokio::test]
async fn a_lost_request_changes_nothing_and_a_lost_answer_nothing_back() {
    let database = MemoryDatabase::default();
    let calm = database.adapters();
    let queued = calm.open(MessageStatus::Queued, node()).await;

    let unheard = database.under(Arc::new(Storm { requests: true, ..Storm::default() })).adapters();
    assert!(is_unavailable(unheard.messages.claim(queued.id, node(), at(1)).await));
    assert_eq!(calm.now(&queued).await.status, MessageStatus::Queued);

    let unanswered = database.under(Arc::new(Storm { answers: true, ..Storm::default() })).adapters();
    assert!(is_unavailable(unanswered.messages.claim(queued.id, node(), at(1)).await));
    assert_eq!(calm.now(&queued).await.status, MessageStatus::Processing);
}

#[tokio::test]
async fn every_statement_meets_the_weather() {
    let (database, storm) = (MemoryDatabase::default(), Arc::new(Storm::default()));
    let adapters = database.under(storm.clone()).adapters();
    let key = request("k", 1);
    for statements in [&["messages.accept"][..], &["messages.accept", "messages.kept_request", "messages.find"]] {
        let message = message_of(&instance("acme", "hook"), MessageStatus::Queued, node());
        adapters.messages.accept(&message, Some(&key)).await.unwrap();
        assert_eq!(storm.seen(), statements);
    }
}

/// Keeps what it is given, and says that nobody answers.
#[derive(Default)]
struct Late(Mutex<Vec<Statement>>);

#[async_trait]
impl Weather for Late {
    async fn carry(&self, _: &'static str, statement: Statement) -> Result<(), RepositoryError> {
        self.0.lock().unwrap().push(statement);
        Err(RepositoryError::Unavailable("not yet".to_owned()))
    }
}

#[tokio::test]
async fn a_late_statement_is_carried_out_when_nobody_waits_for_it_any_more() {
    let (database, late) = (MemoryDatabase::default(), Arc::new(Late::default()));
    let calm = database.adapters();
    let queued = calm.open(MessageStatus::Queued, node()).await;
    assert!(is_unavailable(database.under(late.clone()).adapters().messages.claim(queued.id, node(), at(1)).await));
    assert_eq!(calm.now(&queued).await.status, MessageStatus::Queued);
    for statement in late.0.lock().unwrap().drain(..) {
        statement();
    }
    assert_eq!(calm.now(&queued).await.status, MessageStatus::Processing);
}

#[tokio::test]
async fn the_history_tells_every_state_that_was_written() {
    let database = MemoryDatabase::default();
    let adapters = database.adapters();
    let (owner, taker) = (node(), node());
    let timed = adapters.timed(owner, 60).await;
    assert_eq!(adapters.taken(&take(taker, 60)).await, [timed.id]);
    let claimed = adapters.messages.claim(timed.id, taker, at(61)).await.unwrap().unwrap().message;
    assert!(adapters.messages.record(&outcome(&claimed, sent())).await.unwrap());
    assert!(!adapters.messages.record(&outcome(&claimed, sent())).await.unwrap());

    use MessageStatus::{Processing, Queued, Sent};
    let change = |from, to, try_number, node, writer| {
        let believed = (writer == "messages.record").then_some((Some(node), try_number));
        let was_timed = writer == "due.take";
        let wait = timed.next_attempt_at.filter(|_| to == Queued && believed.is_some());
        let wait = wait.map(|time| time - timed.updated_at);
        Change { id: timed.id, from, to, try_number, node: Some(node), was_timed, wait, believed, writer }
    };
    let expected = [
        change(None, Queued, 0, owner, "messages.accept"),
        change(Some(Queued), Processing, 1, owner, "messages.claim"),
        change(Some(Processing), Queued, 1, owner, "messages.record"),
        change(Some(Queued), Queued, 1, taker, "due.take"),
        change(Some(Queued), Processing, 2, taker, "messages.claim"),
        change(Some(Processing), Sent, 2, taker, "messages.record"),
    ];
    assert_eq!(database.history(), expected);
    assert_eq!(format!("{:?}", database.rows()), format!("{:?}", [adapters.now(&timed).await]));
    let numbers: Vec<u32> = database.attempts(timed.id).iter().map(|attempt| attempt.number).collect();
    assert_eq!(numbers, [1, 2]);
}

#[tokio::test]
async fn a_crash_takes_back_the_claims_that_nobodys_write_has_followed() {
    let database = MemoryDatabase::default();
    let adapters = database.adapters();
    let (owner, claimer) = (adapters.live_node().await, adapters.live_node().await);
    let messages = [(); 3].map(|()| message_of(&instance("acme", "hook"), MessageStatus::Queued, owner));
    for message in &messages {
        adapters.messages.accept(message, None).await.unwrap();
    }
    let claim =
        async |message: &Message| adapters.messages.claim(message.id, claimer, at(5)).await.unwrap().unwrap().message;
    let [safe, read, last] = &messages;
    claim(safe).await;
    assert!(adapters.nodes.beat(owner).await.unwrap());
    let claimed = claim(read).await;
    claim(last).await;

    // What changes nothing brings nothing to the disk.
    assert!(!adapters.nodes.beat(node()).await.unwrap());
    assert_eq!(adapters.taken(&take(owner, 5)).await, []);
    assert!(adapters.messages.claim(read.id, owner, at(6)).await.unwrap().is_none());
    assert_eq!(database.at_risk(), 2);

    let told = database.history().len();
    assert_eq!(database.crash(), [(last.id, claimer), (read.id, claimer)]);
    assert_eq!(database.crash(), []);
    assert_eq!(adapters.now(safe).await.status, MessageStatus::Processing);
    for lost in [read, last] {
        assert_eq!(format!("{:?}", adapters.now(lost).await), format!("{lost:?}"));
    }
    let changes = &database.history()[told..];
    assert_eq!(changes.iter().map(|change| change.id).collect::<Vec<_>>(), [last.id, read.id]);
    for change in changes {
        let (from, to) = (Some(MessageStatus::Processing), MessageStatus::Queued);
        assert_eq!((change.from, change.to, change.try_number, change.node), (from, to, 0, Some(owner)));
        assert_eq!((change.writer, change.believed), (CRASH, None));
    }

    assert!(adapters.messages.record(&outcome(&claimed, sent())).await.unwrap());
    assert!(!adapters.messages.record(&outcome(&claimed, sent())).await.unwrap());
    let [refusal] = &database.refusals()[..] else { panic!("one is told") };
    assert_eq!((refusal.id, refusal.node, refusal.try_number), (read.id, Some(claimer), 1));
    assert_eq!((refusal.ended, refusal.found), (MessageStatus::Sent, (MessageStatus::Sent, 1)));
}

/// Adapters without a bug, and with this one.
fn without_and_with(bug: Bug) -> [(Adapters, bool); 2] {
    let database = MemoryDatabase::default();
    database.plant(bug);
    [(MemoryDatabase::default().adapters(), false), (database.adapters(), true)]
}

#[tokio::test]
async fn planted_a_claim_comes_before_its_time() {
    for (adapters, planted) in without_and_with(Bug::ClaimIgnoresNextAttempt) {
        let timed = adapters.timed(node(), 60).await;
        assert_eq!(adapters.messages.claim(timed.id, node(), at(5)).await.unwrap().is_some(), planted);
        let processing = adapters.open(MessageStatus::Processing, node()).await;
        assert!(adapters.messages.claim(processing.id, node(), at(5)).await.unwrap().is_none());
    }
}

#[tokio::test]
async fn planted_an_earlier_trys_outcome_is_written() {
    for (adapters, planted) in without_and_with(Bug::OutcomeIgnoresTry) {
        let owner = node();
        let first = adapters.open(MessageStatus::Processing, owner).await;
        assert!(adapters.messages.record(&outcome(&first, retry(20))).await.unwrap());
        adapters.taken(&take(owner, 20)).await;
        adapters.messages.claim(first.id, owner, at(21)).await.unwrap().unwrap();
        let mut late = outcome(&first, sent());
        let others = Guard { node: Some(node()), ..late.guard };
        assert_eq!(adapters.messages.record(&late).await.unwrap(), planted);
        late.guard = others;
        assert!(!adapters.messages.record(&late).await.unwrap());
    }
}

#[tokio::test]
async fn planted_another_nodes_outcome_is_written() {
    for (adapters, planted) in without_and_with(Bug::OutcomeIgnoresNode) {
        let processing = adapters.open(MessageStatus::Processing, node()).await;
        let others = outcome(&processing, sent());
        let others = Outcome { guard: Guard { node: Some(node()), ..others.guard }, ..others };
        assert_eq!(adapters.messages.record(&others).await.unwrap(), planted);
    }
}

#[tokio::test]
async fn planted_the_relay_takes_what_a_live_node_is_delivering() {
    for (adapters, planted) in without_and_with(Bug::RelayTakesProcessingOfLiveNodes) {
        let (alive, taker) = (adapters.live_node().await, adapters.live_node().await);
        adapters.open(MessageStatus::Pending, alive).await;
        adapters.open(MessageStatus::Queued, alive).await;
        let processing = adapters.open(MessageStatus::Processing, alive).await;
        let held = Take { held: vec![processing.id], ..take(taker, 5) };
        assert_eq!(adapters.taken(&held).await, []);
        assert_eq!(adapters.taken(&take(taker, 5)).await == [processing.id], planted);
    }
}

#[tokio::test]
async fn planted_a_lost_claim_stays_lost() {
    for (adapters, planted) in without_and_with(Bug::LostClaimsStayLost) {
        let queued = adapters.open(MessageStatus::Queued, node()).await;
        let guard = Guard { status: MessageStatus::Processing, node: Some(node()), try_number: 1, id: queued.id };
        let outcome = Outcome { guard, ..outcome(&queued, sent()) };
        assert_eq!(adapters.messages.record(&outcome).await.unwrap(), !planted);
    }
}
