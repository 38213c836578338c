//! Values that a JSON Schema describes, and values that it does not.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::Union;
use serde_json::{Map, Value, json};

/// What a member or parameter of this name often has to be for a request to get anywhere.
pub type Hints = fn(&str) -> Vec<Value>;

/// Mostly what `schema` describes, boundaries included; else something that it may not.
pub fn value(schema: &Value, hints: Hints) -> BoxedStrategy<Value> {
    let valid = described(schema, hints);
    let mut choices = vec![(6, valid.clone()), (1, any_json())];
    if schema["properties"].is_object() {
        choices.push((3, (valid, any::<prop::sample::Index>(), spoiling()).prop_map(spoilt).boxed()));
    }
    Union::new_weighted(choices).boxed()
}

/// A value of a member called `name`.
pub fn named(name: &str, schema: &Value, hints: Hints) -> BoxedStrategy<Value> {
    let hinted = hints(name);
    if hinted.is_empty() {
        return value(schema, hints);
    }
    prop_oneof![4 => select(hinted), 1 => value(schema, hints)].boxed()
}

#[derive(Clone, Debug)]
enum Spoiling {
    Remove,
    Add(String, Value),
    Replace(Value),
}

fn spoiling() -> impl Strategy<Value = Spoiling> {
    prop_oneof![
        Just(Spoiling::Remove),
        (any_text(), any_json()).prop_map(|(name, value)| Spoiling::Add(name, value)),
        any_json().prop_map(Spoiling::Replace),
    ]
}

/// One member missing, too many, or of another kind.
fn spoilt((mut value, which, how): (Value, prop::sample::Index, Spoiling)) -> Value {
    let Some(members) = value.as_object_mut().filter(|members| !members.is_empty()) else { return value };
    let name = members.keys().nth(which.index(members.len())).unwrap().clone();
    match how {
        Spoiling::Remove => _ = members.remove(&name),
        Spoiling::Add(name, added) => _ = members.insert(name, added),
        Spoiling::Replace(other) => _ = members.insert(name, other),
    }
    value
}

fn described(schema: &Value, hints: Hints) -> BoxedStrategy<Value> {
    if let Some(values) = schema["enum"].as_array() {
        return select(values.clone()).boxed();
    }
    if let Some(branches) = schema["oneOf"].as_array().or(schema["anyOf"].as_array()) {
        return Union::new(branches.iter().map(|branch| described(branch, hints))).boxed();
    }
    match &schema["type"] {
        Value::Array(kinds) => Union::new(kinds.iter().map(|kind| of_kind(kind, schema, hints))).boxed(),
        Value::Null => any_json(),
        kind => of_kind(kind, schema, hints),
    }
}

fn of_kind(kind: &Value, schema: &Value, hints: Hints) -> BoxedStrategy<Value> {
    match kind.as_str().expect("a type") {
        "null" => Just(Value::Null).boxed(),
        "boolean" => any::<bool>().prop_map(Value::from).boxed(),
        "integer" | "number" => number(schema),
        "string" => text(schema),
        "array" => vec(described(&schema["items"], hints), 0..3).prop_map(Value::from).boxed(),
        "object" => object(schema, hints),
        other => panic!("a type called {other}"),
    }
}

fn number(schema: &Value) -> BoxedStrategy<Value> {
    let least = schema["minimum"].as_i64().unwrap_or(i64::MIN + 1);
    let most = schema["maximum"].as_i64().unwrap_or(i64::MAX - 1);
    let edges = vec![json!(least), json!(most)];
    let beyond = vec![json!(least - 1), json!(most + 1), json!(0.5), json!(1e300), json!(u64::MAX)];
    prop_oneof![4 => (least..=most).prop_map(Value::from), 2 => select(edges), 1 => select(beyond)].boxed()
}

