//! Messages that a channel took, and what its provider says of them later.

use crate::Result;
use crate::database::Database;
use crate::measurements::history::large_table::{self, MADE};
use crate::requests::{self, INSTANCE};

/// The instance that is reported about, by its name.
pub const PHONE: &str = "phone";

/// Messages of each week before this one.
const A_WEEK: u32 = 20;

pub struct SentMessages {
    /// The digits that the ids begin with; the others are their numbers.
    prefix: String,
}

impl SentMessages {
    /// So many in this week, from 1 on, and a few in every other.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn store(database: &mut Database, count: u32, weeks: u32) -> Result<Self> {
        large_table::make_past_weeks(database, weeks.saturating_sub(MADE)).await?;
        database.execute(phone()).await?;
        let prefix = database.text("select limits_time_of_id(now()) || '7000' || '8000'").await?;
        let sent = Self { prefix };
        database.execute(earlier(weeks.saturating_sub(MADE))).await?;
        database.execute(sent.messages(count)).await?;
        database.execute(NAMES).await?;
        database.execute("vacuum analyze").await?;
        database.execute("checkpoint").await?;
        Ok(sent)
    }

    /// An expression for the id of a message, from one for its number.
    pub fn id_of(&self, number: &str) -> String {
        format!("('{}' || lpad(to_hex(({number})::integer), 12, '0'))::uuid", self.prefix)
    }

    fn messages(&self, count: u32) -> String {
        format!(
            "insert into messaging_messages
                    (id, tenant, user_id, instance_id, channel, channel_instance_id, remote_jid, message, direction, status,
                     retries, max_retries, try, node_id, channel_message_id, sent_at, created_at, updated_at)
             select {}, tenant, user_id, id, channel, channel_instance_id, '5585' || lpad(number::text, 9, '0'),
                    repeat('x', 100), 'sent', 'sent', 1, 3, 1, '01900000-0000-7000-8000-00000000000a', '3EB0' || number,
                    now(), now(), now()
               from messaging_instances
              cross join generate_series(1, {count}) as number
              where channel_instance_id = '{PHONE}'",
            self.id_of("number")
        )
    }
}

/// An instance of a channel that gives receipts, beside ours.
fn phone() -> String {
    format!(
        "insert into messaging_instances
         select (jsonb_populate_record(
                     null::messaging_instances,
                     to_jsonb(instances) || '{{\"id\": \"01900000-0000-7000-8000-00000000000b\",
                                               \"channel\": \"whatsapp_evolution\", \"status\": \"connected\",
                                               \"channel_instance_id\": \"{PHONE}\"}}')).*
           from messaging_instances as instances
          where channel_instance_id = '{INSTANCE}'"
    )
}

fn earlier(weeks: u32) -> String {
    format!(
        "insert into messaging_messages
                (id, tenant, user_id, instance_id, channel, channel_instance_id, remote_jid, message, direction, status,
                 retries, max_retries, try, node_id, channel_message_id, sent_at, created_at, updated_at)
         select (limits_time_of_id(at) || '7' || substr(gen_random_uuid()::text, 16))::uuid,
                tenant, user_id, id, channel, channel_instance_id, '5585' || lpad(number::text, 9, '0'), repeat('x', 100),
                'sent', 'sent', 1, 3, 1, '01900000-0000-7000-8000-00000000000a', 'earlier ' || week || ' ' || number, at, at, at
           from messaging_instances
          cross join generate_series(1, {weeks}) as week
          cross join generate_series(1, {A_WEEK}) as number
          cross join lateral (select now() - week * interval '168 hours' as at) as moment
          where channel_instance_id = '{PHONE}'"
    )
}

const NAMES: &str = "
insert into messaging_channel_messages (instance_id, channel_message_id, message_id)
select instance_id, channel_message_id, id
  from messaging_messages
 where channel_message_id is not null";

/// That the message of this number was delivered.
pub fn delivered(number: u32) -> Vec<u8> {
    let data = format!(
        r#"{{"keyId":"3EB0{number}","remoteJid":"5585000000001@s.whatsapp.net","fromMe":true,"status":"DELIVERY_ACK"}}"#
    );
    requests::report(PHONE, &format!(r#"{{"event":"messages.update","instance":"{PHONE}","data":{data}}}"#))
}
