//! An Apache Kafka of its own, for tests that kill it.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, Once};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::eventually::eventually;
use super::free_port::free_port;
use super::leash::Leash;

/// Any will do: the cluster has one node.
const CLUSTER_ID: &str = "Y29ycmVpby10ZXN0cy0wMQ";

/// How long it may take to start, or to stop, on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(90);

/// One node, killed and removed when it is dropped.
pub struct KafkaServer {
    jars: PathBuf,
    /// As Java is told, e.g. `256m`.
    heap: &'static str,
    directory: TempDir,
    port: u16,
    /// Where it listens for those who come through a proxy, and where it tells them that it does.
    behind: u16,
    proxy: u16,
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
        Some(Self::start_from(jars.into(), "256m").await)
    }

    /// The same, with these properties instead of its own. Returns when it serves.
    pub async fn start_with(properties: &[&str]) -> Option<Self> {
        let mut server = Self::start().await?;
        server.kill();
        server.set(properties);
        server.restart().await;
        Some(server)
    }

    /// From the next restart on.
    pub fn set(&self, properties: &[&str]) {
        let mut file = std::fs::OpenOptions::new().append(true).open(self.properties()).unwrap();
        // Of two lines for one setting the last counts.
        file.write_all(format!("\n{}\n", properties.join("\n")).as_bytes()).unwrap();
    }

    /// The same, from the jars in this directory, with a heap as large as Java is told.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start_from(jars: PathBuf, heap: &'static str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let [port, behind, proxy] = [free_port(), free_port(), free_port()];
        let mut server = Self { jars, heap, directory, port, behind, proxy, running: None };
        server.format();
        server.restart().await;
        server
    }

    /// For `KAFKA_BROKERS`; the same after a restart.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The port that a proxy has to listen at, and the one that it has to lead to: a client of Kafka's connects to where
    /// the broker says that it is.
    pub fn proxied(&self) -> (u16, u16) {
        (self.proxy, self.behind)
    }

    pub fn is_running(&self) -> bool {
        self.running.is_some()
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
        let begun = Instant::now();
        loop {
            match self.attempt().await {
                Ok(broker) => break self.running = Some(broker),
                // Whoever has its port meanwhile is a client's end, or another program's, and goes again.
                Err(ended) if ended.contains("Address already in use") && begun.elapsed() < PATIENCE => {}
                Err(ended) => panic!("it ended instead of starting: {ended}"),
            }
        }
    }

    /// # Errors
    /// How it ended, and what it said of that.
    async fn attempt(&self) -> Result<Broker, String> {
        let mut broker = Broker::start(self.java(&["kafka.Kafka"]).arg(self.properties()), self.directory.path());
        eventually(PATIENCE, "Kafka starts", async || {
            // All that it said has been read.
            let ended = broker.java.try_wait().unwrap().filter(|_| broker.reading.is_finished());
            let log = broker.log.lock().unwrap();
            match ended {
                Some(status) => {
                    let is_telling =
                        |line: &&String| ["ERROR", "FATAL", "xception"].iter().any(|part| line.contains(part));
                    let told: Vec<_> = log.iter().filter(is_telling).map(String::as_str).collect();
                    Some(Err(format!("{status}: {}", told.join("\n"))))
                }
                None => log.iter().any(|line| line.contains("Kafka Server started")).then_some(Ok(())),
            }
        })
        .await?;
        Ok(broker)
    }

    /// From now on its ACLs deny everybody this operation on a resource (`--topic` or `--group`) of this name, and allow the rest.
    pub async fn deny(&self, kind: &str, name: &str, operation: &str) {
        self.acls(&["--add", "--allow-principal", "User:*", "--operation", "All", kind, name]).await;
        self.acls(&["--add", "--deny-principal", "User:*", "--operation", operation, kind, name]).await;
    }

    /// Everything is allowed there again.
    pub async fn allow_again(&self, kind: &str, name: &str) {
        self.acls(&["--remove", kind, name]).await;
    }

    async fn acls(&self, change: &[&str]) {
        let address = self.address();
        let tool = ["org.apache.kafka.tools.AclCommand", "--bootstrap-server", &address, "--force"];
        let mut command = self.java(&[&tool, change].concat());
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        assert!(output.status.success(), "{change:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn format(&self) {
        let properties = include_str!("../../.ci/kafka/server.properties")
            .replace("BROKER_PORT", &self.port.to_string())
            .replace("CONTROLLER_PORT", &free_port().to_string())
            .replace("DATA", &self.directory.path().join("data").to_string_lossy());
        std::fs::write(self.properties(), self.with_a_second_door(&properties)).unwrap();
        let mut format = self.java(&["kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c"]);
        let output = format.arg(self.properties()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    fn with_a_second_door(&self, properties: &str) -> String {
        let more = |name: &str, door: String| {
            let before = properties.lines().find_map(|line| line.strip_prefix(name)).expect("a setting");
            format!("{name}{before},{door}\n")
        };
        // Of two lines for one setting the last counts.
        [
            format!("{properties}\n"),
            more("listeners=", format!("PROXIED://127.0.0.1:{}", self.behind)),
            more("advertised.listeners=", format!("PROXIED://127.0.0.1:{}", self.proxy)),
            more("listener.security.protocol.map=", "PROXIED:PLAINTEXT".to_owned()),
            "inter.broker.listener.name=PLAINTEXT\n".to_owned(),
        ]
        .concat()
    }

    fn properties(&self) -> PathBuf {
        self.directory.path().join("server.properties")
    }

    fn java(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("java");
        let heap = format!("-Xmx{}", self.heap);
        // It unpacks libraries, and does not remove them when it is killed.
        let unpacked = format!("-Djava.io.tmpdir={}", self.directory.path().display());
        command
            .args([&heap, &unpacked, "-cp"])
            .arg(self.jars.join("*"))
            .args(arguments)
            .current_dir(self.directory.path());
        command
    }
}

struct Broker {
    java: Child,
    leash: Leash,
    log: Arc<Mutex<Vec<String>>>,
    reading: std::thread::JoinHandle<()>,
}

impl Broker {
    fn start(command: &mut Command, directory: &Path) -> Self {
        let mut java = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let leash = Leash::on_server(java.id(), "KILL", directory);
        let stderr = BufReader::new(java.stderr.take().unwrap());
        let log = Arc::new(Mutex::new(Vec::new()));
        let written = log.clone();
        let reading = std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                written.lock().unwrap().push(line);
            }
        });
        Self { java, leash, log, reading }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.leash.let_go();
        let _it_may_have_ended = self.java.kill();
        let _ = self.java.wait();
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
