use std::collections::HashMap;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::domain::source::finder::Request;

fn variable(name: &str) -> Option<String> {
    (name == "SECRET").then(|| "c2VjcmV0".to_owned())
}

fn read(text: &str) -> Result<Vec<Source>, Vec<String>> {
    parse(text, Path::new(""), &variable)
}

#[test]
fn a_source_is_read_with_everything_that_it_may_have() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("deal.json"), r#"{"type": "object", "required": ["id"]}"#).unwrap();
    std::fs::write(directory.path().join("lojas.csv"), "01,Centro\n02;\"Praia, Norte\"\n").unwrap();
    let text = r#"
        [[sources]]
        name = "crm"
        path = "crm-2"
        tenant = "acme"
        auth = "standard_webhooks"
        secret = ["Zm9ybWVy", "whsec_${SECRET}"]
        type = ["{/meta/entity}.{/meta/action}", "unknown"]
        id = "/meta/id"
        time = "/meta/timestamp"
        ordering_key = "/meta/entity_id"
        schemas = { "deal.*" = "deal.json" }
        invalid = "keep"
        answer = { status = 202, body = "taken {{ id }}" }

        [sources.enrich]
        channel = "crm"
        number = 7
        request = { find = "header:X-Request-Id" }
        received = { new = "time" }
        trace = { new = "id" }
        store = { lookup = "stores", by = "/store" }

        [tables.stores]
        csv = "lojas.csv"
    "#;
    let sources = parse(text, directory.path(), &variable).unwrap();
    let source = &sources[0];
    assert_eq!((source.name.as_str(), source.path.as_str(), source.tenant.as_str()), ("crm", "crm-2", "acme"));
    assert_eq!((source.proof.name(), source.answer.status, source.keeps_invalid), ("standard_webhooks", 202, true));
    assert!(source.schema_of("deal.updated").is_some() && source.schema_of("person.updated").is_none());
    let body = json!({ "meta": { "entity": "deal", "action": "updated", "id": 7, "timestamp": 1_768_737_600 }, "store": "02" });
    let headers = HashMap::from([("x-request-id".to_owned(), "r-1".to_owned())]);
    let request = Request { headers: &headers, body: &body };
    let found = source.find(&request);
    assert_eq!(
        (found.kind.as_deref(), found.id.as_deref(), found.ordering_key),
        (Some("deal.updated"), Some("7"), None)
    );
    assert_eq!(found.occurred_at, "2026-01-18T12:00:00Z".parse().ok());
    let members = source.enriched(&request, &|| "new".to_owned(), "now");
    let expected = json!({ "channel": "crm", "number": 7, "request": "r-1", "received": "now", "trace": "new", "store": "Praia, Norte" });
    assert_eq!(Value::Object(members), expected);
}

#[test]
fn every_mistake_is_told_with_its_line() {
    let text = r#"[[sources]]
name = "a b"
auth = "pombo"
type = "{id}"
colour = "red"

[[sources]]
name = "second"
auth = "github"
secret = "${NOTHING}"
answer = { status = 500 }
enrich = { x = { lookup = "none", by = "/x" } }
"#;
    let mistakes = read(text).unwrap_err();
    for (line, part) in [
        (2, "`name` must be 1 to 100 letters"),
        (3, "`auth` must be open"),
        (4, "must be a JSON Pointer"),
        (10, "the variable `NOTHING` is not set"),
        (7, "`type` is required"),
    ] {
        let is_told = mistakes.iter().any(|it| it.starts_with(&format!("line {line}: ")) && it.contains(part));
        assert!(is_told, "line {line}: {part} in {mistakes:#?}");
    }
    for (text, part) in [
        ("standard_webhooks\"\nsecret = \"whsec_not base64\"", "must be the base64 of a key"),
        ("meta\"\nsecret = \"s\"\nverify_token = \"\"", "`verify_token` must not be empty"),
    ] {
        let mistakes = read(&format!("[[sources]]\nname = \"a\"\ntype = \"x\"\nauth = \"{text}\n")).unwrap_err();
        assert!(mistakes[0].contains(part), "{mistakes:?}");
    }
    assert!(read("a = ").unwrap_err()[0].starts_with("line 1: "));
    assert!(read("sources = 7").unwrap_err()[0].contains("[[sources]]"));
    let twice = "[[sources]]\nname = \"a\"\nauth = \"open\"\ntype = \"x\"\n".repeat(2);
    assert!(read(&twice).unwrap_err()[0].contains("two sources"));
}

#[test]
fn the_examples_are_read() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/sources");
    let mut count = 0;
    for file in std::fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path()) {
        if file.extension().is_some_and(|extension| extension == "toml") {
            let text = std::fs::read_to_string(&file).unwrap();
            let read = parse(&text, &folder, &|_| Some("c2VjcmV0".to_owned()));
            assert_eq!(
                read.map(|sources| sources.len()).unwrap_or_else(|mistakes| panic!("{file:?}: {mistakes:#?}")),
                1
            );
            count += 1;
        }
    }
    assert!(count >= 5);
}

proptest! {
    #[test]
    fn whatever_is_written_does_not_panic(text in "(\\[\\[sources\\]\\]\n|name = |auth = |type = |\"a\"|\"\\$\\{|\\{|\\}|\n|=|7|enrich|\\[|\\]|,){0,30}") {
        let _ = read(&text);
    }
}
