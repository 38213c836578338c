use std::sync::Arc;

use jsonschema::{PatternOptions, Validator};
use moka::sync::Cache;
use serde_json::Value;

use crate::application::ports::EventSchemas;
use crate::domain::problem::FieldProblem;

/// Schemas that are kept compiled.
const KEPT: u64 = 1_000;

/// Problems that are told of one event.
const MOST_PROBLEMS: usize = 50;

/// How much of a sentence about a value is told: it may quote the value.
const LONGEST_DETAIL: usize = 300;

/// Validates by JSON Schema, without fetching anything: a schema holds all that it refers to. Patterns are matched in linear
/// time.
pub struct JsonSchemas {
    compiled: Cache<String, Arc<Validator>>,
}

impl Default for JsonSchemas {
    fn default() -> Self {
        Self { compiled: Cache::new(KEPT) }
    }
}

fn compile(schema: &Value) -> Result<Validator, String> {
    let options = jsonschema::options().with_pattern_options(PatternOptions::regex());
    options.build(schema).map_err(|error| format!("is not a JSON Schema that can be used: {error}"))
}

impl EventSchemas for JsonSchemas {
    fn check(&self, schema: &Value) -> Result<(), String> {
        compile(schema).map(|_| ())
    }

    fn problems(&self, schema: &str, data: &Value) -> Result<Vec<FieldProblem>, String> {
        let validator = match self.compiled.get(schema) {
            Some(validator) => validator,
            None => {
                let parsed: Value = serde_json::from_str(schema).map_err(|error| format!("is not JSON: {error}"))?;
                let validator = Arc::new(compile(&parsed)?);
                self.compiled.insert(schema.to_owned(), validator.clone());
                validator
            }
        };
        let problems = validator.iter_errors(data).take(MOST_PROBLEMS).map(|error| {
            let detail: String = error.to_string().chars().take(LONGEST_DETAIL).collect();
            FieldProblem::new(error.instance_path().to_string(), detail)
        });
        Ok(problems.collect())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn problems_have_paths_into_the_data() {
        let schemas = JsonSchemas::default();
        let schema =
            json!({ "type": "object", "required": ["valor"], "properties": { "valor": { "type": "number" } } });
        schemas.check(&schema).unwrap();
        let problems = schemas.problems(&schema.to_string(), &json!({ "valor": "dez" })).unwrap();
        assert_eq!(problems.len(), 1);
        assert_eq!(problems[0].path, "/valor");
        assert_eq!(schemas.problems(&schema.to_string(), &json!({ "valor": 10 })), Ok(vec![]));
        assert!(schemas.check(&json!({ "type": 7 })).is_err());
        assert!(schemas.check(&json!({ "$ref": "https://example.com/schema.json" })).is_err(), "nothing is fetched");
    }
}
