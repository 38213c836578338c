//! What a JSON Schema may hold. Nothing of it refers to itself, and what it refers to is counted where it is referred to: so
//! what it asks of a value is bounded by its own size.

use std::collections::HashMap;

use serde_json::Value;

/// Values of a schema, with those that it refers to as often as it does.
const MOST_VALUES: u64 = 20_000;

/// Patterns of a schema, counted in the same way.
const MOST_PATTERNS: u64 = 100;

/// How deeply it may be nested.
const DEEPEST: usize = 200;

/// Members whose members are names, with a schema each.
const NAMES: [&str; 6] =
    ["properties", "patternProperties", "definitions", "$defs", "dependentSchemas", "dependencies"];

/// Members that hold data, and no schemas.
const DATA: [&str; 4] = ["enum", "const", "default", "examples"];

/// How much a schema asks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Measure {
    pub values: u64,
    pub patterns: u64,
    /// How deeply it is nested, with what it refers to.
    pub depth: usize,
}

/// Of one value.
const ONE: Measure = Measure { values: 1, patterns: 0, depth: 0 };

impl Measure {
    fn add(&mut self, other: Measure) {
        self.values = self.values.saturating_add(other.values);
        self.patterns = self.patterns.saturating_add(other.patterns);
        self.depth = self.depth.max(other.depth + 1);
    }
}

/// # Errors
/// What of it could take too much: the end of a sentence that begins with "the schema".
pub fn measured(schema: &Value) -> Result<Measure, String> {
    let measure = Measuring { root: schema, known: HashMap::new() }.schema(schema, 0)?;
    if measure.values > MOST_VALUES {
        return Err(format!("has more than {MOST_VALUES} values, with those that it refers to"));
    }
    if measure.patterns > MOST_PATTERNS {
        return Err(format!("has more than {MOST_PATTERNS} patterns, with those that it refers to"));
    }
    Ok(measure)
}

struct Measuring<'a> {
    root: &'a Value,
    /// By their addresses; none: it is being measured.
    known: HashMap<*const Value, Option<Measure>>,
}

impl<'a> Measuring<'a> {
    fn schema(&mut self, schema: &'a Value, depth: usize) -> Result<Measure, String> {
        let known = self.known.get(&std::ptr::from_ref(schema)).copied();
        if depth + known.flatten().unwrap_or_default().depth > DEEPEST {
            return Err("is nested too deeply".to_owned());
        }
        match known {
            Some(Some(measure)) => return Ok(measure),
            Some(None) => return Err("must not refer to itself".to_owned()),
            None => {}
        }
        self.known.insert(schema, None);
        let mut measure = ONE;
        match schema {
            Value::Array(schemas) => {
                for one in schemas {
                    measure.add(self.schema(one, depth + 1)?);
                }
            }
            Value::Object(members) => {
                for (name, value) in members {
                    measure.add(self.member(schema, name, value, depth)?);
                }
            }
            _ => {}
        }
        self.known.insert(schema, Some(measure));
        Ok(measure)
    }

    fn member(&mut self, of: &'a Value, name: &str, value: &'a Value, depth: usize) -> Result<Measure, String> {
        match (name, value) {
            ("$ref", Value::String(target)) => self.schema(self.target(target)?, depth + 1),
            ("$dynamicRef" | "$recursiveRef", Value::String(_)) => Err(format!("must not have `{name}`")),
            ("$id" | "id" | "$anchor" | "$dynamicAnchor", Value::String(_)) if !std::ptr::eq(of, self.root) => {
                Err(format!("must have `{name}` only at its root"))
            }
            ("pattern", Value::String(_)) => Ok(Measure { patterns: 1, ..ONE }),
            (name, Value::Object(names)) if NAMES.contains(&name) => {
                let mut measure = ONE;
                if name == "patternProperties" {
                    measure.patterns = names.len() as u64;
                }
                for schema in names.values() {
                    measure.add(self.schema(schema, depth + 1)?);
                }
                Ok(measure)
            }
            (name, data) if DATA.contains(&name) => Ok(Measure { values: values(data), ..ONE }),
            (_, schema) => self.schema(schema, depth + 1),
        }
    }

