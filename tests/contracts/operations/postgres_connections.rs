//! What uses up connections, and who goes on.

use std::time::Duration;

use correio::application::ports::{MessageFilter, RepositoryError, SearchError, Stores, Take};
use correio::domain::message::MessageStatus;
use correio::infrastructure::storage::limits::Limits;
use correio::infrastructure::storage::postgres::PgDatabase;
use futures::future::join_all;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::support::databases::{FreshPostgres, OwnedPostgres};
use crate::support::eventually::{SOON, eventually};
use crate::support::given::{at, message, node, take, tenant};

/// Less than a caller waits for a connection.
const PROMPTLY: Duration = Duration::from_secs(3);

struct Installation {
    stores: Stores,
    database: PgDatabase,
    operator: PgConnection,
    /// To look what the processes are doing.
    observer: PgConnection,
    _fresh: FreshPostgres,
}

impl Installation {
    /// With a message of a node that nobody knows.
    async fn with(limits: Limits) -> Option<Self> {
        let fresh = FreshPostgres::create().await?;
        let database = PgDatabase::connect_within(fresh.options(), limits).await.unwrap();
        database.migrate().await.unwrap();
        let stores = database.stores();
        stores.messages.accept(&message(MessageStatus::Queued, node()), None).await.unwrap();
        let operator = PgConnection::connect_with(&fresh.options()).await.unwrap();
        let observer = PgConnection::connect_with(&fresh.options()).await.unwrap();
        Some(Self { stores, database, operator, observer, _fresh: fresh })
    }

    /// From now on a search takes a minute, and nothing else does: no other statement has its time limit.
    async fn searches_become_slow(&mut self) {
        let slow = "alter table messaging_messages rename to stored_messages;
                    create view messaging_messages as
                    select *
                      from stored_messages
                     where current_setting('statement_timeout') = '15s'
                        or pg_sleep(60) is null";
        sqlx::raw_sql(slow).execute(&mut self.operator).await.unwrap();
    }

    /// How many of the process's statements wait for this: `PgSleep`, `relation`.
    async fn waiting_for(&mut self, event: &str) -> i64 {
        let waiting = "select count(*) from pg_stat_activity
                        where datname = current_database() and application_name = 'correio' and wait_event = $1";
        sqlx::query_scalar(waiting).bind(event).fetch_one(&mut self.observer).await.unwrap()
    }

    async fn until_so_many_wait_for(&mut self, event: &str, expected: i64) {
        let what = format!("{expected} wait for {event}");
        eventually(SOON, &what, async || (self.waiting_for(event).await == expected).then_some(())).await;
    }
}

