//! Exit codes of the commands, and the errors that they print.

use std::io::Write;
use std::process::ExitCode;

use super::client::error::ClientError;
use crate::config::ConfigError;

/// The exit code for a setting or an installation that must be fixed first: `EX_CONFIG` of
/// `sysexits.h`.
pub(super) const EXIT_CONFIG: u8 = 78;

/// The exit code for a start that may succeed later: `EX_TEMPFAIL` of `sysexits.h`.
const EXIT_TEMPORARY: u8 = 75;

/// Returns an error with its causes. Some errors contain their cause already.
fn describe(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

/// Prints an error, with the fix in the next line if it is known. Returns the exit code: 78 for a
/// setting, 75 for a database that does not answer, and 1 for everything else.
pub(super) fn report(error: &anyhow::Error) -> ExitCode {
    let code = match error.downcast_ref::<ConfigError>() {
        Some(error) if error.is_temporary => EXIT_TEMPORARY,
        Some(_) => EXIT_CONFIG,
        None => 1,
    };
    report_as(error, code)
}

/// Prints an error like [`report`]. Returns `code` as the exit code.
pub(super) fn report_as(error: &anyhow::Error, code: u8) -> ExitCode {
    let of_client = error.downcast_ref::<ClientError>();
    let fix = match of_client.and_then(|error| error.fix.as_ref()) {
        Some(fix) => format!("\n  fix: {fix}"),
        None => ConfigError::fix_line(error),
    };
    // Writing fails if stderr is closed.
    let _ = writeln!(std::io::stderr(), "hearth: {}{fix}", describe(error));
    ExitCode::from(code)
}
