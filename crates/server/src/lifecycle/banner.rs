//! The message on stdout when the server is ready.

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};

const TEST_MODE: &str = r"
  *****************************************************************************************
  *  TEST MODE: clients can make sessions and requests fail. Never use it in production.  *
  *****************************************************************************************

";

/// Prints that the server is ready, with commands to try.
pub(super) fn announce(address: SocketAddr, keyless: bool, max_sessions: usize, is_test: bool) {
    let version = env!("CARGO_PKG_VERSION");
    let key = if keyless {
        ""
    } else {
        " -H \"Authorization: Bearer $API_KEY\""
    };
    let hint = if keyless {
        ""
    } else {
        ", with one of your keys in $API_KEY"
    };
    let host = if address.ip().is_unspecified() {
        SocketAddr::from((Ipv4Addr::LOCALHOST, address.port()))
    } else {
        address
    };
    let text = format!(
        r#"Hearth {version} is ready at http://{host} (up to {max_sessions} sessions). Open http://{host}/ in a browser
for the workbench, or try it here{hint}:

  ID=$(curl -s{key} -X POST http://{host}/v2/interact | sed 's/.*"id":"\([^"]*\)".*/\1/')
  curl -s{key} http://{host}/v2/interact/$ID/execute -H 'Content-Type: application/json' \
    -d '{{"code": "await page.goto(\"data:text/html,<title>Hello</title>\"); await page.title()"}}'
  curl -s{key} -X DELETE http://{host}/v2/interact/$ID

"#
    );
    // The warning comes first, because a program that waits for the server may stop reading then.
    let warning = if is_test { TEST_MODE } else { "" };
    print(&format!("{warning}{text}"));
}

pub(super) fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    // The server continues if stdout is closed.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
