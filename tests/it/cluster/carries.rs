//! Requests and sockets that pass through a node that does not own the session.

use std::time::Duration;

use hearth_test_support::cdp::CdpClient;
use hearth_test_support::{Site, Viewer, eventually};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::cluster_of;
use crate::streaming::events::Events;
use hearth_test_support::CLUSTER_KEY;

const BOUND: Duration = Duration::from_secs(5);

#[tokio::test]
async fn every_node_gives_the_same_answers() {
    let cluster = cluster_of(1).await;
    let session = cluster.api(0).session().await;
    let id = session.id();
    let cdp = session.cdp_url().split_once("/cdp/").expect("a CDP URL").1;
    let live = session.created["liveViewUrl"].as_str().expect("a link");
    let live = live.split_once("/live/").expect("a link").1;
    let (cdp_id, token) = cdp.split_once('?').expect("a token");
    for (method, path) in [
        (Method::GET, format!("/v2/interact/{id}")),
        (Method::HEAD, format!("/v2/interact/{id}")),
        (Method::GET, format!("/v2/browser/{id}/")),
        (Method::PUT, format!("/v2/browser/{id}")),
        (Method::GET, format!("/cdp/{cdp_id}/json/version?{token}")),
        (Method::GET, format!("/cdp/{cdp_id}/json/list?{token}")),
        (Method::GET, format!("/cdp/{cdp_id}?token=wrong")),
        (Method::GET, format!("/live/{live}")),
        (Method::HEAD, format!("/live/{live}")),
        (Method::GET, format!("/live/{id}?token=wrong")),
        (Method::POST, format!("/v2/interact/{id}/execute")),
    ] {
        let mut answers = Vec::new();
        for number in [0, 1] {
            let request = cluster.api(number).request_outside(method.clone(), &path);
            let response = request.send().await.expect("an answer");
            let status = response.status();
            let mut headers: Vec<(String, String)> = response
                .headers()
                .iter()
                .map(|(name, value)| (name.to_string(), format!("{value:?}")))
                .filter(|(name, _)| !["date", "x-request-id"].contains(&name.as_str()))
                .collect();
            headers.sort();
            let body = response.text().await.expect("a body");
            // Activity counts, and so does this request.
            let body = body.split("\"lastActivity\"").next().unwrap_or_default();
            answers.push((status, headers, body.to_owned()));
        }
        assert_eq!(answers[0], answers[1], "{method} {path}");
    }
    cluster.stop().await;
}

#[tokio::test]
async fn bodies_of_ten_megabytes_pass() {
    let cluster = cluster_of(1).await;
    let (entry, session) = (cluster.api(0), cluster.api(0).session().await);
    let request = async |padding: usize| {
        let body = json!({"language": "node", "code": "'x'.repeat(9_000_000)", "origin": "x".repeat(padding)});
        entry.execute(session.id(), &body).await
    };
    let reply = request(9_900_000).await.ok();
    let result = reply["result"].as_str().expect("a result");
    assert!(result == "x".repeat(9_000_000), "{} bytes", result.len());
    assert_eq!(request(10_100_000).await.status, 413);
    cluster.stop().await;
}

#[tokio::test]
async fn files_pass_in_both_directions() {
    let cluster = cluster_of(1).await;
    let session = cluster.api(0).session().await;
    let content = vec![b'x'; 20 << 20];
    for number in [0, 1] {
        let api = cluster.api(number);
        let path = format!("/{}/files/dir/file{number}", session.id());
        let request = api.request(Method::PUT, &path).body(content.clone());
        let written = api.send(request).await.ok();
        assert_eq!(written["sizeBytes"], json!(content.len()));
        let read = api.request(Method::GET, &path).send().await;
        let read = read.expect("an answer").bytes().await.expect("a body");
        assert!(read == content, "{} bytes", read.len());
        let part = api.request(Method::GET, &path).header("range", "bytes=-3");
        let part = part.send().await.expect("an answer");
        assert_eq!(
            (part.status().as_u16(), part.content_length()),
            (206, Some(3))
        );
    }
    cluster.stop().await;
}

