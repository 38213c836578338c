use std::io::Write;
use std::sync::Once;
use std::time::Duration;

/// How long faults last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// As long as a change can wait for them.
    Short,
    /// As long as they are told to last.
    Long,
}

impl Length {
    /// None, said once on the terminal, when `FAULTS` asks for nothing: faults want the whole machine, for minutes.
    pub fn asked_for() -> Option<Self> {
        match std::env::var("FAULTS").as_deref() {
            Ok("short") => Some(Length::Short),
            Ok("long") => Some(Length::Long),
            Ok(other) => panic!("FAULTS is `short` or `long`, not `{other}`"),
            Err(_) => {
                static SAID: Once = Once::new();
                // To the terminal itself: what is printed in a test that passes is not shown.
                SAID.call_once(|| {
                    let _ = writeln!(std::io::stderr(), "SKIPPED faults: FAULTS is not set");
                });
                None
            }
        }
    }

    pub fn choose<T>(self, short: T, long: T) -> T {
        match self {
            Length::Short => short,
            Length::Long => long,
        }
    }

    pub fn seconds(self, short: u64, long: u64) -> Duration {
        Duration::from_secs(self.choose(short, long))
    }
}