/// A search that finds nothing out for a minute.
async fn search(stores: &Stores) -> Result<usize, SearchError> {
    stores.search.list(&tenant("acme"), &MessageFilter::default(), None, 10).await.map(|found| found.messages.len())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pool_that_is_used_up_delays_no_heartbeat_no_takeover_and_no_readiness() {
    let Some(mut installation) = Installation::with(Limits::default()).await else { return };
    let stores = installation.stores.clone();
    let owner = node();
    stores.nodes.register(owner, owner, Default::default(), at(0)).await.unwrap();
    installation.searches_become_slow().await;
    let hold = "begin; lock table api_keys in access exclusive mode";
    sqlx::raw_sql(hold).execute(&mut installation.operator).await.unwrap();
    let mut callers = JoinSet::new();
    for number in 0..30 {
        let (keys, searching) = (stores.api_keys.clone(), stores.clone());
        callers.spawn(async move { keys.find_by_hash(&[number; 32]).await.is_ok() });
        callers.spawn(async move { search(&searching).await.is_ok() });
    }
    let limits = Limits::default();
    installation.until_so_many_wait_for("relation", limits.pool.into()).await;
    installation.until_so_many_wait_for("PgSleep", limits.searches.into()).await;

    let going_on = async {
        assert!(stores.nodes.beat(owner).await.unwrap());
        stores.storage.ping().await.unwrap();
        assert_eq!(stores.nodes.all().await.unwrap().len(), 1);
        assert_eq!(stores.due.take(&take(owner, 1)).await.unwrap().len(), 1);
        assert!(stores.due.in_delivery(&[owner]).await.unwrap().is_empty());
        assert!(stores.owed_dead_letters.owed(owner, None, &[], 10).await.unwrap().is_empty());
        stores.nodes.forget(&[node()]).await.unwrap();
    };
    timeout(PROMPTLY, going_on).await.expect("it waits for the callers");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_recovery_waits_for_delays_no_heartbeat_and_no_readiness() {
    let Some(mut installation) = Installation::with(Limits::default()).await else { return };
    let stores = installation.stores.clone();
    let owner = node();
    stores.nodes.register(owner, owner, Default::default(), at(0)).await.unwrap();
    let hold = "begin; lock table messaging_messages in access exclusive mode";
    sqlx::raw_sql(hold).execute(&mut installation.operator).await.unwrap();
    let mut recovery = JoinSet::new();
    let (due, nodes) = (stores.due.clone(), stores.nodes.clone());
    // Again and again: none of them waits for long.
    recovery.spawn(async move { while nodes.forget(&[node()]).await.is_err() {} });
    recovery.spawn(async move { while due.take(&take(owner, 1)).await.is_err() {} });
    installation.until_so_many_wait_for("relation", 2).await;

    let going_on = async {
        assert!(stores.nodes.beat(owner).await.unwrap());
        // Neither is the watch over the nodes, which an answer that comes too late would start again.
        assert_eq!(stores.nodes.all().await.unwrap().len(), 1);
        let asked = (0..100).map(|_| stores.storage.ping());
        assert!(join_all(asked).await.into_iter().all(|answer| answer.is_ok()));
        assert!(stores.nodes.beat(owner).await.unwrap());
    };
    timeout(PROMPTLY, going_on).await.expect("it waits for the recovery");
}

/// It is rewritten, or its indexes are.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_week_that_an_operator_works_on_keeps_no_recovery_waiting() {
    let Some(mut installation) = Installation::with(Limits::default()).await else { return };
    let stores = installation.stores.clone();
    let (ended, owner) = (node(), node());
    for node in [ended, owner] {
        stores.nodes.register(node, node, Default::default(), at(0)).await.unwrap();
    }
    let old = "create table messaging_messages_2020_w02 partition of messaging_messages
               for values from ('016f7826-b400-0000-0000-000000000000') to ('016f9c33-3800-0000-0000-000000000000')";
    sqlx::raw_sql(old).execute(&mut installation.operator).await.unwrap();
    stores.due.take(&Take { now: chrono::Utc::now(), ..take(owner, 1) }).await.unwrap();
    let hold = "begin; lock table messaging_messages_2020_w02 in access exclusive mode";
    sqlx::raw_sql(hold).execute(&mut installation.operator).await.unwrap();

    let forgotten = timeout(PROMPTLY, stores.nodes.forget(&[ended])).await.expect("it waits for the operator");
    assert_eq!(forgotten.unwrap(), 1);
    let left = timeout(PROMPTLY, stores.nodes.leave(owner, true, at(1))).await.expect("it waits for the operator");
    assert!(matches!(left, Err(RepositoryError::Contested(_))), "it cannot know what it owns: {left:?}");
    for _ in 0..3 {
        let take = Take { now: chrono::Utc::now(), ..take(owner, 1) };
        timeout(PROMPTLY, stores.due.take(&take)).await.expect("it waits for the operator").unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_heartbeat_is_given_up_early_enough_for_another_one() {
    let limits = Limits { heartbeat: Limits::heartbeat(Duration::from_secs(1)), ..Limits::default() };
    let Some(mut installation) = Installation::with(limits).await else { return };
    let owner = node();
    installation.stores.nodes.register(owner, owner, Default::default(), at(0)).await.unwrap();
    let hold = "begin; lock table messaging_nodes in access exclusive mode";
    sqlx::raw_sql(hold).execute(&mut installation.operator).await.unwrap();
    for _ in 0..3 {
        let given_up = timeout(PROMPTLY, installation.stores.nodes.beat(owner)).await.expect("it is given up");
        assert!(given_up.unwrap_err().may_pass());
    }
    sqlx::raw_sql("rollback").execute(&mut installation.operator).await.unwrap();
    assert!(installation.stores.nodes.beat(owner).await.unwrap());
}

/// Of its watch, or of whoever asks whether the database takes writes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_heartbeat_waits_for_nothing_else() {
    let Some(mut installation) = Installation::with(Limits::default()).await else { return };
    let stores = installation.stores.clone();
    let owner = node();
    stores.nodes.register(owner, owner, Default::default(), at(0)).await.unwrap();
    assert!(stores.nodes.beat(owner).await.unwrap());
    // The watch reads who has left, and a heartbeat does not.
    let slow = "alter table messaging_nodes rename to stored_nodes;
                create view messaging_nodes as
                select id, heartbeat, publishes, consumes, started_at, process_id,
                       case when pg_sleep(60) is null then null else left_at end as left_at
                  from stored_nodes";
    sqlx::raw_sql(slow).execute(&mut installation.operator).await.unwrap();
    let watch = stores.clone();
    let watching = tokio::spawn(async move { watch.nodes.all().await });
    installation.until_so_many_wait_for("PgSleep", 1).await;
    assert!(timeout(PROMPTLY, stores.nodes.beat(owner)).await.expect("it waits for the watch").unwrap());
    watching.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_search_that_takes_too_long_is_ended_and_too_many_are_turned_away() {
    let limits = Limits { searches: 1, search_patience: Duration::from_millis(300), ..Limits::default() };
    let Some(mut installation) = Installation::with(limits).await else { return };
    assert_eq!(search(&installation.stores).await.unwrap(), 1);
    installation.searches_become_slow().await;
    let answers = timeout(PROMPTLY, join_all((0..8).map(|_| search(&installation.stores)))).await.expect("they end");
    let busy = answers.iter().filter(|answer| matches!(answer, Err(SearchError::Busy))).count();
    let too_long = answers.iter().filter(|answer| matches!(answer, Err(SearchError::TooLong))).count();
    assert!(busy > 0 && too_long > 0 && busy + too_long == 8, "{answers:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn accepts_with_a_bound_do_not_wait_for_searches() {
    let limits = Limits { searches: 1, search_patience: Duration::from_secs(20), ..Limits::default() };
    let Some(mut installation) = Installation::with(limits).await else { return };
    installation.searches_become_slow().await;
    let stores = installation.stores.clone();
    let searching = tokio::spawn(async move { search(&stores).await });
    installation.until_so_many_wait_for("PgSleep", 1).await;
    let stores = installation.stores.clone();
    let counting = async {
        let acme = tenant("acme");
        let open = stores.search.count_open(Some(&acme)).await.unwrap();
        (open, stores.broadcasts.unmade(&acme).await.unwrap())
    };
    assert_eq!(timeout(PROMPTLY, counting).await.expect("they wait for the search"), (1, 0));
    searching.abort();
}

/// A server goes on with a statement whose connection was closed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_that_hang_up_leave_no_more_searches_behind_than_may_run() {
    let limits = Limits { searches: 2, search_patience: Duration::from_secs(2), ..Limits::default() };
    let Some(mut installation) = Installation::with(limits).await else { return };
    installation.searches_become_slow().await;
    for _ in 0..20 {
        let hung_up = timeout(Duration::from_millis(50), search(&installation.stores)).await;
        assert!(hung_up.is_err(), "{hung_up:?}");
        let running = installation.waiting_for("PgSleep").await;
        assert!(running <= 2, "{running} searches run");
    }
    sqlx::raw_sql("drop view messaging_messages; alter table stored_messages rename to messaging_messages")
        .execute(&mut installation.operator)
        .await
        .unwrap();
    assert_eq!(search(&installation.stores).await.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_by_id_leave_most_of_the_pool_to_others() {
    let Some(mut installation) = Installation::with(Limits::default()).await else { return };
    let stores = installation.stores.clone();
    let hold = "begin; lock table messaging_message_attempts in access exclusive mode";
    sqlx::raw_sql(hold).execute(&mut installation.operator).await.unwrap();
    let known = message(MessageStatus::Queued, node());
    stores.messages.accept(&known, None).await.unwrap();
    let mut readers = JoinSet::new();
    for _ in 0..50 {
        let (search, id) = (stores.search.clone(), known.id);
        readers.spawn(async move { search.find(&tenant("acme"), id).await.is_ok() });
    }
    installation.until_so_many_wait_for("relation", i64::from(Limits::default().pool / 4)).await;
    let going_on = async { stores.api_keys.find_by_hash(&[1; 32]).await.unwrap() };
    assert!(timeout(PROMPTLY, going_on).await.expect("it waits for the readers").is_none());
    sqlx::raw_sql("rollback").execute(&mut installation.operator).await.unwrap();
    assert_eq!(readers.join_all().await, [true; 50]);
}

/// The number that is logged and documented.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_opens_no_more_connections_than_it_says() {
    let limits = Limits { pool: 3, searches: 2, ..Limits::default() };
    let Some(mut installation) = Installation::with(limits).await else { return };
    let stores = installation.stores.clone();
    let owner = node();
    stores.nodes.register(owner, owner, Default::default(), at(0)).await.unwrap();
    let mut callers = JoinSet::new();
    for number in 0..20 {
        let stores = stores.clone();
        callers.spawn(async move {
            let message = message(MessageStatus::Queued, owner);
            stores.messages.accept(&message, None).await.unwrap();
            stores.messages.claim(message.id, owner, at(1)).await.unwrap();
            stores.instances.find_any(message.instance_id).await.unwrap();
            stores.instances.find_by_name(&message.tenant, &message.channel, "hook").await.unwrap();
            stores.api_keys.find_by_hash(&[number; 32]).await.unwrap();
            stores.due.take(&take(owner, 1)).await.unwrap();
            stores.nodes.all().await.unwrap();
            stores.due.in_delivery(&[owner]).await.unwrap();
            search(&stores).await.unwrap();
        });
    }
    callers.join_all().await;
    let opened = "select count(*) from pg_stat_activity where datname = $1 and application_name = 'correio'";
    let name: String =
        sqlx::query_scalar("select current_database()").fetch_one(&mut installation.observer).await.unwrap();
    let opened: i64 = sqlx::query_scalar(AssertSqlSafe(opened.to_owned()))
        .bind(name)
        .fetch_one(&mut installation.observer)
        .await
        .unwrap();
    let said = i64::from(installation.database.connections());
    // All but those that outcomes are recorded on.
    assert!(opened >= said - 2 && opened <= said, "{opened} are open, {said} are said to be the most");
}

/// The heartbeats have their connection, and nothing else gets one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_gets_no_connections_for_its_requests_is_not_ready_and_says_why() {
    let Some(owned) = OwnedPostgres::create().await else { return };
    let database = PgDatabase::connect_with(owned.options()).await.unwrap();
    database.migrate().await.unwrap();
    assert_eq!(database.shortage().await.unwrap(), None);
    let stores = database.stores();
    let owner = node();
    stores.nodes.register(owner, owner, Default::default(), at(0)).await.unwrap();

    owned.execute(format!("alter role {} connection limit 1", owned.role())).await;
    let shortage = database.shortage().await.unwrap().expect("too few");
    assert!(shortage.contains("gets 1 (the connection limit of the role)"), "{shortage}");
    let refused = stores.storage.ping().await.unwrap_err();
    assert!(refused.to_string().contains("the server refuses further connections"), "{refused}");
    assert!(stores.storage.troubles()[0].contains("DATABASE_POOL_SIZE"));
    assert!(stores.nodes.beat(owner).await.unwrap());

    owned.execute(format!("alter role {} connection limit -1", owned.role())).await;
    eventually(SOON, "it is ready again", async || stores.storage.ping().await.ok()).await;
    assert!(stores.storage.troubles().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_that_may_not_write_any_more_is_not_ready_and_says_so() {
    let Some(owned) = OwnedPostgres::create().await else { return };
    let database = PgDatabase::connect_with(owned.options()).await.unwrap();
    database.migrate().await.unwrap();
    let stores = database.stores();
    stores.storage.ping().await.unwrap();
    owned.execute("alter table messaging_messages owner to current_user".to_owned()).await;
    let refused = eventually(SOON, "it is noticed", async || stores.storage.ping().await.err()).await;
    assert!(refused.to_string().contains("may not read and write its tables"), "{refused}");
    assert_eq!(stores.storage.troubles().len(), 1);
    owned.execute(format!("alter table messaging_messages owner to {}", owned.role())).await;
    eventually(SOON, "it is ready again", async || stores.storage.ping().await.ok()).await;
}
