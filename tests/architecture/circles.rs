//! No two files import each other, not even by way of others.

use std::collections::{BTreeMap, BTreeSet};

use super::imports::{Imports, imports};
use super::modules::Crate;
use super::sources;

#[test]
fn no_files_import_each_other() {
    let sources = sources::under(&["src", "tests", "benches"]);
    let crates = [
        Crate::read("correio", "src/lib.rs", &sources),
        Crate::read("main", "src/main.rs", &sources),
        Crate::read("tests", "tests/main.rs", &sources),
        Crate::read("limits", "benches/limits/main.rs", &sources),
        Crate::read("parts", "benches/parts.rs", &sources),
    ];
    let imports = imports(&crates);
    assert!(imports["src/main.rs"].contains_key("src/presentation/cli/mod.rs"), "the check follows no paths");
    let roots = ["src/", "tests/", "benches/"];
    let found = roots.iter().flat_map(|root| circles(&within(root, &imports)));
    let ties: Vec<String> = found.map(|circle| circle.ties).collect();
    assert!(ties.is_empty(), "{}", ties.join("\n\n"));
}

/// What it shows, the files, and which of them are a circle.
type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a [&'a str]);

#[test]
fn the_check_sees_files_that_import_each_other() {
    let cases: [Case; 12] = [
        (
            "by use",
            &[("src/a.rs", "use crate::b::B; pub struct A(B);"), ("src/b.rs", "use super::a::A; pub struct B(A);")],
            &["src/a.rs", "src/b.rs"],
        ),
        (
            "one way",
            &[("src/a.rs", "use crate::b::B; pub struct A(B);"), ("src/b.rs", "pub struct B; /* crate::a::A */")],
            &[],
        ),
        (
            "by a path in the code",
            &[("src/a.rs", "pub fn a() { crate::b::b() }"), ("src/b.rs", "use super::a; pub fn b() { a::a() }")],
            &["src/a.rs", "src/b.rs"],
        ),
        (
            "by what a macro is given",
            &[("src/a.rs", "pub fn a() { assert!(x.b, crate::b::b()) }"), ("src/b.rs", "pub fn b() { super::a::a() }")],
            &["src/a.rs", "src/b.rs"],
        ),
        (
            "by an attribute",
            &[("src/a.rs", "#[with(crate::b::B)] pub struct A;"), ("src/b.rs", "pub struct B(crate::a::A);")],
            &["src/a.rs", "src/b.rs"],
        ),
        (
            "by everything that is there",
            &[("src/a.rs", "use super::b::*; pub struct A(B);"), ("src/b.rs", "use crate::{a::*}; pub struct B(A);")],
            &["src/a.rs", "src/b.rs"],
        ),
        (
            "in a longer circle",
            &[
                ("src/a.rs", "use crate::b::B as Other; pub struct A(Other);"),
                ("src/b.rs", "use crate::c::C; pub enum B { C(C) }"),
                ("src/c.rs", "pub const C: crate::a::A = 1;"),
            ],
            &["src/a.rs", "src/b.rs", "src/c.rs"],
        ),
        (
            "through the face of their folder, which is in no circle",
            &[
                ("src/a/mod.rs", "mod one; mod two; pub use one::One; pub use two::Two;"),
                ("src/a/one.rs", "use super::Two; pub struct One(Two);"),
                ("src/a/two.rs", "pub struct Two(crate::a::One);"),
            ],
            &["src/a/one.rs", "src/a/two.rs"],
        ),
        (
            "a face that defines something, and uses its folder",
            &[
                ("src/a/mod.rs", "mod one; pub const LIMIT: u32 = 1; pub fn a() { one::one() }"),
                ("src/a/one.rs", "pub fn one() { super::LIMIT }"),
            ],
            &["src/a/mod.rs", "src/a/one.rs"],
        ),
        (
            "a face that defines something, and hands on the rest",
            &[
                ("src/a/mod.rs", "mod one; pub use one::one; pub const LIMIT: u32 = 1;"),
                ("src/a/one.rs", "pub fn one() { super::LIMIT }"),
            ],
            &[],
        ),
        (
            "a face that uses what it hands on",
            &[
                ("src/a/mod.rs", "mod one; pub use one::one; pub const LIMIT: u32 = 1; fn a() { one() }"),
                ("src/a/one.rs", "pub fn one() { super::LIMIT }"),
            ],
            &["src/a/mod.rs", "src/a/one.rs"],
        ),
        (
            "by their unit tests",
            &[
                ("src/a.rs", "pub fn a() {} #[cfg(test)] #[path = \"a_tests.rs\"] mod tests;"),
                ("src/a_tests.rs", "use super::*; use crate::b::b; #[test] fn test() { a(); b(); }"),
                ("src/b.rs", "use crate::a::a; pub fn b() { a() } mod tests { use super::*; }"),
            ],
            &["src/a.rs", "src/b.rs"],
        ),
    ];
    for (case, files, expected) in cases {
        let mut planted = sources::planted(files);
        let declared = ["a", "b", "c"].map(|name| {
            let is_there = files.iter().any(|(path, _)| path.starts_with(&format!("src/{name}")));
            if is_there { format!("mod {name};") } else { String::new() }
        });
        planted.insert("src/lib.rs".to_owned(), declared.concat());
        let imports = imports(&[Crate::read("correio", "src/lib.rs", &planted)]);
        let found: Vec<String> = circles(&imports).into_iter().flat_map(|circle| circle.members).collect();
        assert_eq!(found, expected, "{case}");
    }
}

#[test]
fn the_check_follows_names_from_crate_to_crate() {
    let planted = sources::planted(&[
        ("src/lib.rs", "pub mod a;"),
        ("src/a/mod.rs", "mod one; pub use one::One as Other;"),
        ("src/a/one.rs", "pub struct One;"),
        ("tests/main.rs", "mod story;"),
        ("tests/story.rs", "use correio::a::Other;"),
    ]);
    let crates = [Crate::read("correio", "src/lib.rs", &planted), Crate::read("tests", "tests/main.rs", &planted)];
    let imports = imports(&crates);
    assert_eq!(imports["tests/story.rs"].keys().collect::<Vec<_>>(), ["src/a/one.rs"]);
}

#[test]
#[should_panic(expected = "leads nowhere")]
fn the_check_does_not_pass_over_what_it_cannot_follow() {
    let planted = sources::planted(&[("src/lib.rs", "use crate::a::A;")]);
    imports(&[Crate::read("correio", "src/lib.rs", &planted)]);
}

/// Files of which every one leads to every other.
struct Circle {
    members: Vec<String>,
    /// Which imports which, and by which paths.
    ties: String,
}

/// The imports among the files of one folder.
fn within(root: &str, imports: &Imports) -> Imports {
    let inside = imports.iter().filter(|(from, _)| from.starts_with(root));
    inside
        .map(|(from, to)| {
            let to = to.iter().filter(|(file, _)| file.starts_with(root));
            (from.clone(), to.map(|(file, paths)| (file.clone(), paths.clone())).collect())
        })
        .collect()
}

fn circles(imports: &Imports) -> Vec<Circle> {
    let reach: BTreeMap<&String, BTreeSet<&String>> =
        imports.keys().map(|file| (file, reachable(file, imports))).collect();
    let leads = |from: &String, to: &String| reach[from].contains(to);
    let mut found: Vec<Circle> = Vec::new();
    for file in imports.keys() {
        if leads(file, file) && !found.iter().any(|circle| circle.members.contains(file)) {
            let both_ways = imports.keys().filter(|other| leads(file, other) && leads(other, file));
            let members: Vec<String> = both_ways.cloned().collect();
            let ties = ties(&members, imports);
            found.push(Circle { members, ties });
        }
    }
    found
}

fn ties(members: &[String], imports: &Imports) -> String {
    let mut ties = Vec::new();
    for from in members {
        for (to, paths) in imports[from].iter().filter(|(to, _)| members.contains(to)) {
            let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
            ties.push(format!("{from} imports {to} ({})", paths.join(", ")));
        }
    }
    ties.join("\n")
}

fn reachable<'a>(file: &str, imports: &'a Imports) -> BTreeSet<&'a String> {
    let mut found = BTreeSet::new();
    let mut ahead: Vec<&String> = imports[file].keys().collect();
    while let Some(next) = ahead.pop() {
        if found.insert(next) {
            ahead.extend(imports.get(next).into_iter().flat_map(BTreeMap::keys));
        }
    }
    found
}
