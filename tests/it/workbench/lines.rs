//! The console and network lines of a session's page.

use std::time::Duration;

use hearth_test_support::{Api, Exchange, Session, Site, TestCluster, TestServer, eventually};
use reqwest::{Method, Response};
use serde_json::{Value, json};

use super::desk::{DESK, Desk};

/// The lines of a session, as they arrive.
struct Lines {
    response: Response,
    /// Bytes after the last complete event.
    rest: Vec<u8>,
}

impl Lines {
    async fn of(api: &Api, session: &Session) -> Self {
        let path = format!("/workbench/sessions/{}/lines", session.id());
        let response = api.request_outside(Method::GET, &path).send().await;
        let response = response.expect("the server answers");
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self {
            response,
            rest: Vec::new(),
        }
    }

    /// Returns the next line, or none at the end.
    async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(end) = self.rest.windows(2).position(|pair| pair == b"\n\n") {
                let rest = self.rest.split_off(end + 2);
                let event = std::mem::replace(&mut self.rest, rest);
                // Others are comments.
                if let Some(data) = event.strip_prefix(b"data: ") {
                    return Some(serde_json::from_slice(data).expect("a line is JSON"));
                }
                continue;
            }
            let chunk = self.response.chunk().await;
            let chunk = chunk.expect("the response is whole")?;
            self.rest.extend_from_slice(&chunk);
        }
    }

    /// Returns the first line for which this is true.
    async fn until(&mut self, is_wanted: impl Fn(&Value) -> bool) -> Value {
        loop {
            let line = self.next().await.expect("there are more lines");
            if is_wanted(&line) {
                return line;
            }
        }
    }
}

#[tokio::test]
async fn lines_of_the_current_tab_arrive_without_secrets_until_the_session_ends() {
    let (server, site) = (TestServer::start().await, Site::start().await);
    let session = server.session().await;
    let mut lines = Lines::of(&server, &session).await;
    let url = site.url("/title/one");
    // Chromium also sends the calls of the console from before.
    session
        .node(&format!(
            "await page.goto('{url}'); await page.evaluate(() => console.warn('careful', 7))"
        ))
        .await
        .ok();
    let warning = lines.until(|line| line["text"] == "careful 7").await;
    assert_eq!(
        (&warning["level"], &warning["kind"]),
        (&json!("warning"), &json!("console"))
    );
    let fetch = "await page.evaluate(() => fetch('/title/two?x=1', { headers: { authorization: 'Bearer hidden-word', 'x-shown': 'shown-word' } })); 0";
    session.node(fetch).await.ok();
    let is_two = |line: &Value| {
        line["url"]
            .as_str()
            .is_some_and(|url| url.ends_with("/title/two?x=1"))
    };
    let request = lines.until(is_two).await;
    assert_eq!(
        (&request["status"], &request["method"]),
        (&json!(200), &json!("GET"))
    );
    let text = request.to_string();
    assert!(
        text.contains("shown-word") && !text.contains("hidden-word"),
        "{text}"
    );
    // The lines follow the current tab.
    let other = format!(
        "const other = await context.newPage(); await other.goto('{url}'); await other.evaluate(() => {{ setInterval(() => console.log('from the other tab'), 50) }}); 0"
    );
    session.node(&other).await.ok();
    lines
        .until(|line| line["text"] == "from the other tab")
        .await;
    session.delete().await;
    while lines.next().await.is_some() {}
    server.stop().await;
}

#[tokio::test]
async fn readers_are_limited_and_leave_no_trace() {
    let server = TestServer::start().await;
    let session = server.session_with(&json!({"activityTtl": 10})).await;
    let path = format!("/workbench/sessions/{}/lines", session.id());
    let mut readers = Vec::new();
    for _ in 0..8 {
        readers.push(Lines::of(&server, &session).await);
    }
    let ninth = server.request_outside(Method::GET, &path);
    let ninth = Exchange::of(ninth).await;
    assert_eq!(ninth.status, 503, "{}", ninth.text);
    readers.pop();
    eventually(Duration::from_secs(10), "a place is free", async || {
        let request = server.request_outside(Method::GET, &path);
        let response = request.send().await.expect("the server answers");
        match response.status().as_u16() {
            200 => Ok(()),
            status => Err(format!("the status is {status}")),
        }
    })
    .await;
    // Reading is not activity, so the session ends although seven readers are connected.
    eventually(Duration::from_secs(20), "the session is idle", async || {
        let status = session.status().await;
        match status["destroyedReason"].as_str() {
            Some("idle") => Ok(()),
            _ => Err(status.to_string()),
        }
    })
    .await;
    server.stop().await;
}

#[tokio::test]
async fn a_node_of_a_cluster_shows_the_lines_and_the_code_of_another() {
    let cluster = TestCluster::start_with(2, |number, node| match number {
        0 => node.setting("HEARTH_MAX_SESSIONS", "0"),
        _ => node,
    })
    .await;
    let entry = cluster.api(0);
    let session = entry.session().await;
    let mut lines = Lines::of(&entry, &session).await;
    let code = "await page.evaluate(() => console.log('from another node')); 0";
    session.node(code).await.ok();
    lines
        .until(|line| line["text"] == "from another node")
        .await;
    let path = format!("/workbench/sessions/{}/executions", session.id());
    let kept = Exchange::of(entry.request_outside(Method::GET, &path)).await;
    assert_eq!(kept.json()["executions"][0]["code"], code);
    session.delete().await;
    while lines.next().await.is_some() {}
    cluster.stop().await;
}

#[tokio::test]
async fn the_page_shows_the_console_and_the_requests() {
    let (server, site) = (TestServer::start().await, Site::start().await);
    let session = server.session().await;
    let desk = Desk::at(&server, &session, DESK).await;
    let url = site.url("/title/Seen");
    let code = format!(
        "await page.goto('{url}'); await page.evaluate(() => {{ console.log('<b>hello</b>'); setTimeout(() => {{ throw new Error('broken') }}, 0) }}); 0"
    );
    session.node(&code).await.ok();
    desk.act("await desk.getByRole('tab', { name: 'Console' }).click(); await desk.locator('#console-lines').getByText('<b>hello</b>').waitFor(); await desk.locator('#console-lines .error', { hasText: 'broken' }).waitFor()")
        .await;
    desk.act("await desk.getByRole('tab', { name: 'Network' }).click(); var request = desk.locator('#network-lines li', { hasText: '/title/Seen' }); await request.locator('summary').click(); await request.getByText('Request headers').waitFor()")
        .await;
    let text = desk.see("await request.innerText()").await;
    let text = text.as_str().expect("text").to_lowercase();
    for word in ["get", "200", "document", "user-agent:"] {
        assert!(text.contains(word), "{word}: {text}");
    }
    desk.leave(&server).await;
    server.stop().await;
}
