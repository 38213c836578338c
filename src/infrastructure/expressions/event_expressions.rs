use async_trait::async_trait;
use serde_json::Value;

use super::places::{Places, on_a_large_stack};
use super::{filter, template};
use crate::application::ports::{EvaluationError, EventExpressions, ExpressionError};
use crate::domain::access::principal::Tenant;

/// The longest data, in bytes of JSON, that filters and templates look at.
const LONGEST_DATA: usize = 256 * 1024;

/// Evaluates on threads of its own.
#[derive(Default)]
pub struct BoundedExpressions {
    places: Places,
}

impl BoundedExpressions {
    async fn run<T: Send + 'static>(
        &self,
        tenant: &Tenant,
        variables: &Value,
        work: impl FnOnce(&Value) -> Result<T, ExpressionError> + Send + 'static,
    ) -> Result<T, EvaluationError> {
        let variables = variables.clone();
        let evaluating = move || {
            if variables.to_string().len() > LONGEST_DATA {
                let sentence = format!("looks at no event of more than {LONGEST_DATA} bytes");
                return Err(EvaluationError::Unfit(sentence));
            }
            Ok(work(&variables)?)
        };
        self.places.run(tenant, evaluating).await
    }
}

fn checked(check: impl FnOnce() -> Result<(), ExpressionError> + Send) -> Result<(), ExpressionError> {
    on_a_large_stack(|| check().map_err(|ExpressionError(sentence)| sentence)).map_err(ExpressionError)
}

#[async_trait]
impl EventExpressions for BoundedExpressions {
    fn check_filter(&self, filter: &str) -> Result<(), ExpressionError> {
        checked(|| filter::compile(filter).map(|_| ()))
    }

    fn check_template(&self, template: &str) -> Result<(), ExpressionError> {
        checked(|| template::check(template))
    }

    async fn holds(&self, tenant: &Tenant, filter: &str, variables: &Value) -> Result<bool, EvaluationError> {
        let filter = filter.to_owned();
        self.run(tenant, variables, move |variables| filter::holds(&filter, variables)).await
    }

    async fn render(&self, tenant: &Tenant, template: &str, variables: &Value) -> Result<String, EvaluationError> {
        let template = template.to_owned();
        self.run(tenant, variables, move |variables| template::render(&template, variables)).await
    }
}
