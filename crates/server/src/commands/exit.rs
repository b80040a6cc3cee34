//! Exit codes of the commands, and the errors that they print.

use std::io::Write;
use std::process::ExitCode;

use crate::config::ConfigError;

/// The exit code for a setting or an installation that must be fixed first: `EX_CONFIG` of
/// `sysexits.h`.
pub(super) const EXIT_CONFIG: u8 = 78;

/// Prints an error, with the fix in the next line if it is known. Returns the exit code: 78 for a
/// setting, and 1 for everything else.
pub(super) fn report(error: &anyhow::Error) -> ExitCode {
    let setting = error.downcast_ref::<ConfigError>();
    let fix = setting.and_then(|error| error.fix.as_deref());
    let fix = fix.map(|fix| format!("\n  fix: {fix}")).unwrap_or_default();
    // Writing fails if stderr is closed.
    let _ = writeln!(std::io::stderr(), "hearth: {error:#}{fix}");
    ExitCode::from(if setting.is_some() { EXIT_CONFIG } else { 1 })
}
