//! A disk without room, under the embedded database.

use super::fault::Fault;
use super::setting::Setting;
use super::trial::{Trial, in_settings};

in_settings! {
    DirectSqlite sqlite: the_disk_is_full;
}

async fn the_disk_is_full(setting: Setting) {
    let trial = Trial::of("disk full", setting).on_a_small_disk(200);
    trial
        .endure(async |stage| {
            let time = stage.length.seconds(4, 20);
            stage.suffers(Fault::DiskFull, time).await;
        })
        .await;
}
