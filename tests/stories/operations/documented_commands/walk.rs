//! The way through a page, block by block, beside a program of its own.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::Value;

use super::comparison::Comparison;
use super::curl::Curl;
use super::page::{Block, commands};
use super::receiver::Receiver;
use crate::support::answered::Answered;
use crate::support::eventually::SOON;
use crate::support::free_port::free_port;
use crate::support::installation::Installation;
use crate::support::test_app::{BOOTSTRAP_KEY, TestApp};

/// Where the page's receiver listens.
const RECEIVER: &str = "127.0.0.1:9000";

enum Server {
    NotStarted,
    /// It needs servers that are not there, as was said on the terminal.
    Skipped,
    Running(Box<TestApp>),
}

pub struct Walk {
    page: String,
    server: Server,
    /// Where ours listens in place of [`RECEIVER`]; nothing listens there before the page starts one.
    receiver_port: u16,
    receiver: Option<Receiver>,
    variables: HashMap<String, String>,
    comparison: Comparison,
    /// Answers that the page has not shown yet.
    unshown: Vec<(Curl, Answered)>,
    passed: usize,
}

/// What a page shows of an answer.
struct Shown {
    status: Option<u16>,
    headers: Option<Vec<(String, String)>>,
    body: Value,
}

impl Walk {
    pub fn of(page: &str) -> Self {
        Self {
            page: page.to_owned(),
            server: Server::NotStarted,
            receiver_port: free_port(),
            receiver: None,
            variables: HashMap::new(),
            comparison: Comparison::default(),
            unshown: Vec::new(),
            passed: 0,
        }
    }

    pub async fn pass(&mut self, block: &Block<'_>) {
        let place = format!("{}:{}", self.page, block.line);
        match block.language {
            "sh" => {
                if block.text.contains("curl ") {
                    self.unshown_must_have_worked(&place);
                }
                for command in commands(&block.text) {
                    self.run(&command, block, &place).await;
                }
            }
            "json" => {
                let bodies = serde_json::Deserializer::from_str(&block.text).into_iter();
                let shown = bodies.map(|body| Shown { status: None, headers: None, body: body.expect(&place) });
                self.compare(shown.collect(), &place).await;
            }
            "http" => self.compare(vec![whole_answer(&block.text, &place)], &place).await,
            "text" if self.receiver.is_some() => self.compare_received(&block.text, &place),
            _ => assert!(!block.text.contains("curl "), "{place}: commands are in blocks of `sh`"),
        }
    }

    /// How many requests were made, or passed over with their server.
    pub fn end(mut self) -> usize {
        self.unshown_must_have_worked("the end");
        self.passed
    }

