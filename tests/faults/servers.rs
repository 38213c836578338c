use tokio::sync::{Mutex, MutexGuard};

use crate::support::kafka_server::KafkaServer;
use crate::support::postgres_server::PostgresServer;

/// One story at a time has them: each wants the whole machine. They stay from one to the next, with a database and topics
/// of its own for each, and end with the process that runs the tests.
static SERVERS: Mutex<Servers> = Mutex::const_new(Servers { postgres: None, kafka: None });

pub struct Servers {
    postgres: Option<PostgresServer>,
    kafka: Option<KafkaServer>,
}

/// What a story needs.
#[derive(Clone, Copy)]
pub struct Needs {
    pub postgres: bool,
    pub kafka: bool,
}

impl Servers {
    /// Those that are needed, running, also when the story before left them dead. None where one is not installed.
    pub async fn for_one_story(needs: Needs) -> Option<MutexGuard<'static, Self>> {
        let mut servers = SERVERS.lock().await;
        if needs.postgres {
            match &mut servers.postgres {
                Some(postgres) if postgres.is_running() => {}
                Some(postgres) => postgres.restart().await,
                none => *none = Some(PostgresServer::start().await?),
            }
        }
        if needs.kafka {
            match &mut servers.kafka {
                Some(kafka) if kafka.is_running() => {}
                Some(kafka) => kafka.restart().await,
                none => *none = Some(KafkaServer::start().await?),
            }
        }
        Some(servers)
    }

    pub fn postgres(&mut self) -> &mut PostgresServer {
        self.postgres.as_mut().expect("a PostgreSQL in this story")
    }

    pub fn kafka(&mut self) -> &mut KafkaServer {
        self.kafka.as_mut().expect("a Kafka in this story")
    }
}
