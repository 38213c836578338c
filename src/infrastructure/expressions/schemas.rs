use std::sync::Arc;

use async_trait::async_trait;
use jsonschema::{PatternOptions, ValidationError, Validator};
use moka::sync::Cache;
use serde_json::Value;

use super::permitted_schema::{Measure, bytes, measured, values};
use super::places::{Places, on_a_large_stack};
use crate::application::ports::{EvaluationError, EventSchemas};
use crate::domain::access::principal::Tenant;
use crate::domain::problem::FieldProblem;

/// Bytes of memory for schemas that are kept compiled, by estimate.
const KEPT: u64 = 64 * 1024 * 1024;

/// Bytes that a value of a schema takes compiled, and the most that one of its patterns may take.
const OF_A_VALUE: u64 = 500;
const OF_A_PATTERN: usize = 256 * 1024;

/// How often values of a schema are compared with values of the data, and patterns with bytes, at the most.
const MOST_WORK: u64 = 50_000_000;

/// The same where every problem is wanted, and not the first alone: each takes memory.
const WORK_FOR_ALL: u64 = 100_000;

/// Problems that are told of one event.
const MOST_PROBLEMS: usize = 50;

/// How much of a sentence about a value is told: it may quote the value.
const LONGEST_DETAIL: usize = 300;

/// Validates by JSON Schema, without fetching anything: a schema holds all that it refers to. Patterns are matched in linear
/// time.
pub struct JsonSchemas {
    places: Places,
    compiled: Cache<String, Arc<Compiled>>,
}

struct Compiled {
    validator: Validator,
    measure: Measure,
}

impl Default for JsonSchemas {
    fn default() -> Self {
        let weight = |schema: &String, compiled: &Arc<Compiled>| {
            let Measure { values, patterns, .. } = compiled.measure;
            let bytes = schema.len() as u64 + values * OF_A_VALUE + patterns * OF_A_PATTERN as u64;
            u32::try_from(bytes).unwrap_or(u32::MAX)
        };
        Self { places: Places::default(), compiled: Cache::builder().max_capacity(KEPT).weigher(weight).build() }
    }
}

impl JsonSchemas {
    /// For a schema that the operator gives: waits for it.
    ///
    /// # Errors
    /// What is wrong with it: the end of a sentence that begins with "the schema".
    pub fn check_now(schema: &Value) -> Result<(), String> {
        on_a_large_stack(|| compile(schema).map(|_| ()))
    }
}

fn compile(schema: &Value) -> Result<Compiled, String> {
    let measure = measured(schema)?;
    let patterns = PatternOptions::regex().size_limit(OF_A_PATTERN).dfa_size_limit(OF_A_PATTERN);
    let built = jsonschema::options().with_pattern_options(patterns).build(schema);
    let validator = built.map_err(|error| format!("is not a JSON Schema that can be used: {error}"))?;
    Ok(Compiled { validator, measure })
}

fn compiled(schema: &str, kept: &Cache<String, Arc<Compiled>>) -> Result<Arc<Compiled>, String> {
    if let Some(compiled) = kept.get(schema) {
        return Ok(compiled);
    }
    let parsed: Value = serde_json::from_str(schema).map_err(|error| format!("is not JSON: {error}"))?;
    let compiled = Arc::new(compile(&parsed)?);
    kept.insert(schema.to_owned(), compiled.clone());
    Ok(compiled)
}

fn problems(compiled: &Compiled, data: &Value) -> Vec<FieldProblem> {
    let Measure { values: of_schema, patterns, .. } = compiled.measure;
    let work = of_schema.saturating_mul(values(data)).saturating_add(patterns.saturating_mul(bytes(data)));
    if work > MOST_WORK {
        return vec![FieldProblem::new("", "is too large for its schema")];
    }
    if work > WORK_FOR_ALL {
        return compiled.validator.validate(data).err().iter().map(problem).collect();
    }
    compiled.validator.iter_errors(data).take(MOST_PROBLEMS).map(|error| problem(&error)).collect()
}

fn problem(error: &ValidationError<'_>) -> FieldProblem {
    let detail: String = error.to_string().chars().take(LONGEST_DETAIL).collect();
    FieldProblem::new(error.instance_path().to_string(), detail)
}

#[async_trait]
impl EventSchemas for JsonSchemas {
    async fn check(&self, tenant: &Tenant, schema: &Value) -> Result<(), EvaluationError> {
        let schema = schema.clone();
        self.places.run(tenant, move || compile(&schema).map(|_| ()).map_err(EvaluationError::Unfit)).await
    }

    async fn problems(
        &self,
        tenant: &Tenant,
        schema: &str,
        data: &Value,
    ) -> Result<Vec<FieldProblem>, EvaluationError> {
        let (schema, data, kept) = (schema.to_owned(), data.clone(), self.compiled.clone());
        let validating = move || {
            let compiled = compiled(&schema, &kept).map_err(EvaluationError::Unfit)?;
            Ok(problems(&compiled, &data))
        };
        self.places.run(tenant, validating).await
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn acme() -> Tenant {
        Tenant::new("acme").unwrap()
    }

    #[tokio::test]
    async fn problems_have_paths_into_the_data() {
        let schemas = JsonSchemas::default();
        let schema =
            json!({ "type": "object", "required": ["valor"], "properties": { "valor": { "type": "number" } } });
        schemas.check(&acme(), &schema).await.unwrap();
        let schema = schema.to_string();
        let problems = schemas.problems(&acme(), &schema, &json!({ "valor": "dez" })).await.unwrap();
        assert_eq!(problems.len(), 1);
        assert_eq!(problems[0].path, "/valor");
        assert_eq!(schemas.problems(&acme(), &schema, &json!({ "valor": 10 })).await, Ok(vec![]));
        assert!(schemas.check(&acme(), &json!({ "type": 7 })).await.is_err());
        assert!(JsonSchemas::check_now(&json!({ "$ref": "https://example.com/schema.json" })).is_err());
    }

    #[tokio::test]
    async fn what_would_take_too_much_is_refused() {
        let schemas = JsonSchemas::default();
        assert!(schemas.check(&acme(), &json!({ "pattern": "((a{100}){100}){100}" })).await.is_err());
        assert!(schemas.check(&acme(), &json!({ "$ref": "#" })).await.is_err());
        let every = json!({ "items": { "enum": (0..1_000).collect::<Vec<u32>>() } }).to_string();
        let problems = schemas.problems(&acme(), &every, &json!(vec![7; 100_000])).await.unwrap();
        assert!(problems[0].detail.contains("too large"), "{problems:?}");
        let problems = schemas.problems(&acme(), &every, &json!(vec![-1; 1_000])).await.unwrap();
        assert_eq!(problems.len(), 1, "of many the first");
    }
}
