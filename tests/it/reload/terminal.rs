//! A server whose terminal hangs up.

use hearth_test_support::{Site, Terminal, TestServer};

use super::count;

#[tokio::test]
async fn a_server_whose_terminal_hangs_up_stops_as_after_sigterm() {
    let (terminal, site) = (Terminal::open(), Site::start().await);
    let mut server = TestServer::builder().in_terminal(&terminal).start().await;
    let session = server.session().await;
    let code = format!("{}; sleep 60", site.bash_signal("begun"));
    let closing = async {
        site.signalled("begun").await;
        server.processes();
        drop(terminal);
    };
    let (execution, ()) = tokio::join!(session.run("bash", &code), closing);
    assert!(execution.error().contains("server"), "{execution:?}");
    server.ended_by_itself().await;
    assert_eq!(count(&server, "server stopped"), 1, "{}", server.output());
}
