//! Runs the code blocks of README.md and docs/clients.md.
//!
//! A fenced block with the word `tested` after its language is run. The `text` block below it must
//! equal its output, where `…` matches anything within a line. Blocks of JSON are configuration
//! files, which `configurations.rs` tests.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Stdio;

use hearth_test_support::{ClientHome, TestServer, binary, repository};

use super::client::run;

/// One code block and its expected output.
#[derive(Debug)]
struct Snippet {
    language: String,
    code: String,
    output: String,
}

/// Runs every snippet against a server, with its key if it has one.
pub async fn run_all(server: &TestServer, key: Option<&str>) {
    let snippets = ["README.md", "docs/clients.md"]
        .into_iter()
        .flat_map(|page| snippets(&fs::read_to_string(repository().join(page)).unwrap()))
        .collect::<Vec<_>>();
    assert_eq!(snippets.len(), 9, "one for each client: {snippets:#?}");
    for snippet in &snippets {
        let home = home_with_clients();
        let (file, interpreter) = match snippet.language.as_str() {
            "js" => (
                "snippet.mjs",
                repository().join("runtime/.installed/bin/node"),
            ),
            "python" => ("snippet.py", repository().join("tests/.venv/bin/python")),
            "sh" => ("snippet.sh", PathBuf::from("/bin/sh")),
            other => panic!("no client runs {other}"),
        };
        fs::write(home.path().join(file), &snippet.code).unwrap();
        let mut command = home.command("sh");
        command
            .args([
                "-c",
                "exec 2>&1; \"$@\"",
                "sh",
                interpreter.to_str().unwrap(),
                file,
            ])
            .env(
                "PATH",
                format!("{}/bin:/usr/bin:/bin", home.path().display()),
            )
            .env("AGENT_BROWSER_SOCKET_DIR", home.path())
            .env("FIRECRAWL_API_URL", server.origin())
            .env("HEARTH_URL", server.origin())
            .stdin(Stdio::null());
        if let Some(key) = key {
            command.env("FIRECRAWL_API_KEY", key);
            command.env("HEARTH_API_KEY", key);
        }
        let ran = run(command).await;
        assert_eq!(ran.code, 0, "{snippet:#?}\n{}", ran.stdout);
        assert!(
            is_like(&ran.stdout, &snippet.output),
            "{snippet:#?}\nprints\n{}",
            ran.stdout
        );
        home.assert_nothing_runs().await;
    }
}

/// Creates a home dir with the clients installed, as if the user had followed README.md.
fn home_with_clients() -> ClientHome {
    let home = ClientHome::default();
    let (modules, programs) = (home.path().join("node_modules"), home.path().join("bin"));
    for dir in [&modules, &programs] {
        fs::create_dir(dir).unwrap();
    }
    let official = repository().join("tests/official/node_modules");
    let installed = repository().join("runtime/.installed");
    symlink(official.join("firecrawl"), modules.join("firecrawl")).unwrap();
    symlink(
        installed.join("playwright-core"),
        modules.join("playwright-core"),
    )
    .unwrap();
    symlink(
        official.join("firecrawl-cli/dist/index.js"),
        programs.join("firecrawl"),
    )
    .unwrap();
    symlink(binary(), programs.join("hearth")).unwrap();
    symlink(installed.join("bin/node"), programs.join("node")).unwrap();
    symlink(
        installed.join("bin/agent-browser"),
        programs.join("agent-browser"),
    )
    .unwrap();
    home
}

/// Returns the content of every fenced block of this kind.
pub fn blocks<'a>(document: &'a str, kind: &str) -> Vec<&'a str> {
    let fences = document.split("\n```").skip(1).step_by(2);
    fences
        .filter_map(|block| block.split_once('\n'))
        .filter(|(found, _)| *found == kind)
        .map(|(_, text)| text)
        .collect()
}

fn snippets(document: &str) -> Vec<Snippet> {
    let mut found: Vec<Snippet> = Vec::new();
    let mut fences = document.split("\n```").skip(1).step_by(2);
    while let Some(block) = fences.next() {
        let (kind, text) = block.split_once('\n').unwrap();
        let Some(language) = kind.strip_suffix(" tested").filter(|name| *name != "json") else {
            continue;
        };
        let output = fences.next().and_then(|block| block.strip_prefix("text\n"));
        let output = output.unwrap_or_else(|| panic!("no output below {text}"));
        found.push(Snippet {
            language: language.to_owned(),
            code: format!("{text}\n"),
            output: output.to_owned(),
        });
    }
    found
}

/// Returns true if the output matches the expected lines.
fn is_like(printed: &str, expected: &str) -> bool {
    let (printed, expected): (Vec<&str>, Vec<&str>) = (
        printed.trim().lines().collect(),
        expected.trim().lines().collect(),
    );
    printed.len() == expected.len()
        && printed
            .iter()
            .zip(expected)
            .all(|(line, expected)| is_line_like(line, expected))
}

fn is_line_like(line: &str, expected: &str) -> bool {
    let (line, expected) = (line.trim_end(), expected.trim_end());
    let Some((start, rest)) = expected.split_once('…') else {
        return line == expected;
    };
    let Some(line) = line.strip_prefix(start) else {
        return false;
    };
    let end = rest.rsplit('…').next().unwrap_or_default();
    line.ends_with(end) && rest.split('…').all(|part| line.contains(part))
}
