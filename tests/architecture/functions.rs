//! How long a function may be.

use syn::visit::{self, Visit};

use super::modules::is_test;
use super::sources::{self, Sources};

/// The most lines from a function's `fn` to its closing brace.
const MOST_LINES: usize = 60;

#[test]
fn no_function_is_longer_than_a_screen() {
    assert_eq!(long_functions(&sources::under(&["src"])), Vec::<String>::new());
}

#[test]
fn the_check_measures_every_function_outside_of_tests() {
    let of = |lines: usize, start: &str| format!("{start} {{{}}}", "\n".repeat(lines - 1));
    let method = format!("struct A;\nimpl A {{\n    /// Not counted.\n    {}\n}}", of(62, "async fn b(\n&self\n)"));
    let within = format!("trait C {{ {} }}\n{}", of(61, "fn d(&self)"), of(60, "fn e()"));
    let nested = format!("fn f() {{\n    mod inner {{ {} }}\n}}", of(70, "pub fn g()"));
    let tests = format!("#[cfg(test)]\nmod tests {{ {} }}\n#[test]\n{}", of(99, "fn h()"), of(99, "fn i()"));
    let planted = sources::planted(&[
        ("src/a.rs", &method),
        ("src/b.rs", &within),
        ("src/c.rs", &nested),
        ("src/d.rs", &tests),
        ("src/e_tests.rs", &of(99, "fn j()")),
    ]);
    let expected = [
        "src/a.rs: b has 64 lines",
        "src/b.rs: d has 61 lines",
        "src/c.rs: f has 72 lines",
        "src/c.rs: g has 70 lines",
    ];
    assert_eq!(long_functions(&planted), expected);
}

fn long_functions(sources: &Sources) -> Vec<String> {
    let mut found = Vec::new();
    for (path, source) in sources {
        if path.ends_with("_tests.rs") || path.ends_with("/tests.rs") {
            continue;
        }
        let file = syn::parse_file(source).unwrap_or_else(|error| panic!("{path}: {error}"));
        let mut ruler = Ruler { path, found: &mut found };
        ruler.visit_file(&file);
    }
    found
}

struct Ruler<'a> {
    path: &'a str,
    found: &'a mut Vec<String>,
}

impl Ruler<'_> {
    fn measure(&mut self, signature: &syn::Signature, body: &syn::Block) {
        let lines = body.brace_token.span.close().end().line - signature.fn_token.span.start().line + 1;
        if lines > MOST_LINES {
            self.found.push(format!("{}: {} has {lines} lines", self.path, signature.ident));
        }
    }
}

impl<'ast> Visit<'ast> for Ruler<'_> {
    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        if !is_test(&module.attrs) {
            visit::visit_item_mod(self, module);
        }
    }

    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        if !is_test(&function.attrs) {
            self.measure(&function.sig, &function.block);
            visit::visit_item_fn(self, function);
        }
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        self.measure(&function.sig, &function.block);
        visit::visit_impl_item_fn(self, function);
    }

    fn visit_trait_item_fn(&mut self, function: &'ast syn::TraitItemFn) {
        if let Some(body) = &function.default {
            self.measure(&function.sig, body);
        }
        visit::visit_trait_item_fn(self, function);
    }
}
