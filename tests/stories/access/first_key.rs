//! How the API key of a first start gets to its operator.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};

use crate::support::caller::to_sandbox;
use crate::support::eventually::{SOON, eventually};
use crate::support::installation::Installation;
use crate::support::modes::stories;
use crate::support::process::{Process, run};
use crate::support::test_app::TestApp;

stories!(
    on_both_databases:
    the_first_key_is_in_a_file_for_its_owner_and_not_in_the_log;
    only_on_sqlite:
    a_terminal_shows_the_first_key_in_a_line_that_sends_a_message,
    a_start_that_fails_makes_no_key,
    a_key_that_may_be_stored_is_kept,
    a_database_in_the_working_directory_has_its_key_file_there;
    only_on_postgres:
    of_two_first_starts_at_once_one_makes_a_key,
    without_a_place_for_the_first_key_none_is_made_until_there_is_one;
);

/// What it told its first user to paste into a shell.
fn curl_line(log: &[String]) -> Option<String> {
    let first = log.iter().position(|line| line.trim_start().starts_with("curl "))?;
    let last = first + log[first..].iter().position(|line| !line.ends_with('\\'))?;
    Some(log[first..=last].join("\n"))
}

/// The file that the log says holds the first key.
fn key_file(log: &[String]) -> Option<PathBuf> {
    let lines = log.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let named = lines.filter(|line| line["message"].as_str().is_some_and(|text| text.contains("first API key")));
    named.filter_map(|line| line["path"].as_str().map(PathBuf::from)).next()
}

async fn the_first_key_is_in_a_file_for_its_owner_and_not_in_the_log(installation: Installation) {
    // Of another installation that was here.
    std::fs::create_dir_all(installation.data_dir()).unwrap();
    let foreign = installation.data_dir().join("bootstrap-api-key");
    std::fs::write(&foreign, "another's").unwrap();
    // Empty is unset: the key is generated.
    let mut app = TestApp::start_with(installation, &[("BOOTSTRAP_API_KEY", "")]).await;
    let file = eventually(SOON, "it says where the key is", async || key_file(&app.log())).await;
    assert_eq!(file.parent(), Some(app.installation.data_dir().as_path()));
    assert_eq!(std::fs::read_to_string(&foreign).unwrap(), "another's");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let key = std::fs::read_to_string(&file).unwrap().trim().to_owned();
    assert!(key.len() >= 32 && app.log().iter().all(|line| !line.contains(&key)), "the log tells it");
    assert_eq!(curl_line(&app.log()), None, "no newcomer looks");
    let owner = app.with_key(&key);
    assert_eq!(owner.send(&to_sandbox("5585999999999")).await.status, 200);

    app.terminate();
    assert_eq!(app.exited().await.code(), Some(0));
    app.restart().await;
    assert_eq!(app.with_key(&key).send(&to_sandbox("5585999999999")).await.status, 200, "its key still works");
    assert_eq!(key_file(&app.log()), None);
    assert_eq!(app.sql_number("select count(*) from api_keys").await, 1);
}

async fn a_start_that_fails_makes_no_key(installation: Installation) {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let environment = vec![("PORT".to_owned(), taken.local_addr().unwrap().port().to_string())];
    let output = run(installation.directory.path(), &environment, &[]).await;
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(installation.sql_number("select count(*) from api_keys").await, 0);
    assert!(!installation.data_dir().join("bootstrap-api-key").exists());
}

async fn a_key_that_may_be_stored_is_kept(installation: Installation) {
    let environment = vec![("PORT".to_owned(), "0".to_owned())];
    let directory = installation.directory.path();
    assert!(run(directory, &environment, &["migrate"]).await.status.success());
    let start = async || {
        let output = run(directory, &environment, &[]).await;
        assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
        let log = [output.stdout, output.stderr].concat();
        key_file(&String::from_utf8_lossy(&log).lines().map(str::to_owned).collect::<Vec<_>>())
    };
    let fails =
        |table| format!("create trigger {table} before insert on {table} begin select raise(abort, 'away'); end");
    installation.sql(&fails("messaging_instances")).await;
    assert_eq!(start().await, None, "what fails before the key leaves no file");
    assert!(!installation.data_dir().join("bootstrap-api-key").exists());

    installation.sql("drop trigger messaging_instances").await;
    installation.sql(&fails("api_keys")).await;
    let file = start().await.expect("the log names the file");
    assert!(std::fs::read_to_string(file).unwrap().len() > 32);
}

async fn a_database_in_the_working_directory_has_its_key_file_there(installation: Installation) {
    let environment = [("PORT", "0"), ("DATABASE_URL", "sqlite://correio.db")];
    let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let process = Process::start(installation.directory.path(), environment, &[]).await;
    let file = eventually(SOON, "it says where the key is", async || key_file(&process.log())).await;
    assert_eq!(file, installation.directory.path().canonicalize().unwrap().join("bootstrap-api-key"));
}

