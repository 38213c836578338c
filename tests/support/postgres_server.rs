//! A PostgreSQL of its own, for tests that kill it.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Once;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions, Connection};
use tempfile::TempDir;

use super::eventually::eventually;
use super::free_port::free_port;
use super::leash::Leash;

/// How long it may take to start, or to recover, on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// One server, killed and removed when it is dropped.
pub struct PostgresServer {
    binaries: PathBuf,
    directory: TempDir,
    port: u16,
    /// Whom it runs as: it refuses to run as root.
    user: Option<User>,
    /// `name=value`, beyond what every server here has.
    settings: Vec<String>,
    running: Option<Running>,
}

struct Running {
    leash: Leash,
    postmaster: Child,
}

#[derive(Clone, Copy)]
struct User {
    id: u32,
    group: u32,
}

impl PostgresServer {
    /// Returns when it serves. None, said once on the terminal, where its binaries are not installed.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start() -> Option<Self> {
        Self::start_with(&[]).await
    }

    /// The same, with settings like `shared_buffers=1GB`.
    pub async fn start_with(settings: &[&str]) -> Option<Self> {
        let mut server = Self::prepare(settings)?;
        server.make_cluster();
        server.restart().await;
        Some(server)
    }

    /// A standby, which has all that this server has written. It copies the server first.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn standby(&self) -> Self {
        let mut standby = Self::prepare(&[]).expect("the binaries of this one");
        let mut copy = standby.command("pg_basebackup");
        copy.args(["--host", "127.0.0.1", "--port", &self.port.to_string(), "--username", "postgres"]);
        copy.args(["--write-recovery-conf", "--checkpoint", "fast", "--no-sync", "--pgdata"]).arg(standby.data());
        let output = copy.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        standby.restart().await;
        standby
    }

    /// Makes a standby the server that takes writes, after it has got all that `former` has written.
    pub async fn take_over_from(&self, former: &Self) {
        let mut former = PgConnection::connect_with(&former.options()).await.unwrap();
        let written: String =
            sqlx::query_scalar("select pg_current_wal_flush_lsn()::text").fetch_one(&mut former).await.unwrap();
        let mut own = PgConnection::connect_with(&self.options()).await.unwrap();
        eventually(PATIENCE, "the standby has all that was written", async || {
            let replayed: bool = sqlx::query_scalar("select pg_last_wal_replay_lsn() >= $1::text::pg_lsn")
                .bind(&written)
                .fetch_one(&mut own)
                .await
                .unwrap();
            replayed.then_some(())
        })
        .await;
        let promoted: bool = sqlx::query_scalar("select pg_promote()").fetch_one(&mut own).await.unwrap();
        assert!(promoted);
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Runs statements as a superuser, each in a transaction of its own.
    pub async fn execute(&self, sql: &'static str) {
        let mut connection = PgConnection::connect_with(&self.options()).await.unwrap();
        for statement in sql.split(';') {
            sqlx::raw_sql(statement).execute(&mut connection).await.unwrap();
        }
    }

    /// A directory, a port and a user for one that does not run yet.
    fn prepare(settings: &[&str]) -> Option<Self> {
        let Some(binaries) = server_binaries() else {
            static SAID: Once = Once::new();
            // To the terminal itself: what is printed in a test that passes is not shown.
            SAID.call_once(|| {
                let _ = writeln!(std::io::stderr(), "SKIPPED postgres: its server is not installed");
            });
            return None;
        };
        let (directory, port) = (tempfile::tempdir().unwrap(), free_port());
        let user =
            (id_of(&["-u"]) == 0).then(|| User { id: id_of(&["-u", "postgres"]), group: id_of(&["-g", "postgres"]) });
        if let Some(user) = user {
            chown(directory.path(), Some(user.id), Some(user.group)).unwrap();
        }
        let settings = settings.iter().map(|setting| (*setting).to_owned()).collect();
        Some(Self { binaries, directory, port, user, settings, running: None })
    }

    /// The same after a restart.
    pub fn options(&self) -> PgConnectOptions {
        PgConnectOptions::new_without_pgpass()
            .host("127.0.0.1")
            .port(self.port)
            .username("postgres")
            .database("postgres")
    }

    /// Where a program of its version is, such as pgbench.
    pub fn program(&self, name: &str) -> PathBuf {
        self.binaries.join(name)
    }

    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// Ends one of its processes, as the kernel does when memory runs out. Returns when it has recovered.
    pub async fn kill_a_backend(&self) {
        let [mut victim, mut witness] = [
            PgConnection::connect_with(&self.options()).await.unwrap(),
            PgConnection::connect_with(&self.options()).await.unwrap(),
        ];
        let id: i32 = sqlx::query_scalar("select pg_backend_pid()").fetch_one(&mut victim).await.unwrap();
        assert!(Command::new("kill").args(["-KILL", &id.to_string()]).status().unwrap().success());
        // Not the victim's own connection: that is gone before the server has noticed, and until then it lets others in.
        eventually(PATIENCE, "the server ends the others", async || witness.ping().await.err()).await;
        eventually(PATIENCE, "it has recovered", async || {
            PgConnection::connect_with(&self.options()).await.ok()?.ping().await.ok()
        })
        .await;
    }

    /// Ends it without a warning and without a checkpoint, like `pg_ctl stop -m immediate`: it has to recover.
    pub fn kill(&mut self) {
        self.running = None;
    }

    /// It stands still, with all that it serves: its connections stay open, and are answered nothing.
    pub fn freeze(&self) {
        self.signal("-STOP");
    }

    pub fn thaw(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let id = self.running.as_ref().expect("it runs").postmaster.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
        let _it_may_have_none = Command::new("pkill").args([signal, "-P", &id]).status();
    }

    /// On the data of the one before, which must have ended. Returns when it serves.
    pub async fn restart(&mut self) {
        assert!(self.running.is_none(), "it still runs");
        let log = File::options().create(true).append(true).open(self.log()).unwrap();
        let mut command = self.command("postgres");
        command.arg("-D").arg(self.data()).arg("-k").arg(self.directory.path());
        for setting in ["listen_addresses=127.0.0.1", &format!("port={}", self.port), "max_connections=300"] {
            command.args(["-c", setting]);
        }
        for setting in &self.settings {
            command.args(["-c", setting]);
        }
        let postmaster = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap();
        let leash = Leash::on_server(postmaster.id(), "QUIT", self.directory.path());
        let mut running = Running { leash, postmaster };
        let options = self.options().disable_statement_logging();
        let started = eventually(PATIENCE, "PostgreSQL starts", async || {
            if let Some(status) = running.postmaster.try_wait().unwrap() {
                return Some(Err(status));
            }
            let connection = PgConnection::connect_with(&options).await.ok()?;
            connection.close().await.ok().map(Ok)
        });
        started.await.unwrap_or_else(|status| {
            panic!("it ended instead of starting: {status}: {}", std::fs::read_to_string(self.log()).unwrap())
        });
        self.running = Some(running);
    }

    fn make_cluster(&self) {
        let mut initdb = self.command("initdb");
        // --no-sync is about the empty cluster only: commits are as durable as in production.
        initdb.args(["--username", "postgres", "--auth", "trust", "--encoding", "UTF8", "--no-sync", "--pgdata"]);
        let output = initdb.arg(self.data()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.program(program));
        command.current_dir(self.directory());
        if let Some(user) = self.user {
            command.uid(user.id).gid(user.group);
        }
        command
    }

    fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    fn log(&self) -> PathBuf {
        self.directory.path().join("server.log")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.leash.let_go();
        // One that was frozen.
        let id = self.postmaster.id().to_string();
        let _it_may_run = Command::new("pkill").args(["-CONT", "-P", &id]).status();
        let _it_may_run = Command::new("kill").args(["-CONT", &id]).status();
        // Not KILL, which would leave its children behind.
        let _it_may_have_ended = Command::new("kill").args(["-QUIT", &self.postmaster.id().to_string()]).status();
        let _ = self.postmaster.wait();
    }
}

/// The directory of the newest ones.
fn server_binaries() -> Option<PathBuf> {
    let installed = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest =
        installed.map(|version| version.path().join("bin")).filter(|path| has_server(path)).max_by_key(|path| {
            let version = path.parent().and_then(Path::file_name).and_then(|name| name.to_str());
            version.and_then(|version| version.parse::<u32>().ok())
        });
    let path = std::env::var_os("PATH").unwrap_or_default();
    newest.or_else(|| std::env::split_paths(&path).find(|directory| has_server(directory)))
}

fn has_server(directory: &Path) -> bool {
    directory.join("initdb").exists() && directory.join("postgres").exists()
}

fn id_of(arguments: &[&str]) -> u32 {
    let output = Command::new("id").args(arguments).output().unwrap();
    String::from_utf8_lossy(&output.stdout).trim().parse().expect("a number: is there a user postgres?")
}
