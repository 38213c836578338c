//! Makes tests of stories. A story is an `async fn` that takes an [`Installation`](super::installation::Installation); its
//! test is in a module that says where it ran.

/// Makes a test of every story on each installation on which it can differ. There are four, and the first line that holds
/// for what a story asserts says which it needs:
///
/// | it asserts | section | SQLite | PostgreSQL | SQLite, embedded broker | PostgreSQL, Kafka |
/// |---|---|---|---|---|---|
/// | what is decided before a database or a queue is asked: a refusal, a scope, a call to a channel | `on_one_installation` | x | | | |
/// | what a caller who waits and one who does not are told, and how often is tried | `in_both_modes` | x | | x | |
/// | what comes out of SQL: a list, a filter, a conflict, a row that an operator reads | `on_both_databases` | x | x | | |
/// | what befalls a message on its way, or what one role leaves for another to find | `on_every_queue` | x | | x | x |
/// | what both have a say in: who died, and who finds out; what many do at once | `on_every_installation` | x | x | x | x |
///
/// What is there in one mode only is in `in_direct_mode` (both databases) or in `in_kafka_mode` (both brokers), and what is
/// about one database in `only_on_sqlite` or `only_on_postgres`.
///
/// What one adapter promises needs no process: it belongs to `contracts`, and how it talks to its server to `kafka` and
/// `channels`.
macro_rules! stories {
    (
        $(on_one_installation: $($one:ident),+ $(,)?;)?
        $(in_both_modes: $($mode:ident),+ $(,)?;)?
        $(on_both_databases: $($database:ident),+ $(,)?;)?
        $(on_every_queue: $($queue:ident),+ $(,)?;)?
        $(on_every_installation: $($every:ident),+ $(,)?;)?
        $(in_direct_mode: $($direct:ident),+ $(,)?;)?
        $(in_kafka_mode: $($kafka:ident),+ $(,)?;)?
        $(only_on_sqlite: $($sqlite:ident),+ $(,)?;)?
        $(only_on_postgres: $($postgres:ident),+ $(,)?;)?
    ) => {
        crate::support::modes::on_installation!(sqlite:
            $($($one)+)? $($($mode)+)? $($($database)+)? $($($queue)+)? $($($every)+)? $($($direct)+)? $($($sqlite)+)?);
        crate::support::modes::on_installation!(postgres:
            $($($database)+)? $($($every)+)? $($($direct)+)? $($($postgres)+)?);
        crate::support::modes::on_installation!(mock: $($($mode)+)? $($($queue)+)? $($($every)+)? $($($kafka)+)?);
        crate::support::modes::on_installation!(real_kafka: $($($queue)+)? $($($every)+)? $($($kafka)+)?);
    };
}
pub(crate) use stories;

macro_rules! on_installation {
    ($installation:ident: $($story:ident)*) => {
        mod $installation {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $story() {
                    if let Some(installation) = crate::support::installation::Installation::$installation().await {
                        super::$story(installation).await;
                    }
                }
            )*
        }
    };
}
pub(crate) use on_installation;
