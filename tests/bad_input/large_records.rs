//! What somebody else writes into a topic that takes it, and we could not write ourselves.

use std::time::Instant;

use rdkafka::config::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

use super::topic::{Topic, Written};
use crate::support::caller::to_sandbox;
use crate::support::eventually::SOON;
use crate::support::installation::{Installation, Mode};
use crate::support::modes::on_installation;
use crate::support::test_app::TestApp;

on_installation!(real_kafka:
    large_records_are_set_aside_whole_and_hold_up_nothing
    a_record_too_large_for_the_dead_letters_goes_without_its_value_and_says_where_it_is
    a_transaction_that_somebody_never_ends_hides_nothing
);

const MEBIBYTE: usize = 1 << 20;

/// The program on topics of one partition, so that whatever follows would have to wait; what they take.
async fn start(installation: Installation, dead_letters: &str) -> (TestApp, Topic, Topic) {
    let Mode::Kafka(brokers) = installation.mode.clone() else { panic!("a real Kafka") };
    let topic = |name| Topic { brokers: brokers.clone(), name: installation.topic_name(name) };
    let (send, dlq) = (topic("messaging.send"), topic("messaging.send.dlq"));
    send.create(1, &[("max.message.bytes", "100000000")]).await;
    dlq.create(1, &[("max.message.bytes", dead_letters)]).await;
    (TestApp::start(installation).await, send, dlq)
}

async fn large_records_are_set_aside_whole_and_hold_up_nothing(installation: Installation) {
    const TIMES: usize = 12;
    let (app, topic, dead_letters) = start(installation, "100000000").await;
    // All at once: as much as the producer has room for, several times.
    let poison = |number: usize| Written::value(vec![b'a' + number as u8; 10 * MEBIBYTE]);
    topic.write((0..TIMES).map(poison).collect(), "none").await;
    let begun = Instant::now();
    app.sent(&to_sandbox("behind")).await;
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    let found =
        dead_letters.read_until(SOON, |found| if found.len() < TIMES { Err(found.len()) } else { Ok(()) }).await;
    let mut values: Vec<_> = found.into_iter().map(|letter| letter.value.unwrap_or_default()).collect();
    values.sort();
    assert!(values.iter().enumerate().all(|(number, value)| Some(value) == poison(number).value.as_ref()));
}

async fn a_record_too_large_for_the_dead_letters_goes_without_its_value_and_says_where_it_is(
    installation: Installation,
) {
    let (mut app, topic, dead_letters) = start(installation, "1048588").await;
    app.sent(&to_sandbox("before")).await;
    // For the topic, and for the buffer of our own producer.
    for size in [2 * MEBIBYTE, 33 * MEBIBYTE] {
        topic.write(vec![Written::value(vec![b'x'; size])], "none").await;
        let begun = Instant::now();
        app.sent(&to_sandbox("behind")).await;
        assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    }
    let found = dead_letters.read_until(SOON, |found| if found.len() < 2 { Err(found.len()) } else { Ok(()) }).await;
    let mut places: Vec<_> = found.iter().map(|letter| letter.header("original-offset").unwrap()).collect();
    places.sort();
    assert_eq!(places, ["1", "3"]);
    for letter in &found {
        assert_eq!((letter.key.as_deref(), &letter.value), (Some(b"anything".as_slice()), &None));
        assert_eq!(letter.header("value-omitted").as_deref(), Some("true"));
        assert_eq!(letter.header("original-partition").as_deref(), Some("0"));
        assert!(letter.header("error").unwrap().starts_with("is not JSON"));
    }
    assert!(app.is_alive());
}

async fn a_transaction_that_somebody_never_ends_hides_nothing(installation: Installation) {
    let (app, topic, dead_letters) = start(installation, "1048588").await;
    let (brokers, name) = (topic.brokers.clone(), topic.name.clone());
    let beginning = tokio::task::spawn_blocking(move || {
        let mut client = ClientConfig::new();
        client.set("bootstrap.servers", brokers).set("transactional.id", &name).set("transaction.timeout.ms", "60000");
        let producer: BaseProducer = client.create().unwrap();
        producer.init_transactions(SOON).unwrap();
        producer.begin_transaction().unwrap();
        producer.send(BaseRecord::<str, str>::to(&name).payload("undecided")).map_err(|(error, _)| error).unwrap();
        producer.flush(SOON).unwrap();
        producer
    });
    let _undecided = beginning.await.unwrap();
    app.sent(&to_sandbox("behind")).await;
    dead_letters.read_until(SOON, |found| if found.is_empty() { Err("nothing") } else { Ok(()) }).await;
}
