//! The served OpenAPI document is the contract: whatever is sent, every operation answers as it documents.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};

use jsonschema::{Draft, Validator};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

use super::http::{Answer, Connection, Request};
use super::openapi_document::{Operation, Parameter, Place, closed, operations};
use super::schema_values;
use super::server::{API_KEY, Server};

/// Random requests an operation.
const CASES: u32 = 100;

#[test]
fn every_operation_answers_as_documented() {
    let mut server = Server::start();
    let contract = Contract::of(&server);
    contract.answers_valid_requests();
    contract.refuses_strangers();
    for operation in &contract.operations {
        contract.answers_whatever_is_sent(operation);
    }
    server.assert_untroubled();
}

struct Contract {
    operations: Vec<Operation>,
    /// By operation, status and content type.
    answers: HashMap<(String, u16, String), Validator>,
    /// By operation.
    bodies: HashMap<String, Validator>,
    connection: RefCell<Connection>,
    reader: String,
    /// What exists, by the name of the path parameter that takes it.
    ids: BTreeMap<&'static str, Vec<String>>,
}

/// Who a request says that it is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Credentials {
    Key,
    KeyAsBearer,
    /// A token that may only read messages.
    Reader,
    Wrong,
    None,
}

/// The parts that a random request is made of.
#[derive(Clone, Debug)]
struct Parts {
    parameters: Vec<Option<Value>>,
    unknown_query: Option<String>,
    existing: Index,
    body: Option<Vec<u8>>,
    content_type: &'static str,
    credentials: Credentials,
}

impl Contract {
    fn of(server: &Server) -> Self {
        let mut connection = Connection::open(server.address).unwrap();
        let document = connection.ask(&Request::new("GET", "/api/openapi.json")).unwrap().json();
        let mut operations = operations(&document);
        // Providers prove themselves by a secret that only a connected instance has: see the stories of instances.
        // A CRM is answered in words of its own: see the stories of events.
        // Nor are there users, or sources: see the stories of access and of sources.
        // Groups are synced with a provider: see the stories of groups.
        let others = [
            "receiveEvents",
            "shakeHands",
            "login",
            "signIn",
            "reportToSource",
            "receiveWebhook",
            "syncGroups",
            "readGroupSync",
        ];
        operations.retain(|operation| !others.iter().any(|of| operation.id.starts_with(of)));
        // It needs a subscriber that answers: see the stories of status webhooks.
        operations.retain(|operation| operation.id != "testStateSubscription");
        // Without a Kafka there is nothing to ask of them: see the stories of `kafka_rest`.
        operations.retain(|operation| !needs_kafka(operation));
        // What deletes comes last: others need what it deletes.
        operations.sort_by_key(|operation| operation.method == "DELETE");
        let mut answers = HashMap::new();
        let mut bodies = HashMap::new();
        for operation in &operations {
            for (status, kinds) in &operation.responses {
                for (kind, schema) in kinds {
                    let validator = validator(&closed(schema), true);
                    answers.insert((operation.id.clone(), *status, kind.clone()), validator);
                }
            }
            if let Some(schema) = &operation.body {
                bodies.insert(operation.id.clone(), validator(schema, false));
            }
        }
        let ids = existing(&mut connection);
        let reader = server.token("messages:read");
        let connection = RefCell::new(connection);
        Self { operations, answers, bodies, connection, reader, ids }
    }

    /// The document's own example is a request that works.
    fn answers_valid_requests(&self) {
        // An event takes a while to be dead.
        for operation in self.operations.iter().filter(|operation| operation.id != "retryEvent") {
            let mut target = operation.path.clone();
            for (name, ids) in &self.ids {
                // The first message waits, the last has failed.
                // The first group is there to be deleted.
                let takes_first = ["cancelMessage", "deleteGroup"].contains(&operation.id.as_str());
                let id = if takes_first { ids.first() } else { ids.last() };
                target = target.replace(&format!("{{{name}}}"), id.unwrap());
            }
            let mut request = Request::new(&operation.method, target).with_key();
            if let Some(schema) = &operation.body {
                let mut body = schema["example"].clone();
                assert!(!body.is_null(), "{} has no example of its body", operation.id);
                if body["channelPhoneOrId"].is_string() {
                    // A name is taken once.
                    body["channelInstanceId"] = json!(operation.id);
                }
                if body["instanceId"].is_string() {
                    body["instanceId"] = json!(self.ids["instanceId"].first());
                }
                request = request.with_json(&body);
            }
            let answer = self.ask(&request);
            self.check(operation, &answer).unwrap();
            assert!((200..300).contains(&answer.status), "{request:?}: {answer:?}");
        }
    }

