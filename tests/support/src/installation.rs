//! The program under test and its runtime.

use std::path::PathBuf;

/// Returns the path of the server under test.
///
/// `HEARTH_TEST_BINARY` names a binary built elsewhere. Otherwise tests use the binary that cargo
/// built, which cargo and nextest name in a variable. The bench uses the binary next to its own
/// executable.
pub fn binary() -> PathBuf {
    let named = ["HEARTH_TEST_BINARY", "CARGO_BIN_EXE_hearth"];
    if let Some(path) = named.into_iter().find_map(std::env::var_os) {
        return path.into();
    }
    let program = std::env::current_exe().expect("a running program has a path");
    let sibling = program.with_file_name("hearth");
    assert!(
        sibling.is_file(),
        "no server to test: run the tests with cargo, which builds it, or set HEARTH_TEST_BINARY"
    );
    sibling
}

/// Returns the runtime dir from `HEARTH_TEST_RUNTIME`, if the server should not use the
/// repository's.
pub(crate) fn given_runtime() -> Option<PathBuf> {
    std::env::var_os("HEARTH_TEST_RUNTIME").map(PathBuf::from)
}
