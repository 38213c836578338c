use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use crate::support::caller::to_sandbox;
use crate::support::eventually::{SOON, eventually};
use crate::support::http_receiver::{closed_port, read_request};
use crate::support::installation::Installation;
use crate::support::modes::stories;
use crate::support::process::run;
use crate::support::test_app::TestApp;
use crate::support::tls_server;

stories!(
    on_both_databases:
    the_migrations_can_run_before_the_server,
    a_key_that_opens_no_credentials_stops_the_start,
    a_key_that_opens_some_credentials_is_reported_and_the_server_starts;
    only_on_sqlite:
    a_value_that_cannot_be_used_stops_the_start_in_one_line,
    what_is_said_of_kafka_must_be_usable,
    a_file_of_settings_is_read_and_the_environment_wins,
    a_database_that_cannot_be_reached_stops_the_start_without_telling_its_password,
    a_parameter_of_a_database_that_cannot_be_used_stops_the_start_and_its_value_is_not_told,
    a_machine_without_root_certificates_serves_until_it_needs_them,
    certificates_that_come_later_are_used_without_another_start,
    one_process_alone_plays_every_role_on_sqlite,
    a_second_server_on_the_same_file_is_refused,
    a_place_that_cannot_be_used_is_named_by_its_setting,
    a_command_that_only_reads_makes_no_database,
    a_key_that_was_lost_is_not_replaced_while_credentials_are_stored,
    wrong_usage_ends_with_two;
    only_on_postgres:
    what_is_asked_of_a_database_in_libpqs_words_is_taken,
    credentials_in_a_shared_database_need_a_key_of_the_operator,
    without_kafka_one_process_plays_every_role,
    with_an_embedded_broker_one_process_plays_every_role;
);

/// Starts in vain; returns all that it wrote to standard error.
async fn refused(installation: &Installation, settings: &[(&str, &str)], arguments: &[&str], status: i32) -> String {
    let mut environment = installation.environment();
    environment.retain(|(name, _)| settings.iter().all(|(set, _)| set != name));
    environment.extend(settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    let output = run(installation.directory.path(), &environment, arguments).await;
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(status), "{settings:?} {arguments:?}: {told}");
    assert!(output.stdout.is_empty(), "{}", String::from_utf8_lossy(&output.stdout));
    told
}

/// The one line of a failed start.
async fn refused_start(installation: &Installation, settings: &[(&str, &str)], arguments: &[&str]) -> String {
    let told = refused(installation, settings, arguments, 1).await;
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(lines.len(), 1, "one line, not {told}");
    lines[0].to_owned()
}

async fn a_value_that_cannot_be_used_stops_the_start_in_one_line(installation: Installation) {
    let cases = [
        ("HOST", "somewhere"),
        ("PORT", "65536"),
        ("LOG_FORMAT", "xml"),
        ("RUST_LOG", "correio=loud"),
        ("DATABASE_URL", "mysql://localhost/correio"),
        ("CREDENTIALS_KEY", "c2hvcnQ="),
        ("BOOTSTRAP_API_KEY", "short"),
        ("JWT_SECRET", "short"),
        ("JWT_PUBLIC_KEY", "/no/such/file.pem"),
        ("JWT_JWKS_URL", "not a url"),
        ("KAFKA_ENABLED", "maybe"),
        ("NODE_TIMEOUT", "999ms"),
        ("MAX_RETRIES", "0"),
        ("RETRY_BACKOFF", "1s,soon"),
        ("MAX_BODY_BYTES", "1 MiB"),
        ("SHUTDOWN_TIMEOUT", "30"),
        ("WEBHOOK_BLOCK_PRIVATE", "yes"),
        ("SANDBOX_ENABLED", "maybe"),
        ("STUCK_AFTER", "webhook=10m"),
    ];
    for (variable, value) in cases {
        let line = refused_start(&installation, &[(variable, value)], &[]).await;
        let sentence = line.strip_prefix(&format!("correio: {variable}: "));
        assert!(sentence.is_some_and(|sentence| !sentence.is_empty()), "{variable}={value}: {line}");
    }
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let line = refused_start(&installation, &[("PORT", &port)], &[]).await;
    assert!(line.starts_with("correio: PORT: ") && line.contains(&port), "{line}");
}

