use crate::Result;
use crate::database::Database;
use crate::figures::Figure;
use crate::measurements::turn::Turn;
use crate::pgbench;

/// What the others are compared with.
pub async fn measure(turn: &mut Turn<'_>) -> Result<()> {
    let mut database = Database::create(turn.stage, turn.build).await?;
    let rate = pgbench::inserts(turn.stage, &mut database, turn.extent.seconds).await?;
    turn.record(Figure::Inserts, rate);
    database.remove(turn.stage).await
}
