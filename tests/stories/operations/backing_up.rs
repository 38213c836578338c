use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::future::join_all;

use crate::support::caller::to_sandbox;
use crate::support::installation::Installation;
use crate::support::modes::stories;
use crate::support::process::run;
use crate::support::test_app::TestApp;

stories!(
    only_on_sqlite:
    a_backup_that_is_made_while_messages_come_in_is_an_installation,
    a_backup_replaces_no_file_and_leaves_none_behind_when_it_fails;
    only_on_postgres:
    a_shared_database_has_backups_of_its_own;
);

/// Its exit code, and what it wrote to both outputs.
async fn backup(installation: &Installation, file: &Path) -> (Option<i32>, String) {
    let environment = installation.environment();
    let output = run(installation.directory.path(), &environment, &["backup", file.to_str().unwrap()]).await;
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).unwrap())
}

async fn a_backup_that_is_made_while_messages_come_in_is_an_installation(installation: Installation) {
    let mut app = TestApp::start(installation).await;
    let before = app.sent(&to_sandbox("before")).await["id"].as_str().unwrap().to_owned();
    let file = app.installation.directory.path().join("copy.db");
    let is_done = AtomicBool::new(false);
    let senders = join_all((0..4).map(async |_| {
        while !is_done.load(Ordering::Relaxed) {
            app.sent(&to_sandbox("meanwhile")).await;
        }
    }));
    let backup = async {
        let said = backup(&app.installation, &file).await;
        is_done.store(true, Ordering::Relaxed);
        said
    };
    let ((code, said), _) = futures::join!(backup, senders);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("copy.db: ") && said.contains(" messages, ") && said.contains("CREDENTIALS_KEY"), "{said}");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);

    // It takes the place of the database, and what is beside that is gone.
    app.terminate();
    app.exited().await;
    let database = app.installation.data_dir().join("correio.db");
    for beside in ["correio.db-wal", "correio.db-shm"] {
        let _it_may_be_gone = std::fs::remove_file(database.with_file_name(beside));
    }
    std::fs::rename(&file, &database).unwrap();
    app.restart().await;
    assert_eq!(app.message(&before).await["status"], "sent");
    app.sent(&to_sandbox("after")).await;
    assert_eq!(app.sql("pragma integrity_check").await[0]["integrity_check"], "ok");
}

async fn a_backup_replaces_no_file_and_leaves_none_behind_when_it_fails(installation: Installation) {
    let directory = installation.directory.path().join("backups");
    std::fs::create_dir(&directory).unwrap();
    let file = directory.join("copy.db");
    let (code, said) = backup(&installation, &file).await;
    assert_eq!(code, Some(1), "there is no database yet: {said}");
    assert!(said.starts_with("correio: ") && said.contains("correio.db"), "{said}");
    let names = || std::fs::read_dir(&directory).unwrap().map(|it| it.unwrap().file_name()).collect::<Vec<_>>();
    assert_eq!(names(), Vec::<std::ffi::OsString>::new());
    assert!(!installation.data_dir().join("correio.db").exists(), "nothing is made where nothing was");

    let app = TestApp::start(installation).await;
    std::fs::write(&file, "of value").unwrap();
    let (code, said) = backup(&app.installation, &file).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("copy.db: there is such a file already"), "{said}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "of value");
    assert_eq!(names(), ["copy.db"]);

    // What is wrong with the place is said of the place; a directory that is missing is not made.
    let missing = directory.join("not-mounted");
    let (code, said) = backup(&app.installation, &missing.join("copy.db")).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("not-mounted/copy.db: there is no directory ") && !said.contains("correio.db"), "{said}");
    assert!(!missing.exists());
    let (code, said) = backup(&app.installation, &file.join("copy.db")).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("copy.db/copy.db: there is no directory "), "{said}");
    let (code, said) = backup(&app.installation, Path::new("/proc/copy.db")).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.starts_with("correio: /proc/copy.db: "), "{said}");
}

async fn a_shared_database_has_backups_of_its_own(installation: Installation) {
    let file = installation.directory.path().join("copy.db");
    let (code, said) = backup(&installation, &file).await;
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("pg_dump") && said.lines().count() == 1, "{said}");
    assert!(!file.exists());
}
