//! The modules of a crate as the compiler would see them: what each declares, imports and mentions.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, Item, UseTree, Visibility};

use super::sources::{Sources, folder};

/// The segments of a path, such as `crate`, `domain`, `text`.
pub type Path = Vec<String>;

/// One crate. Its first module is its root.
pub struct Crate {
    pub name: &'static str,
    pub modules: Vec<Module>,
}

#[derive(Debug, Default)]
pub struct Module {
    /// The file it counts as a part of: of an inline module and of a file of unit tests, the file around it.
    pub file: String,
    pub parent: Option<usize>,
    pub children: BTreeMap<String, usize>,
    /// What is defined here, macros included.
    pub items: BTreeSet<String>,
    pub uses: Vec<Use>,
    /// Every path in its code, also those of one segment.
    pub mentions: BTreeSet<Path>,
}

#[derive(Debug)]
pub struct Use {
    /// Under which name; None of everything that is there (`*`).
    pub name: Option<String>,
    pub path: Path,
    /// `pub use`, which hands on what is elsewhere.
    pub hands_on: bool,
}

impl Crate {
    /// Reads the crate whose root is the file `root`.
    pub fn read(name: &'static str, root: &str, sources: &Sources) -> Self {
        let mut reader = Reader {
            sources,
            modules: vec![Module { file: root.to_owned(), ..Module::default() }],
            here: 0,
            path: root.to_owned(),
            below: folder(root).to_owned(),
        };
        reader.file(root);
        Self { name, modules: reader.modules }
    }
}

/// Whether it is compiled for tests only.
pub fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        syn::Meta::Path(path) => path.is_ident("test"),
        syn::Meta::List(list) => list.path.is_ident("cfg") && list.tokens.to_string() == "test",
        syn::Meta::NameValue(_) => false,
    })
}

struct Reader<'a> {
    sources: &'a Sources,
    modules: Vec<Module>,
    /// The module that is being read.
    here: usize,
    /// The file that its code is in.
    path: String,
    /// The folder that holds the files of its modules.
    below: String,
}

