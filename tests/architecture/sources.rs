//! The files that the checks read.

use std::collections::BTreeMap;
use std::path::Path;

/// Rust files by their path inside the repository, with `/` between its parts.
pub type Sources = BTreeMap<String, String>;

/// Every Rust file in some folders of the repository.
pub fn under(folders: &[&str]) -> Sources {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Sources::new();
    for folder in folders {
        let before = found.len();
        read(root, &root.join(folder), &mut found);
        assert!(found.len() > before, "nothing to check in {folder}");
    }
    found
}

fn read(root: &Path, folder: &Path, found: &mut Sources) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read(root, &path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().replace('\\', "/");
            found.insert(name, std::fs::read_to_string(&path).unwrap());
        }
    }
}

/// Sources as a check would find them, for its proof that it can fail.
pub fn planted(files: &[(&str, &str)]) -> Sources {
    files.iter().map(|(path, source)| ((*path).to_owned(), (*source).to_owned())).collect()
}

/// The folder of a file, or of a folder.
pub fn folder(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}
