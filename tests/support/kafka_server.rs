//! An Apache Kafka of its own, for tests that kill it.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, Once};
use std::time::Duration;

use tempfile::TempDir;

use super::eventually::eventually;
use super::free_port::free_port;

/// Any will do: the cluster has one node.
const CLUSTER_ID: &str = "Y29ycmVpby10ZXN0cy0wMQ";

/// How long it may take to start, or to stop, on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(90);

/// One node, killed and removed when it is dropped.
pub struct KafkaServer {
    jars: PathBuf,
    directory: TempDir,
    port: u16,
    running: Option<Broker>,
}

impl KafkaServer {
    /// Returns when it serves. None, said once on the terminal, when `TEST_KAFKA_LIB` names no directory with its jars.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start() -> Option<Self> {
        let Some(jars) = std::env::var_os("TEST_KAFKA_LIB") else {
            static SAID: Once = Once::new();
            // To the terminal itself: what is printed in a test that passes is not shown.
            SAID.call_once(|| {
                let _ = writeln!(std::io::stderr(), "SKIPPED real_kafka: TEST_KAFKA_LIB is not set");
            });
            return None;
        };
        let (directory, port) = (tempfile::tempdir().unwrap(), free_port());
        let mut server = Self { jars: jars.into(), directory, port, running: None };
        server.format();
        server.restart().await;
        Some(server)
    }

    /// For `KAFKA_BROKERS`; the same after a restart.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Ends it without a warning.
    pub fn kill(&mut self) {
        self.running = None;
    }

    /// Asks it to end, and waits until it has.
    pub async fn stop(&mut self) {
        let mut broker = self.running.take().expect("it runs");
        let sent = Command::new("kill").args(["-TERM", &broker.java.id().to_string()]).status().unwrap();
        assert!(sent.success());
        eventually(PATIENCE, "Kafka stops", async || broker.java.try_wait().unwrap()).await;
    }

    /// On the data of the one before, which must have ended. Returns when it serves.
    pub async fn restart(&mut self) {
        assert!(self.running.is_none(), "it still runs");
        let mut broker = Broker::start(self.java(&["kafka.Kafka"]).arg(self.properties()));
        let started = eventually(PATIENCE, "Kafka starts", async || {
            let ended = broker.java.try_wait().unwrap();
            let log = broker.log.lock().unwrap();
            match ended {
                Some(status) => Some(Err(format!("{status}: {}", log.join("\n")))),
                None => log.iter().any(|line| line.contains("Kafka Server started")).then_some(Ok(())),
            }
        });
        started.await.unwrap_or_else(|ended| panic!("it ended instead of starting: {ended}"));
        self.running = Some(broker);
    }

    fn format(&self) {
        let properties = include_str!("../../.ci/kafka/server.properties")
            .replace("BROKER_PORT", &self.port.to_string())
            .replace("CONTROLLER_PORT", &free_port().to_string())
            .replace("DATA", &self.directory.path().join("data").to_string_lossy());
        std::fs::write(self.properties(), properties).unwrap();
        let mut format = self.java(&["kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c"]);
        let output = format.arg(self.properties()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    fn properties(&self) -> PathBuf {
        self.directory.path().join("server.properties")
    }

    fn java(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("java");
        command.args(["-Xmx256m", "-cp"]).arg(self.jars.join("*")).args(arguments).current_dir(self.directory.path());
        command
    }
}

struct Broker {
    java: Child,
    /// Kills it when this process ends in a way that drops nothing: its standard input closes then.
    leash: Child,
    log: Arc<Mutex<Vec<String>>>,
}

impl Broker {
    fn start(command: &mut Command) -> Self {
        let mut java = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let leash = Command::new("sh")
            .args(["-c", "read _; kill -KILL $0", &java.id().to_string()])
            .stdin(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let stderr = BufReader::new(java.stderr.take().unwrap());
        let log = Arc::new(Mutex::new(Vec::new()));
        let written = log.clone();
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                written.lock().unwrap().push(line);
            }
        });
        Self { java, leash, log }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // The leash first: it must not kill whoever gets the number of this process next.
        for process in [&mut self.leash, &mut self.java] {
            let _it_may_have_ended = process.kill();
            let _ = process.wait();
        }
    }
}

#[tokio::test]
async fn a_broker_that_is_killed_or_stopped_comes_back() {
    let Some(mut kafka) = KafkaServer::start().await else { return };
    let answers = |address: String| std::net::TcpStream::connect(address).is_ok();
    assert!(answers(kafka.address()));
    kafka.kill();
    assert!(!answers(kafka.address()));
    kafka.restart().await;
    assert!(answers(kafka.address()));
    kafka.stop().await;
    assert!(!answers(kafka.address()));
    kafka.restart().await;
    assert!(answers(kafka.address()));
}