    fn target(&self, target: &str) -> Result<&'a Value, String> {
        let refused = || format!("must refer to a part of itself, as `#/$defs/name`, and not to `{target}`");
        let pointer = target.strip_prefix('#').filter(|pointer| pointer.is_empty() || pointer.starts_with('/'));
        let pointer = pointer.filter(|pointer| !pointer.contains('%')).ok_or_else(refused)?;
        self.root.pointer(pointer).ok_or_else(refused)
    }
}

/// How many values it consists of.
pub fn values(data: &Value) -> u64 {
    match data {
        Value::Array(items) => 1 + items.iter().map(values).sum::<u64>(),
        Value::Object(members) => 1 + members.values().map(values).sum::<u64>(),
        _ => 1,
    }
}

/// The bytes of its texts and names.
pub fn bytes(data: &Value) -> u64 {
    match data {
        Value::String(text) => text.len() as u64,
        Value::Array(items) => items.iter().map(bytes).sum(),
        Value::Object(members) => members.iter().map(|(name, value)| name.len() as u64 + bytes(value)).sum(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_referred_to_counts_as_often_as_it_is() {
        let plain = json!({ "properties": { "a": { "type": "string", "pattern": "^a" } } });
        assert_eq!(measured(&plain), Ok(Measure { values: 5, patterns: 1, depth: 3 }));
        let twice = json!({
            "$defs": { "cep": { "type": "string", "pattern": "^[0-9]{8}$" } },
            "properties": { "from": { "$ref": "#/$defs/cep" }, "to": { "$ref": "#/$defs/cep" }, "enum": { "enum": [1, 2] } },
        });
        assert_eq!(measured(&twice).map(|measure| measure.patterns), Ok(3));
    }

    #[test]
    fn what_grows_with_its_references_is_refused() {
        let level = |number: u32| json!({ "allOf": [{ "$ref": format!("#/$defs/{}", number + 1) }, { "$ref": format!("#/$defs/{}", number + 1) }] });
        let mut levels: serde_json::Map<String, Value> = (0..40).map(|it| (it.to_string(), level(it))).collect();
        levels.insert("40".to_owned(), json!({ "type": "object" }));
        let doubling = json!({ "$ref": "#/$defs/0", "$defs": levels });
        assert!(measured(&doubling).unwrap_err().contains("more than 20000 values"));
        for (schema, part) in [
            (json!({ "$ref": "#" }), "refer to itself"),
            (json!({ "properties": { "left": { "$ref": "#" }, "right": { "$ref": "#" } } }), "refer to itself"),
            (json!({ "$ref": "#/default", "default": { "$ref": "#/default" } }), "refer to itself"),
            (json!({ "properties": { "default": { "$ref": "#" } } }), "refer to itself"),
            (json!({ "$dynamicRef": "#x" }), "must not have"),
            (json!({ "$ref": "https://example.com/schema.json" }), "a part of itself"),
            (json!({ "$ref": "#/$defs/%61", "$defs": { "a": {} } }), "a part of itself"),
            (json!({ "properties": { "a": { "$id": "https://example.com/" } } }), "only at its root"),
        ] {
            let refused = measured(&schema).map(|_| ()).expect_err(&schema.to_string());
            assert!(refused.contains(part), "{schema}: {refused}");
        }
        let chain = |number: u32| (number.to_string(), json!({ "$ref": format!("#/$defs/{}", number + 1) }));
        let mut chain: serde_json::Map<String, Value> = (0..500).rev().map(chain).collect();
        chain.insert("500".to_owned(), json!({}));
        assert!(measured(&json!({ "$defs": chain })).unwrap_err().contains("too deeply"));
        assert!(measured(&json!({ "examples": [{ "$ref": "x" }], "$id": "https://example.com/a" })).is_ok());
    }
}