impl Reader<'_> {
    fn module(&mut self) -> &mut Module {
        &mut self.modules[self.here]
    }

    /// Reads what `path` holds as the contents of the module that is being read.
    fn file(&mut self, path: &str) {
        let source = self.sources.get(path).unwrap_or_else(|| panic!("{path} is declared but does not exist"));
        let file = syn::parse_file(source).unwrap_or_else(|error| panic!("{path}: {error}"));
        self.visit_file(&file);
    }

    /// Goes into a module of the one that is being read, and comes back.
    fn within(&mut self, name: &str, file: String, path: &str, below: String, read: impl FnOnce(&mut Self)) {
        let child = self.modules.len();
        self.modules.push(Module { file, parent: Some(self.here), ..Module::default() });
        self.module().children.insert(name.to_owned(), child);
        let outside = (
            std::mem::replace(&mut self.here, child),
            std::mem::replace(&mut self.path, path.to_owned()),
            std::mem::replace(&mut self.below, below),
        );
        read(self);
        (self.here, self.path, self.below) = outside;
    }

    /// The file of a module that is declared here.
    fn file_of(&self, name: &str) -> String {
        let beside = format!("{}/{name}.rs", self.below);
        if self.sources.contains_key(&beside) { beside } else { format!("{}/{name}/mod.rs", self.below) }
    }

    fn mention(&mut self, path: Path) {
        self.module().mentions.insert(path);
    }

    /// What a macro is given is not parsed: whatever looks like a path in it is one.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut path = Path::new();
        let (mut colons, mut after_a_dot) = (0, false);
        for token in tokens {
            match &token {
                TokenTree::Ident(name) => {
                    if colons != 2 {
                        self.end_of(&mut path);
                    }
                    if !after_a_dot {
                        path.push(name.to_string());
                    }
                }
                TokenTree::Group(group) => self.tokens(group.stream()),
                _ => {}
            }
            match &token {
                TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
                TokenTree::Ident(_) => colons = 0,
                _ => {
                    colons = 0;
                    self.end_of(&mut path);
                }
            }
            after_a_dot = matches!(&token, TokenTree::Punct(punct) if punct.as_char() == '.');
        }
        self.end_of(&mut path);
    }

    fn end_of(&mut self, path: &mut Path) {
        if !path.is_empty() {
            self.mention(std::mem::take(path));
        }
    }

    fn uses(&mut self, tree: &UseTree, before: &[String], hands_on: bool) {
        let with = |name: &syn::Ident| -> Path { before.iter().cloned().chain([name.to_string()]).collect() };
        let (name, path) = match tree {
            UseTree::Path(part) => return self.uses(&part.tree, &with(&part.ident), hands_on),
            UseTree::Group(group) => return group.items.iter().for_each(|tree| self.uses(tree, before, hands_on)),
            UseTree::Glob(_) => (None, before.to_vec()),
            UseTree::Name(part) if part.ident == "self" => (before.last().cloned(), before.to_vec()),
            UseTree::Name(part) => (Some(part.ident.to_string()), with(&part.ident)),
            UseTree::Rename(part) if part.ident == "self" => (Some(part.rename.to_string()), before.to_vec()),
            UseTree::Rename(part) => (Some(part.rename.to_string()), with(&part.ident)),
        };
        self.module().uses.push(Use { name, path, hands_on });
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        let name = module.ident.to_string();
        let elsewhere = path_attribute(&module.attrs);
        if let Some((_, items)) = &module.content {
            let below = match &elsewhere {
                Some(elsewhere) => joined(folder(&self.path), elsewhere),
                None => format!("{}/{name}", self.below),
            };
            let (file, path) = (self.module().file.clone(), self.path.clone());
            self.within(&name, file, &path, below, |reader| items.iter().for_each(|item| reader.visit_item(item)));
            return;
        }
        let path = match &elsewhere {
            Some(elsewhere) => joined(folder(&self.path), elsewhere),
            None => self.file_of(&name),
        };
        let owns_its_folder = elsewhere.is_some() || path.ends_with("/mod.rs");
        let below = if owns_its_folder { folder(&path).to_owned() } else { path.trim_end_matches(".rs").to_owned() };
        // Tests of what is private in a file, moved out of it because they are long.
        let is_part_of_this = elsewhere.is_some() && path.ends_with("_tests.rs");
        let file = if is_part_of_this { self.module().file.clone() } else { path.clone() };
        self.within(&name, file, &path, below, |reader| reader.file(&path));
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        let hands_on = !matches!(item.vis, Visibility::Inherited);
        self.uses(&item.tree, &[], hands_on);
    }

    fn visit_item(&mut self, item: &'ast Item) {
        let name = match item {
            Item::Const(item) => Some(&item.ident),
            Item::Enum(item) => Some(&item.ident),
            Item::Fn(item) => Some(&item.sig.ident),
            Item::Macro(item) => item.ident.as_ref(),
            Item::Static(item) => Some(&item.ident),
            Item::Struct(item) => Some(&item.ident),
            Item::Trait(item) => Some(&item.ident),
            Item::Type(item) => Some(&item.ident),
            Item::Union(item) => Some(&item.ident),
            _ => None,
        };
        if let Some(name) = name {
            self.module().items.insert(name.to_string());
        }
        visit::visit_item(self, item);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.mention(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        visit::visit_macro(self, call);
        self.tokens(call.tokens.clone());
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        if let syn::Meta::List(list) = &attribute.meta {
            self.tokens(list.tokens.clone());
        }
    }
}

/// The text of `#[path = "..."]`.
fn path_attribute(attributes: &[Attribute]) -> Option<String> {
    attributes.iter().find_map(|attribute| match &attribute.meta {
        syn::Meta::NameValue(syn::MetaNameValue { path, value: syn::Expr::Lit(literal), .. })
            if path.is_ident("path") =>
        {
            match &literal.lit {
                syn::Lit::Str(text) => Some(text.value()),
                _ => None,
            }
        }
        _ => None,
    })
}

fn joined(folder: &str, relative: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').collect();
    for part in relative.split('/') {
        match part {
            "." => {}
            ".." => _ = parts.pop(),
            part => parts.push(part),
        }
    }
    parts.join("/")
}
