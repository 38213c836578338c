use super::*;

use super::error::translate;
use crate::application::ports::RepositoryError;

/// Does one statement on the connection that writes.
async fn write(database: &SqliteDatabase, statement: &'static str) -> Result<(), RepositoryError> {
    let mut transaction = database.begin().await?;
    sqlx::query(statement).execute(&mut *transaction).await.map_err(translate)?;
    transaction.commit().await.map_err(translate)
}

#[tokio::test]
async fn a_disk_that_was_full_is_written_again_when_there_is_room() {
    let directory = tempfile::tempdir().unwrap();
    let database = SqliteDatabase::open(&directory.path().join("correio.db")).await.unwrap();
    database.migrate().await.unwrap();
    // The file may not grow.
    sqlx::query("pragma max_page_count = 1").execute(database.writer()).await.unwrap();
    let large = "insert into tenants (name, created_at) values (hex(zeroblob(1000000)), '')";
    assert!(write(&database, large).await.unwrap_err().may_pass());

    let small = "insert into tenants (name, created_at) values ('ana', '')";
    write(&database, small).await.unwrap();
    // The limit is per connection, and this may be another one.
    sqlx::query("pragma max_page_count = 1000000").execute(database.writer()).await.unwrap();
    write(&database, large).await.unwrap();
}
