//! Connections that are cut, slow, or silent, while both ends are well.

use super::fault::Fault;
use super::setting::Setting;
use super::trial::{Trial, in_settings};
use super::way::Way;

in_settings! {
    Kafka kafka: connections_to_postgres_fail, connections_to_kafka_fail, connections_to_the_channel_fail;
    DirectPostgres postgres: connections_to_postgres_fail, connections_to_the_channel_fail;
    DirectSqlite sqlite: connections_to_the_channel_fail;
}

async fn connections_to_postgres_fail(setting: Setting) {
    endure("connections to PostgreSQL cut, slow, silent", setting, Way::Postgres).await;
}

async fn connections_to_kafka_fail(setting: Setting) {
    endure("connections to Kafka cut, slow, silent", setting, Way::Kafka).await;
}

async fn connections_to_the_channel_fail(setting: Setting) {
    endure("connections to the channel cut, slow, silent", setting, Way::Channel).await;
}

async fn endure(name: &'static str, setting: Setting, way: Way) {
    Trial::of(name, setting)
        .through_proxies()
        .delivering_everything()
        .endure(async |stage| {
            let time = stage.length.seconds(1, 10);
            stage.suffers(Fault::Cut(way), time).await;
            stage.suffers(Fault::Slow(way), time).await;
            // Long enough that others think us gone, and that nobody waits for an answer any more.
            let time = stage.length.seconds(5, 20);
            stage.suffers(Fault::Silent(way), time).await;
        })
        .await;
}
