//! Memory that does not depend on other processes. `make bench` measures times and totals.

use hearth_test_support::TestServer;

#[tokio::test]
async fn a_shim_has_little_private_memory() {
    let server = TestServer::start().await;
    let session = server.session().await;
    session.node("1").await.ok();
    let processes = server.processes();
    let shims: Vec<_> = processes
        .iter()
        .filter(|process| process.is_shim())
        .collect();
    assert_eq!(
        shims.len(),
        2,
        "one shim for the browser and one for the kernel"
    );
    for shim in shims {
        let memory = shim.memory().expect("a shim runs as long as its session");
        // Measured: 152 KiB, and 468 KiB in a position-independent executable (docs/adr/0019).
        assert!(memory.private_kib < 300, "{memory:?}");
    }
    server.stop().await;
}
