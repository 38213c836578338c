//! One process of the program.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;

use super::eventually::{SOON, eventually};
use super::leash::Leash;

/// It has to be dropped before the installation that it runs in: it dies then.
pub struct Process {
    child: Child,
    leash: Leash,
    log: Arc<Mutex<Vec<String>>>,
    program: PathBuf,
    directory: PathBuf,
    /// For the next start.
    pub environment: Vec<(String, String)>,
    pub arguments: Vec<String>,
    /// Where it listens.
    pub address: String,
}

impl Process {
    /// Returns when it listens.
    ///
    /// # Panics
    /// When it ends instead.
    pub async fn start(directory: &Path, environment: Vec<(String, String)>, arguments: &[&str]) -> Self {
        Self::start_program(Path::new(PROGRAM), directory, environment, arguments).await
    }

    /// The same, of another build.
    pub async fn start_program(
        program: &Path,
        directory: &Path,
        environment: Vec<(String, String)>,
        arguments: &[&str],
    ) -> Self {
        let mut process = Self::begin_program(program, directory, environment, arguments);
        process.listening().await;
        process
    }

    /// Does not wait until it listens.
    pub fn begin(directory: &Path, environment: Vec<(String, String)>, arguments: &[&str]) -> Self {
        Self::begin_program(Path::new(PROGRAM), directory, environment, arguments)
    }

    /// Does not wait either; nothing reads what it writes to standard error, until [`Process::read`].
    pub fn begin_unread(directory: &Path, environment: Vec<(String, String)>) -> (Self, ChildStderr) {
        let mut child = spawn(Path::new(PROGRAM), directory, &environment, &[]);
        let stderr = child.stderr.take().unwrap();
        let (leash, program, directory) = (Leash::on(child.id()), PathBuf::from(PROGRAM), directory.to_owned());
        let (log, arguments, address) = (Arc::default(), Vec::new(), String::new());
        (Self { child, leash, log, program, directory, environment, arguments, address }, stderr)
    }

    pub fn read(&self, stderr: ChildStderr) {
        read(stderr, self.log.clone());
    }

    fn begin_program(program: &Path, directory: &Path, environment: Vec<(String, String)>, arguments: &[&str]) -> Self {
        let arguments: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        let (child, log) = spawn_and_read(program, directory, &environment, &arguments);
        let (leash, program, directory) = (Leash::on(child.id()), program.to_owned(), directory.to_owned());
        Self { child, leash, log, program, directory, environment, arguments, address: String::new() }
    }

    /// How many files it may have open, without asking for more.
    pub fn most_open_files(&self) -> u64 {
        let limits = std::fs::read_to_string(format!("/proc/{}/limits", self.child.id())).unwrap();
        let line = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
        line.split_whitespace().next().unwrap().parse().unwrap()
    }

    /// From now on it opens no file and no connection.
    pub fn forbid_open_files(&self) {
        let open = |number: &u64| std::fs::exists(format!("/proc/{}/fd/{number}", self.child.id())).unwrap();
        // The limit is one of numbers, and the least that is free is the next.
        let free = (0..).find(|number| !open(number)).unwrap();
        let limit = format!("--nofile={free}:{free}");
        let set = Command::new("prlimit").args(["--pid", &self.child.id().to_string(), &limit]).status().unwrap();
        assert!(set.success());
    }

    /// Whether TERM would not end it right away.
    pub fn catches_signals(&self) -> bool {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
        let caught = caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default();
        const TERM: u32 = 15;
        caught & (1 << (TERM - 1)) != 0
    }

    /// Another process with the same configuration and files; the one before must have ended.
    pub async fn restart(&mut self) {
        assert!(!self.is_alive(), "it still runs");
        (self.child, self.log) = spawn_and_read(&self.program, &self.directory, &self.environment, &self.arguments);
        self.leash = Leash::on(self.child.id());
        self.listening().await;
    }

