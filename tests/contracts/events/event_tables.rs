use correio::application::ports::EventTables;
use correio::domain::event::EventId;
use correio::domain::event::table::{EntityRow, LogRow, PlannedTable, TablePlan, ValueStyle};
use correio::infrastructure::storage::sqlite::SqliteDatabase;
use correio::infrastructure::tables::{PgEventTables, SqliteEventTables};
use serde_json::{Value, json};
use sqlx::ConnectOptions;

use crate::support::given::id;
use crate::support::installation::{Installation, Mode};

/// A database, and what reads it.
struct Place(Installation);

impl Place {
    async fn all() -> Vec<Place> {
        let sqlite = Installation::sqlite().await.unwrap();
        std::fs::create_dir(sqlite.data_dir()).unwrap();
        SqliteDatabase::open(&sqlite.data_dir().join("correio.db")).await.unwrap().migrate().await.unwrap();
        let postgres = Installation::postgres().await;
        [Some(sqlite), postgres].into_iter().flatten().map(Place).collect()
    }

    fn tables(&self, plan: &TablePlan) -> Box<dyn EventTables> {
        match &self.0.postgres {
            Some(fresh) => {
                let url = fresh.options().to_url_lossy().to_string();
                Box::new(PgEventTables::new(&url, plan.clone()).unwrap())
            }
            None => Box::new(SqliteEventTables::new(&self.0.data_dir().join("correio.db"), plan.clone())),
        }
    }

    async fn sql(&self, query: &str) -> Vec<Value> {
        assert_eq!(self.0.mode, Mode::Direct);
        self.0.sql(query).await
    }
}

fn plan(columns: &[&str]) -> TablePlan {
    let columns = columns.iter().map(|name| (*name).to_owned()).collect();
    TablePlan { tables: [("deal".to_owned(), PlannedTable { columns, values: ValueStyle::Json })].into() }
}

fn log() -> LogRow {
    LogRow {
        event: "change".to_owned(),
        entity: "deal".to_owned(),
        payload: "{\"half\": \"\\ud800\"}".to_owned(),
        empresa: "Matriz".to_owned(),
        delivery_status: "delivered",
        processing_time_ms: 12,
    }
}

fn row(values: &[(&str, Option<&str>)]) -> EntityRow {
    EntityRow {
        entity: "deal".to_owned(),
        event: "change".to_owned(),
        empresa: "Matriz".to_owned(),
        deleted: true,
        values: values.iter().map(|(name, value)| ((*name).to_owned(), value.map(str::to_owned))).collect(),
    }
}

fn event() -> EventId {
    EventId(id())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_has_one_row_in_each_table_however_often_it_is_written() {
    for place in Place::all().await {
        let tables = place.tables(&plan(&["id", "person_id.name", "title"]));
        let row = row(&[("id", Some("178")), ("person_id.name", None), ("title", Some("\"O'Neil\""))]);
        let event = event();
        for _ in 0..2 {
            tables.write(event, &log(), Some(&row)).await.unwrap();
        }
        let logged = place.sql("select * from webhook_full_log").await;
        assert_eq!(logged.len(), 1);
        for (name, value) in [
            ("auto_id", json!(1)),
            ("event", json!("change")),
            ("entity", json!("deal")),
            ("payload", json!("{\"half\": \"\\ud800\"}")),
            ("empresa", json!("Matriz")),
            ("delivery_status", json!("delivered")),
            ("processing_time_ms", json!(12)),
        ] {
            assert_eq!(logged[0][name], value, "{name}");
        }
        assert!(logged[0]["created_at"].is_string());
        let deals = place.sql("select * from webhook_deal").await;
        assert_eq!(deals.len(), 1);
        let deal = &deals[0];
        assert_eq!(
            (&deal["id"], &deal["title"], &deal["person_id.name"]),
            (&json!("178"), &json!("\"O'Neil\""), &json!(null))
        );
        assert_eq!((&deal["event"], &deal["empresa"]), (&json!("change"), &json!("Matriz")));
        assert!(deal["deleted"] == json!(true) || deal["deleted"] == json!(1));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_is_there_gets_the_columns_that_it_lacks() {
    for place in Place::all().await {
        let first = event();
        place.tables(&plan(&["id"])).write(first, &log(), Some(&row(&[("id", Some("1"))]))).await.unwrap();
        let wider = place.tables(&plan(&["id", "status"]));
        wider.write(event(), &log(), Some(&row(&[("id", Some("2")), ("status", Some("\"open\""))]))).await.unwrap();
        wider.write(event(), &log(), None).await.unwrap();
        let deals = place.sql("select id, status from webhook_deal order by auto_id").await;
        assert_eq!(deals, [json!({"id": "1", "status": null}), json!({"id": "2", "status": "\"open\""})]);
        assert_eq!(place.sql("select * from webhook_full_log").await.len(), 3);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_of_a_configuration_are_names() {
    for place in Place::all().await {
        let name = "x\" text); drop table webhook_full_log; --";
        let tables = place.tables(&plan(&[name, "select", "Título"]));
        let values = [(name, Some("1")), ("select", Some("2")), ("Título", Some("3"))];
        tables.write(event(), &log(), Some(&row(&values))).await.unwrap();
        let deals = place.sql("select * from webhook_deal").await;
        assert_eq!(
            (&deals[0][name], &deals[0]["select"], &deals[0]["Título"]),
            (&json!("1"), &json!("2"), &json!("3"))
        );
        assert_eq!(place.sql("select * from webhook_full_log").await.len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn columns_that_sqlite_cannot_tell_apart_are_one_there() {
    for place in Place::all().await {
        let tables = place.tables(&plan(&["id", "Empresa"]));
        tables.write(event(), &log(), Some(&row(&[("id", Some("1")), ("Empresa", Some("\"x\""))]))).await.unwrap();
        let deals = place.sql("select * from webhook_deal").await;
        assert_eq!(deals[0]["empresa"], "Matriz");
        assert_eq!(deals[0]["id"], "1");
    }
}
