//! Whatever bytes arrive: no panic, nothing that looks like one from outside, and the server goes on serving.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde_json::json;

use super::http::{Answer, Connection, Request};
use super::server::{API_KEY, Server};

const REQUESTS: u64 = 10_000;
const WORKERS: u64 = 8;

/// Connections that say half a request and then nothing, all the while.
const SILENT: usize = 100;

/// What a run is made of; `FUZZ_SEED` picks another one.
const SEED: u64 = 0x0c0_44e10;

/// How often each status was answered.
type Tally = BTreeMap<u16, u64>;

#[test]
fn no_bytes_bring_the_server_into_trouble() {
    let mut server = Server::start();
    let seed = std::env::var("FUZZ_SEED").map_or(SEED, |text| text.parse().expect("FUZZ_SEED: a number"));
    let known = Known::of(server.address);
    let silent: Vec<Connection> = (0..SILENT).map(|number| half_said(server.address, number)).collect();

    let tally = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS)
            .map(|worker| {
                let (address, known) = (server.address, &known);
                scope.spawn(move || Fuzzer::new(address, known, seed, worker).run(REQUESTS / WORKERS))
            })
            .collect();
        let mut all = Tally::new();
        for worker in workers {
            let tally = worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            tally.into_iter().for_each(|(status, times)| *all.entry(status).or_default() += times);
        }
        all
    });
    println!("answers by status: {tally:?}");
    // Else the mutations would be too wild to get anywhere, or too tame.
    for status in [200, 400, 401, 404, 405, 413, 415, 422, 431, 502] {
        assert!(tally.contains_key(&status), "never answered {status}: {tally:?}");
    }

    server.assert_untroubled();
    drop(silent);
    let mut connection = Connection::open(server.address).unwrap();
    assert_eq!(connection.ask(&Request::new("GET", "/health/ready")).unwrap().status, 200);
    let sent = connection.ask(&known.send).unwrap();
    assert_eq!((sent.status, &sent.json()["data"]["status"]), (200, &json!("sent")));
    server.assert_untroubled();
}

fn half_said(address: SocketAddr, number: usize) -> Connection {
    let mut connection = Connection::open(address).unwrap();
    let said = b"POST /api/messaging/message/send HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n{";
    connection.write(&said[..number * said.len() / SILENT]).unwrap();
    connection
}

/// The requests that are mutated.
struct Known {
    send: Request,
    requests: Vec<Request>,
}