    fn refuses_strangers(&self) {
        for operation in &self.operations {
            let id = uuid::Uuid::now_v7().to_string();
            let target =
                self.ids.keys().fold(operation.path.clone(), |path, name| path.replace(&format!("{{{name}}}"), &id));
            let answer = self.ask(&Request::new(&operation.method, target));
            self.check(operation, &answer).unwrap();
            if is_closed(operation) {
                assert_eq!(answer.status, 401, "{}", operation.id);
                assert!(answer.header("www-authenticate").is_some(), "{answer:?}");
            } else {
                assert_eq!(answer.status, 200, "{}", operation.id);
            }
        }
    }

    fn answers_whatever_is_sent(&self, operation: &Operation) {
        let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
        let outcome = TestRunner::new(config).run(&parts(operation), |parts| {
            let request = self.request(operation, &parts);
            let answer = self.ask(&request);
            let told = |what: String| TestCaseError::fail(format!("{what}\n{}\n{answer:?}", operation.id));
            self.check(operation, &answer).map_err(told)?;
            prop_assert_ne!(answer.status, 500);
            let refused = matches!(parts.credentials, Credentials::Wrong | Credentials::None);
            prop_assert_eq!(answer.status == 401, refused && is_closed(operation), "{:?}", answer);
            if (200..300).contains(&answer.status) {
                self.check_accepted(operation, &request).map_err(told)?;
            }
            Ok(())
        });
        if let Err(failure) = outcome {
            panic!("{} {}: {failure}", operation.method, operation.path);
        }
    }

    fn request(&self, operation: &Operation, parts: &Parts) -> Request {
        let mut target = operation.path.clone();
        let mut query = Vec::new();
        let mut headers = Vec::new();
        for (parameter, value) in operation.parameters.iter().zip(&parts.parameters) {
            let Parameter { name, place, .. } = parameter;
            let text = value.as_ref().map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
            match (place, text) {
                (Place::Path, text) => {
                    let ids = self.ids.get(name.as_str()).unwrap_or_else(|| panic!("no {name} is known"));
                    // Without any text it would be another route.
                    let text = text.filter(|text| !text.is_empty());
                    let text = text.unwrap_or_else(|| parts.existing.get(ids).clone());
                    target = target.replace(&format!("{{{name}}}"), &encoded(&text));
                }
                (Place::Query, Some(text)) => query.push(format!("{}={}", encoded(name), encoded(&text))),
                (Place::Header, Some(text)) => {
                    // What cannot be in a header at all is no matter of the API.
                    headers.push((name.clone(), text.replace(char::is_control, " ").trim().to_owned()));
                }
                (Place::Query | Place::Header, None) => {}
            }
        }
        query.extend(parts.unknown_query.iter().map(|name| format!("{}=1", encoded(name))));
        if !query.is_empty() {
            target = format!("{target}?{}", query.join("&"));
        }
        match parts.credentials {
            Credentials::Key => headers.push(("X-API-Key".into(), API_KEY.into())),
            Credentials::KeyAsBearer => headers.push(("Authorization".into(), format!("Bearer {API_KEY}"))),
            Credentials::Reader => headers.push(("Authorization".into(), format!("Bearer {}", self.reader))),
            Credentials::Wrong => headers.push(("Authorization".into(), "Bearer nobody.knows.this".into())),
            Credentials::None => {}
        }
        if parts.body.is_some() {
            headers.push(("Content-Type".into(), parts.content_type.into()));
        }
        Request { method: operation.method.clone(), target, headers, body: parts.body.clone() }
    }

    fn ask(&self, request: &Request) -> Answer {
        self.connection.borrow_mut().ask(request).unwrap_or_else(|error| panic!("{error}: {request:?}"))
    }

    /// That `answer` is one that `operation` documents.
    fn check(&self, operation: &Operation, answer: &Answer) -> Result<(), String> {
        let kinds = operation.responses.get(&answer.status);
        let kinds = kinds.ok_or_else(|| format!("{} is not documented", answer.status))?;
        if answer.header("x-request-id").is_none() {
            return Err("it has no x-request-id".to_owned());
        }
        if kinds.is_empty() {
            return if answer.body.is_empty() { Ok(()) } else { Err("a body is not documented".to_owned()) };
        }
        let kind = answer.header("content-type").unwrap_or_default().to_owned();
        let validator = self.answers.get(&(operation.id.clone(), answer.status, kind.clone()));
        let validator = validator.ok_or_else(|| format!("{kind:?} is not documented for {}", answer.status))?;
        let body = serde_json::from_slice(&answer.body).map_err(|error| error.to_string())?;
        validator.validate(&body).map_err(|error| format!("{}: {error}", error.instance_path()))?;
        if kind == "application/problem+json" && body["status"] != answer.status {
            return Err("the problem tells another status".to_owned());
        }
        Ok(())
    }

