//! The program itself, started as a process of its own over a database of its own.

use std::io::{BufRead, BufReader};
use std::ops::Deref;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use reqwest::header::HeaderMap;
use reqwest::{Method, RequestBuilder};
use serde_json::{Map, Value, json};
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteRow};
use sqlx::{AssertSqlSafe, Column, ConnectOptions, Connection, Row, TypeInfo, ValueRef};
use tempfile::TempDir;

use super::databases::FreshPostgres;

pub const BOOTSTRAP_KEY: &str = "stories-bootstrap-key-0123456789-abcdef";
pub const JWT_SECRET: &str = "a secret of the stories, 32 bytes or more";

/// How long anything may take that is expected to happen soon.
pub const SOON: Duration = Duration::from_secs(20);

/// Makes a test of every story on both databases, and of those after `only sqlite:` and `only postgres:` on one. A story
/// is an `async fn` that takes a [`TestDatabase`].
macro_rules! on_both_databases {
    (
        $($both:ident),* $(,)?
        $(; only sqlite: $($sqlite:ident),* $(,)?)?
        $(; only postgres: $($postgres:ident),* $(,)?)?
    ) => {
        crate::support::test_app::on_database!(sqlite: $($both)* $($($sqlite)*)?);
        crate::support::test_app::on_database!(postgres: $($both)* $($($postgres)*)?);
    };
}
pub(crate) use on_both_databases;

macro_rules! on_database {
    ($database:ident: $($story:ident)*) => {
        mod $database {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $story() {
                    if let Some(database) = crate::support::test_app::TestDatabase::$database().await {
                        super::$story(database).await;
                    }
                }
            )*
        }
    };
}
pub(crate) use on_database;