impl Known {
    fn of(address: SocketAddr) -> Self {
        let message = json!({"channel": "sandbox", "channelInstanceId": "sandbox", "remoteJid": "5585999999999",
            "message": "Olá!", "mediaUrl": "https://example.com/a.png", "mediaType": "image",
            "payload": {"a": [1, 2.5, null, "\u{1f4e8}"]}, "maxRetries": 3});
        let instance = json!({"channel": "sandbox", "channelInstanceId": "fuzzed", "channelPhoneOrId": "x",
            "name": "a", "credentials": {}, "maxRetries": 3, "metadata": {"a": {"b": [1]}}});
        let webhook = json!({"channel": "webhook", "channelInstanceId": "hook",
            "channelPhoneOrId": "http://127.0.0.1:9/hook"});
        let post = |path: &str, body| Request::new("POST", format!("/api/messaging{path}")).with_key().with_json(body);
        let get = |path: &str| Request::new("GET", path).with_key();
        let send = post("/message/send", &message);

        let mut connection = Connection::open(address).unwrap();
        let mut id_of = |request: Request, name: &str| {
            let answer = connection.ask(&request).unwrap().json();
            answer["data"][name].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
        };
        let message_id = id_of(send.clone(), "messageId");
        let instance_id = id_of(post("/instances", &instance), "instanceId");
        id_of(post("/instances", &webhook), "instanceId");
        let instance_path = format!("/api/messaging/instances/{instance_id}");

        let mut failing = message.clone();
        failing["remoteJid"] = json!("fail-transient");
        let mut hooked = message.clone();
        hooked["channel"] = json!("webhook");
        hooked["channelInstanceId"] = json!("hook");
        let query = "?status=sent&channel=sandbox&channelInstanceId=sandbox&remoteJid=5585999999999\
            &createdAfter=2026-01-18T12:00:00Z&createdBefore=2126-01-18T12:00:00%2B03:00";
        let requests = vec![
            send.clone(),
            send.clone().with("Idempotency-Key", "a-key"),
            send.clone().with("Authorization", format!("Bearer {API_KEY}")),
            post("/message/send", &failing),
            post("/message/send", &hooked),
            get("/api/messaging/messages"),
            get(&format!("/api/messaging/messages{query}&limit=3&cursor=AZo7b3Z2cACAAAAAAAAAAA")),
            get(&format!("/api/messaging/messages/stats{query}")),
            get(&format!("/api/messaging/messages/{message_id}")),
            post("/instance", &instance),
            post("/instances", &instance),
            get("/api/messaging/instances?channel=sandbox"),
            get(&instance_path),
            Request::new("PATCH", &instance_path)
                .with_key()
                .with_json(&json!({"channelPhoneOrId": "y", "name": null, "metadata": {}, "maxRetries": 9})),
            Request::new("DELETE", format!("/api/messaging/instances/{message_id}")).with_key(),
            get("/api"),
            get("/api/"),
            get("/api/openapi.json"),
            get("/api/swagger-initializer.js"),
            get("/health"),
            get("/health/live"),
            get("/health/ready"),
            get("/"),
            get("*"),
            get("/nowhere"),
            get("/api/messaging"),
            get("/api/messaging/messages/"),
            get("/api/../../etc/passwd"),
            get("http://elsewhere/health/live"),
        ];
        Self { send, requests }
    }
}

/// SplitMix64: the same numbers for the same seed, wherever it runs.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.roll() % limit.max(1) as u64) as usize
    }

    fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())].clone()
    }

    fn bytes(&mut self, most: usize) -> Vec<u8> {
        (0..self.below(most + 1)).map(|_| self.roll() as u8).collect()
    }

    fn flip(&mut self, bytes: &mut [u8]) {
        for _ in 0..=self.below(4) {
            let place = self.below(bytes.len());
            if let Some(byte) = bytes.get_mut(place) {
                *byte = if self.one_in(2) { *byte ^ (1 << self.below(8)) } else { self.roll() as u8 };
            }
        }
    }
}

struct Fuzzer<'a> {
    address: SocketAddr,
    known: &'a Known,
    dice: Dice,
    /// Told when something is wrong: it makes the same requests again.
    origin: String,
    /// Reused as long as the server does.
    open: Option<Connection>,
    tally: Tally,
}

impl<'a> Fuzzer<'a> {
    fn new(address: SocketAddr, known: &'a Known, seed: u64, worker: u64) -> Self {
        let dice = Dice(seed ^ worker.wrapping_mul(0x1000_0000_01b3));
        Self { address, known, dice, origin: format!("seed {seed}, worker {worker}"), open: None, tally: Tally::new() }
    }

    fn run(mut self, requests: u64) -> Tally {
        for _ in 0..requests {
            let request = self.mutated();
            if self.dice.one_in(4) {
                let bytes = self.misframed(&request);
                self.say(&bytes);
            } else {
                self.ask(&request);
            }
        }
        self.tally
    }

