//! Makes tests of stories. A story is an `async fn` that takes an [`Installation`](super::installation::Installation); its
//! test is in a module that says where it ran.

/// Makes a test of every story in both modes, each on a database of its own and on shared servers, and of those after
/// `only direct:` and `only kafka:` in one mode.
macro_rules! on_every_mode {
    (
        $($every:ident),* $(,)?
        $(; only direct: $($direct:ident),* $(,)?)?
        $(; only kafka: $($kafka:ident),* $(,)?)?
    ) => {
        crate::support::modes::on_installation!(sqlite: $($every)* $($($direct)*)?);
        crate::support::modes::on_installation!(postgres: $($every)* $($($direct)*)?);
        crate::support::modes::on_installation!(mock: $($every)* $($($kafka)*)?);
        crate::support::modes::on_installation!(real_kafka: $($every)* $($($kafka)*)?);
    };
}
pub(crate) use on_every_mode;

/// Makes a test of every story in direct mode on both databases, and of those after `only sqlite:` and `only postgres:` on
/// one.
macro_rules! on_both_databases {
    (
        $($both:ident),* $(,)?
        $(; only sqlite: $($sqlite:ident),* $(,)?)?
        $(; only postgres: $($postgres:ident),* $(,)?)?
    ) => {
        crate::support::modes::on_installation!(sqlite: $($both)* $($($sqlite)*)?);
        crate::support::modes::on_installation!(postgres: $($both)* $($($postgres)*)?);
    };
}
pub(crate) use on_both_databases;

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