#[tokio::test]
async fn a_request_in_chunks_passes() {
    let cluster = cluster_of(1).await;
    let session = cluster.api(0).session().await;
    let mut stream = TcpStream::connect(cluster.node(0).address())
        .await
        .expect("it listens");
    let head = format!(
        "POST /v2/interact/{}/execute HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {CLUSTER_KEY}\r\n\
         Content-Type: application/json\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n",
        session.id()
    );
    stream.write_all(head.as_bytes()).await.expect("a head");
    for part in [r#"{"language":"node","#, r#""code":"1 + 1"}"#, ""] {
        let chunk = format!("{:x}\r\n{part}\r\n", part.len());
        stream.write_all(chunk.as_bytes()).await.expect("a chunk");
    }
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains(r#""result":"2""#), "{answer}");
    cluster.stop().await;
}

#[tokio::test]
async fn an_answer_may_take_longer_than_the_checks_of_the_connection() {
    let cluster = cluster_of(1).await;
    let session = cluster.api(0).session().await;
    // Nothing passes for longer than unacknowledged data, and than the first keep-alive probes.
    let waited = session.run_for("bash", "sleep 15; echo done", 60).await;
    assert_eq!(waited.ok().stdout, "done\n");
    cluster.stop().await;
}

#[tokio::test]
async fn events_pass_while_the_code_runs() {
    let cluster = cluster_of(1).await;
    let (entry, session) = (cluster.api(0), cluster.api(0).session().await);
    let code = "echo first; until [ -e go ]; do sleep 0.02; done; echo second";
    let mut events = Events::of(&entry, session.id(), "bash", code).await;
    events.until("stdout", "first\n").await;
    session
        .node("require('node:fs').writeFileSync('go', '')")
        .await
        .ok();
    assert_eq!(events.finish().await.ok().stdout, "first\nsecond\n");

    let code = "echo begun; exec sleep 4242";
    let mut events = Events::of(&entry, session.id(), "bash", code).await;
    events.until("stdout", "begun\n").await;
    drop(events);
    eventually(BOUND, "the code has ended", || async {
        let processes = cluster.node(1).processes();
        let left = processes
            .iter()
            .find(|process| process.command.contains("sleep 4242"));
        left.map_or(Ok(()), |process| Err(process.command.clone()))
    })
    .await;
    cluster.stop().await;
}

#[tokio::test]
async fn a_client_that_leaves_cancels_its_run_on_the_owner() {
    let (cluster, site) = (cluster_of(1).await, Site::start().await);
    let session = cluster.api(0).session().await;
    let code = format!("{}; exec sleep 4242", site.bash_signal("begun"));
    tokio::select! {
        () = session.execute_and_disconnect("bash", &code) => panic!("the code has ended"),
        () = site.signalled("begun") => {}
    }
    eventually(BOUND, "the code has ended", || async {
        let processes = cluster.node(1).processes();
        let left = processes
            .iter()
            .find(|process| process.command.contains("sleep 4242"));
        left.map_or(Ok(()), |process| Err(process.command.clone()))
    })
    .await;
    assert_eq!(session.bash("echo next").await.ok().stdout, "next\n");
    cluster.stop().await;
}

#[tokio::test]
async fn cdp_passes_with_its_first_message_and_its_close() {
    let cluster = cluster_of(1).await;
    let session = cluster.api(0).session().await;
    let url = cluster.through(0, session.cdp_url());
    let mut client = CdpClient::connect(&url).await;
    let version = client.call("Browser.getVersion", json!({})).await;
    assert!(version["result"]["product"].is_string(), "{version}");
    client.close().await;

    // The first frame arrives with the request.
    let path = url
        .split_once(cluster.node(0).address())
        .expect("its address")
        .1;
    let mut stream = TcpStream::connect(cluster.node(0).address())
        .await
        .expect("it listens");
    let mut sent = format!(
        "GET {path} HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    .into_bytes();
    let call = br#"{"id":1,"method":"Browser.getVersion"}"#;
    sent.extend([
        0x81,
        0x80 | u8::try_from(call.len()).expect("it is short"),
        0,
        0,
        0,
        0,
    ]);
    sent.extend(call);
    stream
        .write_all(&sent)
        .await
        .expect("a request and a frame");
    let mut answer = Vec::new();
    let reading = async {
        let mut part = [0; 4096];
        while !String::from_utf8_lossy(&answer).contains("\"product\"") {
            let count = stream.read(&mut part).await.expect("it is open");
            assert!(count > 0, "it was closed");
            answer.extend(&part[..count]);
        }
    };
    tokio::time::timeout(BOUND, reading)
        .await
        .expect("an answer");
    assert!(answer.starts_with(b"HTTP/1.1 101"));
    cluster.stop().await;
}

#[tokio::test]
async fn a_live_view_passes() {
    let cluster = cluster_of(1).await;
    let session = cluster.api(0).session().await;
    let link = session.created["liveViewUrl"].as_str().expect("a link");
    let mut viewer = Viewer::connect(&cluster.through(0, link)).await;
    // The page changes with every frame.
    let code = "await page.setContent('<p>0</p>'); await page.evaluate(() => { let n = 0; \
                const step = () => { document.querySelector('p').textContent = ++n; requestAnimationFrame(step) }; step() })";
    session.node(code).await.ok();
    for _ in 0..30 {
        viewer.watch().await;
    }
    session.delete().await;
    let closed: Option<(u16, String)> = viewer.closed().await;
    assert!(closed.is_some(), "the owner closes it with a reason");
    cluster.stop().await;
}

#[tokio::test]
async fn headers_of_the_connection_stay_on_it() {
    let cluster = cluster_of(1).await;
    let session = cluster.api(0).session().await;
    let request = cluster
        .api(0)
        .request(Method::GET, &format!("/{}", session.id()))
        .header("connection", "keep-alive, x-hop")
        .header("x-hop", "1")
        .header("x-hearth-node-signature", "forged")
        .header("x-request-id", "of-the-client");
    let response = request.send().await.expect("an answer");
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["x-request-id"], "of-the-client");
    let body: Value = response.json().await.expect("JSON");
    assert_eq!(body["id"], session.id());
    cluster.stop().await;
}