    /// A request whose framing is sound: it is answered.
    fn ask(&mut self, request: &Raw) {
        let bytes = request.bytes();
        let to_head = request.method == b"HEAD";
        let exchange = |mut connection: Connection| {
            let answer = connection.write(&bytes).and_then(|()| connection.read(to_head));
            (connection, answer)
        };
        let (mut connection, mut answer) = (None, Ok(None));
        if let Some(open) = self.open.take() {
            let (reused, answered) = exchange(open);
            (connection, answer) = (Some(reused), answered);
        }
        // A server may close a connection between two requests, so one that was open already does not count.
        if !matches!(answer, Ok(Some(_))) {
            let (fresh, answered) = exchange(Connection::open(self.address).unwrap());
            (connection, answer) = (Some(fresh), answered);
        }
        match answer {
            Ok(Some(answer)) => {
                self.judge(&answer, &bytes, to_head);
                if answer.header("connection") != Some("close") {
                    self.open = connection;
                }
            }
            // It may stop listening to what is far too long before all of it is said.
            _ if bytes.len() > 300_000 => {}
            other => panic!("{}: no answer ({other:?}) to {}", self.origin, shown(&bytes)),
        }
    }

    /// Anything at all, on a connection of its own, until the server has closed it.
    fn say(&mut self, bytes: &[u8]) {
        let mut connection = Connection::open(self.address).unwrap();
        if connection.write(bytes).and_then(|()| connection.finish()).is_err() {
            return;
        }
        loop {
            match connection.read(bytes.starts_with(b"HEAD ")) {
                Ok(Some(answer)) => self.judge(&answer, bytes, true),
                Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {
                    panic!("{}: neither answered nor closed: {}", self.origin, shown(bytes))
                }
                Ok(None) | Err(_) => return,
            }
        }
    }

    fn judge(&mut self, answer: &Answer, bytes: &[u8], to_head: bool) {
        *self.tally.entry(answer.status).or_default() += 1;
        let told = || format!("{}: {answer:?} to {}", self.origin, shown(bytes));
        assert!(answer.status < 500 || matches!(answer.status, 502 | 503), "{}", told());
        // What is no HTTP is refused below the API, with nothing but a status.
        let is_of_the_api = answer.header("x-request-id").is_some();
        if answer.status >= 400 && is_of_the_api && !to_head {
            assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{}", told());
            assert_eq!(answer.json()["status"], answer.status, "{}", told());
        }
        assert!(is_of_the_api || matches!(answer.status, 400 | 414 | 431), "{}", told());
    }

    fn mutated(&mut self) -> Raw {
        let mut request = Raw::from(&self.dice.pick(&self.known.requests));
        for _ in 0..self.dice.below(3) {
            match self.dice.below(9) {
                0 => self.change_method(&mut request),
                1 | 2 => self.change_target(&mut request),
                3 | 4 => self.change_headers(&mut request),
                _ => self.change_body(&mut request),
            }
        }
        request
    }