    async fn listening(&mut self) {
        let started = eventually(SOON, "the server listens", async || {
            let lines = self.log();
            let line = lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            let address = line
                .filter(|line| line["message"] == "listening")
                .find_map(|line| line["address"].as_str().map(str::to_owned));
            let ended = self.child.try_wait().unwrap();
            match (address, ended) {
                (Some(address), _) => Some(Ok(address)),
                (None, Some(status)) => Some(Err(format!("{status}: {}", lines.join("\n")))),
                (None, None) => None,
            }
        });
        self.address = started.await.unwrap_or_else(|ended| panic!("it ended instead of listening: {ended}"));
    }

    /// Ends it without a warning.
    pub fn kill9(&mut self) {
        self.leash.let_go();
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to end.
    pub fn terminate(&self) {
        self.signal("-TERM");
    }

    /// The same, as from a terminal.
    pub fn interrupt(&self) {
        self.signal("-INT");
    }

    /// It stands still, and knows nothing of it.
    pub fn freeze(&self) {
        self.signal("-STOP");
    }

    pub fn thaw(&self) {
        self.signal("-CONT");
    }

    pub fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    pub async fn exited(&mut self) -> ExitStatus {
        eventually(Duration::from_secs(60), "the process ends", async || self.child.try_wait().unwrap()).await
    }

    pub fn is_alive(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// What it wrote to standard error so far.
    pub fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.leash.let_go();
        let _it_may_have_ended = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = self.log();
            let end = &log[log.len().saturating_sub(200)..];
            eprintln!("the log of {:?}:\n{}", self.arguments, end.join("\n"));
        }
    }
}

/// The build that is tested.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_correio");

/// A program that begins with these lines of a shell, and goes on as the build that is tested.
pub fn after(lines: &str, directory: &Path) -> PathBuf {
    let script = directory.join("after.sh");
    std::fs::write(&script, format!("#!/bin/sh\n{lines}\nexec '{PROGRAM}' \"$@\"\n")).unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    script
}

/// The program, to be run in `directory` with exactly this environment.
fn correio(program: &Path, directory: &Path, environment: &[(String, String)]) -> Command {
    let mut command = Command::new(program);
    command
        .current_dir(directory)
        .env_clear()
        .env("PORT", "0")
        .env("DATA_DIR", directory.join("data"))
        .env("LOG_FORMAT", "json")
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null());
    command
}

/// Runs a command to its end.
///
/// # Panics
/// When it does not end, as a server that was to be refused does not.
pub async fn run(directory: &Path, environment: &[(String, String)], arguments: &[&str]) -> Output {
    run_with_input(directory, environment, arguments, "").await
}

/// The same, with this on its standard input.
///
/// # Panics
/// As above.
pub async fn run_with_input(
    directory: &Path,
    environment: &[(String, String)],
    arguments: &[&str],
    input: &str,
) -> Output {
    let mut command = correio(Path::new(PROGRAM), directory, environment);
    let piped = command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().unwrap();
    // A command that reads nothing may have ended.
    let _it_may_have_ended = child.stdin.take().unwrap().write_all(input.as_bytes());
    let id = child.id().to_string();
    let ending = tokio::task::spawn_blocking(move || child.wait_with_output().unwrap());
    match tokio::time::timeout(Duration::from_secs(60), ending).await {
        Ok(output) => output.unwrap(),
        Err(_) => {
            let _it_may_have_ended = Command::new("kill").args(["-KILL", &id]).status();
            panic!("{arguments:?} does not end");
        }
    }
}

fn spawn_and_read(
    program: &Path,
    directory: &Path,
    environment: &[(String, String)],
    arguments: &[String],
) -> (Child, Arc<Mutex<Vec<String>>>) {
    let mut child = spawn(program, directory, environment, arguments);
    let log = Arc::default();
    read(child.stderr.take().unwrap(), Arc::clone(&log));
    (child, log)
}

fn spawn(program: &Path, directory: &Path, environment: &[(String, String)], arguments: &[String]) -> Child {
    let mut command = correio(program, directory, environment);
    command.args(arguments).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

fn read(stderr: ChildStderr, log: Arc<Mutex<Vec<String>>>) {
    std::thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            log.lock().unwrap().push(line);
        }
    });
}