async fn what_is_said_of_kafka_must_be_usable(installation: Installation) {
    let cases: [(&str, &[(&str, &str)]); 8] = [
        ("KAFKA_BROKERS", &[("KAFKA_BROKERS", "localhost:http")]),
        ("KAFKA_BROKERS", &[("KAFKA_BROKERS", "embedded,localhost:9092")]),
        ("KAFKA_PARTITIONS", &[("KAFKA_PARTITIONS", "0")]),
        ("KAFKA_REPLICATION_FACTOR", &[("KAFKA_REPLICATION_FACTOR", "all")]),
        ("KAFKA_TOPIC_PREFIX", &[("KAFKA_TOPIC_PREFIX", "a topic")]),
        ("KAFKA_SECURITY_PROTOCOL", &[("KAFKA_SECURITY_PROTOCOL", "TLS")]),
        ("KAFKA_SASL_MECHANISM", &[("KAFKA_SECURITY_PROTOCOL", "SASL_PLAINTEXT"), ("KAFKA_SASL_MECHANISM", "GSSAPI")]),
        ("KAFKA_SASL_USERNAME", &[("KAFKA_SECURITY_PROTOCOL", "SASL_PLAINTEXT"), ("KAFKA_SASL_PASSWORD", "s3cr3t")]),
    ];
    for (variable, settings) in cases {
        let settings = [&[("KAFKA_ENABLED", "true")], settings].concat();
        let line = refused_start(&installation, &settings, &[]).await;
        let sentence = line.strip_prefix(&format!("correio: {variable}: "));
        assert!(sentence.is_some_and(|sentence| !sentence.is_empty()), "{settings:?}: {line}");
        assert!(!line.contains("s3cr3t"), "{line}");
    }
    if !cfg!(feature = "kafka-tls") {
        let settings = [("KAFKA_ENABLED", "true"), ("KAFKA_SECURITY_PROTOCOL", "SSL")];
        let line = refused_start(&installation, &settings, &[]).await;
        assert!(line.starts_with("correio: KAFKA_SECURITY_PROTOCOL: ") && line.contains("kafka-tls"), "{line}");
    }
}

async fn a_file_of_settings_is_read_and_the_environment_wins(installation: Installation) {
    std::fs::write(installation.directory.path().join(".env"), "# mine\nSHUTDOWN_TIMEOUT=never\n").unwrap();
    let line = refused_start(&installation, &[], &[]).await;
    assert!(line.starts_with("correio: SHUTDOWN_TIMEOUT: "), "{line}");

    let app = TestApp::start_with(installation, &[("SHUTDOWN_TIMEOUT", "5s")]).await;
    assert_eq!(app.get("/health/ready").await.status, 200);
}

async fn a_database_that_cannot_be_reached_stops_the_start_without_telling_its_password(installation: Installation) {
    let url = format!("postgres://correio:s3cr3t-w0rd@{}/correio", closed_port().await);
    let start = Instant::now();
    let told = refused(&installation, &[("DATABASE_URL", &url)], &[], 1).await;
    assert!(start.elapsed() < Duration::from_secs(12), "{:?}", start.elapsed());
    assert!(told.lines().last().unwrap().starts_with("correio: DATABASE_URL: "), "{told}");
    assert!(!told.contains("s3cr3t-w0rd"), "{told}");
    assert_eq!(told.lines().count(), 1, "{told}");
    let address = url.split(['@', '/']).nth(3).unwrap();
    assert!(told.contains(&format!("{address}: ")) && told.contains("refused"), "{address}: {told}");

    let url = format!("{url}?sslmode=verify-full&sslrootcert=/nope.pem");
    let (start, line) = (Instant::now(), refused_start(&installation, &[("DATABASE_URL", &url)], &[]).await);
    assert!(line.contains("`sslrootcert`") && line.contains("/nope.pem"), "{line}");
    assert!(start.elapsed() < Duration::from_secs(5), "it is not tried");
}

