use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::{filter, template};
use crate::application::ports::{EventExpressions, ExpressionError};

/// Evaluations at the same time.
const AT_ONCE: usize = 4;

/// As long as one may take, with its wait for a place. What it may do is bounded besides: a thread is not stopped.
const PATIENCE: Duration = Duration::from_secs(5);

/// The longest data, in bytes of JSON, that filters and templates look at.
const LONGEST_DATA: usize = 256 * 1024;

/// Bytes of stack for a parser that calls itself for what is nested: it is bounded by what is permitted, and not small.
const STACK: usize = 128 * 1024 * 1024;

/// Runs work on a thread that has room for it: one that overflows its stack ends the whole process.
fn on_a_large_stack<T: Send>(work: impl FnOnce() -> Result<T, ExpressionError> + Send) -> Result<T, ExpressionError> {
    let failed = |cause: String| ExpressionError(format!("cannot be evaluated: {cause}"));
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("expression".to_owned()).stack_size(STACK);
        let running = thread.spawn_scoped(scope, work).map_err(|error| failed(error.to_string()))?;
        running.join().unwrap_or_else(|_| Err(failed("it is too complex".to_owned())))
    })
}

/// Evaluates on threads of its own.
pub struct BoundedExpressions {
    places: std::sync::Arc<Semaphore>,
}

impl Default for BoundedExpressions {
    fn default() -> Self {
        Self { places: std::sync::Arc::new(Semaphore::new(AT_ONCE)) }
    }
}

impl BoundedExpressions {
    async fn run<T: Send + 'static>(
        &self,
        variables: &Value,
        work: impl FnOnce(&Value) -> Result<T, ExpressionError> + Send + 'static,
    ) -> Result<T, ExpressionError> {
        let too_slow = |_| ExpressionError(format!("takes longer than {} s", PATIENCE.as_secs()));
        let variables = variables.clone();
        let places = self.places.clone();
        let evaluated = timeout(PATIENCE, async move {
            let place = places.acquire_owned().await.map_err(|error| ExpressionError(error.to_string()))?;
            let evaluating = spawn_blocking(move || {
                let _place = place;
                if variables.to_string().len() > LONGEST_DATA {
                    let sentence = format!("looks at no event of more than {LONGEST_DATA} bytes");
                    return Err(ExpressionError(sentence));
                }
                on_a_large_stack(|| work(&variables))
            });
            evaluating.await.map_err(|error| ExpressionError(format!("cannot be evaluated: {error}")))?
        });
        evaluated.await.map_err(too_slow)?
    }
}

#[async_trait]
impl EventExpressions for BoundedExpressions {
    fn check_filter(&self, filter: &str) -> Result<(), ExpressionError> {
        on_a_large_stack(|| filter::compile(filter).map(|_| ()))
    }

    fn check_template(&self, template: &str) -> Result<(), ExpressionError> {
        on_a_large_stack(|| template::check(template))
    }

    async fn holds(&self, filter: &str, variables: &Value) -> Result<bool, ExpressionError> {
        let filter = filter.to_owned();
        self.run(variables, move |variables| filter::holds(&filter, variables)).await
    }

    async fn render(&self, template: &str, variables: &Value) -> Result<String, ExpressionError> {
        let template = template.to_owned();
        self.run(variables, move |variables| template::render(&template, variables)).await
    }
}
