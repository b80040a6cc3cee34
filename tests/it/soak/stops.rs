//! Servers that are killed right after a third of their processes was stopped, on a busy machine.

use hearth_test_support::TestServer;

use crate::lifetime::stopped::stopped_and_killed;

#[tokio::test]
#[ignore = "takes minutes: make soak"]
async fn as_root_a_killed_server_leaves_nothing_in_fifty_of_fifty_rounds() {
    for round in 0..50 {
        eprintln!("round {round}");
        stopped_and_killed(TestServer::start().await, round, true).await;
    }
}

#[tokio::test]
#[ignore = "takes minutes: make soak"]
async fn as_a_plain_user_a_killed_server_leaves_nothing_in_ten_of_ten_rounds() {
    for round in 0..10 {
        eprintln!("round {round}");
        let builder = TestServer::builder().as_plain_user();
        stopped_and_killed(builder.start().await, round, true).await;
    }
}
