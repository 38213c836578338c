//! The program itself, serving over an installation of its own.

use std::ops::Deref;
use std::path::Path;
use std::process::ExitStatus;

use serde_json::Value;

use super::caller::Caller;
use super::installation::Installation;
use super::process::{PROGRAM, Process, run, run_with_input};

pub const BOOTSTRAP_KEY: &str = "stories-bootstrap-key-0123456789-abcdef";
pub const JWT_SECRET: &str = "a secret of the stories, 32 bytes or more";

/// The program, serving, and its installation.
pub struct TestApp {
    // Before the installation, so that it is dropped before it.
    pub process: Process,
    /// Beside those that come from the installation.
    settings: Vec<(String, String)>,
    caller: Caller,
    pub installation: Installation,
}

impl Deref for TestApp {
    type Target = Caller;

    fn deref(&self) -> &Caller {
        &self.caller
    }
}

impl TestApp {
    /// One process in every role.
    pub async fn start(installation: Installation) -> Self {
        Self::start_with(installation, &[]).await
    }

    pub async fn start_with(installation: Installation, settings: &[(&str, &str)]) -> Self {
        Self::serve(installation, &[], settings).await
    }

    /// One process that accepts messages and delivers none. See [`TestApp::another`].
    pub async fn start_api(installation: Installation, settings: &[(&str, &str)]) -> Self {
        Self::serve(installation, &["serve", "--role", "api"], settings).await
    }

    /// The same, of another build.
    pub async fn start_api_of(program: &Path, installation: Installation) -> Self {
        Self::serve_of(program, installation, &["serve", "--role", "api"], &[]).await
    }

    async fn serve(installation: Installation, arguments: &[&str], settings: &[(&str, &str)]) -> Self {
        Self::serve_of(Path::new(PROGRAM), installation, arguments, settings).await
    }

    async fn serve_of(
        program: &Path,
        installation: Installation,
        arguments: &[&str],
        settings: &[(&str, &str)],
    ) -> Self {
        // Receivers listen on this machine, and some stories have several tenants.
        let open = ("CHANNELS_BLOCK_PRIVATE", "false");
        let mut own = owned(&[("BOOTSTRAP_API_KEY", BOOTSTRAP_KEY), ("JWT_SECRET", JWT_SECRET), open]);
        own.extend(owned(settings));
        let environment = [installation.environment(), own.clone()].concat();
        let directory = installation.directory.path();
        let process = Process::start_program(program, directory, environment, arguments).await;
        let caller = Caller::new(&process.address, &installation.mode).with_key(BOOTSTRAP_KEY);
        Self { process, settings: own, caller, installation }
    }

    /// A process of another build on the same servers, with the same configuration.
    pub async fn another_of(&self, program: &Path, role: &str) -> Process {
        let directory = self.installation.directory.path();
        Process::start_program(program, directory, self.process.environment.clone(), &["serve", "--role", role]).await
    }

    /// Another process on the same servers, with the same configuration.
    pub async fn another(&self, role: &str) -> Process {
        let mut environment = self.process.environment.clone();
        environment.extend(owned(&[("PORT", "0")]));
        Process::start(self.installation.directory.path(), environment, &["serve", "--role", role]).await
    }

    /// Somebody with the bootstrap key, to be moved into a task.
    pub fn caller(&self) -> Caller {
        self.caller.clone()
    }

    /// Somebody who calls another process.
    pub fn caller_of(&self, process: &Process) -> Caller {
        Caller::new(&process.address, &self.installation.mode).with_key(BOOTSTRAP_KEY)
    }

    /// From the next restart on.
    pub fn set(&mut self, name: &str, value: &str) {
        self.settings.extend(owned(&[(name, value)]));
    }

    /// Another process with the same settings on the same installation; the one before must have ended.
    pub async fn restart(&mut self) {
        self.process.environment = [self.installation.environment(), self.settings.clone()].concat();
        self.process.restart().await;
        self.caller = self.caller_of(&self.process);
    }

    /// The same, but the process does everything.
    pub async fn restart_in_every_role(&mut self) {
        self.process.arguments.clear();
        self.restart().await;
    }

    /// Ends it without a warning.
    pub fn kill9(&mut self) {
        self.process.kill9();
    }

    /// Asks it to end.
    pub fn terminate(&self) {
        self.process.terminate();
    }

    pub async fn exited(&mut self) -> ExitStatus {
        self.process.exited().await
    }

    pub fn is_alive(&mut self) -> bool {
        self.process.is_alive()
    }

    /// What it wrote to standard error so far.
    pub fn log(&self) -> Vec<String> {
        self.process.log()
    }

    pub fn address(&self) -> &str {
        &self.process.address
    }

    /// What a command of the same installation prints.
    ///
    /// # Panics
    /// When it fails.
    pub async fn correio(&self, arguments: &[&str]) -> String {
        let output = run(self.installation.directory.path(), &self.process.environment, arguments).await;
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }

    /// The same for a command that reads its standard input.
    pub async fn correio_with_input(&self, arguments: &[&str], input: &str) -> String {
        let directory = self.installation.directory.path();
        let output = run_with_input(directory, &self.process.environment, arguments, input).await;
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }

    /// What a command says that is refused.
    pub async fn correio_fails(&self, arguments: &[&str], input: &str) -> String {
        let directory = self.installation.directory.path();
        let output = run_with_input(directory, &self.process.environment, arguments, input).await;
        assert!(!output.status.success(), "{arguments:?} succeeds");
        String::from_utf8(output.stderr).unwrap()
    }

    /// Somebody with a new key.
    pub async fn holder_of_a_key(&self, tenant: &str, scopes: &[&str]) -> Caller {
        let mut arguments = vec!["keys", "create", "--tenant", tenant, "--name", "a story"];
        arguments.extend(scopes.iter().flat_map(|scope| ["--scope", scope]));
        self.with_key(&self.correio(&arguments).await)
    }

    pub async fn sql(&self, query: &str) -> Vec<Value> {
        self.installation.sql(query).await
    }

    pub async fn sql_number(&self, query: &str) -> i64 {
        self.installation.sql_number(query).await
    }

    pub async fn sql_message(&self, id: &str) -> Value {
        self.installation.sql_message(id).await
    }

    pub async fn sql_status(&self, id: &str) -> String {
        self.installation.sql_status(id).await
    }
}

fn owned(settings: &[(&str, &str)]) -> Vec<(String, String)> {
    settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}
