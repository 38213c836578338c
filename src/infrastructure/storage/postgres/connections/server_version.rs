use sqlx::{PgConnection, Row};

/// The oldest server that Correio works with, as its major version. Older ones plan an update of a partitioned table once
/// for every partition.
const OLDEST: u32 = 14;

/// The version of a server, and what it stores texts in.
#[derive(Clone, Debug)]
pub struct ServerVersion {
    /// `server_version_num`, like 150004.
    number: u32,
    /// `server_version`, like `15.4 (Debian 15.4-1)`: for people to read, and for nothing else.
    text: String,
    /// What the database stores texts in.
    encoding: String,
}

impl ServerVersion {
    pub(super) async fn read(connection: &mut PgConnection) -> Result<Self, sqlx::Error> {
        let query = sqlx::query(
            "select current_setting('server_version_num')::bigint as number,
                    current_setting('server_version') as text,
                    current_setting('server_encoding') as encoding",
        );
        let row = query.fetch_one(connection).await?;
        Ok(Self {
            number: u32::try_from(row.try_get::<i64, _>("number")?).unwrap_or(0),
            text: row.try_get("text")?,
            encoding: row.try_get("encoding")?,
        })
    }

    /// Why the server cannot be used, if it cannot.
    pub fn refusal(&self) -> Option<String> {
        let Self { number, text, encoding } = self;
        if number / 10_000 < OLDEST {
            return Some(format!("the server is PostgreSQL {text}, and Correio needs version {OLDEST} or later"));
        }
        (encoding != "UTF8").then(|| {
            format!(
                "the database has the encoding {encoding}, which cannot store every text: Correio needs one with UTF8 \
                 (`createdb --template=template0 --encoding=UTF8 NAME` makes one)"
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(number: u32, text: &str) -> Option<String> {
        ServerVersion { number, text: text.to_owned(), encoding: "UTF8".to_owned() }.refusal()
    }

    #[test]
    fn a_server_that_is_too_old_is_refused_by_its_number_and_named_by_its_text() {
        for (number, text) in [(90_624, "9.6.24"), (130_011, "13.11 (Debian 13.11-1.pgdg110+1)"), (139_999, "13.99")] {
            let expected = format!("the server is PostgreSQL {text}, and Correio needs version 14 or later");
            assert_eq!(refusal(number, text), Some(expected));
        }
    }

    #[test]
    fn a_database_that_cannot_store_every_text_is_refused() {
        for encoding in ["LATIN1", "SQL_ASCII"] {
            let version = ServerVersion { number: 150_004, text: "15.4".to_owned(), encoding: encoding.to_owned() };
            let sentence = version.refusal().unwrap();
            assert!(sentence.contains(encoding) && sentence.contains("--encoding=UTF8"), "{sentence}");
        }
    }

    #[test]
    fn what_a_distribution_or_a_provider_makes_of_the_text_does_not_matter() {
        for (number, text) in [
            (140_000, "14.0"),
            (150_004, "15.4 (Debian 15.4-1)"),
            (160_001, "9.6-compatible"),
            (180_000, "18beta1"),
            (170_002, ""),
        ] {
            assert_eq!(refusal(number, text), None, "{text}");
        }
    }
}
