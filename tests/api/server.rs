use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

pub const API_KEY: &str = "ck_of_the_tests_0123456789abcdef0123456789";

const JWT_SECRET: &str = "a secret of the tests, long enough for HS256";

/// The binary as it is shipped, with a data directory and a port of its own. Dropping it ends it.
pub struct Server {
    pub address: SocketAddr,
    process: Child,
    log: Arc<Mutex<Vec<String>>>,
    directory: TempDir,
}

impl Server {
    pub fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut process = command(&directory)
            .arg("serve")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log: Arc<Mutex<Vec<String>>> = Arc::default();
        let lines = BufReader::new(process.stderr.take().unwrap());
        let (listening, heard) = mpsc::channel();
        let written = log.clone();
        std::thread::spawn(move || {
            for line in lines.split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line).into_owned();
                if let Some(address) = listening_address(&line) {
                    let _ = listening.send(address);
                }
                written.lock().unwrap().push(line);
            }
        });
        let address = heard.recv_timeout(Duration::from_secs(60));
        let mut server = Self { address: SocketAddr::from(([0; 4], 0)), process, log, directory };
        server.address = address.unwrap_or_else(|_| panic!("no start: {:#?}", server.log()));
        server
    }

    /// What it has logged so far.
    pub fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    /// A token of the default tenant with these scopes alone.
    pub fn token(&self, scopes: &str) -> String {
        let output = command(&self.directory).args(["token", "--sub", "tests", "--scope", scopes]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Asserts that it never panicked, and never logged an error.
    pub fn assert_untroubled(&mut self) {
        assert!(self.process.try_wait().unwrap().is_none(), "it ended: {:#?}", self.log().last());
        let troubled = |line: &String| {
            line.contains("panicked") || serde_json::from_str::<Value>(line).is_ok_and(|line| line["level"] == "ERROR")
        };
        let trouble: Vec<String> = self.log().into_iter().filter(troubled).collect();
        assert!(trouble.is_empty(), "{trouble:#?}");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let (ended, log) = (self.process.try_wait(), self.log());
            eprintln!("the server, ended as {ended:?}, said at last: {:#?}", &log[log.len().saturating_sub(5)..]);
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn command(directory: &TempDir) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_correio"));
    command
        .env_clear()
        .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
        .env("PORT", "0")
        .env("DATA_DIR", directory.path())
        .env("BOOTSTRAP_API_KEY", API_KEY)
        .env("JWT_SECRET", JWT_SECRET)
        .env("LOG_FORMAT", "json")
        .env("RATE_LIMITS", "false")
        .current_dir(directory.path());
    command
}

fn listening_address(line: &str) -> Option<SocketAddr> {
    let line: Value = serde_json::from_str(line).ok()?;
    (line["message"] == "listening").then(|| line["address"].as_str()?.parse().ok())?
}