fn text(schema: &Value) -> BoxedStrategy<Value> {
    match schema["format"].as_str() {
        Some("uri") => {
            return select(vec![
                json!("https://example.com/a.png"),
                json!("http://[::1]:9/x?y#z"),
                json!("ftp://a"),
                json!("/a"),
                json!(""),
            ])
            .boxed();
        }
        Some("uuid") => {
            let unknown = json!("01890000-0000-7000-8000-000000000000");
            return prop_oneof![Just(unknown), any_text().prop_map(Value::from)].boxed();
        }
        Some("date-time") => {
            let moments =
                ["2026-01-18T12:00:00Z", "1969-12-31T23:59:59.999-00:01", "9999-12-31T23:59:60Z", "2026-01-18"];
            return select(moments.map(Value::from).to_vec()).boxed();
        }
        _ => {}
    }
    let least = schema["minLength"].as_u64().unwrap_or(0) as usize;
    let most = schema["maxLength"].as_u64().unwrap_or(40) as usize;
    if let Some(pattern) = schema["pattern"].as_str() {
        let pattern = pattern.trim_start_matches('^').trim_end_matches('$').trim_end_matches('+');
        let repeated = format!("{pattern}{{{least},{}}}", most.min(64));
        return proptest::string::string_regex(&repeated).unwrap().prop_map(Value::from).boxed();
    }
    let of_length = |length: usize| {
        prop_oneof![Just("a"), Just("ã"), Just("\u{1f4e8}")].prop_map(move |letter| Value::from(letter.repeat(length)))
    };
    prop_oneof![
        4 => any_text().prop_map(Value::from),
        1 => of_length(least),
        1 => of_length(most),
        1 => of_length(most + 1),
    ]
    .boxed()
}

fn object(schema: &Value, hints: Hints) -> BoxedStrategy<Value> {
    let Some(properties) = schema["properties"].as_object() else {
        return vec((any_text(), any_json()), 0..4)
            .prop_map(|members| Value::Object(members.into_iter().collect()))
            .boxed();
    };
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    let members: Vec<BoxedStrategy<Option<(String, Value)>>> = properties
        .iter()
        .map(|(name, schema)| {
            let name = name.clone();
            let is_required = required.contains(&json!(name));
            let schema = described(schema, hints);
            let hinted = hints(&name);
            let value = if hinted.is_empty() { schema } else { prop_oneof![5 => select(hinted), 1 => schema].boxed() };
            let member = value.prop_map(move |value| (name.clone(), value));
            if is_required { member.prop_map(Some).boxed() } else { prop::option::weighted(0.3, member).boxed() }
        })
        .collect();
    let example = schema["example"].as_object().cloned();
    let overlaid = vec(prop::bool::weighted(0.2), members.len());
    let whole = prop::bool::weighted(if example.is_some() { 0.3 } else { 1.0 });
    (members, overlaid, whole)
        .prop_map(move |(members, overlaid, whole)| {
            // Most combinations of members are refused; the example with a few of them often is not.
            let base = if whole { Map::new() } else { example.clone().unwrap_or_default() };
            let chosen = members.into_iter().zip(overlaid).filter(|(_, overlaid)| whole || *overlaid);
            Value::Object(base.into_iter().chain(chosen.filter_map(|(member, _)| member)).collect())
        })
        .boxed()
}

/// Texts that programs stumble over, and ordinary ones.
pub fn any_text() -> BoxedStrategy<String> {
    let nasty =
        ["", " ", "\0", "a\0b", "..", "/", "~1", "%00", "\r\n", "\u{feff}", "\u{202e}", "null", "é'\";--", "{}"];
    prop_oneof![3 => "[a-z0-9]{1,12}", 2 => "\\PC{0,20}", 2 => select(nasty.map(str::to_owned).to_vec())].boxed()
}

pub fn any_json() -> BoxedStrategy<Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-1e300..1e300f64).prop_map(Value::from),
        any_text().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec((any_text(), inner), 0..4).prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
    .boxed()
}
