//! `hearth completions` and `hearth man`: print files that packages install.

use std::io::Write;
use std::process::ExitCode;

use clap::Command;
use clap_complete::Shell;

/// Prints a script that completes commands and flags in `shell`.
pub(super) fn print_completions(mut command: Command, shell: Shell) -> ExitCode {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, "hearth", &mut script);
    print(&script)
}

/// Prints the man page of `command`, or of one of its subcommands.
pub(super) fn print_man_page(mut command: Command, subcommand: Option<&str>) -> ExitCode {
    command.build();
    let page = match subcommand {
        None => clap_mangen::Man::new(command),
        Some(name) => {
            let Some(found) = command.find_subcommand(name) else {
                let names: Vec<&str> = command.get_subcommands().map(Command::get_name).collect();
                let _ = writeln!(
                    std::io::stderr(),
                    "hearth: cannot print the man page of {name}: unknown command\n  use one of {}",
                    names.join(", ")
                );
                return ExitCode::from(2);
            };
            // `git-log(1)` and `cargo-build(1)` are named the same way.
            clap_mangen::Man::new(found.clone().name(format!("hearth-{name}").leak() as &str))
        }
    };
    let mut text = Vec::new();
    match page.render(&mut text) {
        Ok(()) => print(&text),
        Err(error) => {
            let _ = writeln!(
                std::io::stderr(),
                "hearth: cannot print the man page: {error}"
            );
            ExitCode::FAILURE
        }
    }
}

fn print(text: &[u8]) -> ExitCode {
    // The write fails if the reader closed the pipe, such as `head`.
    let _ = std::io::stdout().lock().write_all(text);
    ExitCode::SUCCESS
}
