use std::sync::Arc;

use serde_json::Value;

use crate::application::ports::{Clock, EvaluationError, EventSchemas, EventType, EventTypes, RepositoryError};
use crate::domain::access::principal::Principal;
use crate::domain::event::kind::{folded, parse_kind};
use crate::domain::problem::FieldProblem;

/// The longest schema, in bytes of JSON.
const LONGEST_SCHEMA: usize = 64 * 1024;

/// So many types one tenant may have.
const MOST_OF_A_TENANT: usize = 1_000;

/// And bytes of their schemas together: they are listed at once.
const MOST_BYTES_OF_A_TENANT: usize = 4 << 20;

/// Keeps the types of events that a tenant has beside the known ones, or in their place.
pub struct RegisterType {
    pub types: Arc<dyn EventTypes>,
    pub schemas: Arc<dyn EventSchemas>,
    pub clock: Arc<dyn Clock>,
}

#[derive(Debug, thiserror::Error)]
pub enum RegisterTypeError {
    #[error("the type has {} problem(s)", .0.len())]
    Invalid(Vec<FieldProblem>),
    #[error(transparent)]
    Repository(#[from] RepositoryError),
}

impl RegisterType {
    /// Adds or replaces it; true if it is new.
    ///
    /// # Errors
    /// [`RegisterTypeError::Invalid`] with paths `/name` and `/schema`.
    pub async fn execute(
        &self,
        caller: &Principal,
        name: &str,
        schema: Option<&Value>,
    ) -> Result<(EventType, bool), RegisterTypeError> {
        let invalid = |path: &str, detail: String| RegisterTypeError::Invalid(vec![FieldProblem::new(path, detail)]);
        let name = parse_kind(name).map_err(|detail| invalid("/name", detail))?;
        let text = schema.map(Value::to_string);
        if text.as_ref().is_some_and(|text| text.len() > LONGEST_SCHEMA) {
            return Err(invalid("/schema", format!("must have at most {LONGEST_SCHEMA} bytes")));
        }
        if let Some(schema) = schema {
            match self.schemas.check(&caller.tenant, schema).await {
                Ok(()) => {}
                Err(EvaluationError::Unfit(detail)) => return Err(invalid("/schema", detail)),
                Err(EvaluationError::Busy(detail)) => return Err(RepositoryError::Unavailable(detail).into()),
            }
        }
        let mut others = self.types.list(&caller.tenant).await?;
        others.retain(|other| folded(&other.name) != folded(&name));
        if others.len() >= MOST_OF_A_TENANT {
            return Err(invalid(
                "/name",
                format!("would be one more than the {MOST_OF_A_TENANT} that a tenant may have"),
            ));
        }
        let schemas = others.iter().filter_map(|other| other.schema.as_ref()).chain(&text);
        if schemas.map(String::len).sum::<usize>() > MOST_BYTES_OF_A_TENANT {
            return Err(invalid(
                "/schema",
                format!("would be more than the {MOST_BYTES_OF_A_TENANT} bytes that all of a tenant's have together"),
            ));
        }
        let registered = EventType { tenant: caller.tenant.clone(), name, schema: text, updated_at: self.clock.now() };
        let is_new = self.types.put(&registered).await?;
        Ok((registered, is_new))
    }

    /// # Errors
    /// When the database does not answer.
    pub async fn list(&self, caller: &Principal) -> Result<Vec<EventType>, RepositoryError> {
        self.types.list(&caller.tenant).await
    }

    /// False when the tenant has registered none of this name.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn delete(&self, caller: &Principal, name: &str) -> Result<bool, RepositoryError> {
        self.types.delete(&caller.tenant, &folded(name)).await
    }
}