    async fn run(&mut self, words: &[String], block: &Block<'_>, place: &str) {
        let words: Vec<String> = words.iter().map(|word| self.in_this_run(word)).collect();
        let settings = words.iter().take_while(|word| is_assignment(word)).count();
        match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            ["curl", ..] => self.call(&words[1..], place).await,
            ["export", assignment, ..] => {
                let (name, value) = assignment.split_once('=').expect(place);
                let value = match (name, value) {
                    ("CORREIO_KEY", _) => BOOTSTRAP_KEY.to_owned(),
                    (_, "$(date -u -d tomorrow +%Y-%m-%dT%H:%M:%SZ)") => tomorrow(),
                    _ => value.to_owned(),
                };
                self.variables.insert(name.to_owned(), value);
            }
            ["python3", ..] => self.receiver = Some(Receiver::start(self.receiver_port).await),
            [assigned, "run", "-q", "--", arguments @ .., last] if assigned.ends_with("=$(cargo") => {
                let arguments = [arguments, &[last.trim_end_matches(')')]].concat();
                let name = assigned.trim_end_matches("=$(cargo").to_owned();
                let printed = self.app().await.expect("it is there").correio(&arguments).await;
                self.variables.insert(name, printed);
            }
            [.., "cargo", "run"] | [.., "cargo", "run", "--release"] if words[settings] == "cargo" => {
                self.serve(&words[..settings], place).await;
            }
            // Of a page that shows other commands, too; but not where an answer depends on them.
            _ => assert!(!block.text.contains("curl "), "{place}: the test cannot run {words:?}"),
        }
    }

    /// Starts the program as the page says, on a fresh installation.
    async fn serve(&mut self, settings: &[String], place: &str) {
        self.unshown_must_have_worked(place);
        let names: Vec<&str> = settings.iter().filter_map(|setting| Some(setting.split_once('=')?.0)).collect();
        let installation = match names.as_slice() {
            [] => Installation::sqlite().await,
            ["KAFKA_ENABLED", "KAFKA_BROKERS"] if settings[1].ends_with("=embedded") => Installation::mock().await,
            ["DATABASE_URL", "KAFKA_ENABLED", "KAFKA_BROKERS"] => Installation::real_kafka().await,
            _ => panic!("{place}: the test has no installation for {settings:?}"),
        };
        self.comparison = Comparison::default();
        self.server = match installation {
            Some(installation) => Server::Running(Box::new(TestApp::start(installation).await)),
            None => Server::Skipped,
        };
    }

    async fn app(&mut self) -> Option<&TestApp> {
        if let Server::NotStarted = self.server {
            self.serve(&[], "the beginning").await;
        }
        match &self.server {
            Server::Running(app) => Some(app),
            _ => None,
        }
    }

    async fn call(&mut self, words: &[String], place: &str) {
        let unknown = words.iter().find(|word| word.split('$').skip(1).any(|it| it.starts_with(char::is_alphabetic)));
        assert_eq!(unknown, None, "{place}: a variable that nothing has set");
        let curl = Curl::parse(words).unwrap_or_else(|unknown| panic!("{place}: the test does not know {unknown}"));
        self.passed += 1;
        let Some(app) = self.app().await else { return };
        let answer = request(app, &curl).await;
        self.unshown.push((curl, answer));
    }

    /// Compares the answers since the last ones that were shown. What changes nothing is asked again until it is as shown.
    async fn compare(&mut self, shown: Vec<Shown>, place: &str) {
        if let Server::Skipped = self.server {
            return;
        }
        let answers = std::mem::take(&mut self.unshown);
        assert_eq!(answers.len(), shown.len(), "{place}: answers, and answers that are shown");
        for ((curl, answer), shown) in answers.into_iter().zip(shown) {
            let what = format!("{place}: {} {}", curl.method, curl.path);
            assert_eq!(curl.shows_head, shown.headers.is_some(), "{what}: `-i` shows headers");
            let mut found = same(&mut self.comparison, &shown, &answer);
            let end = Instant::now() + if curl.method == "GET" { SOON } else { Duration::ZERO };
            while let Err(difference) = found {
                assert!(Instant::now() < end, "{what}: {difference}");
                tokio::time::sleep(Duration::from_millis(50)).await;
                let Server::Running(app) = &self.server else { unreachable!("it has answered") };
                found = same(&mut self.comparison, &shown, &request(app, &curl).await);
            }
        }
    }

    fn compare_received(&mut self, text: &str, place: &str) {
        let (headers, body) = headers_and_body(text, place);
        let received = self.receiver.as_ref().and_then(Receiver::last).expect(place);
        let same = self.comparison.headers(&headers, &received.headers);
        same.and_then(|()| self.comparison.values(&body, &received.json()))
            .unwrap_or_else(|it| panic!("{place}: {it}"));
    }

    /// A command without an answer in the page is one that works.
    fn unshown_must_have_worked(&mut self, place: &str) {
        for (curl, answer) in std::mem::take(&mut self.unshown) {
            let body = String::from_utf8_lossy(&answer.body);
            assert!((200..300).contains(&answer.status), "before {place}: {curl:?}: {} {body}", answer.status);
        }
    }

    fn in_this_run(&self, word: &str) -> String {
        let word = word.replace(RECEIVER, &format!("127.0.0.1:{}", self.receiver_port));
        let word = self.comparison.in_this_run(&word);
        self.variables.iter().fold(word, |word, (name, value)| word.replace(&format!("${name}"), value))
    }
}

fn is_assignment(word: &str) -> bool {
    let name = word.split_once('=').map_or("", |(name, _)| name);
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_')
}

async fn request(app: &TestApp, curl: &Curl) -> Answered {
    let caller = app.caller().nobody();
    let mut request = caller.request(Method::from_bytes(curl.method.as_bytes()).unwrap(), &curl.path);
    for (name, value) in &curl.headers {
        request = request.header(name, value);
    }
    caller.call(request.body(curl.body.clone().unwrap_or_default())).await
}

fn same(comparison: &mut Comparison, shown: &Shown, answer: &Answered) -> Result<(), String> {
    let said = shown.body["status"].as_u64().filter(|_| shown.body["success"] == false);
    let status = shown.status.or(said.and_then(|status| u16::try_from(status).ok()));
    let is_fine = status.map_or((200..300).contains(&answer.status), |status| status == answer.status);
    if !is_fine {
        return Err(format!("the status is {}, not {status:?}: {}", answer.status, answer.json()));
    }
    if let Some(headers) = &shown.headers {
        let value = |value: &reqwest::header::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let answered: Vec<_> = answer.headers.iter().map(|(name, it)| (name.to_string(), value(it))).collect();
        comparison.headers(headers, &answered)?;
    }
    comparison.values(&shown.body, &answer.json())
}

fn tomorrow() -> String {
    (chrono::Utc::now() + chrono::Duration::days(1)).format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// As `curl -i` prints it.
fn whole_answer(text: &str, place: &str) -> Shown {
    let (first, rest) = text.split_once('\n').expect(place);
    let status = first.strip_prefix("HTTP/1.1 ").and_then(|it| it.get(..3)?.parse().ok()).expect(place);
    let (headers, body) = headers_and_body(rest, place);
    Shown { status: Some(status), headers: Some(headers), body }
}

fn headers_and_body(text: &str, place: &str) -> (Vec<(String, String)>, Value) {
    let (headers, body) = text.split_once("\n\n").expect(place);
    let header = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_owned(), value.to_owned()));
    let headers = headers.lines().map(|line| header(line).expect(place)).collect();
    (headers, serde_json::from_str(body).expect(place))
}
