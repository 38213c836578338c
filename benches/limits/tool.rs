//! Running the programs that measure.

use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use crate::Result;
use crate::support::leash::Leash;

/// Ends it when it is dropped.
struct Running {
    child: Child,
    leash: Leash,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.leash.let_go();
        let _it_may_have_ended = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs it to its end, and returns what it wrote to standard output.
///
/// # Errors
/// When it cannot be started or fails, with what it said.
pub async fn run(command: &mut Command) -> Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = output(command).await.map_err(|error| format!("{name} cannot be run: {error}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{name} failed, {}: {}", output.status, said.trim()).into());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The same, without the white space around it.
///
/// # Errors
/// As [`run`].
pub async fn answer(command: &mut Command) -> Result<String> {
    Ok(run(command).await?.trim().to_owned())
}

async fn output(command: &mut Command) -> std::io::Result<Output> {
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let mut running = Running { leash: Leash::on(child.id()), child };
    // What they say fits into a pipe, so nobody has to read it meanwhile.
    while running.child.try_wait()?.is_none() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let status = running.child.wait()?;
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    if let Some(mut pipe) = running.child.stdout.take() {
        std::io::Read::read_to_end(&mut pipe, &mut stdout)?;
    }
    if let Some(mut pipe) = running.child.stderr.take() {
        std::io::Read::read_to_end(&mut pipe, &mut stderr)?;
    }
    Ok(Output { status, stdout, stderr })
}

/// Where an installed program is.
///
/// # Errors
/// When it is not installed.
pub fn installed(name: &str, package: &str) -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Debian has servers where users do not look.
    let directories = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    let found = directories.map(|directory| directory.join(name)).find(|path| path.is_file());
    found.ok_or_else(|| format!("{name} is not installed (Debian: apt-get install {package})").into())
}
