//! Every `curl` of the pages is run against the program, in the order of the page, and its answer compared with the one that
//! the page shows: an example that has changed its shape fails here.

mod comparison;
mod curl;
mod page;
mod receiver;
mod walk;

use std::path::{Path, PathBuf};

use page::blocks;
use walk::Walk;

/// The pages whose commands are run. No other page may have a `curl`.
const PAGES: [&str; 3] = ["README.md", "docs/tour.md", "docs/access.md"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_readme_does_what_it_shows() {
    walk("README.md", 4).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_tour_does_what_it_shows() {
    walk("docs/tour.md", 19).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_the_page_makes_is_accepted() {
    walk("docs/access.md", 1).await;
}

/// Runs the page, which has at least so many commands.
async fn walk(path: &str, at_least: usize) {
    let text = std::fs::read_to_string(root().join(path)).unwrap();
    let blocks = blocks(&text);
    let mut walk = Walk::of(path);
    for block in &blocks {
        walk.pass(block).await;
    }
    let shown: usize = blocks.iter().map(|block| block.text.matches("curl ").count()).sum();
    assert_eq!(walk.end(), shown, "{path}: commands that were passed, and that are shown");
    assert!(shown >= at_least, "{path} shows {shown} commands");
}

#[test]
fn no_other_page_has_a_command_that_is_not_run() {
    for path in pages().into_iter().filter(|path| !PAGES.iter().any(|run| path.ends_with(run))) {
        let text = std::fs::read_to_string(&path).unwrap();
        let unrun = blocks(&text).into_iter().find(|block| block.text.contains("curl "));
        assert!(unrun.is_none(), "{}:{}: no test runs this", path.display(), unrun.unwrap().line);
    }
}

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every page that is written for people.
pub fn pages() -> Vec<PathBuf> {
    let mut folders = vec![root().join("docs")];
    let mut found = Vec::new();
    let mut look = |folder: &Path, folders: Option<&mut Vec<PathBuf>>| {
        let (inner, files): (Vec<PathBuf>, Vec<PathBuf>) =
            std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).partition(|path| path.is_dir());
        found.extend(files.into_iter().filter(|path| path.extension().is_some_and(|it| it == "md")));
        if let Some(folders) = folders {
            folders.extend(inner);
        }
    };
    look(root(), None);
    while let Some(folder) = folders.pop() {
        look(&folder, Some(&mut folders));
    }
    found.sort();
    found
}
