use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use crate::Result;
use crate::stage::Stage;

/// What it has begun to start has started after a moment; stopped, it starts nothing more.
const FREEZE: &str = r#"
children() { grep -ls "^PPid:[[:space:]]*$0\$" /proc/[0-9]*/status | cut -d / -f 3; }
kill -STOP "$0" && sleep 0.1 && kill -STOP $(children) && echo frozen
read _
kill -CONT $(children) "$0"
"#;

/// A PostgreSQL of which all processes stand still, until this is dropped or this process ends in a way that drops nothing.
pub struct Frozen(Child);

impl Frozen {
    /// # Errors
    /// When it does not stand still.
    pub fn freeze(stage: &Stage) -> Result<Self> {
        let file = std::fs::read_to_string(stage.postgres.directory().join("data/postmaster.pid"))?;
        let postmaster = file.lines().next().unwrap_or_default();
        let mut command = Command::new("sh");
        command.args(["-c", FREEZE, postmaster]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut frozen = Self(command.spawn()?);
        let stdout = frozen.0.stdout.take().ok_or("the shell says nothing")?;
        let mut said = String::new();
        BufReader::new(stdout).read_line(&mut said)?;
        if said.trim() == "frozen" { Ok(frozen) } else { Err("PostgreSQL does not stand still".into()) }
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}
