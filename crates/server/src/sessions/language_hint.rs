//! A hint about the language of code that Bash does not understand. The kernels add such hints
//! to their errors themselves.

/// The exit codes of Bash for a syntax error and for an unknown command.
const NOT_UNDERSTOOD: [i32; 2] = [2, 127];

const PYTHON_STARTS: &[&str] = &[
    "import ",
    "from ",
    "def ",
    "async def ",
    "print(",
    "with ",
    "async with ",
];

const JAVASCRIPT_STARTS: &[&str] = &[
    "const ",
    "let ",
    "var ",
    "function ",
    "async function ",
    "console.",
    "import {",
    "import * as ",
];

/// Returns a line for stderr if Bash failed on code that looks like another language.
pub(super) fn language_hint(code: &str, exit_code: i32, stderr: &str) -> Option<&'static str> {
    let is_understood = !NOT_UNDERSTOOD.contains(&exit_code)
        || !(stderr.contains("syntax error") || stderr.contains("command not found"));
    if is_understood {
        return None;
    }
    let lines = || code.lines().map(str::trim).filter(|line| !line.is_empty());
    let javascript = lines()
        .filter(|line| {
            JAVASCRIPT_STARTS
                .iter()
                .any(|start| line.starts_with(start))
                || line.contains("=>")
                || (line.starts_with("await ") && (line.ends_with(';') || line.contains("; ")))
        })
        .count();
    let python = lines()
        .filter(|line| {
            PYTHON_STARTS.iter().any(|start| line.starts_with(start))
                || (line.ends_with(':') && !line.starts_with('#'))
        })
        .count();
    let awaits = lines().any(|line| line.starts_with("await "));
    match (javascript, python) {
        (0, 0) if awaits => Some(
            "(ran as bash; for JavaScript send \"language\": \"node\", for Python \"python\")\n",
        ),
        (0, 0) => None,
        (javascript, python) if javascript >= python => {
            Some("(ran as bash; for JavaScript send \"language\": \"node\")\n")
        }
        _ => Some("(ran as bash; for Python send \"language\": \"python\")\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_code_that_bash_does_not_understand_gets_a_hint() {
        let failed = |code| language_hint(code, 2, "/bin/bash: line 1: syntax error near …");
        let javascript = Some("(ran as bash; for JavaScript send \"language\": \"node\")\n");
        let python = Some("(ran as bash; for Python send \"language\": \"python\")\n");
        assert_eq!(failed("await page.goto('x');"), javascript);
        assert_eq!(failed("const x = 5;\nconsole.log(x)"), javascript);
        assert_eq!(failed("import os\nprint(os.getcwd())"), python);
        assert_eq!(failed("for x in range(3):\n    print(x)"), python);
        assert_eq!(
            failed("await page.goto('x'); await page.title()"),
            javascript
        );
        let either = Some(
            "(ran as bash; for JavaScript send \"language\": \"node\", for Python \"python\")\n",
        );
        assert_eq!(failed("await page.goto('x')"), either);
        assert_eq!(failed("if true; then"), None);
        assert_eq!(language_hint("print(1)", 1, "syntax error"), None);
        assert_eq!(language_hint("const x", 127, "other"), None);
    }
}
