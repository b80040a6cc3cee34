//! The files of the repository, and the paths that Rust code names.

use std::path::Path;
use std::process::Command;

use hearth_test_support::repository;
use proc_macro2::{TokenStream, TokenTree};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

/// A text file of the repository.
pub struct File {
    /// Relative to the root.
    pub path: String,
    pub text: String,
}

impl File {
    pub fn is_rust(&self) -> bool {
        self.has_extension(&["rs"])
    }

    pub fn has_extension(&self, extensions: &[&str]) -> bool {
        let extension = Path::new(&self.path)
            .extension()
            .and_then(|extension| extension.to_str());
        extension.is_some_and(|extension| extensions.contains(&extension))
    }

    /// Returns true if it is compiled only for tests.
    pub fn is_test(&self) -> bool {
        self.path.starts_with("tests/")
            || self.path.contains("/tests/")
            || self.path.ends_with("/tests.rs")
            || self.path.ends_with("/fuzz.rs")
    }

    /// Lists the paths that its code names, except in items for tests.
    pub fn mentions(&self) -> Vec<Mention> {
        let file = syn::parse_file(&self.text)
            .unwrap_or_else(|error| panic!("cannot parse {}: {error}", self.path));
        let mut collector = Collector::default();
        collector.visit_file(&file);
        collector.found
    }
}

/// A path in Rust code, such as `std::env::var`.
pub struct Mention {
    pub segments: Vec<String>,
    /// The first line of a file is 1.
    pub line: usize,
    /// The inline modules around it, outermost first.
    pub inline_modules: Vec<String>,
}

impl Mention {
    /// Returns true if the path is `path` or begins with it.
    pub fn starts_with(&self, path: &str) -> bool {
        let mut segments = self.segments.iter();
        path.split("::")
            .all(|part| segments.next().is_some_and(|segment| segment == part))
    }
}

#[derive(Default)]
struct Collector {
    inline_modules: Vec<String>,
    found: Vec<Mention>,
}

impl Collector {
    fn add(&mut self, segments: Vec<String>, line: usize) {
        self.found.push(Mention {
            segments,
            line,
            inline_modules: self.inline_modules.clone(),
        });
    }

    fn add_tree(&mut self, prefix: &[String], tree: &syn::UseTree) {
        let line = tree.span().start().line;
        let with = |name: String| {
            let mut segments = prefix.to_vec();
            if name != "self" {
                segments.push(name);
            }
            segments
        };
        match tree {
            syn::UseTree::Path(path) => {
                let mut prefix = prefix.to_vec();
                prefix.push(path.ident.to_string());
                self.add_tree(&prefix, &path.tree);
            }
            syn::UseTree::Name(name) => self.add(with(name.ident.to_string()), line),
            syn::UseTree::Rename(name) => self.add(with(name.ident.to_string()), line),
            syn::UseTree::Glob(_) => self.add(with("*".to_owned()), line),
            syn::UseTree::Group(group) => {
                for tree in &group.items {
                    self.add_tree(prefix, tree);
                }
            }
        }
    }

    /// Adds every `a::b` in the arguments of a macro, which the parser leaves as tokens.
    fn add_tokens(&mut self, tokens: TokenStream) {
        let mut segments: Vec<String> = Vec::new();
        let mut line = 0;
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Ident(ident) => {
                    if colons != 2 {
                        self.add_path(&mut segments, line);
                        line = ident.span().start().line;
                    }
                    segments.push(ident.to_string());
                    colons = 0;
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
                TokenTree::Group(group) => {
                    self.add_path(&mut segments, line);
                    colons = 0;
                    self.add_tokens(group.stream());
                }
                TokenTree::Punct(_) | TokenTree::Literal(_) => {
                    self.add_path(&mut segments, line);
                    colons = 0;
                }
            }
        }
        self.add_path(&mut segments, line);
    }

    fn add_path(&mut self, segments: &mut Vec<String>, line: usize) {
        let segments = std::mem::take(segments);
        if segments.len() > 1 {
            self.add(segments, line);
        }
    }
}

