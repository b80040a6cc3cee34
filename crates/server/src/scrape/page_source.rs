//! The script that reads a page in the formats of a scrape.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// The parts of the script, in order: the name that later parts know each by, and its file below
/// the runtime directory.
const PARTS: &[(&str, &str)] = &[
    ("dom", "agent-browser/dom.js"),
    ("addressesOf", "agent-browser/addresses.js"),
    ("tree", "agent-browser/tree.js"),
    ("copyTree", "agent-browser/copy.js"),
    ("flattenTables", "agent-browser/tables.js"),
    ("toMarkdown", "agent-browser/markdown.js"),
    ("selectContent", "scrape/main_content.js"),
    ("writeHtml", "scrape/html.js"),
    ("readMetadata", "scrape/metadata.js"),
    ("extract", "scrape/extract.js"),
];

const LIBRARY: &str = ".installed/turndown/turndown.js";
const PLUGIN: &str = ".installed/turndown/turndown-plugin-gfm.cjs.js";

/// A part of the script that cannot be read.
#[derive(Debug, Error)]
#[error("cannot read the script that reads pages, {}: {source}\n  fix: run `make setup` in the repository", path.display())]
pub(crate) struct MissingSource {
    path: PathBuf,
    source: io::Error,
}

/// An expression whose value is a function of the options. It returns the page and its address.
#[derive(Clone, Debug)]
pub(crate) struct PageSource(String);

impl PageSource {
    /// Composes the script from the files below the runtime directory.
    pub fn read(runtime: &Path) -> Result<PageSource, MissingSource> {
        let read = |file: &str| {
            let path = runtime.join(file);
            fs::read_to_string(&path).map_err(|source| MissingSource { path, source })
        };
        let (library, plugin) = (read(LIBRARY)?, read(PLUGIN)?);
        let mut parts = Vec::new();
        for (name, file) in PARTS {
            parts.push(format!("const {name} = {};", read(file)?.trim()));
        }
        let parts = parts.join("\n");
        // The plugin is a CommonJS module.
        Ok(PageSource(format!(
            "(options) => {{ {library}
            const turndownPluginGfm = ((exports) => {{ {plugin}
                return exports; }})({{}});
            {parts}
            return {{ url: location.href, page: extract(options) }}; }}"
        )))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}
