//! The API of those who report events, by the contract.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::answered::Answered;
use crate::support::eventually::{SOON, eventually};
use crate::support::installation::Installation;
use crate::support::modes::stories;
use crate::support::test_app::TestApp;

stories!(
    on_one_installation:
    what_is_no_event_is_refused_with_every_problem,
    types_are_one_with_and_without_accents,
    the_routes_of_other_systems_answer;
    on_both_databases:
    an_event_is_reported_once_and_read,
    a_tenant_registers_types_with_schemas,
    one_tenant_reads_no_events_of_another;
);

fn sale() -> Value {
    json!({ "tipo": "VENDA", "dados": { "produto_id": "P-1", "quantidade": 2, "valor": 59.90 } })
}

async fn start(installation: Installation) -> TestApp {
    TestApp::start_with(installation, &[("RATE_LIMITS", "false")]).await
}

async fn reported(app: &TestApp, event: &Value) -> Value {
    let answer = app.post("/events", event).await;
    assert_eq!(answer.status, 202, "{}", answer.json());
    answer.json()
}

async fn an_event_is_reported_once_and_read(installation: Installation) {
    let app = start(installation).await;
    let body = r#"{"id": "evt-1", "tipo": "VENDA", "dados": {"produto_id": "P-1", "quantidade": 2, "valor": 59.90}, "origin": "loja-1", "timestamp": "2026-01-18T12:00:00-03:00"}"#;
    let report = async || {
        let request = app.request(Method::POST, "/events").header("content-type", "application/json");
        app.call(request.body(body)).await
    };
    let first = report().await;
    let event = first.json();
    assert_eq!(first.status, 202, "{event}");
    assert_eq!((&event["id"], &event["tipo"], &event["type"]), (&json!("evt-1"), &json!("VENDA"), &json!("VENDA")));
    assert_eq!(
        (&event["status"], &event["claimedOrigin"], &event["duplicate"]),
        (&json!("received"), &json!("loja-1"), &json!(false))
    );
    assert!(event["origin"].is_string() && event["origin"] != "loja-1", "who proves it: {event}");
    assert_eq!(event["origin"], event["partnerId"]);
    assert_eq!(event["timestamp"], "2026-01-18T15:00:00.000Z");
    assert!(String::from_utf8_lossy(&first.body).contains(r#"{"produto_id": "P-1", "quantidade": 2, "valor": 59.90}"#));

    let again = report().await.json();
    assert_eq!(
        (&again["id"], &again["duplicate"], &again["receivedAt"]),
        (&event["id"], &json!(true), &event["receivedAt"])
    );
    assert_eq!(app.sql_number("select count(*) from messaging_events").await, 1);

    let processed = eventually(SOON, "it is processed", async || {
        let status = app.get("/events/evt-1/status").await.json();
        (status["status"] == "processed").then_some(status)
    })
    .await;
    let steps: Vec<&Value> = processed["history"].as_array().unwrap().iter().map(|line| &line["status"]).collect();
    assert_eq!((steps.first(), steps.last()), (Some(&&json!("received")), Some(&&json!("processed"))), "{processed}");
    let read = app.get("/events/evt-1").await.json();
    assert_eq!(
        (&read["dados"]["valor"], &read["status"], &read["messages"]),
        (&json!(59.9), &json!("processed"), &json!([]))
    );

    let without_id = reported(&app, &sale()).await;
    assert_ne!(without_id["id"], reported(&app, &sale()).await["id"], "nothing says that they are the same");
    let list = app.get("/events?limit=2").await.json();
    assert_eq!(list["data"].as_array().unwrap().len(), 2);
    let next = app.get(&format!("/events?limit=2&cursor={}", list["nextCursor"].as_str().unwrap())).await.json();
    assert_eq!((&next["data"][0]["id"], &next["nextCursor"]), (&json!("evt-1"), &json!(null)), "newest first");
    eventually(SOON, "all are counted", async || {
        let stats = app.get("/events/stats").await.json();
        assert_eq!((&stats["total"], &stats["byType"]), (&json!(3), &json!({ "VENDA": 3 })));
        assert!(stats["byStatus"]["dead_letter"].is_number());
        (stats["byStatus"]["processed"] == 3).then_some(())
    })
    .await;
    let retried = app.post("/events/evt-1/retry", &json!({})).await;
    assert_eq!((retried.status, retried.problem().as_str()), (409, "conflict"));
}

/// Everything that other systems' clients look for in an error.
fn refused(answer: &Answered, status: u16) -> Value {
    let body = answer.json();
    assert_eq!((answer.status, &body["statusCode"]), (status, &json!(status)), "{body}");
    assert!(body["message"].is_string() && body["error"].is_string() && body["success"] == json!(false), "{body}");
    body
}

async fn what_is_no_event_is_refused_with_every_problem(installation: Installation) {
    let app = start(installation).await;
    for (event, path) in [
        (json!({ "dados": {} }), "/type"),
        (json!({ "tipo": "VENDA" }), "/data"),
        (json!({ "tipo": "VENDA", "dados": [] }), "/dados"),
        (json!({ "tipo": "VENDA", "data": {}, "dados": [] }), "/dados"),
        (json!({ "tipo": 7, "dados": {} }), "/tipo"),
        (json!({ "type": "VENDA", "tipo": 7, "dados": {} }), "/tipo"),
        (json!({ "type": "OUTRO", "payload": {} }), "/type"),
        (json!({ "tipo": "VENDA", "dados": { "produto_id": "1", "valor": 1 } }), "/data/quantidade"),
        (json!({ "tipo": "DEVOLUÇÃO", "dados": { "venda_id": "1", "motivo": null } }), "/data/motivo"),
        (json!({ "tipo": "VENDA", "dados": {}, "timestamp": "ontem" }), "/timestamp"),
        (json!([]), ""),
    ] {
        let body = refused(&app.post("/events", &event).await, 400);
        assert_eq!(body["errors"][0]["path"], path, "{body}");
    }
    let answer =
        app.call(app.request(Method::POST, "/events").header("content-type", "application/json").body("{")).await;
    refused(&answer, 400);
    refused(&app.get("/events/nothing").await, 404);
    refused(&app.nobody().get("/events").await, 401);
    assert_eq!(app.sql_number("select count(*) from messaging_events").await, 0);
}

async fn types_are_one_with_and_without_accents(installation: Installation) {
    let app = start(installation).await;
    let data = json!({ "venda_id": "1", "motivo": "defeito" });
    for name in ["DEVOLUÇÃO", "DEVOLUC\u{327}A\u{303}O", "DEVOLUCAO", "devolucao"] {
        let event = reported(&app, &json!({ "type": name, "payload": data })).await;
        assert_eq!(event["type"], "DEVOLU\u{c7}\u{c3}O", "{name}");
    }
    let stock = json!({ "type": "ATUALIZACAO_ESTOQUE", "data": { "produto_id": "1", "quantidade": 3 } });
    assert_eq!(reported(&app, &stock).await["tipo"], "ATUALIZAÇÃO_ESTOQUE");
    let english =
        json!({ "type": "VENDA", "payload": { "productId": "1", "quantity": 3, "price": 9.5 }, "partnerId": "p" });
    assert_eq!(reported(&app, &english).await["claimedOrigin"], "p");
    assert_eq!(reported(&app, &json!({ "type": "CANCELAMENTO", "payload": {} })).await["status"], "received");
}

async fn the_routes_of_other_systems_answer(installation: Installation) {
    let app = start(installation).await;
    let keyed = async |key: &str| {
        let request = app.request(Method::POST, "/api/events").header("idempotency-key", key).json(&sale());
        app.call(request).await.json()
    };
    let first = keyed("k-1").await;
    assert_eq!(keyed("k-1").await["id"], first["id"]);
    assert_ne!(keyed("k-2").await["id"], first["id"]);
    let own = json!({ "idempotencyKey": "k-1", "type": "VENDA", "payload": sale()["dados"] });
    assert_eq!(app.post("/api/events", &own).await.json()["id"], first["id"]);
    let id = first["id"].as_str().unwrap();
    for path in [
        "/api/events",
        "/api/events/stats",
        "/api/events/dead-letter",
        "/events/dead-letter",
        "/events/types",
        "/api/docs",
    ] {
        assert_eq!(app.get(path).await.status, 200, "{path}");
    }
    assert_eq!(app.get(&format!("/api/events/{id}")).await.json()["id"], id);
    assert_eq!(app.get(&format!("/api/events/{id}/status")).await.json()["id"], id);
    for path in
        [format!("/events/{id}/reprocess"), format!("/api/events/{id}/reprocess"), format!("/api/events/{id}/retry")]
    {
        let answer = app.post(&path, &json!({})).await;
        assert_eq!(answer.status, 409, "{path}");
    }
}

async fn a_tenant_registers_types_with_schemas(installation: Installation) {
    let app = start(installation).await;
    let schema = json!({ "type": "object", "required": ["numero"], "properties": { "numero": { "type": "integer" } } });
    let made = app.post("/events/types", &json!({ "name": "Promoção", "schema": schema })).await;
    assert_eq!((made.status, &made.data()["name"]), (201, &json!("Promoção")), "{}", made.json());
    let event = |number: Value| json!({ "type": "PROMOCAO", "data": { "numero": number } });
    assert_eq!(reported(&app, &event(json!(7))).await["type"], "Promoção");
    let body = refused(&app.post("/events", &event(json!("sete"))).await, 400);
    assert_eq!(body["errors"][0]["path"], "/data/numero", "{body}");

    assert_eq!(app.post("/events/types", &json!({ "type": "PROMOCAO" })).await.status, 200, "replaced");
    assert_eq!(reported(&app, &event(json!("sete"))).await["type"], "PROMOCAO");
    for (wrong, path) in [
        (json!({ "name": "a b" }), "/name"),
        (json!({ "name": "A", "schema": { "type": 7 } }), "/schema"),
        (json!({}), "/name"),
    ] {
        assert_eq!(refused(&app.post("/events/types", &wrong).await, 400)["errors"][0]["path"], path);
    }
    let names = async || {
        let list = app.get("/events/types").await.data();
        list.as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names().await, ["VENDA", "DEVOLUÇÃO", "ATUALIZAÇÃO_ESTOQUE", "CANCELAMENTO", "PROMOCAO"]);
    let delete = async || app.call(app.request(Method::DELETE, "/events/types/promocao")).await.status;
    assert_eq!((delete().await, delete().await), (204, 404));
    refused(&app.post("/events", &event(json!(7))).await, 400);
}

async fn one_tenant_reads_no_events_of_another(installation: Installation) {
    let app = start(installation).await;
    let mut event = sale();
    event["id"] = json!("evt-1");
    reported(&app, &event).await;
    let other = app.holder_of_a_key("globex", &["events:write", "events:read"]).await;
    assert_eq!(other.get("/events/evt-1").await.status, 404);
    assert_eq!(other.get("/events").await.json()["data"], json!([]));
    assert_eq!(other.get("/events/stats").await.json()["total"], 0);
    assert_eq!(other.post("/events", &event).await.json()["duplicate"], false, "ids are each tenant's own");
    let reader = app.holder_of_a_key("globex", &["events:read"]).await;
    assert_eq!(reader.post("/events", &event).await.status, 403);
    assert_eq!(app.holder_of_a_key("globex", &["events:write"]).await.get("/events").await.status, 403);
}