async fn a_place_that_cannot_be_used_is_named_by_its_setting(installation: Installation) {
    let file = installation.directory.path().join("a-file");
    std::fs::write(&file, "").unwrap();
    let line = refused_start(&installation, &[("DATA_DIR", file.to_str().unwrap())], &[]).await;
    assert!(line.starts_with("correio: DATA_DIR: ") && line.contains("a-file"), "{line}");
}

async fn a_command_that_only_reads_makes_no_database(installation: Installation) {
    for arguments in
        [&["keys", "list"][..], &["keys", "revoke", "01a2084f-484c-7022-83e1-af8f278f8cab"], &["replay", "--all"]]
    {
        let line = refused_start(&installation, &[], arguments).await;
        assert!(line.starts_with("correio: DATA_DIR: ") && line.contains("correio.db"), "{line}");
    }
    assert!(!installation.data_dir().exists());
}

async fn a_key_that_was_lost_is_not_replaced_while_credentials_are_stored(installation: Installation) {
    let mut app = TestApp::start(installation).await;
    app.terminate();
    assert_eq!(app.exited().await.code(), Some(0));
    let (key, aside) = (app.installation.data_dir().join("credentials.key"), app.installation.data_dir().join("aside"));
    std::fs::rename(&key, &aside).unwrap();
    let line = refused_start(&app.installation, &[], &[]).await;
    assert!(line.starts_with("correio: CREDENTIALS_KEY: ") && line.contains("credentials.key"), "{line}");
    assert!(!key.exists());
    std::fs::rename(&aside, &key).unwrap();
    app.restart().await;
}

async fn a_parameter_of_a_database_that_cannot_be_used_stops_the_start_and_its_value_is_not_told(
    installation: Installation,
) {
    let base = format!("postgres://correio:s3cr3t-w0rd@{}/correio", closed_port().await);
    for (name, value) in
        [("passwrod", "hush"), ("sslpassword", "hush"), ("target_session_attrs", "hush"), ("keepalives_idle", "30")]
    {
        let url = format!("{base}?sslmode=disable&{name}={value}");
        let line = refused_start(&installation, &[("DATABASE_URL", &url)], &[]).await;
        assert!(line.starts_with("correio: DATABASE_URL: ") && line.contains(&format!("`{name}`")), "{line}");
        assert!(!line.contains("hush") && !line.contains("s3cr3t-w0rd"), "{line}");
    }
    for url in ["sqlite://data/correio.db?passwrod=hush", "host=db password=hush user=correio"] {
        let line = refused_start(&installation, &[("DATABASE_URL", url)], &[]).await;
        assert!(line.starts_with("correio: DATABASE_URL: ") && !line.contains("hush"), "{line}");
    }
}

async fn what_is_asked_of_a_database_in_libpqs_words_is_taken(installation: Installation) {
    let own = installation.environment().into_iter().find(|(name, _)| name == "DATABASE_URL").unwrap().1;
    let more =
        "target_session_attrs=read-write&connect_timeout=10&application_name=correio%20hush&client_encoding=UTF8";
    let url = format!("{}&{more}", own.replacen("postgres://", "postgresql://", 1));
    let app = TestApp::start_with(installation, &[("DATABASE_URL", &url)]).await;
    assert_eq!(app.send(&to_sandbox("5585999999999")).await.status, 200);
    let named = "select count(*) from pg_stat_activity where application_name = 'correio hush' and datname = current_database()";
    assert!(app.sql_number(named).await > 0);
    assert!(app.log().iter().all(|line| !line.contains("hush")), "{:?}", app.log());
}

