//! What the bench asks the program for, as bytes: made once, and sent again and again.

/// `BOOTSTRAP_API_KEY`.
pub const API_KEY: &str = "limits-0123456789-0123456789-0123456789";

/// The instances' name, on every channel.
pub const INSTANCE: &str = "limits";

pub fn send(channel: &str, recipient: u32) -> Vec<u8> {
    send_through(INSTANCE, channel, recipient)
}

pub fn send_through(instance: &str, channel: &str, recipient: u32) -> Vec<u8> {
    let text = "x".repeat(100);
    let body = format!(
        r#"{{"channel":"{channel}","channelInstanceId":"{instance}","remoteJid":"5585{recipient:09}","message":"{text}"}}"#
    );
    post("/api/messaging/message/send", &body)
}

pub fn create_instance(channel: &str, address: &str) -> Vec<u8> {
    create_instance_named(INSTANCE, channel, address)
}

pub fn create_instance_named(instance: &str, channel: &str, address: &str) -> Vec<u8> {
    let body = format!(r#"{{"channel":"{channel}","channelInstanceId":"{instance}","channelPhoneOrId":"{address}"}}"#);
    post("/api/messaging/instances", &body)
}

pub fn subscribe_to_states(address: &str) -> Vec<u8> {
    post("/api/messaging/subscriptions/status", &format!(r#"{{"url":"{address}"}}"#))
}

/// Called so often a minute and no more.
pub fn create_paced_instance(instance: &str, channel: &str, address: &str, rate: u32) -> Vec<u8> {
    let body = format!(
        r#"{{"channel":"{channel}","channelInstanceId":"{instance}","channelPhoneOrId":"{address}","rateLimitPerMinute":{rate}}}"#
    );
    post("/api/messaging/instances", &body)
}

pub fn change_instance(id: &str, change: &str) -> Vec<u8> {
    with_body("PATCH", &format!("/api/messaging/instances/{id}"), change)
}

/// As large as what a webhook gets.
pub fn call_of_a_webhook() -> Vec<u8> {
    let id = "01900000-0000-7000-8000-000000000000";
    let data = format!(
        r#"{{"messageId":"{id}","remoteJid":"5585000000001","message":"{}","mediaUrl":null,"mediaType":null}}"#,
        "x".repeat(100)
    );
    post("/", &format!(r#"{{"type":"message","timestamp":"2026-01-01T00:00:00.000Z","data":{data}}}"#))
}

/// The first page of what a tenant looks for, with a query like `status=failed`.
pub fn search(query: &str) -> Vec<u8> {
    let path = format!("/api/messaging/messages?{query}");
    format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nx-api-key: {API_KEY}\r\n\r\n").into_bytes()
}

pub fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n").into_bytes()
}

/// Of what belongs to a tenant.
pub fn read(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nx-api-key: {API_KEY}\r\n\r\n").into_bytes()
}

/// What a provider says of an instance.
pub fn report(instance: &str, event: &str) -> Vec<u8> {
    post(&format!("/api/messaging/webhook/{instance}"), event)
}

fn post(path: &str, body: &str) -> Vec<u8> {
    with_body("POST", path, body)
}

fn with_body(method: &str, path: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\nx-api-key: {API_KEY}\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}
