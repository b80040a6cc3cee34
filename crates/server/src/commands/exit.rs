//! Exit codes of the commands.

/// The exit code for a setting or an installation that must be fixed first: `EX_CONFIG` of
/// `sysexits.h`.
pub(super) const EXIT_CONFIG: u8 = 78;
