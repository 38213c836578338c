//! Which file imports which: every path of the code, followed to the file that defines what it names.

use std::collections::{BTreeMap, BTreeSet};

use super::modules::{Crate, Module};

/// For each file, the files that it imports, each with the paths by which it does.
pub type Imports = BTreeMap<String, BTreeMap<String, BTreeSet<String>>>;

/// What the files of some crates import, which know each other by name.
///
/// The `mod.rs` of a folder is its face: what it declares and hands on, it does not import, and what a path finds through
/// it is imported from where it is defined.
///
/// # Panics
/// When a `use` of what is ours leads nowhere: then the checks would miss what it imports.
pub fn imports(crates: &[Crate]) -> Imports {
    let mut imports = Imports::new();
    for (index, of) in crates.iter().enumerate() {
        for (module, content) in of.modules.iter().enumerate() {
            let here = Place { of: index, module };
            let is_face = module == 0 || content.file.ends_with("/mod.rs");
            let mut import = |path: &[String], found: Option<Found>| {
                if let Some(Found::Item(file)) = found
                    && file != content.file
                {
                    let to = imports.entry(content.file.clone()).or_default();
                    to.entry(file.to_owned()).or_default().insert(path.join("::"));
                }
            };
            for each in &content.uses {
                let found = follow(crates, here, &each.path);
                assert!(
                    found.is_some() || !is_ours(crates, &each.path) || is_made_by_a_macro(&each.path),
                    "{}: {:?} leads nowhere",
                    content.file,
                    each.path
                );
                if !(is_face && each.hands_on) {
                    import(&each.path, found);
                }
            }
            for path in &content.mentions {
                import(path, follow(crates, here, path));
            }
        }
    }
    imports
}

/// What a macro defines is not parsed: the definitions of these stand in `columns!`.
fn is_made_by_a_macro(path: &[String]) -> bool {
    let made = ["message_columns", "message_columns_with_content_if"];
    path.last().is_some_and(|name| made.contains(&name.as_str()))
}

fn is_ours(crates: &[Crate], path: &[String]) -> bool {
    let first = path.first().map_or("", String::as_str);
    ["crate", "self", "super"].contains(&first) || crates.iter().any(|each| each.name == first)
}

fn follow<'a>(crates: &'a [Crate], from: Place, path: &[String]) -> Option<Found<'a>> {
    Search { crates, asked: BTreeSet::new() }.path(from, path)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    of: usize,
    module: usize,
}

#[derive(Clone, Copy)]
enum Found<'a> {
    Module(Place),
    /// The file that defines it.
    Item(&'a str),
}

struct Search<'a> {
    crates: &'a [Crate],
    /// What is being looked for, so that names that lead to each other lead nowhere.
    asked: BTreeSet<(Place, String, bool)>,
}

impl<'a> Search<'a> {
    fn path(&mut self, from: Place, path: &[String]) -> Option<Found<'a>> {
        let mut here = from;
        for (index, name) in path.iter().enumerate() {
            let is_last = index + 1 == path.len();
            let next = match name.as_str() {
                "crate" => Some(Found::Module(Place { module: 0, ..here })),
                "self" => Some(Found::Module(here)),
                "super" => self.parent(here).map(Found::Module),
                name => self
                    .name(here, name, !is_last)
                    .or_else(|| if index == 0 { self.named_crate(name).map(Found::Module) } else { None }),
            };
            match next? {
                Found::Module(module) => here = module,
                // What follows belongs to it: a variant, a function.
                found @ Found::Item(_) => return Some(found),
            }
        }
        Some(Found::Module(here))
    }

    /// What `name` means in a module. The same name may be a module's and an item's.
    fn name(&mut self, here: Place, name: &str, as_module: bool) -> Option<Found<'a>> {
        let asked = (here, name.to_owned(), as_module);
        if !self.asked.insert(asked.clone()) {
            return None;
        }
        let crates = self.crates;
        let module = &crates[here.of].modules[here.module];
        let child = module.children.get(name).map(|module| Found::Module(Place { module: *module, ..here }));
        let item = module.items.contains(name).then_some(Found::Item(&module.file));
        let found = if as_module {
            child.or(item).or_else(|| self.import(here, module, name, as_module))
        } else {
            item.or_else(|| self.import(here, module, name, as_module)).or(child)
        };
        self.asked.remove(&asked);
        found
    }

    /// What `name` means by a `use`.
    fn import(&mut self, here: Place, module: &'a Module, name: &str, as_module: bool) -> Option<Found<'a>> {
        let mut named = module.uses.iter().filter(|each| each.name.as_deref() == Some(name));
        let mut everything = module.uses.iter().filter(|each| each.name.is_none());
        named.find_map(|each| self.path(here, &each.path)).or_else(|| {
            everything.find_map(|each| match self.path(here, &each.path)? {
                Found::Module(there) if there != here => self.name(there, name, as_module),
                _ => None,
            })
        })
    }

    fn parent(&self, place: Place) -> Option<Place> {
        let parent = self.crates[place.of].modules[place.module].parent?;
        Some(Place { module: parent, ..place })
    }

    fn named_crate(&self, name: &str) -> Option<Place> {
        let of = self.crates.iter().position(|each| each.name == name)?;
        Some(Place { of, module: 0 })
    }
}