async fn a_machine_without_root_certificates_serves_until_it_needs_them(installation: Installation) {
    let nothing = tempfile::tempdir().unwrap();
    let (directory, file) = (nothing.path().to_str().unwrap(), nothing.path().join("none.pem"));
    std::fs::write(&file, "").unwrap();
    let settings = [("SSL_CERT_FILE", file.to_str().unwrap()), ("SSL_CERT_DIR", directory)];
    let app = TestApp::start_with(installation, &settings).await;
    assert_eq!(app.get("/health/ready").await.status, 200);

    let address = format!("https://localhost:{}/", tls_server::start().await.port());
    app.create_instance(&json!({
        "channel": "webhook", "channelInstanceId": "pedidos", "channelPhoneOrId": address,
    }))
    .await;
    let message = json!({
        "channel": "webhook", "channelInstanceId": "pedidos", "remoteJid": "pedido-1", "message": "Olá",
    });
    let told = app.send(&message).await.json().to_string();
    // Not that the webhook could not be reached: the message is put off where its caller does not wait.
    assert!(told.contains("Could not call the webhook: this machine has no CA certificates"), "{told}");
    assert!(told.contains("SSL_CERT_FILE"), "{told}");
}

async fn certificates_that_come_later_are_used_without_another_start(installation: Installation) {
    let place = tempfile::tempdir().unwrap();
    let (directory, file) = (place.path().join("certs"), place.path().join("ca.pem"));
    let settings = [("SSL_CERT_FILE", file.to_str().unwrap()), ("SSL_CERT_DIR", directory.to_str().unwrap())];
    let app = TestApp::start_with(installation, &settings).await;
    let answering = tls_server::start_with(|mut stream, _| async move {
        let mut buffer = Vec::new();
        while let Ok(Some(_)) = read_request(&mut stream, &mut buffer).await {
            stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
        }
    });
    let address = format!("https://localhost:{}/", answering.await.port());
    app.create_instance(&json!({
        "channel": "webhook", "channelInstanceId": "pedidos", "channelPhoneOrId": address,
    }))
    .await;
    let message = json!({
        "channel": "webhook", "channelInstanceId": "pedidos", "remoteJid": "pedidos", "message": "Olá",
    });
    let told = app.send(&message).await.json().to_string();
    assert!(told.contains("this machine has no CA certificates"), "{told}");

    std::fs::write(&file, tls_server::AUTHORITY).unwrap();
    let sent = async || Some(app.send(&message).await).filter(|answer| answer.status == 200);
    eventually(SOON, "they are found", sent).await;
}

async fn one_process_alone_plays_every_role_on_sqlite(installation: Installation) {
    for role in ["api", "worker"] {
        for enabled in ["false", "true"] {
            let line = refused_start(&installation, &[("KAFKA_ENABLED", enabled)], &["serve", "--role", role]).await;
            assert!(line.starts_with("correio: DATABASE_URL: ") && line.contains(role), "{line}");
        }
    }
}

async fn a_second_server_on_the_same_file_is_refused(installation: Installation) {
    let app = TestApp::start(installation).await;
    let line = refused_start(&app.installation, &[], &[]).await;
    assert!(line.starts_with("correio: DATA_DIR: "), "{line}");
    assert_eq!(app.get("/health/ready").await.status, 200, "the first goes on");
    assert_eq!(app.sql_number("select count(*) from messaging_nodes where left_at is null").await, 1);
}

async fn wrong_usage_ends_with_two(installation: Installation) {
    for arguments in [&["sevre"][..], &["serve", "--role", "boss"], &["serve", "--rol"], &["keys"], &["token"]] {
        let told = refused(&installation, &[], arguments, 2).await;
        assert!(!told.is_empty(), "{arguments:?}");
    }
}