impl<'ast> Visit<'ast> for Collector {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        if !is_for_tests(attributes(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        if module.content.is_some() {
            self.inline_modules.push(module.ident.to_string());
            visit::visit_item_mod(self, module);
            self.inline_modules.pop();
        }
    }

    /// Skips `pub(crate)`, which is not an import.
    fn visit_visibility(&mut self, _: &'ast syn::Visibility) {}

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.add_tree(&[], &item.tree);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments = path
            .segments
            .iter()
            .map(|segment| segment.ident.to_string())
            .collect();
        self.add(segments, path.span().start().line);
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        visit::visit_macro(self, call);
        self.add_tokens(call.tokens.clone());
    }
}

fn attributes(item: &syn::Item) -> &[syn::Attribute] {
    match item {
        syn::Item::Const(item) => &item.attrs,
        syn::Item::Enum(item) => &item.attrs,
        syn::Item::Fn(item) => &item.attrs,
        syn::Item::Impl(item) => &item.attrs,
        syn::Item::Mod(item) => &item.attrs,
        syn::Item::Static(item) => &item.attrs,
        syn::Item::Struct(item) => &item.attrs,
        syn::Item::Trait(item) => &item.attrs,
        syn::Item::Type(item) => &item.attrs,
        syn::Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// Returns true for `#[cfg(test)]`.
fn is_for_tests(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute
                .parse_args::<syn::Path>()
                .is_ok_and(|condition| condition.is_ident("test"))
    })
}

/// The directory of a library that is included unchanged. `vendored` checks its files.
pub const VENDORED: &str = "crates/server/src/workbench/codemirror/";

/// Lists the text files that git tracks or would track, except those of included libraries.
pub fn files() -> Vec<File> {
    // Git rejects a checkout that belongs to another user, as in most containers, without the
    // setting.
    let output = Command::new("git")
        .args(["-c", "safe.directory=*", "ls-files", "-z"])
        .args(["--cached", "--others", "--exclude-standard"])
        .current_dir(repository())
        .output()
        .expect("git is installed");
    assert!(
        output.status.success(),
        "git ls-files: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let root = repository();
    let paths = String::from_utf8(output.stdout).expect("paths are UTF-8");
    let mut files: Vec<File> = paths
        .split_terminator('\0')
        .filter(|path| !path.starts_with(VENDORED))
        // A deletion that is not committed is still listed, and a binary file has no text.
        .filter_map(|path| {
            Some(File {
                path: path.to_owned(),
                text: std::fs::read_to_string(root.join(path)).ok()?,
            })
        })
        .collect();
    files.sort_by(|one, other| one.path.cmp(&other.path));
    files.dedup_by(|one, other| one.path == other.path);
    assert!(
        files.iter().any(|file| file.path == "src/main.rs"),
        "git ls-files lists the sources"
    );
    files
}

/// Lists the Rust files of the product.
pub fn product_files() -> Vec<File> {
    let is_product = |file: &File| {
        let is_inside = ["crates/", "src/"]
            .iter()
            .any(|dir| file.path.starts_with(dir));
        file.is_rust() && !file.is_test() && (is_inside || file.path == "build.rs")
    };
    files().into_iter().filter(is_product).collect()
}

/// Returns the text of a file that must exist.
pub fn read(path: &str) -> String {
    let path = repository().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn mentions_are_found_in_code_and_not_in_text_or_tests() {
    let text = r##"
        /// std::env in a comment /* of any kind */
        fn real<'a>(x: &'a str) -> char { std::env::var(r#"std::env " "#); '"' }
        use std::{fs, env, process::{Command, exit}};
        const S: &str = "a \" std::env"; const C: char = '\'';
        #[cfg(test)]
        mod tests { fn unit() { std::env::args(); } }
        fn last() { println!("{}", std::env::vars()) } /* std::env /* std::env */ std::env */
        mod inner { use super::real; }
    "##;
    let file = File {
        path: "crates/x/src/y.rs".to_owned(),
        text: text.to_owned(),
    };
    let mentions = file.mentions();
    let lines = |path| {
        mentions
            .iter()
            .filter(|mention| mention.starts_with(path))
            .map(|mention| mention.line)
            .collect::<Vec<_>>()
    };
    assert_eq!(lines("std::env"), [3, 4, 8]);
    assert_eq!(lines("std::process::Command"), [4]);
    let inner = mentions
        .iter()
        .find(|mention| mention.starts_with("super::real"))
        .expect("it is named");
    assert_eq!(inner.inline_modules, ["inner"]);
}
