//! Servers that are killed and come back, with or without what they knew.

use super::fault::Fault;
use super::setting::Setting;
use super::trial::{Trial, in_settings};

in_settings! {
    Kafka kafka: kafka_is_killed, kafka_is_away_for_longer_than_the_producer_waits, postgres_is_killed,
        the_topic_is_deleted, the_receiver_is_gone;
    DirectPostgres postgres: postgres_is_killed, the_receiver_is_gone;
    DirectSqlite sqlite: the_receiver_is_gone;
}

async fn kafka_is_killed(setting: Setting) {
    let trial = Trial::of("Kafka killed, restarted on its data", setting);
    trial
        .endure(async |stage| {
            let time = stage.length.seconds(3, 20);
            stage.suffers(Fault::KafkaKilled, time).await;
        })
        .await;
}

async fn kafka_is_away_for_longer_than_the_producer_waits(setting: Setting) {
    let trial = Trial::of("Kafka killed for longer than `KAFKA_PUBLISH_TIMEOUT`", setting);
    trial
        .with("KAFKA_PUBLISH_TIMEOUT", "2s")
        .endure(async |stage| {
            let time = stage.length.seconds(4, 20);
            stage.suffers(Fault::KafkaKilled, time).await;
        })
        .await;
}

async fn postgres_is_killed(setting: Setting) {
    let trial = Trial::of("PostgreSQL killed (`-m immediate`) and restarted", setting);
    trial
        .endure(async |stage| {
            let time = stage.length.seconds(2, 10);
            stage.suffers(Fault::PostgresKilled, time).await;
        })
        .await;
}

async fn the_topic_is_deleted(setting: Setting) {
    let trial = Trial::of("topic deleted under load", setting);
    trial
        .with("KAFKA_PUBLISH_TIMEOUT", "5s")
        .endure(async |stage| {
            let time = stage.length.seconds(2, 10);
            stage.suffers(Fault::TopicDeleted, time).await;
        })
        .await;
}

async fn the_receiver_is_gone(setting: Setting) {
    let trial = Trial::of("receiver gone", setting).delivering_everything();
    trial
        .endure(async |stage| {
            let time = stage.length.seconds(4, 30);
            stage.suffers(Fault::ReceiverGone, time).await;
        })
        .await;
}