    fn change_method(&mut self, request: &mut Raw) {
        let methods = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "get", "BREW", "M-SEARCH"];
        request.method = self.dice.pick(&methods).as_bytes().to_vec();
    }

    fn change_target(&mut self, request: &mut Raw) {
        let parts: [&[u8]; 20] = [
            b"%00",
            b"%",
            b"%zz",
            b"%ff%fe",
            b"%2e%2e/",
            b"../",
            b"//",
            b"/",
            b"?",
            b"&",
            b"=",
            b"#",
            b"\xff",
            b"%f0%9f%93%a8",
            b"&limit=250",
            b"&limit=-1",
            b"&cursor=AAAA",
            b"&createdAfter=0000-00-00T00:00:00Z",
            b"&status=sent&status=read",
            b"+",
        ];
        let place = self.dice.below(request.target.len() + 1);
        match self.dice.below(5) {
            0 => request.target.truncate(place.max(1)),
            1 => {
                let mut target = std::mem::take(&mut request.target);
                self.dice.flip(&mut target);
                // Else it would be another request's framing.
                target.retain(|byte| !matches!(byte, b'\r' | b'\n' | b' '));
                request.target = if target.is_empty() { b"/".to_vec() } else { target };
            }
            2 if self.dice.one_in(4) => {
                let length = self.dice.pick(&[5_000, 65_000, 200_000]);
                request.target.extend(std::iter::repeat_n(b'a', length));
            }
            _ => {
                let part = self.dice.pick(&parts);
                request.target.splice(place..place, part.iter().copied());
            }
        }
    }

    fn change_headers(&mut self, request: &mut Raw) {
        let names = [
            "Authorization",
            "X-API-Key",
            "Content-Type",
            "Idempotency-Key",
            "x-request-id",
            "Host",
            "Accept",
            "Expect",
            "Cookie",
            "Connection",
            "Upgrade",
            "Range",
            "If-None-Match",
        ];
        let values: [&[u8]; 16] = [
            b"",
            b"a",
            b"Bearer",
            b"Bearer ",
            b"bearer a.b.c",
            b"Basic YTpi",
            b"text/plain",
            b"application/json; charset=\"",
            b"100-continue",
            b"keep-alive",
            b"h2c",
            b"bytes=0-",
            b"\xff\xfe",
            b"Bearer eyJhbGciOiJub25lIn0.e30.",
            b"\t",
            b"*",
        ];
        let name = self.dice.pick(&names).as_bytes().to_vec();
        match self.dice.below(6) {
            0 => drop(request.headers.pop()),
            1 => request.headers.clear(),
            2 => {
                let times = self.dice.pick(&[2, 20, 90, 101, 300]);
                let value = self.dice.pick(&values).to_vec();
                request.headers.extend(std::iter::repeat_n((name, value), times));
            }
            3 => {
                let length = self.dice.pick(&[300, 9_000, 70_000, 500_000]);
                request.headers.push((name, vec![b'a'; length]));
            }
            4 => {
                let place = self.dice.below(request.headers.len());
                if let Some((_, value)) = request.headers.get_mut(place) {
                    self.dice.flip(value);
                    value.retain(|byte| !matches!(byte, b'\r' | b'\n'));
                }
            }
            _ => {
                let value = self.dice.pick(&values).to_vec();
                request.headers.push((name, value));
            }
        }
    }

    fn change_body(&mut self, request: &mut Raw) {
        let Some(body) = &mut request.body else {
            if self.dice.one_in(3) {
                request.body = Some(self.dice.bytes(64));
            }
            return;
        };
        let parts: [&[u8]; 14] = [
            b"\\ud800",
            b"\\udc00\\ud800",
            b"\\u0000",
            b"\0",
            b"\xff",
            b"\xed\xa0\x80",
            b"\"",
            b"{",
            b"}",
            b",",
            b"1e999999",
            b"-0.0e-400",
            b"\"channel\":1,",
            b"\xef\xbb\xbf",
        ];
        let place = self.dice.below(body.len() + 1);
        match self.dice.below(8) {
            0 => body.truncate(place),
            1 | 2 => self.dice.flip(body),
            3 => {
                let levels = self.dice.pick(&[100, 126, 127, 128, 129, 5_000, 100_000]);
                let (open, close): (&[u8], &[u8]) = if self.dice.one_in(2) { (b"[", b"]") } else { (b"{\"a\":", b"}") };
                let nested = [open.repeat(levels), b"1".to_vec(), close.repeat(levels)].concat();
                *body = [
                    b"{\"channel\":\"sandbox\",\"channelInstanceId\":\"sandbox\",\"remoteJid\":\"a\",\"payload\":"
                        .to_vec(),
                    nested,
                    b"}".to_vec(),
                ]
                .concat();
            }
            4 => {
                let number = self.dice.pick(&[
                    "1e308",
                    "1e309",
                    "-1e999",
                    "18446744073709551616",
                    "0.1e-9999",
                    "-0",
                    "1E+2",
                    "00",
                ]);
                let digits = if self.dice.one_in(3) { "9".repeat(5_000) } else { number.to_owned() };
                *body = format!("{{\"channel\":\"sandbox\",\"channelInstanceId\":\"sandbox\",\"remoteJid\":\"a\",\"payload\":{{\"a\":{digits}}},\"maxRetries\":{number}}}").into_bytes();
            }
            5 if self.dice.one_in(8) => *body = vec![b' '; self.dice.pick(&[1_048_576, 1_048_577, 3_000_000])],
            _ => {
                let part = self.dice.pick(&parts);
                body.splice(place..place, part.iter().copied());
            }
        }
    }

    /// Bytes that are no longer one request.
    fn misframed(&mut self, request: &Raw) -> Vec<u8> {
        let mut bytes = request.bytes();
        let framing: [&[u8]; 12] = [
            b"Content-Length: 1",
            b"Content-Length: -1",
            b"Content-Length: 99999999999999999999999",
            b"Content-Length: a",
            b"Content-Length: 100000\r\nContent-Length: 3",
            b"Transfer-Encoding: chunked",
            b"Transfer-Encoding: gzip, chunked",
            b"Transfer-Encoding: identity\r\nContent-Length: 5",
            b" folded: a",
            b"no colon",
            b": a",
            b"a\0b: c",
        ];
        match self.dice.below(7) {
            0 => {
                let garbage = self.dice.bytes(600);
                bytes = garbage;
            }
            1 => bytes.truncate(self.dice.below(bytes.len())),
            2 | 3 => {
                let most = bytes.len().min(2_000);
                self.dice.flip(&mut bytes[..most]);
            }
            4 => {
                let chunks: [&[u8]; 6] = [
                    b"5\r\nhello\r\n0\r\n\r\n",
                    b"ffffffffffffffff\r\na",
                    b"-1\r\n",
                    b"2;a=b\r\n{}\r\n0\r\nTrailer: x\r\n\r\n",
                    b"zz\r\n",
                    b"0\r\n\r\n",
                ];
                let chunk = self.dice.pick(&chunks);
                let chunked = Raw { body: None, ..request.clone() }.head(b"Transfer-Encoding: chunked\r\n");
                bytes = [chunked, chunk.to_vec()].concat();
            }
            5 => {
                let line = [self.dice.pick(&framing), b"\r\n"].concat();
                bytes = [request.head(&line), request.body.clone().unwrap_or_default()].concat();
            }
            // Several at once, the last one cut off.
            _ => {
                let again = bytes[..self.dice.below(bytes.len())].to_vec();
                bytes.extend(again);
            }
        }
        bytes
    }
}