async fn without_a_place_for_the_first_key_none_is_made_until_there_is_one(installation: Installation) {
    let place = installation.directory.path().join("occupied");
    std::fs::write(&place, "").unwrap();
    let settings = [("BOOTSTRAP_API_KEY", ""), ("DATA_DIR", place.to_str().unwrap())];
    let mut app = TestApp::start_with(installation, &settings).await;
    assert!(
        app.log().iter().any(|line| line.contains("DATA_DIR") && line.contains("keys create")),
        "it says what to do"
    );
    assert_eq!(app.sql_number("select count(*) from api_keys").await, 0, "nobody would have known it");
    app.terminate();
    app.exited().await;
    std::fs::remove_file(&place).unwrap();
    app.restart().await;
    let file = eventually(SOON, "it says where the key is", async || key_file(&app.log())).await;
    assert_eq!(file, place.join("bootstrap-api-key"));
}

async fn of_two_first_starts_at_once_one_makes_a_key(installation: Installation) {
    let options = installation.postgres.as_ref().unwrap().options();
    let environment = [installation.environment(), vec![("PORT".to_owned(), "0".to_owned())]].concat();
    let directory = installation.directory.path();
    assert!(run(directory, &environment, &["migrate"]).await.status.success());

    // Both find no key, and neither can store one.
    let mut other = PgConnection::connect_with(&options).await.unwrap();
    let mut holding = other.begin().await.unwrap();
    sqlx::query("lock table api_keys in exclusive mode").execute(&mut *holding).await.unwrap();
    let mut watching = PgConnection::connect_with(&options).await.unwrap();
    let processes = [(); 2].map(|()| Process::begin(directory, environment.clone(), &[]));
    let waiting =
        "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
    let both =
        async || (sqlx::query_scalar::<_, i64>(waiting).fetch_one(&mut watching).await.unwrap() == 2).then_some(());
    eventually(SOON, "both are about to store a key", both).await;
    holding.rollback().await.unwrap();

    let says = |process: &Process, text: &str| process.log().iter().any(|line| line.contains(text));
    let listen = async || processes.iter().all(|process| says(process, "\"listening\"")).then_some(());
    eventually(SOON, "both listen", listen).await;
    assert_eq!(installation.sql_number("select count(*) from api_keys").await, 1);
    let named = async || processes.iter().find_map(|process| key_file(&process.log()));
    let file = eventually(SOON, "one says where the key is", named).await;
    let files: Vec<_> = std::fs::read_dir(installation.data_dir()).unwrap().map(|file| file.unwrap().path()).collect();
    let keys: Vec<_> = files.iter().filter(|path| path.to_string_lossy().contains("bootstrap-api-key")).collect();
    assert_eq!(keys, [&file], "the file of the other is gone");
    let made_none = async || (processes.iter().filter(|process| says(process, "made none")).count() == 1).then_some(());
    eventually(SOON, "the other one says that it made none", made_none).await;
}

/// Runs a first start as on an operator's terminal, and hands over what it shows until there is a line to paste.
async fn on_a_terminal<T>(settings: &[(&str, &Path)], look: impl AsyncFnOnce(Vec<String>) -> T) -> T {
    let mut command = Command::new("script");
    command.args(["--quiet", "--flush", "--command", env!("CARGO_BIN_EXE_correio"), "/dev/null"]);
    command.env_clear().env("PATH", std::env::var("PATH").unwrap()).env("PORT", "0").envs(settings.iter().copied());
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (shown, output) = (Arc::new(Mutex::new(Vec::new())), BufReader::new(child.stdout.take().unwrap()));
    let written = shown.clone();
    let reader = std::thread::spawn(move || {
        for line in output.lines().map_while(Result::ok) {
            written.lock().unwrap().push(line.trim_end().to_owned());
        }
    });
    let lines = async || Some(shown.lock().unwrap().clone()).filter(|lines| curl_line(lines).is_some());
    let looked = look(eventually(SOON, "a newcomer is greeted", lines).await).await;
    // What is typed on a terminal.
    child.stdin.take().unwrap().write_all(b"\x03").unwrap();
    assert!(child.wait().unwrap().success());
    reader.join().unwrap();
    looked
}

async fn a_terminal_shows_the_first_key_in_a_line_that_sends_a_message(installation: Installation) {
    let data = installation.data_dir();
    on_a_terminal(&[("DATA_DIR", &data)], async |lines| {
        let line = curl_line(&lines).unwrap();
        let output = Command::new("sh").args(["-c", &line]).output().unwrap();
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!((&answer["success"], &answer["data"]["status"]), (&json!(true), &json!("sent")), "{answer}");
        assert_eq!(installation.sql_status(answer["data"]["messageId"].as_str().unwrap()).await, "sent");
        assert!(!data.join("bootstrap-api-key").exists());
    })
    .await;
}
