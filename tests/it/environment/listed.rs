//! docs/environment.md lists the programs, libraries and variables that code finds.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use hearth_test_support::document::assert_section;
use hearth_test_support::{Session, TestServer, repository};
use serde_json::Value;

const DOCUMENT: &str = "docs/environment.md";

/// Lists the versions of programs that do not depend on the system.
const PROGRAMS: &str = "
echo Node $(node -p 'process.versions.node')
echo npm $(npm --version)
echo Playwright for Node $(node -p 'require(\"playwright-core/package.json\").version')
echo Playwright for Python $(python3 -c 'import importlib.metadata as m; print(m.version(\"playwright\"))')
echo agent-browser $(agent-browser --version | grep -o '[0-9.]*$')";

/// Lists the versions of Python's libraries. Those of pip and setuptools depend on the system.
const PYTHON: &str = "
import importlib.metadata, json
found = {each.name.lower().replace('_', '-'): each.version for each in importlib.metadata.distributions()}
json.dumps({name: found[name] for name in sorted(found) if name not in ('pip', 'playwright', 'setuptools')})";

/// Lists the versions of Node's libraries.
const NODE: &str = "
const fs = require('fs');
const root = process.env.NODE_PATH;
const found = fs.readdirSync(root).filter((name) => !/^([.]|playwright)/.test(name));
JSON.stringify(Object.fromEntries(found.map((name) => [name, JSON.parse(fs.readFileSync(`${root}/${name}/package.json`)).version])))";

/// Variables that bash itself sets.
const OF_BASH: [&str; 3] = ["SHLVL", "_", "OLDPWD"];

/// A variable that only programs of kernels have.
const OF_KERNELS: &str = "AGENT_BROWSER_START_URL";

fn read(path: &str) -> String {
    std::fs::read_to_string(repository().join(path)).expect("it exists")
}

/// Returns a table of the libraries in `installed` that `is_chosen` selects, and a sentence with
/// the others.
fn render(title: &str, installed: &Value, is_chosen: impl Fn(&str) -> bool) -> String {
    let installed = installed.as_object().expect("names and versions");
    let mut table = format!("| {title} | version |\n|---|---|\n");
    let mut others = Vec::new();
    for (name, version) in installed {
        let version = version.as_str().expect("a version");
        if is_chosen(name) {
            writeln!(table, "| {name} | {version} |").expect("a string");
        } else {
            others.push(format!("{name} {version}"));
        }
    }
    format!("{table}\nTheir dependencies: {}.\n", others.join(", "))
}

#[tokio::test]
async fn the_environment_of_code_is_documented() {
    let server = TestServer::start().await;
    let session = server.session().await.with_long_timeout();
    let programs = session.bash(PROGRAMS).await.ok().result;
    let mut table = "| program | version |\n|---|---|\n".to_owned();
    for line in programs.lines() {
        let (name, version) = line.rsplit_once(' ').expect("a name and a version");
        writeln!(table, "| {name} | {version} |").expect("a string");
    }
    assert_section(DOCUMENT, "programs", &table);
    let pins = read("runtime/libraries/requirements.txt");
    let (chosen, _) = pins
        .split_once("# their dependencies")
        .expect("the file has two parts");
    let python = session.python(PYTHON).await.ok().json();
    let table = render("Python library", &python, |name| {
        chosen.contains(&format!("\n{name}=="))
    });
    assert_section(DOCUMENT, "python libraries", &table);
    let manifest: Value =
        serde_json::from_str(&read("runtime/libraries/package.json")).expect("JSON");
    let node = session.node(NODE).await.ok().json();
    let table = render("Node library", &node, |name| {
        manifest["dependencies"][name].is_string()
    });
    assert_section(DOCUMENT, "node libraries", &table);
    server.stop().await;
}

/// Returns the names of the variables that `code` prints as JSON.
async fn names(session: &Session, language: &str, code: &str) -> BTreeSet<String> {
    let listed = session.run(language, code).await.ok().json();
    serde_json::from_value(listed).expect("a list of names")
}

#[tokio::test]
async fn every_variable_of_code_is_documented() {
    let text = read(DOCUMENT);
    let (_, section) = text.split_once("\n## Variables\n").expect("a section");
    let section = section.split("\n## ").next().unwrap_or_default();
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    let documented: BTreeSet<String> = rows
        .flat_map(|row| row.split('|').nth(1).unwrap_or_default().split('`'))
        .filter(|part| part.chars().any(char::is_alphanumeric))
        .map(str::to_owned)
        .collect();
    let server = TestServer::start().await;
    let session = server.session().await;
    let node = "JSON.stringify(Object.keys(process.env))";
    assert_eq!(names(&session, "node", node).await, documented);
    let python = "import json, os\njson.dumps(list(os.environ))";
    assert_eq!(names(&session, "python", python).await, documented);
    let bash = "node -p 'JSON.stringify(Object.keys(process.env))'";
    let mut expected = documented;
    expected.remove(OF_KERNELS);
    let mut found = names(&session, "bash", bash).await;
    found.retain(|name| !OF_BASH.contains(&name.as_str()));
    assert_eq!(found, expected);
    server.stop().await;
}
