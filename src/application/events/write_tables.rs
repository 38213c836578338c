use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::handle_steps::{StepWork, WorkResult};
use super::receive_webhook::DeliveryMethod;
use crate::application::ports::{Clock, DueStep, EventTables, WebhookReader};
use crate::domain::event::table::{LogRow, TablePlan};
use crate::domain::event::{Event, Step};
use crate::domain::json_members::member;
use crate::domain::text::storable;

/// Pause before tables are tried again that could not be reached.
const PAUSE: Duration = Duration::from_secs(2);

/// Writes the events of the CRM to the tables that are planned for them.
pub struct WriteTables {
    pub tables: Arc<dyn EventTables>,
    pub reader: Arc<dyn WebhookReader>,
    pub plan: TablePlan,
    pub clock: Arc<dyn Clock>,
}

#[async_trait]
impl StepWork for WriteTables {
    fn step(&self) -> Step {
        Step::Tables
    }

    fn purpose(&self) -> &'static str {
        "write events to tables"
    }

    async fn work(&self, due: &[DueStep]) -> Vec<WorkResult> {
        let mut results = Vec::with_capacity(due.len());
        let mut away: Option<String> = None;
        for due in due {
            // Each of the others would wait as long.
            let result = match &away {
                Some(reason) => WorkResult::Waits(PAUSE, reason.clone()),
                None => self.write(&due.event).await,
            };
            if let WorkResult::Waits(_, reason) = &result {
                away = Some(reason.clone());
            }
            results.push(result);
        }
        results
    }
}

impl WriteTables {
    async fn write(&self, event: &Event) -> WorkResult {
        let Ok(report) = self.reader.read(event.data.as_bytes()) else {
            return WorkResult::Dead("it is not a report of the CRM".to_owned());
        };
        let empresa = member(&report.members, "empresa").and_then(|raw| serde_json::from_str::<String>(raw).ok());
        let empresa = storable(&empresa.unwrap_or_default(), 100);
        let (entity, action) = (storable(&report.entity, 50), storable(&report.action, 50));
        let is_direct = event.via.as_deref() == Some(DeliveryMethod::DirectDb.as_str());
        let took = (self.clock.now() - event.received_at).num_milliseconds().clamp(0, i32::MAX.into());
        let log = LogRow {
            event: action.clone(),
            entity: entity.clone(),
            payload: event.data.clone(),
            empresa: empresa.clone(),
            delivery_status: if is_direct { "direct-db" } else { "delivered" },
            processing_time_ms: i32::try_from(took).unwrap_or(i32::MAX),
        };
        let row = self.plan.row(&entity, &action, &empresa, &report.members);
        match self.tables.write(event.id, &log, row.as_ref()).await {
            Ok(()) => WorkResult::Done(match row {
                Some(_) => format!("written to webhook_full_log and webhook_{entity}"),
                None => "written to webhook_full_log".to_owned(),
            }),
            Err(error) if error.may_pass() => WorkResult::Waits(PAUSE, error.to_string()),
            Err(error) => WorkResult::Failed(error.to_string()),
        }
    }
}
