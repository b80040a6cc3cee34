//! Requests for events, and errors from before the code starts, which are plain JSON.

use hearth_test_support::{PREFIXES, Site, TestServer};
use reqwest::Method;
use serde_json::{Value, json};

use super::events::{Events, request};

#[tokio::test]
async fn events_have_the_same_end_under_every_path() {
    let (server, site) = (TestServer::start().await, Site::start().await);
    let session = server.session().await;
    let code = "console.log('out'); [1, 'two']";
    let body = json!({"code": code});
    let plain = session.execute(&body).await.ok();
    for prefix in PREFIXES {
        let api = server.under(prefix);
        for slash in ["", "/"] {
            let path = format!("{}/execute{slash}", session.id());
            let request = api.request(Method::POST, &format!("/{path}"));
            let request = request.header("accept", "text/event-stream");
            let request = request.header("content-type", "application/json");
            let events = Events::answering(request.body(body.to_string())).await;
            assert_eq!(events.finish().await.ok().end, plain, "{prefix} {path}");
        }
    }
    let path = "/v2/scrape/01920000-0000-7000-8000-00000000000a/interact";
    let code = "console.log(await page.title()); 7";
    let body = json!({"code": code, "url": site.url("/title/scraped")});
    let request = server.request_outside(Method::POST, path);
    let request = request.header("accept", "text/event-stream").json(&body);
    let transcript = Events::answering(request).await.finish().await.ok();
    assert_eq!(transcript.stdout, "scraped\n");
    assert_eq!(transcript.result.as_deref(), Some("7"));
    assert!(transcript.end["sessionId"].is_string(), "{transcript:?}");
    server.stop().await;
}

#[tokio::test]
async fn errors_from_before_the_start_are_plain_json() {
    let server = TestServer::builder()
        .setting("HEARTH_API_KEYS", "own:own-key,other:other-key")
        .start()
        .await;
    let (api, foreign) = (server.with_key("own-key"), server.with_key("other-key"));
    let session = api.session().await;
    let code = json!({"code": "1"});
    let unknown = "01920000-0000-7000-8000-000000000000";
    let cases = [
        (&api, session.id(), json!({"code": 1, "timeout": 0}), 400),
        (&api, session.id(), Value::Null, 400),
        (&server.with_key("wrong"), session.id(), code.clone(), 401),
        (&foreign, session.id(), code.clone(), 403),
        (&api, unknown, code.clone(), 404),
    ];
    for (api, id, body, status) in cases {
        let reply = api.send(request(api, id, &body)).await;
        let kind = reply.header("content-type").map(str::to_owned);
        assert_eq!(
            (reply.status, kind.as_deref()),
            (status, Some("application/json"))
        );
    }
    // The code waits for its turn until its timeout.
    let mut running = Events::of(&api, session.id(), "bash", "echo first; sleep 300").await;
    running.until("stdout", "first\n").await;
    let waiting = json!({"language": "bash", "code": ":", "timeout": 1});
    let reply = api.send(request(&api, session.id(), &waiting)).await;
    assert_eq!(reply.status, 429, "{}", reply.text);
    reply.assert_retry_after();
    drop(running);
    session.delete().await;
    let reply = api.send(request(&api, session.id(), &code)).await;
    reply.assert_error(410, "Browser session has been destroyed.");
    server.stop().await;
}

#[tokio::test]
async fn clients_that_do_not_ask_for_events_get_json() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let path = format!("/{}/execute", session.id());
    for accept in [
        "*/*",
        "application/json, text/plain, */*",
        "application/json, text/event-stream;q=0.5",
    ] {
        let request = server.request(Method::POST, &path).header("accept", accept);
        let reply = server.send(request.json(&json!({"code": "1 + 1"}))).await;
        assert_eq!(reply.ok()["result"], "2", "{accept}");
    }
    server.stop().await;
}
