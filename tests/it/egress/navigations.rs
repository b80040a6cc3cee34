//! Navigations that do not reach their site fail with the reason, and do not disturb the next one.

use std::net::SocketAddr;

use hearth_test_support::{Session, TestServer};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::allowing;
use super::web::{Web, redirect};

/// Code that opens `URL` in each client.
const CLIENTS: [(&str, &str); 3] = [
    ("node", "await page.goto('URL')"),
    ("python", "await page.goto('URL')"),
    ("bash", "agent-browser open URL"),
];

/// Code that opens each of `URLS`, and returns the titles and the errors.
const LISTS: [(&str, &str); 3] = [
    (
        "node",
        "const titles = [], errors = [];
         for (const url of 'URLS'.split(' ')) {
           try { await page.goto(url); titles.push(await page.title()); }
           catch (error) { errors.push(error.message); }
         }
         ({ titles, errors })",
    ),
    (
        "python",
        "titles, errors = [], []
for url in 'URLS'.split():
    try:
        await page.goto(url)
        titles.append(await page.title())
    except Exception as error:
        errors.append(str(error))
{'titles': titles, 'errors': errors}",
    ),
    (
        "bash",
        "titles=() errors=()
         for url in URLS; do
           if shown=$(agent-browser open $url 2>&1); then titles+=(\"$(agent-browser get title)\")
           else errors+=(\"$shown\"); fi
         done
         python3 -c 'import json, sys; at = sys.argv.index(\"--\"); print(json.dumps({\"titles\": sys.argv[1:at], \"errors\": sys.argv[at + 1:]}))' \"${titles[@]}\" -- \"${errors[@]}\"",
    ),
];

/// Returns a loopback address that refuses connections.
async fn refusing() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    listener.local_addr().expect("an address")
}

/// Starts a server that closes every connection without a response.
async fn silent() -> (SocketAddr, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let mut accepting = JoinSet::new();
    accepting.spawn(async move { while listener.accept().await.is_ok() {} });
    (address, accepting)
}

/// Starts a website whose pages `/1` to `/7` have these titles.
async fn seven_pages() -> Web {
    let page = |title: u8| {
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/html".to_owned();
        (head, format!("<title>{title}</title>").into_bytes())
    };
    Web::with(vec![
        ("GET /1", page(1)),
        ("GET /2", page(2)),
        ("GET /3", page(3)),
        ("GET /4", page(4)),
        ("GET /5", page(5)),
        ("GET /6", page(6)),
        ("GET /7", page(7)),
    ])
    .await
}

async fn start(list: &[SocketAddr]) -> (TestServer, Session) {
    let list: Vec<String> = list.iter().map(ToString::to_string).collect();
    let server = allowing(&list.join(",")).await;
    let session = server.session().await;
    (server, session)
}

#[tokio::test]
async fn a_plain_http_page_that_is_not_reached_fails_with_the_reason() {
    let web = Web::with(vec![("GET /away", redirect("http://10.0.0.1/"))]).await;
    let (refusing, (silent, _accepting)) = (refusing().await, silent().await);
    let (server, session) = start(&[web.address, refusing, silent]).await;
    let denied = "10.0.0.1:80 was denied: it is in a private network; set HEARTH_EGRESS_ALLOW=10.0.0.1:80 to allow it";
    for (url, reason) in [
        ("http://10.0.0.1/".to_owned(), denied.to_owned()),
        (web.url("/away"), denied.to_owned()),
        (
            "http://nowhere.invalid/".to_owned(),
            "nowhere.invalid:80 could not be reached: the name does not resolve".to_owned(),
        ),
        (
            format!("http://{refusing}/"),
            format!("{refusing} could not be reached: the connection failed"),
        ),
        (
            format!("http://{silent}/"),
            format!("{silent} was reached, but the connection ended without a valid response"),
        ),
        (
            "http://a..example/".to_owned(),
            "the host name has an invalid character".to_owned(),
        ),
    ] {
        for (language, code) in CLIENTS {
            let execution = session.run(language, &code.replace("URL", &url)).await;
            let execution = execution.failed(1);
            let error = execution.error();
            assert!(
                error.contains("net::ERR_TUNNEL_CONNECTION_FAILED") && error.contains(&reason),
                "{language} {url}: {error}"
            );
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn parts_of_a_page_that_are_not_reached_fail() {
    let web = Web::start().await;
    let (server, session) = start(&[web.address]).await;
    let code = format!(
        "await page.goto('{}');
         const failed = [];
         page.on('requestfailed', (request) => failed.push([request.resourceType(), request.failure().errorText]));
         const shown = await page.evaluate(async () => {{
           const image = new Image();
           const loaded = new Promise((done) => {{ image.onload = () => done('loaded'); image.onerror = () => done('failed'); }});
           image.src = 'http://nowhere.invalid/image';
           const fetched = await fetch('http://nowhere.invalid/', {{ mode: 'no-cors' }}).then(() => 'fetched', (error) => error.message);
           return [await loaded, fetched];
         }});
         ({{ shown, failed: failed.sort() }})",
        web.url("/")
    );
    let error = "net::ERR_TUNNEL_CONNECTION_FAILED";
    assert_eq!(
        session.node(&code).await.ok().json(),
        json!({"shown": ["failed", "Failed to fetch"], "failed": [["fetch", error], ["image", error]]})
    );
    server.stop().await;
}

#[tokio::test]
async fn pages_that_load_at_the_same_time_get_their_own_reasons() {
    let (server, session) = start(&[]).await;
    let code = "const urls = [1, 2, 3, 4].map((host) => `http://10.0.0.${host}/`);
        const pages = await Promise.all(urls.map(() => context.newPage()));
        const errors = await Promise.all(urls.map((url, at) => pages[at].goto(url).catch((error) => error.message)));
        errors.map((error) => error.match(/\\((.*?) was denied/)?.[1])";
    assert_eq!(
        session.node(code).await.ok().json(),
        json!(["10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80", "10.0.0.4:80"])
    );
    server.stop().await;
}

#[tokio::test]
async fn three_dead_addresses_of_ten_leave_seven_titles_in_every_client() {
    let web = seven_pages().await;
    let refusing = refusing().await;
    let (server, session) = start(&[web.address, refusing]).await;
    let page = |title: u8| web.url(&format!("/{title}"));
    let urls = [
        page(1),
        "https://nowhere.invalid/".to_owned(),
        page(2),
        "http://10.0.0.1/".to_owned(),
        format!("http://{refusing}/"),
        page(3),
        page(4),
        page(5),
        page(6),
        page(7),
    ];
    let reasons = ["does not resolve", "was denied", "the connection failed"];
    for (language, code) in LISTS {
        let code = code.replace("URLS", &urls.join(" "));
        let shown = session.run_for(language, &code, 60).await.ok().json();
        assert_eq!(
            shown["titles"],
            json!(["1", "2", "3", "4", "5", "6", "7"]),
            "{language}: {shown}"
        );
        let errors = shown["errors"].as_array().expect("a list");
        assert_eq!(errors.len(), reasons.len(), "{language}: {shown}");
        for (error, reason) in errors.iter().zip(reasons) {
            assert!(
                error.as_str().is_some_and(|error| error.contains(reason)),
                "{language}: {shown}"
            );
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn a_failed_reload_does_not_disturb_the_next_navigation() {
    let web = seven_pages().await;
    let (server, session) = start(&[web.address]).await;
    let code = format!(
        "const shown = [];
         for (const title of [1, 2, 3]) {{
           await page.goto('http://nowhere.invalid/').catch(() => shown.push('not opened'));
           await page.reload().catch(() => shown.push('not reloaded'));
           await page.goto('{}/' + title);
           shown.push(await page.title());
         }}
         shown",
        web.url("")
    );
    let expected: Vec<Value> = ["1", "2", "3"]
        .iter()
        .flat_map(|title| [json!("not opened"), json!("not reloaded"), json!(title)])
        .collect();
    assert_eq!(session.node(&code).await.ok().json(), json!(expected));
    server.stop().await;
}
