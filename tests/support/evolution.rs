//! An Evolution API as `evolution-api.md` has it (2.4.0): instances, their connection, sends, and the events that it reports.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use serde_json::{Value, json};

pub const GLOBAL_KEY: &str = "B6D711FCDE4D4FD5936544120E713976";

/// What a code looks like to a client.
pub const IMAGE: &str = "data:image/png;base64,iVBORw0KGgo=";

#[derive(Default)]
struct Instance {
    state: &'static str,
    integration: Value,
    /// Sends that are under way, and how many there were at the most.
    sending: usize,
    most_sending: usize,
    webhook: Option<Value>,
    groups: Value,
    sent: Vec<Value>,
}

#[derive(Default)]
struct Knobs {
    /// A send that is taken and not answered.
    loses_answers: bool,
    is_unlicensed: bool,
    /// How long a send takes.
    takes: Duration,
    /// How long the groups take to be listed.
    lists_groups_in: Duration,
    /// A subscription that its database does not take is shown with the headers that it asks for.
    shows_subscriptions: bool,
}

#[derive(Default)]
struct Server {
    instances: HashMap<String, Instance>,
    knobs: Knobs,
}

type Shared = Arc<Mutex<Server>>;

pub struct FakeEvolution {
    server: Shared,
    pub base_url: String,
    task: tokio::task::JoinHandle<()>,
}

impl FakeEvolution {
    pub async fn start() -> Self {
        let server = Shared::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base_url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new()
            .route("/instance/create", post(create))
            .route("/instance/connect/{name}", get(connect))
            .route("/instance/connectionState/{name}", get(state))
            .route("/instance/fetchInstances", get(rows))
            .route("/instance/restart/{name}", post(restart))
            .route("/instance/logout/{name}", delete(log_out))
            .route("/instance/delete/{name}", delete(remove))
            .route("/webhook/set/{name}", post(subscribe))
            .route("/group/fetchAllGroups/{name}", get(groups))
            .route("/message/sendText/{name}", post(send))
            .with_state(server.clone());
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { server, base_url, task }
    }

    /// The phone scans the code, or goes away.
    pub fn becomes(&self, name: &str, state: &'static str) {
        self.server.lock().unwrap().instances.get_mut(name).expect("an instance").state = state;
    }

    pub fn loses_answers(&self, loses: bool) {
        self.server.lock().unwrap().knobs.loses_answers = loses;
    }

    pub fn takes(&self, takes: Duration) {
        self.server.lock().unwrap().knobs.takes = takes;
    }

    /// As somebody made it at the provider.
    pub fn has_made(&self, name: &str, integration: &str, state: &'static str) {
        let instance = Instance { state, integration: integration.into(), ..Instance::default() };
        self.server.lock().unwrap().instances.insert(name.to_owned(), instance);
    }

    /// The groups that the phone is in.
    pub fn has_groups(&self, name: &str, groups: Value) {
        self.server.lock().unwrap().instances.get_mut(name).expect("an instance").groups = groups;
    }

    /// How long the groups take to be listed.
    pub fn lists_groups_in(&self, takes: Duration) {
        self.server.lock().unwrap().knobs.lists_groups_in = takes;
    }

    /// How many sends of the instance were under way at the same time, at the most.
    pub fn most_sending(&self, name: &str) -> usize {
        self.server.lock().unwrap().instances.get(name).map_or(0, |instance| instance.most_sending)
    }

    pub fn is_unlicensed(&self, is: bool) {
        self.server.lock().unwrap().knobs.is_unlicensed = is;
    }

    pub fn shows_subscriptions(&self, shows: bool) {
        self.server.lock().unwrap().knobs.shows_subscriptions = shows;
    }

    pub fn is(&self, name: &str, state: &str) -> bool {
        self.server.lock().unwrap().instances.get(name).is_some_and(|instance| instance.state == state)
    }

    pub fn has(&self, name: &str) -> bool {
        self.server.lock().unwrap().instances.contains_key(name)
    }

    /// The bodies of the sends that were taken.
    pub fn sent(&self, name: &str) -> Vec<Value> {
        self.server.lock().unwrap().instances.get(name).map(|instance| instance.sent.clone()).unwrap_or_default()
    }

    pub fn webhook(&self, name: &str) -> Option<Value> {
        self.server.lock().unwrap().instances.get(name)?.webhook.clone()
    }

