//! An instance, as its row has it.

use sqlx::postgres::PgRow;

use crate::application::ports::RepositoryError;
use crate::domain::instance::channel::ChannelName;
use crate::domain::instance::credentials::SealedCredentials;
use crate::domain::instance::{Instance, InstanceId};
use crate::infrastructure::storage::postgres::row::{get, number_option, parsed, tenant, time};

macro_rules! instance_columns {
    () => {
        "id, tenant, user_id, name, channel, channel_instance_id, channel_phone_or_id, status, credentials, max_retries,
         retry_unknown, event_secret, one_call_at_a_time, rate_limit_per_minute, burst,
         metadata::text as metadata, created_at, updated_at"
    };
}
pub(super) use instance_columns;

macro_rules! select_instances {
    ($($rest:literal)?) => {
        concat!("select ", instance_columns!(), " from messaging_instances ", $($rest)?)
    };
}
pub(super) use select_instances;

pub(super) fn instance(row: &PgRow) -> Result<Instance, RepositoryError> {
    Ok(Instance {
        id: InstanceId(get(row, "id")?),
        tenant: tenant(row)?,
        user_id: get(row, "user_id")?,
        name: get(row, "name")?,
        channel: ChannelName::new(get::<String>(row, "channel")?),
        channel_instance_id: get(row, "channel_instance_id")?,
        channel_phone_or_id: get(row, "channel_phone_or_id")?,
        status: parsed(row, "status", |text| text.parse().ok())?,
        credentials: SealedCredentials(get(row, "credentials")?),
        max_tries: number_option(row, "max_retries")?,
        event_secret: get::<Option<Vec<u8>>>(row, "event_secret")?.map(SealedCredentials),
        retry_unknown: get(row, "retry_unknown")?,
        one_call_at_a_time: get(row, "one_call_at_a_time")?,
        rate_limit_per_minute: number_option(row, "rate_limit_per_minute")?,
        burst: number_option(row, "burst")?,
        metadata: get(row, "metadata")?,
        created_at: time(row, "created_at")?,
        updated_at: time(row, "updated_at")?,
    })
}
