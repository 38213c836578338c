//! Embeds the migrations: sqlx's own macro for it builds sqlx, SQLite and TLS a second time, for the compiler.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() {
    println!("cargo::rerun-if-changed=migrations");
    let output = PathBuf::from(env::var_os("OUT_DIR").expect("Cargo says where"));
    for database in ["postgres", "sqlite"] {
        let directory =
            Path::new(&env::var_os("CARGO_MANIFEST_DIR").expect("Cargo says where")).join("migrations").join(database);
        println!("cargo::rerun-if-changed={}", directory.display());
        fs::write(output.join(format!("migrations_{database}.rs")), list(&directory)).expect("OUT_DIR can be written");
    }
}

/// A slice of the version, the description and the SQL of every migration, as Rust.
fn list(directory: &Path) -> String {
    let files = fs::read_dir(directory).expect("a directory of migrations");
    let mut files: Vec<PathBuf> = files.map(|file| file.expect("a migration").path()).collect();
    files.sort();
    let mut list = "&[".to_owned();
    for file in files {
        let name = file.file_stem().and_then(|name| name.to_str()).expect("a name in ASCII");
        let (version, description) = name.split_once('_').expect("a name such as 0001_create_tables.sql");
        let (version, description) = (version.parse::<i64>().expect("a number"), description.replace('_', " "));
        writeln!(list, "({version}, {description:?}, include_str!({file:?})),").expect("a string takes everything");
    }
    list + "]"
}