/// A request as bytes: nothing of it has to be text.
#[derive(Clone)]
struct Raw {
    method: Vec<u8>,
    target: Vec<u8>,
    headers: Vec<(Vec<u8>, Vec<u8>)>,
    body: Option<Vec<u8>>,
}

impl From<&Request> for Raw {
    fn from(request: &Request) -> Self {
        let headers = request.headers.iter();
        Self {
            method: request.method.clone().into_bytes(),
            target: request.target.clone().into_bytes(),
            headers: headers.map(|(name, value)| (name.clone().into_bytes(), value.clone().into_bytes())).collect(),
            body: request.body.clone(),
        }
    }
}

impl Raw {
    fn head(&self, more: &[u8]) -> Vec<u8> {
        let mut head = [&self.method, b" ".as_slice(), &self.target, b" HTTP/1.1\r\nHost: correio\r\n"].concat();
        for (name, value) in &self.headers {
            head.extend([name, b": ".as_slice(), value, b"\r\n"].concat());
        }
        head.extend_from_slice(more);
        head.extend_from_slice(b"\r\n");
        head
    }

    fn bytes(&self) -> Vec<u8> {
        match &self.body {
            Some(body) => [self.head(format!("Content-Length: {}\r\n", body.len()).as_bytes()), body.clone()].concat(),
            None => self.head(b""),
        }
    }
}

fn shown(bytes: &[u8]) -> String {
    bytes[..bytes.len().min(3_000)].escape_ascii().to_string()
}