    /// Reports an event as it was subscribed to; returns how it was answered.
    pub async fn report(&self, name: &str, event: &str, data: Value) -> u16 {
        let webhook = self.webhook(name).expect("a webhook");
        let report = json!({
            "event": event, "instance": name, "data": data, "destination": webhook["url"],
            "date_time": "2026-05-17T13:30:04.123Z", "server_url": self.base_url, "apikey": null,
        });
        let mut request = reqwest::Client::new().post(webhook["url"].as_str().unwrap()).json(&report);
        for (header, value) in webhook["headers"].as_object().into_iter().flatten() {
            request = request.header(header, value.as_str().unwrap());
        }
        request.send().await.expect("an answer").status().as_u16()
    }
}

impl Drop for FakeEvolution {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn failed(status: StatusCode, message: Value) -> Response {
    let error = status.canonical_reason().unwrap_or_default();
    (status, Json(json!({"status": status.as_u16(), "error": error, "response": {"message": message}}))).into_response()
}

fn unknown(name: &str) -> Response {
    failed(StatusCode::NOT_FOUND, json!([format!("The \"{name}\" instance does not exist")]))
}

/// The order of its guards: licence, instance, key.
fn guarded(
    server: &Shared,
    name: &str,
    headers: &HeaderMap,
    act: impl FnOnce(&mut Instance, &Knobs) -> Response,
) -> Response {
    let mut server = server.lock().unwrap();
    let Server { instances, knobs, .. } = &mut *server;
    if knobs.is_unlicensed {
        let body = json!({"error": "service not activated", "code": "LICENSE_REQUIRED",
                          "register_url": "http://evolution.example/manager/login"});
        return (StatusCode::SERVICE_UNAVAILABLE, Json(body)).into_response();
    }
    let Some(instance) = instances.get_mut(name) else { return unknown(name) };
    if headers.get("apikey").is_none_or(|key| key != GLOBAL_KEY) {
        return failed(StatusCode::UNAUTHORIZED, json!("Unauthorized"));
    }
    act(instance, knobs)
}

async fn create(State(server): State<Shared>, headers: HeaderMap, Json(body): Json<Value>) -> Response {
    let name = body["instanceName"].as_str().unwrap_or_default().to_owned();
    let mut server = server.lock().unwrap();
    if server.instances.contains_key(&name) {
        return failed(StatusCode::FORBIDDEN, json!([format!("This name \"{name}\" is already in use.")]));
    }
    if headers.get("apikey").is_none_or(|key| key != GLOBAL_KEY) {
        return failed(StatusCode::UNAUTHORIZED, json!("Unauthorized"));
    }
    server.instances.insert(
        name.clone(),
        Instance { state: "close", integration: body["integration"].clone(), ..Instance::default() },
    );
    let instance =
        json!({"instanceName": name, "instanceId": "uuid", "integration": body["integration"], "status": "close"});
    (StatusCode::CREATED, Json(json!({"instance": instance, "hash": "TOKEN"}))).into_response()
}

async fn connect(State(server): State<Shared>, Path(name): Path<String>, headers: HeaderMap) -> Response {
    guarded(&server, &name, &headers, |instance, _| {
        if instance.state == "open" {
            return Json(json!({"instance": {"instanceName": name, "state": "open"}})).into_response();
        }
        instance.state = "connecting";
        Json(json!({"pairingCode": null, "code": "2@AbCdEf", "base64": IMAGE, "count": 1})).into_response()
    })
}

async fn state(State(server): State<Shared>, Path(name): Path<String>, headers: HeaderMap) -> Response {
    guarded(&server, &name, &headers, |instance, _| {
        Json(json!({"instance": {"instanceName": name, "state": instance.state}})).into_response()
    })
}

async fn rows(State(server): State<Shared>, RawQuery(asked): RawQuery, headers: HeaderMap) -> Response {
    let asked = asked.unwrap_or_default();
    let name = url::form_urlencoded::parse(asked.as_bytes()).find(|(member, _)| member == "instanceName");
    let name = name.map(|(_, name)| name.into_owned()).unwrap_or_default();
    if !server.lock().unwrap().instances.contains_key(&name) {
        return failed(StatusCode::NOT_FOUND, json!(format!("Instance \"{name}\" not found")));
    }
    guarded(&server, &name, &headers, |instance, _| {
        let row = json!({"id": "uuid", "name": name, "connectionStatus": instance.state, "integration": instance.integration,
                         "token": "TOKEN", "_count": {"Message": 0}});
        Json(json!([row])).into_response()
    })
}

async fn restart(State(server): State<Shared>, Path(name): Path<String>, headers: HeaderMap) -> Response {
    guarded(&server, &name, &headers, |instance, _| match instance.state {
        "open" => Json(json!({"instance": {"instanceName": name, "state": "open"}})).into_response(),
        _ => Json(json!({"error": true, "message": "[object Object]"})).into_response(),
    })
}

async fn log_out(State(server): State<Shared>, Path(name): Path<String>, headers: HeaderMap) -> Response {
    guarded(&server, &name, &headers, |instance, _| {
        if instance.state == "close" {
            return failed(StatusCode::BAD_REQUEST, json!([format!("The \"{name}\" instance is not connected")]));
        }
        instance.state = "close";
        Json(json!({"status": "SUCCESS", "error": false, "response": {"message": "Instance logged out"}}))
            .into_response()
    })
}

async fn remove(State(server): State<Shared>, Path(name): Path<String>, headers: HeaderMap) -> Response {
    let removed = guarded(&server, &name, &headers, |_, _| {
        Json(json!({"status": "SUCCESS", "error": false, "response": {"message": "Instance deleted"}})).into_response()
    });
    if removed.status().is_success() {
        server.lock().unwrap().instances.remove(&name);
    }
    removed
}

async fn subscribe(
    State(server): State<Shared>,
    Path(name): Path<String>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Response {
    guarded(&server, &name, &headers, |instance, knobs| {
        if knobs.shows_subscriptions {
            let text = format!(
                "\nInvalid `this.prismaRepository.webhook.upsert()` invocation:\n\n{}",
                body["webhook"]["headers"]
            );
            return failed(StatusCode::INTERNAL_SERVER_ERROR, json!([text]));
        }
        if !body["webhook"]["enabled"].is_boolean() || !body["webhook"]["events"].is_array() {
            return failed(StatusCode::BAD_REQUEST, json!([["instance.webhook requires property \"enabled\""]]));
        }
        instance.webhook = Some(body["webhook"].clone());
        (StatusCode::CREATED, Json(body["webhook"].clone())).into_response()
    })
}

async fn groups(
    State(server): State<Shared>,
    Path(name): Path<String>,
    RawQuery(asked): RawQuery,
    headers: HeaderMap,
) -> Response {
    if asked.as_deref() != Some("getParticipants=true") {
        return failed(StatusCode::BAD_REQUEST, json!(["The getParticipants needs to be informed in the query"]));
    }
    let takes = server.lock().unwrap().knobs.lists_groups_in;
    tokio::time::sleep(takes).await;
    guarded(&server, &name, &headers, |instance, _| match instance.integration.as_str() {
        Some("WHATSAPP-BAILEYS") if instance.state == "open" => Json(instance.groups.clone()).into_response(),
        Some("WHATSAPP-BAILEYS") => {
            let text = json!("Cannot convert undefined or null to object");
            failed(StatusCode::INTERNAL_SERVER_ERROR, text)
        }
        _ => failed(StatusCode::BAD_REQUEST, json!(["Method not available on WhatsApp Business API"])),
    })
}

async fn send(
    State(server): State<Shared>,
    Path(name): Path<String>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Response {
    let takes = {
        let mut server = server.lock().unwrap();
        if let Some(instance) = server.instances.get_mut(&name) {
            instance.sending += 1;
            instance.most_sending = instance.most_sending.max(instance.sending);
        }
        server.knobs.takes
    };
    tokio::time::sleep(takes).await;
    guarded(&server, &name, &headers, |instance, knobs| {
        instance.sending -= 1;
        if instance.state != "open" {
            return failed(StatusCode::BAD_REQUEST, json!(["Error: Connection Closed"]));
        }
        instance.sent.push(body.clone());
        if knobs.loses_answers {
            return (StatusCode::BAD_GATEWAY, "<html>502 Bad Gateway</html>").into_response();
        }
        let key = json!({"remoteJid": "5585999999999@s.whatsapp.net", "fromMe": true, "id": body["messageId"]});
        let message = json!({"conversation": body["text"]});
        (StatusCode::CREATED, Json(json!({"key": key, "status": "PENDING", "message": message}))).into_response()
    })
}
