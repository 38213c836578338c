//! What the log costs.

use std::net::TcpListener;
use std::process::ChildStderr;

use futures::future::join_all;
use serde_json::Value;

use crate::support::caller::{Caller, to_sandbox};
use crate::support::eventually::{SOON, eventually};
use crate::support::free_port::free_port;
use crate::support::installation::Installation;
use crate::support::modes::stories;
use crate::support::process::{Process, run};
use crate::support::test_app::BOOTSTRAP_KEY;

stories!(
    on_one_installation:
    a_collector_that_stops_reading_stops_nothing,
    what_a_collector_did_not_read_is_counted_when_it_reads_again,
    the_last_line_of_a_start_that_fails_is_the_reason;
);

/// More than a pipe takes that nothing reads.
const A_PIPE: usize = 64 << 10;

/// It serves, and nothing reads its log, of which there is much.
async fn begin(installation: &Installation) -> (Process, ChildStderr, Caller) {
    let port = free_port();
    let settings = [
        ("PORT", port.to_string()),
        ("BOOTSTRAP_API_KEY", BOOTSTRAP_KEY.to_owned()),
        ("RUST_LOG", "trace".to_owned()),
        ("SHUTDOWN_DELAY", "0s".to_owned()),
    ];
    let mut environment = installation.environment();
    environment.extend(settings.map(|(name, value)| (name.to_owned(), value)));
    let (process, stderr) = Process::begin_unread(installation.directory.path(), environment);
    let listens = async || std::net::TcpStream::connect(("127.0.0.1", port)).ok();
    drop(eventually(SOON, "it listens", listens).await);
    let caller = Caller::new(&format!("127.0.0.1:{port}"), &installation.mode).with_key(BOOTSTRAP_KEY);
    (process, stderr, caller)
}

async fn send(caller: &Caller, messages: usize) {
    for number in 0..messages {
        let sent = tokio::time::timeout(SOON, caller.send(&to_sandbox("5585999999999"))).await;
        let sent = sent.unwrap_or_else(|_| panic!("message {number} is not answered"));
        assert_eq!(sent.status, 200, "{}", sent.json());
    }
}

fn lines(process: &Process) -> Vec<Value> {
    process.log().iter().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

async fn a_collector_that_stops_reading_stops_nothing(installation: Installation) {
    let (mut process, stderr, caller) = begin(&installation).await;
    send(&caller, 100).await;
    process.terminate();
    assert_eq!(process.exited().await.code(), Some(0));
    process.read(stderr);
    let log = async || Some(process.log().iter().map(String::len).sum::<usize>()).filter(|read| *read > A_PIPE / 2);
    eventually(SOON, "the pipe was full", log).await;
    assert_eq!(installation.sql_number("select count(*) from messaging_messages where status = 'sent'").await, 100);
}

async fn what_a_collector_did_not_read_is_counted_when_it_reads_again(installation: Installation) {
    let (mut process, stderr, caller) = begin(&installation).await;
    // More than 4 MiB of lines.
    join_all((0..10).map(|_| send(&caller, 200))).await;
    process.read(stderr);
    let lost = async || lines(&process).iter().find_map(|line| line["lost"].as_u64());
    assert!(eventually(SOON, "it says what was lost", lost).await > 0);
    process.terminate();
    assert_eq!(process.exited().await.code(), Some(0));
    let last = async || process.log().last().filter(|line| line.contains("\"stopped\"")).cloned();
    eventually(SOON, "the last line came out, too", last).await;
    assert_eq!(lines(&process).len(), process.log().len(), "every line is whole");
}

async fn the_last_line_of_a_start_that_fails_is_the_reason(installation: Installation) {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let environment = [("PORT", port.as_str()), ("RUST_LOG", "debug")];
    let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned()));
    for _ in 0..5 {
        let output = run(installation.directory.path(), &environment, &[]).await;
        assert_eq!(output.status.code(), Some(1));
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(told.lines().count() > 10, "{told}");
        assert!(told.lines().last().unwrap().starts_with("correio: PORT: cannot listen on"), "{told}");
    }
}
