//! `hearth settings`: prints every setting as a Markdown table, the content of
//! docs/CONFIGURATION.md.

use std::fmt::Write as _;
use std::io::Write;
use std::process::ExitCode;

use crate::config::{Described, describe};

pub(super) fn run() -> ExitCode {
    // A closed pipe is not an error.
    let _ = std::io::stdout()
        .lock()
        .write_all(render(&describe()).as_bytes());
    ExitCode::SUCCESS
}

fn render(settings: &[Described]) -> String {
    let mut text = String::new();
    let mut heading = None;
    for setting in settings {
        if heading != Some(&setting.heading) {
            let gap = if heading.is_some() { "\n" } else { "" };
            // Writing to a string cannot fail.
            let _ = write!(
                text,
                "{gap}## {}\n\n| Setting | Default | Accepted | Description |\n|---|---|---|---|\n",
                setting.heading
            );
            heading = Some(&setting.heading);
        }
        let Described {
            variable,
            flag,
            value,
            default,
            accepted,
            help,
            is_reloadable,
            ..
        } = setting;
        let default = default.as_deref().unwrap_or("none");
        let accepted = accepted.as_deref().unwrap_or_default();
        let reloadable = if *is_reloadable { " *Reloadable.*" } else { "" };
        let _ = writeln!(
            text,
            "| `{variable}`<br>`--{flag} {value}` | {default} | {accepted} | {}.{reloadable} |",
            help.replace('|', "\\|")
        );
    }
    text
}
