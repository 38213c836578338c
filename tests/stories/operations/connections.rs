//! What a process opens of its database, and what it does when there is no more.

use std::time::{Duration, Instant};

use futures::future::join_all;
use serde_json::Value;
use sqlx::Connection;
use sqlx::postgres::PgConnection;

use crate::support::caller::to_sandbox;
use crate::support::installation::Installation;
use crate::support::modes::stories;
use crate::support::test_app::TestApp;

stories!(
    on_both_databases:
    the_fewest_connections_are_enough;
    only_on_postgres:
    a_search_that_takes_too_long_is_a_503_that_says_so_and_sends_go_on;
);

async fn the_fewest_connections_are_enough(installation: Installation) {
    let settings = [("DATABASE_POOL_SIZE", "2"), ("SEARCH_CONCURRENCY", "1")];
    let app = TestApp::start_with(installation, &settings).await;
    let asked = join_all((0..20).map(async |number| {
        let recipient = to_sandbox(&format!("{number}"));
        let sent = app.send_once(&format!("pedido-{number}"), &recipient).await;
        let path = format!("/api/messaging/messages/{}", sent.message_id());
        let others =
            ["/api/messaging/messages", "/api/messaging/messages/stats", "/api/messaging/instances", "/health"];
        let mut statuses = vec![sent.status, app.get(&path).await.status];
        for path in others {
            statuses.push(app.get(path).await.status);
        }
        statuses
    }))
    .await;
    assert_eq!(asked, vec![vec![200; 6]; 20]);

    let lines = app.log();
    let mut lines = lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let said = lines.find(|line| line["message"] == "listening").unwrap()["connections"].as_i64();
    if app.installation.is_sqlite() {
        assert_eq!(said, None);
        return;
    }
    let opened = "select count(*) from pg_stat_activity
                   where datname = current_database() and application_name = 'correio'";
    let opened = app.installation.sql_number(opened).await;
    assert!(opened <= said.unwrap(), "{opened} are open, {said:?} are said to be the most");
}

async fn a_search_that_takes_too_long_is_a_503_that_says_so_and_sends_go_on(installation: Installation) {
    let options = installation.postgres.as_ref().unwrap().options();
    let app = TestApp::start_with(installation, &[("SEARCH_CONCURRENCY", "1")]).await;
    assert_eq!(app.send(&to_sandbox("5585999999999")).await.status, 200);
    // No other statement has the time limit of a search.
    let slow = "alter table messaging_messages rename to stored_messages;
                create view messaging_messages as
                select *
                  from stored_messages
                 where current_setting('statement_timeout') = '15s'
                    or pg_sleep(60) is null";
    sqlx::raw_sql(slow).execute(&mut PgConnection::connect_with(&options).await.unwrap()).await.unwrap();

    // Without a filter, counters have the answer.
    let (list, stats) = ("/api/messaging/messages", "/api/messaging/messages/stats?channel=sandbox");
    let searches = join_all([list, stats, list, stats].map(async |path| app.get(path).await));
    let sends = async {
        let start = Instant::now();
        assert_eq!(app.send(&to_sandbox("5585888888888")).await.status, 200);
        assert_eq!(app.get("/health/ready").await.status, 200);
        assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    };
    let (searches, ()) = futures::join!(searches, sends);
    let mut problems: Vec<String> = searches.iter().map(|answer| answer.problem()).collect();
    problems.sort();
    problems.dedup();
    assert_eq!(problems, ["search-too-long", "unavailable"]);
    for answer in &searches {
        assert_eq!((answer.status, answer.header("retry-after")), (503, Some("2")));
    }
    let too_long = searches.iter().find(|answer| answer.problem() == "search-too-long").unwrap();
    assert!(too_long.json()["detail"].as_str().unwrap().contains("narrow it"), "{}", too_long.json());
}
