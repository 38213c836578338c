//! What the program says is wrong with Kafka, and that it is over.

use std::time::Duration;

use crate::support::caller::Caller;
use crate::support::eventually::eventually;
use crate::support::process::Process;

/// For what is wrong or over to be noticed, on a machine that is busy.
pub const NOTICED: Duration = Duration::from_secs(90);

async fn troubles(caller: &Caller) -> Vec<String> {
    let health = caller.get("/health").await.json();
    let troubles = health["kafka"]["troubles"].as_array().unwrap().iter();
    troubles.map(|trouble| trouble.as_str().unwrap().to_owned()).collect()
}

/// Is ready, as far as its consumer is concerned.
pub async fn is_ready(caller: &Caller) {
    let ready = async || (caller.get("/health/ready").await.status == 200).then_some(());
    eventually(NOTICED, "it is ready", ready).await;
}

/// That a sentence with this part is in `/health` and in the log.
pub async fn is_said(caller: &Caller, process: &Process, part: &str) {
    eventually(NOTICED, part, async || {
        let in_health = troubles(caller).await.iter().any(|trouble| trouble.contains(part));
        (in_health && process.log().iter().any(|line| line.contains("WARN") && line.contains(part))).then_some(())
    })
    .await;
}

/// The same, and that a worker is not ready because of it.
pub async fn keeps_out(caller: &Caller, process: &Process, part: &str) {
    is_said(caller, process, part).await;
    let ready = caller.get("/health/ready").await;
    assert_eq!(ready.status, 503);
    assert!(ready.json()["detail"].as_str().unwrap().contains(part), "{}", ready.json());
}

pub async fn is_over(caller: &Caller, process: &Process) {
    eventually(NOTICED, "nothing is wrong any more", async || {
        (troubles(caller).await.is_empty() && caller.get("/health/ready").await.status == 200).then_some(())
    })
    .await;
    assert!(process.log().iter().any(|line| line.contains("this is over")));
}
