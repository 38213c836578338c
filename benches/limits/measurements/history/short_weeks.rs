//! Partitions of minutes, in the place of those of weeks.

use std::time::Duration;

use crate::Result;
use crate::database::Database;

/// Drops the weeks that a program has just made, and makes so many from now on that are as long as this. A process makes none
/// where there is a part of one.
pub async fn make(database: &mut Database, length: Duration, count: u32) -> Result<()> {
    for table in ["messaging_messages", "messaging_message_attempts"] {
        database.execute(replace(table, length, count)).await?;
    }
    Ok(())
}

fn replace(table: &str, length: Duration, count: u32) -> String {
    let milliseconds = length.as_millis();
    format!(
        "do $$
         declare
             week regclass;
             begin_at bigint = (extract(epoch from now()) * 1000)::bigint - 60000;
             bounds text[];
         begin
             for week in
                 select inhrelid
                   from pg_inherits
                  where inhparent = '{table}'::regclass
                    and inhrelid <> '{table}_default'::regclass
             loop
                 execute format('drop table %s', week);
             end loop;
             for number in 0 .. {count} - 1 loop
                 select array_agg(rpad(lpad(to_hex(begin_at + (number + more) * {milliseconds}), 12, '0'), 32, '0')::uuid::text)
                   into bounds
                   from generate_series(0, 1) as more;
                 execute format('create table %I partition of {table} for values from (%L) to (%L)',
                                '{table}_part_' || number, bounds[1], bounds[2]);
             end loop;
         end $$"
    )
}