    /// That a body which was accepted is one that `operation` documents.
    fn check_accepted(&self, operation: &Operation, request: &Request) -> Result<(), String> {
        // What of a list cannot be taken is told in the answer.
        if operation.id == "addMembers" {
            return Ok(());
        }
        let (Some(validator), Some(body)) = (self.bodies.get(&operation.id), &request.body) else { return Ok(()) };
        let body = serde_json::from_slice(body).map_err(|error| format!("accepted a body that is no JSON: {error}"))?;
        validator.validate(&body).map_err(|error| format!("accepted what it does not document: {error}"))
    }
}

/// Makes messages and instances, and tells their ids.
fn existing(connection: &mut Connection) -> BTreeMap<&'static str, Vec<String>> {
    let mut send = |body: Value| {
        let send = Request::new("POST", "/api/messaging/message/send").with_key().with_json(&body);
        connection.ask(&send).unwrap().json()["data"]["messageId"].clone()
    };
    let later = (chrono::Utc::now() + chrono::Duration::days(1)).to_rfc3339();
    let mut messages = vec![send(json!({"channel": "sandbox", "channelInstanceId": "sandbox",
        "remoteJid": "5585999999999", "message": "Olá!", "sendAt": later}))];
    let recipients = ["5585999999999", "fail-transient", "fail-permanent"];
    messages.extend(recipients.map(|recipient| {
        send(json!({"channel": "sandbox", "channelInstanceId": "sandbox", "remoteJid": recipient,
            "message": "Olá!", "mediaUrl": "https://example.com/a.png", "payload": {"a": [1, null]}}))
    }));
    let mut instances = Vec::new();
    for number in 0..3 {
        let create = json!({"channel": "sandbox", "channelInstanceId": format!("existing-{number}"),
            "channelPhoneOrId": "x", "name": "a", "maxRetries": 3, "metadata": {"a": 1}});
        let create = Request::new("POST", "/api/messaging/instances").with_key().with_json(&create);
        instances.push(connection.ask(&create).unwrap().json()["data"]["instanceId"].clone());
    }
    let mut make = |path: &str, body: Value| {
        connection.ask(&Request::new("POST", path).with_key().with_json(&body)).unwrap().json()
    };
    let sale = json!({ "type": "CANCELAMENTO", "data": {} });
    let events: Vec<Value> = (0..3).map(|_| make("/events", sale.clone())["id"].clone()).collect();
    let subscription =
        |name: &str| json!({ "name": name, "types": ["VENDA"], "channel": "sandbox", "channelInstanceId": "sandbox" });
    let subscriptions =
        ["one", "two", "three"].map(|name| make("/subscriptions", subscription(name))["data"]["id"].clone()).to_vec();
    let types =
        ["UM", "DOIS"].map(|name| make("/events/types", json!({ "name": name }))["data"]["name"].clone()).to_vec();
    let mut broadcasts = Vec::new();
    for number in 0..3 {
        let create = json!({"channel": "sandbox", "channelInstanceId": "sandbox", "recipients": [format!("r{number}")],
            "message": "Olá!", "sendAt": later});
        let create = Request::new("POST", "/api/messaging/broadcasts").with_key().with_json(&create);
        broadcasts.push(connection.ask(&create).unwrap().json()["data"]["id"].clone());
    }
    let mut groups = Vec::new();
    for number in 0..3 {
        let create = json!({"instanceId": instances[1], "name": format!("group {number}")});
        let create = Request::new("POST", "/api/messaging/groups").with_key().with_json(&create);
        groups.push(connection.ask(&create).unwrap().json()["id"].clone());
        let members = format!("/api/messaging/groups/{}/members", groups[number].as_str().unwrap());
        let member = json!({"identifier": "fail-permanent-a", "identifierType": "id"});
        connection.ask(&Request::new("POST", members).with_key().with_json(&member)).unwrap();
    }
    let texts = |ids: Vec<Value>| ids.iter().map(|id| id.as_str().expect("an id").to_owned()).collect();
    let mut state_subscriptions = Vec::new();
    for _ in 0..3 {
        let create = json!({"url": "http://127.0.0.1:9/hook"});
        let create = Request::new("POST", "/api/messaging/subscriptions/status").with_key().with_json(&create);
        state_subscriptions.push(connection.ask(&create).unwrap().json()["data"]["id"].clone());
    }
    BTreeMap::from([
        ("id", texts(messages)),
        ("instanceId", texts(instances)),
        ("eventId", texts(events)),
        ("subscriptionId", texts(subscriptions)),
        ("stateSubscriptionId", texts(state_subscriptions)),
        ("typeName", texts(types)),
        ("broadcastId", texts(broadcasts)),
        ("groupId", texts(groups)),
        ("identifier", vec!["fail-permanent-a".to_owned()]),
    ])
}

