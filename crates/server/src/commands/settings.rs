//! `hearth settings`: every setting as a table in Markdown, which is what docs/CONFIGURATION.md
//! has.

use std::fmt::Write as _;
use std::io::Write;
use std::process::ExitCode;

use crate::config::{Described, describe};

pub(super) fn run() -> ExitCode {
    // A reader that goes away has read enough.
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
            // Writing to a string does not fail.
            let _ = write!(
                text,
                "{gap}## {}\n\n| variable and flag | default | what it is |\n|---|---|---|\n",
                setting.heading
            );
            heading = Some(&setting.heading);
        }
        let Described {
            variable,
            flag,
            value,
            default,
            help,
            ..
        } = setting;
        let default = default.as_deref().unwrap_or("none");
        let _ = writeln!(
            text,
            "| `{variable}`<br>`--{flag} {value}` | {default} | {}. |",
            help.replace('|', "\\|")
        );
    }
    text
}
