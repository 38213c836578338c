//! Signals: those by which a process is asked to end, and those that it does not end from.

use std::io;

use rustix::process::Signal as Number;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// How often the process was asked to end. Copies share it.
#[derive(Clone)]
pub struct Signals(watch::Receiver<u32>);

impl Signals {
    /// TERM and INT, and HUP, which comes when a terminal is closed. They are caught from now on: none is lost, and none ends
    /// the process by itself.
    ///
    /// # Errors
    /// When the system does not let them be caught.
    pub fn catch() -> io::Result<Self> {
        let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        // As `nohup` wants it: to catch it would be to end from it after all.
        let mut hangup = if is_ignored(Number::HUP) { None } else { Some(signal(SignalKind::hangup())?) };
        let (sender, receiver) = watch::channel(0);
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = term.recv() => {}
                    _ = int.recv() => {}
                    () = next(&mut hangup) => {}
                }
                sender.send_modify(|count| *count += 1);
            }
        });
        Ok(Self(receiver))
    }

    pub fn has_come(&self) -> bool {
        *self.0.borrow() > 0
    }

    /// Resolves when there were so many.
    pub async fn nth(&self, wanted: u32) {
        let mut count = self.0.clone();
        if count.wait_for(|count| *count >= wanted).await.is_err() {
            // The runtime is ending: no signal comes any more.
            std::future::pending::<()>().await;
        }
    }
}

async fn next(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => {
            signal.recv().await;
        }
        None => std::future::pending().await,
    }
}

/// Takes the end from those that mean nothing here and would end the process at once: USR1 and USR2, and XFSZ, instead of which
/// the write that met the limit of a file's size is an error. (PIPE is ignored by every Rust program.)
///
/// # Errors
/// When the system does not let them be caught.
pub fn pass_over_others() -> io::Result<()> {
    for number in [Number::USR1, Number::USR2, Number::XFSZ] {
        // It stays caught.
        drop(signal(SignalKind::from_raw(number.as_raw()))?);
    }
    Ok(())
}

/// Whether the process was started with this signal ignored. Where there is no `/proc`, it is not known.
fn is_ignored(number: Number) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default();
    ignored & (1 << (number.as_raw() - 1)) != 0
}
