//! TERM and INT, by which a process is asked to end.

use std::io;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// How often the process was asked to end. Copies share it.
#[derive(Clone)]
pub struct Signals(watch::Receiver<u32>);

impl Signals {
    /// They are caught from now on: none is lost, and none ends the process by itself.
    ///
    /// # Errors
    /// When the system does not let them be caught.
    pub fn catch() -> io::Result<Self> {
        let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let (sender, receiver) = watch::channel(0);
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = term.recv() => {}
                    _ = int.recv() => {}
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