fn needs_kafka(operation: &Operation) -> bool {
    let of_kafka = ["/admin/groups", "/admin/topics", "/brokers", "/consumers/", "/topics", "/v3/"];
    of_kafka.iter().any(|start| operation.path.starts_with(start))
}

fn is_closed(operation: &Operation) -> bool {
    ["/api/messaging", "/admin", "/events", "/subscriptions"].iter().any(|closed| operation.path.starts_with(closed))
}

fn validator(schema: &Value, formats: bool) -> Validator {
    let options = jsonschema::options().with_draft(Draft::Draft202012).should_validate_formats(formats);
    options.build(schema).unwrap_or_else(|error| panic!("{error}: {schema}"))
}

/// Values that let a request get past the first check.
fn hints(name: &str) -> Vec<Value> {
    match name {
        "channel" => ["sandbox", "sandbox", "sandbox", "webhook", "whatsapp_evolution"].map(Value::from).to_vec(),
        "channelInstanceId" => vec![json!("sandbox"), json!("sandbox"), json!("existing-0")],
        "channelPhoneOrId" => vec![json!("http://127.0.0.1:9/hook"), json!("5585999999999")],
        "url" => vec![json!("http://127.0.0.1:9/hook"), json!("https://example.com/estados")],
        "type" | "tipo" => ["VENDA", "CANCELAMENTO", "DEVOLUCAO"].map(Value::from).to_vec(),
        "types" => vec![json!(["VENDA", "deal.*"])],
        "template" => vec![json!("Olá, {{ data.nome }}")],
        "filter" => vec![json!("data.valor > 1.0")],
        "remoteJid" => vec![json!("5585999999999"), json!("fail-transient-a"), json!("fail-permanent-a")],
        "Idempotency-Key" => ["one", "two", "three", "four", "três", ""].map(Value::from).to_vec(),
        _ => Vec::new(),
    }
}

fn parts(operation: &Operation) -> impl Strategy<Value = Parts> + use<> {
    let parameters: Vec<BoxedStrategy<Option<Value>>> = operation
        .parameters
        .iter()
        .map(|parameter| {
            let given = if parameter.place == Place::Path || parameter.required { 0.5 } else { 0.3 };
            prop::option::weighted(given, schema_values::named(&parameter.name, &parameter.schema, hints)).boxed()
        })
        .collect();
    let unknown_query = prop::option::weighted(0.05, schema_values::any_text());
    let content_type = prop_oneof![
        12 => Just("application/json"),
        1 => Just("application/merge-patch+json; charset=utf-8"),
        1 => Just("text/plain"),
        1 => Just(""),
    ];
    let credentials = select(vec![
        Credentials::Key,
        Credentials::Key,
        Credentials::Key,
        Credentials::Key,
        Credentials::KeyAsBearer,
        Credentials::Reader,
        Credentials::Wrong,
        Credentials::None,
    ]);
    let rest = (any::<Index>(), body(operation), content_type, credentials);
    (parameters, unknown_query, rest).prop_map(|(parameters, unknown_query, rest)| {
        let (existing, body, content_type, credentials) = rest;
        Parts { parameters, unknown_query, existing, body, content_type, credentials }
    })
}

fn body(operation: &Operation) -> BoxedStrategy<Option<Vec<u8>>> {
    let Some(schema) = &operation.body else { return Just(None).boxed() };
    let json = schema_values::value(schema, hints).prop_map(|value| value.to_string().into_bytes());
    let cut = (schema_values::value(schema, hints), any::<Index>()).prop_map(|(value, index)| {
        let mut bytes = value.to_string().into_bytes();
        bytes.truncate(index.index(bytes.len()));
        bytes
    });
    let bytes = prop::collection::vec(any::<u8>(), 0..40);
    prop_oneof![20 => json.prop_map(Some), 1 => cut.prop_map(Some), 1 => bytes.prop_map(Some), 1 => Just(None)].boxed()
}

fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        })
        .collect()
}