async fn credentials_in_a_shared_database_need_a_key_of_the_operator(installation: Installation) {
    // Whether the tables are there already makes no difference.
    for _ in 0..2 {
        let line = refused_start(&installation, &[("CREDENTIALS_KEY", "")], &[]).await;
        assert!(line.starts_with("correio: CREDENTIALS_KEY: "), "{line}");
    }
}

async fn without_kafka_one_process_plays_every_role(installation: Installation) {
    for role in ["api", "worker"] {
        let line = refused_start(&installation, &[], &["serve", "--role", role]).await;
        assert!(line.starts_with("correio: KAFKA_ENABLED: ") && line.contains(role), "{line}");
    }
}

async fn with_an_embedded_broker_one_process_plays_every_role(installation: Installation) {
    let embedded = [("KAFKA_ENABLED", "true"), ("KAFKA_BROKERS", "embedded")];
    for role in ["api", "worker"] {
        let line = refused_start(&installation, &embedded, &["serve", "--role", role]).await;
        assert!(line.starts_with("correio: KAFKA_BROKERS: ") && line.contains(role), "{line}");
    }
}

async fn the_migrations_can_run_before_the_server(installation: Installation) {
    let environment = installation.environment();
    for _ in 0..2 {
        let output = run(installation.directory.path(), &environment, &["migrate"]).await;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(output.stdout.is_empty());
    }
    assert_eq!(installation.sql_number("select count(*) from messaging_messages").await, 0);
    let app = TestApp::start(installation).await;
    assert_eq!(app.get("/health/ready").await.status, 200);
}

fn orders() -> Value {
    json!({ "channel": "sandbox", "channelInstanceId": "orders", "channelPhoneOrId": "5585988888888" })
}

const OTHER_KEY: &str = "YW5vdGhlci1jcmVkZW50aWFscy1rZXktMzItYnl0ZXM=";

async fn a_key_that_opens_no_credentials_stops_the_start(installation: Installation) {
    let mut app = TestApp::start(installation).await;
    let created = app.create_instance(&orders()).await;
    app.terminate();
    assert_eq!(app.exited().await.code(), Some(0));
    let rows = "select (select count(*) from messaging_nodes) + (select count(*) from messaging_instances)";
    let before = app.sql_number(rows).await;

    let line = refused_start(&app.installation, &[("CREDENTIALS_KEY", OTHER_KEY)], &[]).await;
    assert!(line.starts_with("correio: CREDENTIALS_KEY: "), "{line}");
    // The sandbox is the other one.
    assert!(line.contains("none of the 2 instance(s)"), "{line}");
    assert_eq!(app.sql_number(rows).await, before, "a start that is refused changes nothing");

    app.restart().await;
    assert_eq!(app.get(&format!("/api/messaging/instances/{created}")).await.status, 200);
}

async fn a_key_that_opens_some_credentials_is_reported_and_the_server_starts(installation: Installation) {
    let mut app = TestApp::start(installation).await;
    app.create_instance(&orders()).await;
    assert!(!app.log().iter().any(|line| line.contains("CREDENTIALS_KEY")), "nothing is wrong");
    // Sealed for another instance, or with another key: it cannot be told apart.
    app.sql(
        "update messaging_instances
            set credentials = (select credentials from messaging_instances where channel_instance_id = 'sandbox')
          where channel_instance_id = 'orders'",
    )
    .await;
    app.terminate();
    assert_eq!(app.exited().await.code(), Some(0));
    app.restart().await;
    let lines = app.log();
    let line = lines.iter().find(|line| line.contains("CREDENTIALS_KEY")).expect("it is said");
    let line: Value = serde_json::from_str(line).unwrap();
    assert_eq!((&line["level"], &line["unopened"], &line["opened"]), (&json!("ERROR"), &json!(1), &json!(1)), "{line}");
    assert_eq!(line["instances"], "orders", "{line}");
}
