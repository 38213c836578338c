use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Ends another process, and removes a directory of its, when this process ends in a way that drops nothing: the leash's
/// standard input closes then.
pub struct Leash(Child);

impl Leash {
    pub fn on(process: u32) -> Self {
        Self::start("read _; kill -KILL $0", &[&process.to_string()])
    }

    /// `signal` is how it ends at once, and leaves nobody behind.
    pub fn on_server(process: u32, signal: &str, directory: &Path) -> Self {
        // The directory is in use until it has ended.
        let script = "read _; kill -$1 $0; while kill -0 $0; do sleep 0.1; done; rm -rf \"$2\"";
        Self::start(script, &[&process.to_string(), signal, &directory.to_string_lossy()])
    }

    pub fn on_mount(directory: &Path) -> Self {
        Self::start(
            "read _; umount --lazy \"$0\" || sudo --non-interactive umount --lazy \"$0\"",
            &[&directory.to_string_lossy()],
        )
    }

    fn start(script: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", script]).args(arguments).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        Self(command.spawn().unwrap())
    }

    /// Once its process has ended: it must not kill whoever gets the number next.
    pub fn let_go(&mut self) {
        let _it_may_have_ended = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Leash {
    fn drop(&mut self) {
        self.let_go();
    }
}
