//! Rules for imports: the layers of `server`, and no cycles between the files of a crate.

use std::collections::{BTreeMap, BTreeSet};

use super::assert_none;
use super::source::{File, Mention, product_files};

/// The modules of `server`, the top layer first. Modules in one layer do not import each other.
const SERVER_LAYERS: &[&[&str]] = &[
    &["commands"],
    &["lifecycle"],
    &["http"],
    &["scrape"],
    &["page_driver"],
    &["sessions"],
    &["backup"],
    &["live_view", "operator", "profiles", "sandbox", "workbench"],
    &["cluster"],
    &["store"],
    &["telemetry"],
    &["firecrawl", "object_storage"],
    &["config"],
    &["outgoing"],
    &[
        "api_keys",
        "capacity",
        "certificate_authorities",
        "fair_queue",
        "metrics",
        "test_mode",
        "toolchain",
    ],
    &[
        "clock",
        "countries",
        "embedded",
        "ending",
        "request_rate",
        "team",
        "token",
    ],
];

const SERVER: &str = "crates/server/src/";

/// The path of a module within its crate.
type ModulePath = Vec<String>;

/// Returns the module that a file contains, and the directory of its crate's sources.
fn module_of(file: &File) -> Option<(String, ModulePath)> {
    let (crate_dir, path) = file.path.split_once("/src/")?;
    let path = path.strip_suffix(".rs")?;
    let mut module: ModulePath = path.split('/').map(str::to_owned).collect();
    if module
        .last()
        .is_some_and(|last| ["mod", "lib", "main"].contains(&last.as_str()))
    {
        module.pop();
    }
    Some((crate_dir.to_owned(), module))
}

/// Returns the absolute path within the crate that `mention` in `module` names, if it names one.
fn resolve(
    mention: &Mention,
    module: &ModulePath,
    modules: &BTreeSet<ModulePath>,
) -> Option<ModulePath> {
    let mut base: ModulePath = module.clone();
    base.extend(mention.inline_modules.iter().cloned());
    let mut segments = mention.segments.iter().peekable();
    match segments.peek()?.as_str() {
        "crate" => {
            base.clear();
            segments.next();
        }
        "self" => {
            segments.next();
        }
        "super" => {
            while segments.next_if(|segment| *segment == "super").is_some() {
                base.pop()?;
            }
        }
        // A path that begins with the name of a child module, and no local variable.
        first if mention.segments.len() > 1 => {
            let mut child = base.clone();
            child.push(first.to_owned());
            modules.contains(&child).then_some(())?;
        }
        _ => return None,
    }
    base.extend(segments.cloned());
    Some(base)
}

/// An import between two files of one crate.
struct Import {
    from: ModulePath,
    to: ModulePath,
    /// The file and line, and the path as the file names it.
    location: String,
}

/// Lists the imports between files, by the directory of the crate.
fn imports() -> BTreeMap<String, Vec<Import>> {
    let mut crates: BTreeMap<String, Vec<(File, ModulePath)>> = BTreeMap::new();
    for file in product_files() {
        if let Some((crate_dir, module)) = module_of(&file) {
            crates.entry(crate_dir).or_default().push((file, module));
        }
    }
    let mut all = BTreeMap::new();
    for (crate_dir, files) in crates {
        let modules: BTreeSet<ModulePath> =
            files.iter().map(|(_, module)| module.clone()).collect();
        let mut imports = Vec::new();
        for (file, module) in &files {
            for mention in file.mentions() {
                let Some(mut to) = resolve(&mention, module, &modules) else {
                    continue;
                };
                while !modules.contains(&to) {
                    to.pop();
                }
                if to != *module {
                    let named = mention.segments.join("::");
                    imports.push(Import {
                        from: module.clone(),
                        to,
                        location: format!("{}:{} imports {named}", file.path, mention.line),
                    });
                }
            }
        }
        all.insert(crate_dir, imports);
    }
    all
}

#[test]
fn server_modules_import_only_from_lower_layers() {
    let layer_of = |module: &str| {
        SERVER_LAYERS
            .iter()
            .position(|layer| layer.contains(&module))
    };
    let mut found = Vec::new();
    for file in product_files() {
        if let Some(top) = file.path.strip_prefix(SERVER) {
            let top = top.split(['/', '.']).next().unwrap_or_default();
            if top != "lib" && layer_of(top).is_none() {
                found.push(format!("{} is in no layer; add {top} to one", file.path));
            }
        }
    }
    for import in &imports()["crates/server"] {
        let (Some(from), Some(to)) = (import.from.first(), import.to.first()) else {
            continue;
        };
        if from != to && layer_of(from) >= layer_of(to) {
            found.push(format!("{}, but {from} is not above {to}", import.location));
        }
    }
    assert_none(
        "a module of `server` imports only from layers below its own",
        &found,
    );
}

#[test]
fn files_do_not_import_each_other_in_cycles() {
    let mut found = Vec::new();
    for imports in imports().into_values() {
        let mut targets: BTreeMap<&ModulePath, BTreeSet<&ModulePath>> = BTreeMap::new();
        for import in &imports {
            targets.entry(&import.from).or_default().insert(&import.to);
        }
        let reaches = |from: &ModulePath, to: &ModulePath| {
            let mut seen = BTreeSet::from([from]);
            let mut open = vec![from];
            while let Some(next) = open.pop() {
                for target in targets.get(next).into_iter().flatten().copied() {
                    if target == to {
                        return true;
                    }
                    if seen.insert(target) {
                        open.push(target);
                    }
                }
            }
            false
        };
        found.extend(
            imports
                .iter()
                .filter(|import| reaches(&import.to, &import.from))
                .map(|import| import.location.clone()),
        );
    }
    found.sort();
    assert_none("these imports form a cycle between files", &found);
}
