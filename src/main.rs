//! The only binary, which contains the server, its commands, and the shim between the server and
//! every program.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use hearth_server::commands::Cli;

#[expect(
    clippy::disallowed_methods,
    reason = "a shim reads its arguments before there is a server"
)]
fn main() -> ExitCode {
    // This check comes first. A shim is small because it never starts a runtime, a log or the
    // settings.
    let mut arguments = std::env::args_os();
    if arguments
        .nth(1)
        .is_some_and(|argument| argument == hearth_sandbox::SHIM_ARGUMENT)
    {
        let arguments: Vec<String> = arguments
            .map(|argument| argument.to_string_lossy().into_owned())
            .collect();
        return ExitCode::from(u8::try_from(hearth_sandbox::run_shim(&arguments)).unwrap_or(1));
    }
    Cli::read().map_or_else(|code| code, Cli::run)
}
