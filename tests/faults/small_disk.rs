use std::fs::File;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Once;

use crate::support::leash::Leash;

/// A filesystem of few megabytes, in memory; gone when it is dropped.
pub struct SmallDisk {
    directory: PathBuf,
    _leash: Leash,
}

impl SmallDisk {
    /// None, said once on the terminal, where nothing may be mounted.
    pub fn mount(directory: &Path, megabytes: u32) -> Option<Self> {
        std::fs::create_dir_all(directory).unwrap();
        let options = format!("size={megabytes}m,mode=0700,uid={}", own_id());
        let mounted = as_root("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(directory).output();
        if !mounted.is_ok_and(|output| output.status.success()) {
            static SAID: Once = Once::new();
            // To the terminal itself: what is printed in a test that passes is not shown.
            SAID.call_once(|| {
                let _ = writeln!(std::io::stderr(), "SKIPPED small disk: mounting one needs root, or sudo");
            });
            return None;
        }
        Some(Self { directory: directory.to_owned(), _leash: Leash::on_mount(directory) })
    }

    /// Leaves no room.
    pub fn fill(&self) {
        let mut ballast = File::options().create(true).append(true).open(self.ballast()).unwrap();
        for size in [1 << 16, 1 << 10, 1] {
            let piece = vec![0; size];
            while ballast.write_all(&piece).is_ok() {}
        }
    }

    pub fn empty(&self) {
        std::fs::remove_file(self.ballast()).unwrap();
    }

    fn ballast(&self) -> PathBuf {
        self.directory.join("ballast")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = as_root("umount").arg("--lazy").arg(&self.directory).status();
        if !unmounted.is_ok_and(|status| status.success()) {
            eprintln!("{} stays mounted", self.directory.display());
        }
    }
}

/// Without asking for a password.
fn as_root(program: &str) -> Command {
    if own_id() == 0 {
        return Command::new(program);
    }
    let mut command = Command::new("sudo");
    command.args(["--non-interactive", program]);
    command
}

/// Of the user who runs the tests.
fn own_id() -> u32 {
    std::fs::metadata("/proc/self").unwrap().uid()
}
