//! `correio events`

use std::time::Duration;

use clap::Subcommand;
use uuid::Uuid;

use super::subscriptions::replay;
use crate::application::ports::{EventFilter, EventRepository};
use crate::domain::Timestamp;
use crate::domain::access::principal::Tenant;
use crate::domain::event::kind::KindPattern;
use crate::domain::event::{Event, EventId};
use crate::infrastructure::config::Config;
use crate::infrastructure::storage::database::Database;
use crate::presentation::cli::error::CommandError;
use crate::presentation::cli::tenant::tenant;

/// Between two looks for newer events.
const PAUSE: Duration = Duration::from_secs(1);

#[derive(Debug, Subcommand)]
pub enum EventsCommand {
    /// Print the newest events, oldest of them first.
    Tail {
        #[arg(long, default_value = Tenant::DEFAULT, value_parser = tenant)]
        tenant: Tenant,
        /// Only those of this type.
        #[arg(long = "type")]
        kind: Option<String>,
        /// How many.
        #[arg(long, short = 'n', default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=250))]
        lines: u32,
        /// Go on with those that come.
        #[arg(long, short)]
        follow: bool,
    },
    /// Give a subscription the events of the past that it has not had, and print how many.
    Replay {
        #[arg(long, default_value = Tenant::DEFAULT, value_parser = tenant)]
        tenant: Tenant,
        /// The subscription's id.
        #[arg(long)]
        subscription: Uuid,
        /// Only those of these types; `*` stands for any letters.
        #[arg(long = "type", value_parser = KindPattern::parse)]
        kinds: Vec<KindPattern>,
        /// Only those received at this time or later, e.g. 2027-01-01T00:00:00Z.
        #[arg(long)]
        after: Option<Timestamp>,
        /// Only those received before this time.
        #[arg(long)]
        before: Option<Timestamp>,
    },
}

pub async fn run(config: &Config, command: EventsCommand) -> Result<(), CommandError> {
    let database = Database::open_existing(config).await?;
    let done = match command {
        EventsCommand::Tail { tenant, kind, lines, follow } => {
            let filter = EventFilter { kind, ..EventFilter::default() };
            tail(database.stores.events.as_ref(), &tenant, filter, lines, follow).await
        }
        EventsCommand::Replay { tenant, subscription, kinds, after, before } => {
            replay(config, &database, &tenant, subscription, kinds, (after, before)).await
        }
    };
    database.close().await;
    done
}

async fn tail(
    events: &dyn EventRepository,
    tenant: &Tenant,
    mut filter: EventFilter,
    lines: u32,
    follow: bool,
) -> Result<(), CommandError> {
    println!("RECEIVED\tSTATUS\tTYPE\tSOURCE\tID");
    let mut last: Option<EventId> = None;
    loop {
        let page = events.list(tenant, &filter, None, lines).await?;
        for event in page.events.iter().rev().filter(|event| last.is_none_or(|last| event.id > last)) {
            println!("{}", row(event));
        }
        if let Some(newest) = page.events.first() {
            last = last.max(Some(newest.id));
            filter.received_after = Some(newest.received_at);
        }
        if !follow {
            return Ok(());
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn row(event: &Event) -> String {
    // A tab would shift the columns.
    let plain = |text: &str| text.chars().map(|it| if it.is_control() { ' ' } else { it }).collect::<String>();
    let fields = [
        event.received_at.format("%FT%T%.3fZ").to_string(),
        event.status.to_string(),
        plain(&event.kind),
        plain(&event.source),
        plain(&event.name),
    ];
    fields.join("\t")
}
