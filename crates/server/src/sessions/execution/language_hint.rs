//! A hint about the language of code that Bash does not understand. The kernels add such hints
//! to their errors themselves.

/// The exit codes of Bash for a syntax error and for an unknown command.
const NOT_UNDERSTOOD: [i32; 2] = [2, 127];

const JAVASCRIPT: &str = "(ran as bash; for JavaScript send \"language\": \"node\")\n";
const PYTHON: &str = "(ran as bash; for Python send \"language\": \"python\")\n";
const EITHER: &str =
    "(ran as bash; for JavaScript send \"language\": \"node\", for Python \"python\")\n";

const PYTHON_STARTS: &[&str] = &[
    "import ",
    "from ",
    "def ",
    "async def ",
    "print(",
    "with ",
    "async with ",
];

/// The first words of Python's compound statements, whose lines end with a colon.
const PYTHON_BLOCKS: &[&str] = &[
    "if", "elif", "else:", "for", "while", "class", "try:", "except", "except:", "finally:",
];

const JAVASCRIPT_STARTS: &[&str] = &[
    "const ",
    "var ",
    "async function ",
    "console.",
    "import {",
    "import * as ",
    "export default ",
    "module.exports",
    "} else ",
];

/// The first words of commands, and the words between them, that only occur in Bash.
const BASH_WORDS: &[&str] = &[
    "agent-browser",
    "apt-get",
    "cd",
    "curl",
    "done",
    "echo",
    "esac",
    "fi",
    "grep",
    "ls",
    "mkdir",
    "npm",
    "pip",
    "set",
    "then",
];

/// Returns a line for stderr if Bash failed on code that looks like another language.
pub(in crate::sessions) fn language_hint(
    code: &str,
    exit_code: i32,
    stderr: &str,
) -> Option<&'static str> {
    let is_understood = !NOT_UNDERSTOOD.contains(&exit_code)
        || !(stderr.contains("syntax error") || stderr.contains("command not found"));
    if is_understood {
        return None;
    }
    match interpreter(code) {
        Some("node" | "nodejs") => return Some(JAVASCRIPT),
        Some(name) if name.starts_with("python") => return Some(PYTHON),
        Some(_) => return None,
        None => {}
    }
    let lines = || code.lines().map(str::trim).filter(|line| !line.is_empty());
    if lines().any(is_bash) {
        return None;
    }
    let javascript = lines().filter(|line| is_javascript(line)).count();
    let python = lines().filter(|line| is_python(line)).count();
    match (javascript, python) {
        (0, 0) if lines().any(is_either) => Some(EITHER),
        (0, 0) => None,
        (javascript, python) if javascript >= python => Some(JAVASCRIPT),
        _ => Some(PYTHON),
    }
}

/// Returns the name of the program in a shebang line, such as `python3`.
fn interpreter(code: &str) -> Option<&str> {
    let command = code.lines().next()?.strip_prefix("#!")?;
    let programs = command.split_whitespace();
    let mut names = programs.map(|word| word.rsplit('/').next().unwrap_or(word));
    names.find(|name| *name != "env" && !name.starts_with('-'))
}

fn is_bash(line: &str) -> bool {
    let word = line.split([' ', ';']).next().unwrap_or(line);
    BASH_WORDS.contains(&word) || line.starts_with("if [")
}

fn is_javascript(line: &str) -> bool {
    let is_start = JAVASCRIPT_STARTS
        .iter()
        .any(|start| line.starts_with(start));
    // Bash has `let i=1`, `function name {`, `name=$(command);` and `(command);`.
    let is_declaration = line.starts_with("let ") && line.contains(" = ")
        || line.starts_with("function ") && line.contains('(') && !line.contains("()");
    let is_call = line.ends_with(");")
        && !line.starts_with('(')
        && !line.contains("$(")
        && !line.contains("=(");
    let is_await = line.starts_with("await ") && (line.ends_with(';') || line.contains("; "));
    is_start || is_declaration || is_call || is_await || line.contains("=>")
}

fn is_python(line: &str) -> bool {
    let word = line.split(' ').next().unwrap_or(line);
    PYTHON_STARTS.iter().any(|start| line.starts_with(start))
        || (line.ends_with(':') && PYTHON_BLOCKS.contains(&word))
}

fn is_either(line: &str) -> bool {
    line.starts_with("await ") || line.starts_with("page.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(code: &str) -> Option<&'static str> {
        language_hint(code, 2, "/bin/bash: line 1: syntax error near …")
    }

    #[test]
    fn code_that_bash_does_not_understand_gets_a_hint() {
        let cases = [
            ("await page.goto('x');", JAVASCRIPT),
            ("const x = 5;\nconsole.log(x)", JAVASCRIPT),
            ("let x = 5\nx", JAVASCRIPT),
            ("await page.goto('x'); await page.title()", JAVASCRIPT),
            ("page.on('console', print);", JAVASCRIPT),
            ("function f(a) {\n  return a\n}", JAVASCRIPT),
            ("if (a) {\n} else {\n}", JAVASCRIPT),
            ("#!/usr/bin/env -S node --harmony\nf(1)", JAVASCRIPT),
            ("import os\nprint(os.getcwd())", PYTHON),
            ("for x in range(3):\n    f(x)", PYTHON),
            ("#!/usr/bin/python3.11 -u\nf(1)", PYTHON),
            ("await page.goto('x')", EITHER),
            ("page.goto('x')", EITHER),
        ];
        for (code, hint) in cases {
            assert_eq!(failed(code), Some(hint), "{code}");
        }
    }

    #[test]
    fn code_that_looks_like_bash_gets_no_hint() {
        let cases = [
            "if true; then",
            "let i=i+1\nmissing",
            "function f() {\nmissing",
            "function f {\nmissing",
            "name=$(missing);",
            "list=(a b); (missing);",
            ":\nmissing",
            "echo 'a => b'\nmissing",
            "#!/bin/sh\nconst x = 5",
        ];
        for code in cases {
            assert_eq!(failed(code), None, "{code}");
        }
        assert_eq!(language_hint("print(1)", 1, "syntax error"), None);
        assert_eq!(language_hint("const x", 127, "other"), None);
    }
}
