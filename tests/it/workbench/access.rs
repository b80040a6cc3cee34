//! Access to the code of sessions.

use hearth_test_support::{Api, Exchange, ServerBuilder, Session, TestServer};
use reqwest::Method;
use serde_json::{Value, json};

async fn executions(api: &Api, session: &Session, query: &str) -> Exchange {
    let path = format!("/workbench/sessions/{}/executions{query}", session.id());
    Exchange::of(api.request_outside(Method::GET, &path)).await
}

async fn lines_status(api: &Api, session: &Session) -> u16 {
    let path = format!("/workbench/sessions/{}/lines", session.id());
    let response = api.request_outside(Method::GET, &path).send().await;
    response.expect("the server answers").status().as_u16()
}

fn builder() -> ServerBuilder {
    TestServer::builder()
        .setting("HEARTH_API_KEYS", "shop:key-of-shop,lab:key-of-lab")
        .setting("HEARTH_OPERATOR_KEY", "key-of-boss")
}

#[tokio::test]
async fn a_team_sees_its_code_and_the_operator_only_with_a_setting() {
    for (readers, of_operator) in [("team", 403), ("operator", 200)] {
        let server = builder()
            .setting("HEARTH_EXECUTION_HISTORY", readers)
            .start()
            .await;
        let shop = server.with_key("key-of-shop");
        let session = shop.session().await;
        session.node("console.log('out'); 6 * 7").await.ok();
        session.bash("echo oops >&2; exit 5").await;
        let listed = executions(&shop, &session, "").await;
        assert_eq!(listed.status, 200);
        let listed = listed.json();
        let all = listed["executions"].as_array().expect("a list");
        let texts = [
            "number", "language", "code", "stdout", "stderr", "result", "error", "exitCode",
        ];
        let texts = |execution: &Value| texts.map(|name| execution[name].clone());
        assert_eq!(
            all.iter().map(texts).collect::<Vec<_>>(),
            [
                json!([
                    1,
                    "node",
                    "console.log('out'); 6 * 7",
                    "out\n",
                    "",
                    "42",
                    null,
                    0
                ]),
                json!([
                    2,
                    "bash",
                    "echo oops >&2; exit 5",
                    "",
                    "oops\n",
                    null,
                    "oops",
                    5
                ]),
            ]
            .map(|row| -> [Value; 8] {
                let row = row.as_array().expect("a list").clone();
                row.try_into().expect("eight values")
            })
        );
        assert_eq!(listed["isKept"], true);
        let later = executions(&shop, &session, "?after=1").await.json();
        assert_eq!(later["executions"], json!([all[1]]));
        let others = ["key-of-lab", "key-of-boss", "key-of-nobody"].map(|key| server.with_key(key));
        let mut statuses = Vec::new();
        for api in &others {
            statuses.push((
                executions(api, &session, "").await.status,
                lines_status(api, &session).await,
            ));
        }
        assert_eq!(
            statuses,
            [(403, 403), (of_operator, of_operator), (401, 401)],
            "{readers}"
        );
        session.delete().await;
        assert_eq!(executions(&shop, &session, "").await.status, 410);
        assert_eq!(lines_status(&shop, &session).await, 410);
        server.stop().await;
    }
}

#[tokio::test]
async fn nothing_is_kept_if_the_session_or_the_server_does_not_want_it() {
    let server = TestServer::start().await;
    let session = server
        .session_with(&json!({"zeroDataRetention": true}))
        .await;
    session.node("1").await.ok();
    let nothing = json!({"success": true, "isKept": false, "executions": []});
    assert_eq!(executions(&server, &session, "").await.json(), nothing);
    let unknown = "/workbench/sessions/01920000-0000-7000-8000-000000000000/executions";
    let unknown = Exchange::of(server.request_outside(Method::GET, unknown)).await;
    assert_eq!(unknown.status, 404);
    server.stop().await;
    let server = TestServer::builder()
        .setting("HEARTH_EXECUTION_HISTORY", "off")
        .start()
        .await;
    let session = server.session().await;
    session.node("1").await.ok();
    assert_eq!(executions(&server, &session, "").await.json(), nothing);
    server.stop().await;
}
