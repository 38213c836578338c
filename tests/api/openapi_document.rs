//! Reading an OpenAPI document: its operations, with every reference in their schemas resolved.

use std::collections::{BTreeMap, HashSet};

use serde_json::{Map, Value, json};

#[derive(Clone, Debug)]
pub struct Operation {
    /// In capitals.
    pub method: String,
    /// With its parameters in braces.
    pub path: String,
    pub id: String,
    pub parameters: Vec<Parameter>,
    /// The schema of a JSON body, if it takes one.
    pub body: Option<Value>,
    /// By status and content type; a response without a body has no content type.
    pub responses: BTreeMap<u16, BTreeMap<String, Value>>,
}

#[derive(Clone, Debug)]
pub struct Parameter {
    pub name: String,
    pub place: Place,
    pub required: bool,
    pub schema: Value,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Path,
    Query,
    Header,
}

/// All operations of `document`.
///
/// # Panics
/// When the document breaks a rule of OpenAPI 3.1.
pub fn operations(document: &Value) -> Vec<Operation> {
    assert!(document["openapi"].as_str().is_some_and(|version| version.starts_with("3.1.")), "{}", document["openapi"]);
    let mut operations = Vec::new();
    for (path, item) in members(&document["paths"]) {
        for (method, operation) in members(item) {
            operations.push(read(document, path, method, operation));
        }
    }
    let mut ids = HashSet::new();
    for operation in &operations {
        assert!(ids.insert(&operation.id), "operationId {} is not unique", operation.id);
    }
    operations
}

fn read(document: &Value, path: &str, method: &str, operation: &Value) -> Operation {
    let at = format!("{method} {path}");
    let mut responses = BTreeMap::new();
    for (status, response) in members(&operation["responses"]) {
        assert!(response["description"].is_string(), "{at}: {status} has no description, which OpenAPI requires");
        let content = members_if_any(&response["content"]);
        let schemas = content.map(|(kind, media)| (kind.clone(), inlined(document, &media["schema"])));
        responses.insert(status.parse().expect("a status"), schemas.collect());
    }
    let media = &operation["requestBody"]["content"]["application/json"];
    let mut body = media["schema"].clone();
    if let (Some(schema), Some(example)) = (body.as_object_mut(), media.get("example")) {
        schema.insert("example".to_owned(), example.clone());
    }
    let parameters = operation["parameters"].as_array().map(Vec::as_slice).unwrap_or_default();
    Operation {
        method: method.to_uppercase(),
        path: path.to_owned(),
        id: operation["operationId"].as_str().unwrap_or_else(|| panic!("{at} has no operationId")).to_owned(),
        parameters: parameters.iter().map(|parameter| read_parameter(document, parameter)).collect(),
        body: (!body.is_null()).then(|| inlined(document, &body)),
        responses,
    }
}

fn read_parameter(document: &Value, parameter: &Value) -> Parameter {
    Parameter {
        name: parameter["name"].as_str().unwrap().to_owned(),
        place: match parameter["in"].as_str() {
            Some("path") => Place::Path,
            Some("query") => Place::Query,
            Some("header") => Place::Header,
            place => panic!("a parameter in {place:?}"),
        },
        required: parameter["required"] == true,
        schema: inlined(document, &parameter["schema"]),
    }
}

/// `schema` with what its references point at in their place.
fn inlined(document: &Value, schema: &Value) -> Value {
    match schema {
        Value::Object(given) => {
            let mut resolved = Map::new();
            if let Some(reference) = given.get("$ref").and_then(Value::as_str) {
                let target = reference.strip_prefix('#').and_then(|pointer| document.pointer(pointer));
                let target = target.unwrap_or_else(|| panic!("nothing is at {reference}"));
                resolved.extend(inlined(document, target).as_object().expect("a schema").clone());
            }
            let others = given.iter().filter(|(name, _)| *name != "$ref");
            resolved.extend(others.map(|(name, value)| (name.clone(), inlined(document, value))));
            Value::Object(resolved)
        }
        Value::Array(items) => items.iter().map(|item| inlined(document, item)).collect(),
        other => other.clone(),
    }
}

/// `schema`, refusing also every member that it does not document.
pub fn closed(schema: &Value) -> Value {
    let mut schema = schema.clone();
    close(&mut schema, true);
    schema
}

fn close(schema: &mut Value, whole: bool) {
    let Some(members) = schema.as_object_mut() else { return };
    let mut documented = members.contains_key("properties");
    for (name, inner) in members.iter_mut() {
        match (name.as_str(), inner) {
            ("properties", Value::Object(properties)) => properties.values_mut().for_each(|inner| close(inner, true)),
            ("items", inner) => close(inner, true),
            ("oneOf" | "anyOf", Value::Array(branches)) => branches.iter_mut().for_each(|inner| close(inner, true)),
            ("allOf", Value::Array(parts)) => {
                documented = true;
                parts.iter_mut().for_each(|inner| close(inner, false));
            }
            _ => {}
        }
    }
    if whole && documented {
        members.entry("unevaluatedProperties").or_insert(json!(false));
    }
}

fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().unwrap_or_else(|| panic!("no object: {value}")).iter()
}

fn members_if_any(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}
