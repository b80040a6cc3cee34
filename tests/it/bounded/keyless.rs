//! Attacks without a key.

use futures_util::future::{FutureExt, join_all};

use super::load::{EXECUTE, connect_all, post_head, read_response, read_status, wait_until_closed};
use super::row::{Attack, Resource, Row};
use super::scenario::Scenario;

/// More connections than half of the server's descriptors.
const CONNECTIONS: usize = 2_500;

pub const ROWS: &[Row] = &[
    Row {
        id: "D1",
        attack: "a client without a key sends 40 bodies of 10 MB",
        exhausts: Resource::Memory,
        start: |scenario| large_bodies(scenario).boxed_local(),
    },
    Row {
        id: "D2",
        attack: "a client without a key requests paths of 20 and 60 KB",
        exhausts: Resource::Log,
        start: |scenario| long_paths(scenario).boxed_local(),
    },
    Row {
        id: "D3",
        attack: "a client without a key opens more connections than half of the descriptors, and \
                 sends nothing or a part of a head",
        exhausts: Resource::Descriptors,
        start: |scenario| idle_connections(scenario).boxed_local(),
    },
    // The last, because its connections would make room for those of the row above.
    Row {
        id: "D4",
        attack: "a client without a key sends 200 bodies that stall",
        exhausts: Resource::Memory,
        start: |scenario| stalled_bodies(scenario).boxed_local(),
    },
];

/// Returns a body of ten megabytes that makes a parser create many small objects.
pub fn dense_body() -> String {
    format!("[{}{{}}]", "{\"\":0},".repeat(1_250_000))
}

/// Sends bodies of which the last byte is missing, so that they are all kept at the same time.
async fn large_bodies(scenario: &Scenario) -> Attack {
    let mut request = post_head(EXECUTE, None, 10_000_000 - 1) + &dense_body();
    request.truncate(request.len() - 10);
    let mut streams = connect_all(scenario.server.address(), 40, request.as_bytes()).await;
    if scenario.has_limits {
        for stream in &mut streams {
            let status = read_status(stream).await;
            assert!(matches!(status, Some(401) | None), "{status:?}");
        }
    }
    Attack::holding(streams)
}

async fn long_paths(scenario: &Scenario) -> Attack {
    let request = |length| {
        let path = "a".repeat(length);
        format!("GET /{path} HTTP/1.1\r\nHost: localhost\r\n\r\n")
    };
    let address = scenario.server.address();
    let short = request(20_000).repeat(500);
    let mut streams = connect_all(address, 1, short.as_bytes()).await;
    for _ in 0..500 {
        let response = read_response(&mut streams[0]).await;
        assert_eq!(response.map(|(status, _)| status), Some(404));
    }
    let mut streams = connect_all(address, 200, request(60_000).as_bytes()).await;
    for stream in &mut streams {
        let status = read_status(stream).await;
        let expected = if scenario.has_limits { 431 } else { 404 };
        assert!(status.is_none_or(|status| status == expected), "{status:?}");
    }
    Attack::holding(streams)
}

async fn stalled_bodies(scenario: &Scenario) -> Attack {
    let address = scenario.server.address();
    let part = post_head(EXECUTE, None, 10_000_000) + &"x".repeat(4_000_000);
    let large = connect_all(address, 100, part.as_bytes()).await;
    // These are small enough to be read before the key is checked.
    let part = post_head(EXECUTE, None, 64_000) + &"x".repeat(60_000);
    let mut small = connect_all(address, 100, part.as_bytes()).await;
    Attack::TimeLimited(Box::pin(async move {
        for stream in &mut small {
            assert_eq!(read_status(stream).await, Some(400));
        }
        drop(large);
    }))
}

async fn idle_connections(scenario: &Scenario) -> Attack {
    let address = scenario.server.address();
    let part = b"GET /v2/interact HTTP/1.1\r\nHost: localhost\r\nX-A: ";
    let (idle, unfinished) = tokio::join!(
        connect_all(address, CONNECTIONS / 2, b""),
        connect_all(address, CONNECTIONS / 2, part)
    );
    // A client with a key is served among them.
    assert_eq!(scenario.attacker.list("").await.status, 200);
    Attack::TimeLimited(Box::pin(async move {
        join_all(unfinished.into_iter().map(wait_until_closed)).await;
        drop(idle);
    }))
}
