//! How many connections the server lets this process have.

use sqlx::{PgConnection, Row};

/// A limit, and what sets it.
struct Limit {
    connections: u32,
    of: &'static str,
}

/// The limits for the role that connected.
pub(super) struct Room(Vec<Limit>);

impl Room {
    /// Limits of roles and databases are not for superusers, who also have what others must leave free.
    pub(super) async fn read(connection: &mut PgConnection) -> Result<Self, sqlx::Error> {
        let query = sqlx::query(
            "select current_setting('max_connections')::int as all_connections,
                    current_setting('superuser_reserved_connections')::int
                        + coalesce(current_setting('reserved_connections', true)::int, 0) as reserved,
                    rolsuper,
                    rolconnlimit,
                    datconnlimit
               from pg_roles
              cross join pg_database
              where rolname = session_user
                and datname = current_database()",
        );
        let row = query.fetch_one(connection).await?;
        let is_super: bool = row.try_get("rolsuper")?;
        let [all, reserved, of_role, of_database] =
            ["all_connections", "reserved", "rolconnlimit", "datconnlimit"].map(|column| row.try_get::<i32, _>(column));
        let (all, reserved) = (all?, if is_super { 0 } else { reserved? });
        let own = if is_super { [-1, -1] } else { [of_role?, of_database?] };
        let [of_role, of_database] = own;
        let limits = [
            (all - reserved, "max_connections of the server, less those it reserves"),
            (of_role, "the connection limit of the role"),
            (of_database, "the connection limit of the database"),
        ];
        let limit = |(connections, of)| u32::try_from(connections).ok().map(|connections| Limit { connections, of });
        Ok(Self(limits.into_iter().filter_map(limit).collect()))
    }

    /// What an operator has to know, if there is less than the process opens; `pool` of these are of `DATABASE_POOL_SIZE`.
    pub(super) fn shortage(&self, opened: u32, pool: u32) -> Option<String> {
        /// The least value of the setting.
        const LEAST: u32 = 2;
        let Limit { connections, of } = self.0.iter().min_by_key(|limit| limit.connections)?;
        let missing = opened.checked_sub(*connections).filter(|missing| *missing > 0)?;
        let remedy = match pool.checked_sub(missing) {
            Some(smaller) if smaller >= LEAST => {
                format!("set DATABASE_POOL_SIZE to {smaller} or less (it is {pool}), or raise that limit")
            }
            _ => format!("raise that limit to {opened} or more"),
        };
        Some(format!(
            "this process opens up to {opened} connections to PostgreSQL, and gets {connections} ({of}): requests will be \
             answered 503; {remedy}"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(limits: &[u32]) -> Room {
        Room(limits.iter().map(|connections| Limit { connections: *connections, of: "a limit" }).collect())
    }

    #[test]
    fn where_there_is_room_nothing_is_said() {
        assert_eq!(room(&[97]).shortage(32, 20), None);
        assert_eq!(room(&[32, 97]).shortage(32, 20), None);
        assert_eq!(room(&[]).shortage(32, 20), None);
    }

    #[test]
    fn what_is_missing_is_taken_from_the_pool_as_far_as_that_goes() {
        let sentence = room(&[97, 20]).shortage(32, 20).unwrap();
        assert!(sentence.contains("up to 32") && sentence.contains("gets 20 (a limit)"), "{sentence}");
        assert!(sentence.contains("set DATABASE_POOL_SIZE to 8 or less (it is 20)"), "{sentence}");
        for limit in [0, 8, 13] {
            let sentence = room(&[limit]).shortage(32, 20).unwrap();
            assert!(sentence.ends_with("raise that limit to 32 or more"), "{sentence}");
        }
    }
}
