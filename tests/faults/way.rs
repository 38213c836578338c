/// From us to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Way {
    Postgres,
    Kafka,
    Channel,
}

impl Way {
    pub fn to_whom(self) -> &'static str {
        match self {
            Way::Postgres => "PostgreSQL",
            Way::Kafka => "Kafka",
            Way::Channel => "channel",
        }
    }
}