/// Asks again until there is something.
///
/// # Panics
/// At the deadline, saying what was waited for.
pub async fn eventually<T>(deadline: Duration, what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let end = Instant::now() + deadline;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < end, "waited {deadline:?} in vain: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// An empty database, and a directory for everything else.
pub struct TestDatabase {
    pub directory: TempDir,
    pub postgres: Option<FreshPostgres>,
}

impl TestDatabase {
    pub async fn sqlite() -> Option<Self> {
        Some(Self { directory: tempfile::tempdir().unwrap(), postgres: None })
    }

    /// None when `TEST_DATABASE_URL` names no server.
    pub async fn postgres() -> Option<Self> {
        let postgres = FreshPostgres::create().await?;
        Some(Self { directory: tempfile::tempdir().unwrap(), postgres: Some(postgres) })
    }

    pub fn is_sqlite(&self) -> bool {
        self.postgres.is_none()
    }

    /// What the program has to be told about it.
    pub fn environment(&self) -> Vec<(String, String)> {
        let Some(postgres) = &self.postgres else { return Vec::new() };
        vec![
            ("DATABASE_URL".to_owned(), postgres.options().to_url_lossy().to_string()),
            ("CREDENTIALS_KEY".to_owned(), "c3Rvcmllcy1jcmVkZW50aWFscy1rZXktMzItYnl0ZSE=".to_owned()),
        ]
    }

    pub fn data_dir(&self) -> std::path::PathBuf {
        self.directory.path().join("data")
    }

    /// The rows that a query finds, with times, ids and bytes as text.
    pub async fn sql(&self, query: &str) -> Vec<Value> {
        let query = AssertSqlSafe(query.to_owned());
        if let Some(postgres) = &self.postgres {
            let mut connection = PgConnection::connect_with(&postgres.options()).await.unwrap();
            let rows = sqlx::query(query).fetch_all(&mut connection).await.unwrap();
            return rows.iter().map(postgres_row).collect();
        }
        let options = SqliteConnectOptions::new().filename(self.data_dir().join("correio.db"));
        let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
        let rows = sqlx::query(query).fetch_all(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        rows.iter().map(sqlite_row).collect()
    }

    /// The number that a query like `select count(*)` finds.
    pub async fn sql_number(&self, query: &str) -> i64 {
        let rows = self.sql(query).await;
        let number = rows[0].as_object().and_then(|row| row.values().next()).and_then(Value::as_i64);
        number.unwrap_or_else(|| panic!("a number, not {rows:?}"))
    }

    pub async fn sql_message(&self, id: &str) -> Value {
        let mut rows = self.sql(&format!("select * from messaging_messages where id = '{id}'")).await;
        assert_eq!(rows.len(), 1, "one row of the message {id}");
        rows.remove(0)
    }

    pub async fn sql_status(&self, id: &str) -> String {
        self.sql_message(id).await["status"].as_str().unwrap().to_owned()
    }
}

fn postgres_row(row: &PgRow) -> Value {
    let mut object = Map::new();
    for (index, column) in row.columns().iter().enumerate() {
        let value = match column.type_info().name() {
            "UUID" => row.get::<Option<uuid::Uuid>, _>(index).map_or(Value::Null, |id| id.to_string().into()),
            "TIMESTAMPTZ" => row
                .get::<Option<chrono::DateTime<chrono::Utc>>, _>(index)
                .map_or(Value::Null, |at| at.to_rfc3339().into()),
            "BYTEA" => row.get::<Option<Vec<u8>>, _>(index).map_or(Value::Null, |bytes| lossy(&bytes)),
            "INT2" => row.get::<Option<i16>, _>(index).into(),
            "INT4" => row.get::<Option<i32>, _>(index).into(),
            "INT8" => row.get::<Option<i64>, _>(index).into(),
            "BOOL" => row.get::<Option<bool>, _>(index).into(),
            _ => row.try_get_unchecked::<Option<String>, _>(index).unwrap().into(),
        };
        object.insert(column.name().to_owned(), value);
    }
    Value::Object(object)
}

fn sqlite_row(row: &SqliteRow) -> Value {
    let mut object = Map::new();
    for (index, column) in row.columns().iter().enumerate() {
        let raw = row.try_get_raw(index).unwrap();
        let value = match raw.type_info().name() {
            _ if raw.is_null() => Value::Null,
            "INTEGER" => row.try_get_unchecked::<i64, _>(index).unwrap().into(),
            "BLOB" => lossy(&row.try_get_unchecked::<Vec<u8>, _>(index).unwrap()),
            _ => row.try_get_unchecked::<String, _>(index).unwrap().into(),
        };
        object.insert(column.name().to_owned(), value);
    }
    Value::Object(object)
}

fn lossy(bytes: &[u8]) -> Value {
    String::from_utf8_lossy(bytes).into_owned().into()
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Answered {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Answered {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|_| panic!("JSON, not {}: {}", self.status, String::from_utf8_lossy(&self.body)))
    }

    pub fn data(&self) -> Value {
        self.json()["data"].clone()
    }

    pub fn message_id(&self) -> String {
        let json = self.json();
        json["data"]["messageId"].as_str().unwrap_or_else(|| panic!("a messageId in {json}")).to_owned()
    }

    /// Of an error answer: the name in its `type`, after it was found to be of the one shape that errors have.
    pub fn problem(&self) -> String {
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        let json = self.json();
        assert_eq!(json["success"], false, "{json}");
        assert_eq!(json["status"], self.status, "{json}");
        for member in ["title", "detail", "error"] {
            assert!(json[member].as_str().is_some_and(|text| !text.is_empty()), "{member} in {json}");
        }
        let name = json["type"].as_str().and_then(|name| name.strip_prefix("urn:correio:problem:"));
        name.unwrap_or_else(|| panic!("a type in {json}")).to_owned()
    }

    /// Of an invalid-field: the paths, sorted.
    pub fn paths(&self) -> Vec<String> {
        assert_eq!((self.status, self.problem().as_str()), (422, "invalid-field"), "{}", self.json());
        let errors = self.json()["errors"].as_array().cloned().unwrap_or_default();
        let mut paths: Vec<String> =
            errors.iter().map(|error| error["path"].as_str().unwrap_or_default().to_owned()).collect();
        paths.sort();
        paths
    }
}

/// Somebody who calls the API.
#[derive(Clone)]
pub struct Caller {
    http: reqwest::Client,
    base: String,
    credentials: Option<(&'static str, String)>,
}

impl Caller {
    fn new(address: &str) -> Self {
        // The program uses the same provider; the client of a story has no configuration of its own.
        let _already_there = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(60)).build().unwrap();
        Self { http, base: format!("http://{address}"), credentials: None }
    }

    /// The same, with an API key.
    pub fn with_key(&self, key: &str) -> Self {
        Self { credentials: Some(("x-api-key", key.to_owned())), ..self.clone() }
    }

    /// The same, with a token.
    pub fn with_token(&self, token: &str) -> Self {
        Self { credentials: Some(("authorization", format!("Bearer {token}"))), ..self.clone() }
    }

    pub fn nobody(&self) -> Self {
        Self { credentials: None, ..self.clone() }
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        match &self.credentials {
            Some((name, value)) => request.header(*name, value),
            None => request,
        }
    }

    pub async fn call(&self, request: RequestBuilder) -> Answered {
        let response = request.send().await.expect("an answer");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = response.bytes().await.expect("a whole answer").to_vec();
        Answered { status, headers, body }
    }

    pub async fn get(&self, path: &str) -> Answered {
        self.call(self.request(Method::GET, path)).await
    }

    pub async fn delete(&self, path: &str) -> Answered {
        self.call(self.request(Method::DELETE, path)).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answered {
        self.call(self.request(Method::POST, path).json(body)).await
    }

    pub async fn patch(&self, path: &str, body: &Value) -> Answered {
        self.call(self.request(Method::PATCH, path).json(body)).await
    }

    /// A body as it stands, called JSON.
    pub async fn post_text(&self, path: &str, body: impl Into<String>) -> Answered {
        let request = self.request(Method::POST, path).header("content-type", "application/json");
        self.call(request.body(body.into())).await
    }

    pub async fn send(&self, body: &Value) -> Answered {
        self.post("/api/messaging/message/send", body).await
    }

    pub async fn send_once(&self, key: &str, body: &Value) -> Answered {
        let request = self.request(Method::POST, "/api/messaging/message/send").json(body);
        self.call(request.header("idempotency-key", key)).await
    }

    pub async fn message(&self, id: &str) -> Value {
        let answer = self.get(&format!("/api/messaging/messages/{id}")).await;
        assert_eq!(answer.status, 200, "{}", answer.json());
        answer.data()
    }

    /// Its id.
    pub async fn create_instance(&self, body: &Value) -> String {
        let answer = self.post("/api/messaging/instances", body).await;
        assert_eq!(answer.status, 201, "{}", answer.json());
        answer.data()["instanceId"].as_str().unwrap().to_owned()
    }
}

/// A message to the sandbox, whose recipient says what becomes of it.
pub fn to_sandbox(recipient: &str) -> Value {
    json!({ "channel": "sandbox", "channelInstanceId": "sandbox", "remoteJid": recipient, "message": "Olá!" })
}

/// The program, serving.
pub struct TestApp {
    process: Child,
    log: Arc<Mutex<Vec<String>>>,
    environment: Vec<(String, String)>,
    caller: Caller,
    pub address: String,
    pub database: TestDatabase,
}

impl Deref for TestApp {
    type Target = Caller;

    fn deref(&self) -> &Caller {
        &self.caller
    }
}

impl TestApp {
    pub async fn start(database: TestDatabase) -> Self {
        Self::start_with(database, &[]).await
    }

    pub async fn start_with(database: TestDatabase, settings: &[(&str, &str)]) -> Self {
        let mut environment = database.environment();
        environment.extend([("BOOTSTRAP_API_KEY".to_owned(), BOOTSTRAP_KEY.to_owned())]);
        environment.extend([("JWT_SECRET".to_owned(), JWT_SECRET.to_owned())]);
        environment.extend(settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let (mut process, log) = spawn(database.directory.path(), &environment);
        let address = listening(&mut process, &log).await;
        let caller = Caller::new(&address).with_key(BOOTSTRAP_KEY);
        Self { process, log, environment, caller, address, database }
    }

    /// Somebody with the bootstrap key, to be moved into a task.
    pub fn caller(&self) -> Caller {
        self.caller.clone()
    }

    /// Another process with the same configuration and files; the one before must have ended.
    pub async fn restart(&mut self) {
        assert!(self.process.try_wait().unwrap().is_some(), "it still runs");
        (self.process, self.log) = spawn(self.database.directory.path(), &self.environment);
        self.address = listening(&mut self.process, &self.log).await;
        self.caller = Caller::new(&self.address).with_key(BOOTSTRAP_KEY);
    }

    /// Ends it without a warning.
    pub fn kill9(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Asks it to end.
    pub fn terminate(&self) {
        let sent = Command::new("kill").args(["-TERM", &self.process.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    pub async fn ended(&mut self) -> ExitStatus {
        eventually(Duration::from_secs(60), "the process ends", async || self.process.try_wait().unwrap()).await
    }

    pub fn is_alive(&mut self) -> bool {
        self.process.try_wait().unwrap().is_none()
    }

    /// What it wrote to standard error so far.
    pub fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    /// What a command of the same installation prints.
    ///
    /// # Panics
    /// When it fails.
    pub async fn correio(&self, arguments: &[&str]) -> String {
        let output = run(self.database.directory.path(), &self.environment, arguments).await;
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }

    /// Somebody with a new key.
    pub async fn holder_of_a_key(&self, tenant: &str, scopes: &[&str]) -> Caller {
        let mut arguments = vec!["keys", "create", "--tenant", tenant, "--name", "a story"];
        arguments.extend(scopes.iter().flat_map(|scope| ["--scope", scope]));
        self.with_key(&self.correio(&arguments).await)
    }

    pub async fn sql(&self, query: &str) -> Vec<Value> {
        self.database.sql(query).await
    }

    pub async fn sql_number(&self, query: &str) -> i64 {
        self.database.sql_number(query).await
    }

    pub async fn sql_message(&self, id: &str) -> Value {
        self.database.sql_message(id).await
    }

    pub async fn sql_status(&self, id: &str) -> String {
        self.database.sql_status(id).await
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        let _it_may_have_ended = self.process.kill();
        let _ = self.process.wait();
        if std::thread::panicking() {
            eprintln!("its log:\n{}", self.log().join("\n"));
        }
    }
}

/// The program, to be run in `directory` with exactly this environment.
pub fn correio(directory: &Path, environment: &[(String, String)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_correio"));
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
pub async fn run(directory: &Path, environment: &[(String, String)], arguments: &[&str]) -> Output {
    let mut command = correio(directory, environment);
    command.args(arguments);
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

fn spawn(directory: &Path, environment: &[(String, String)]) -> (Child, Arc<Mutex<Vec<String>>>) {
    let mut command = correio(directory, environment);
    let mut process = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let stderr = BufReader::new(process.stderr.take().unwrap());
    let log = Arc::new(Mutex::new(Vec::new()));
    let written = log.clone();
    std::thread::spawn(move || {
        for line in stderr.lines().map_while(Result::ok) {
            written.lock().unwrap().push(line);
        }
    });
    (process, log)
}

async fn listening(process: &mut Child, log: &Mutex<Vec<String>>) -> String {
    let started = eventually(SOON, "the server listens", async || {
        let lines = log.lock().unwrap().clone();
        let line = lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let address = line
            .filter(|line| line["message"] == "listening")
            .find_map(|line| line["address"].as_str().map(str::to_owned));
        let ended = process.try_wait().unwrap();
        match (address, ended) {
            (Some(address), _) => Some(Ok(address)),
            (None, Some(status)) => Some(Err(format!("{status}: {}", lines.join("\n")))),
            (None, None) => None,
        }
    });
    started.await.unwrap_or_else(|ended| panic!("it ended instead of listening: {ended}"))
}
