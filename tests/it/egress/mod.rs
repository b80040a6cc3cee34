//! Egress of sessions: all requests go through the session's proxy, denials give a reason, and no
//! session reaches the server itself.

mod local;
mod navigations;
mod packages;
pub mod web;

use std::time::Duration;

use hearth_test_support::{Session, TestServer, eventually};
use web::{Web, redirect};

/// Starts a server whose sessions reach only the addresses in this list on loopback.
async fn allowing(list: &str) -> TestServer {
    TestServer::builder()
        .setting("HEARTH_EGRESS_ALLOW", list)
        .start()
        .await
}

/// Requests for `URL` in several languages and tools; each succeeds and prints `ok` when it gets
/// the page.
const WAYS: [(&str, &str); 12] = [
    (
        "node",
        "await page.goto('URL'); await page.innerText('body')",
    ),
    (
        "node",
        "await page.evaluate(async () => (await fetch(location.href)).text())",
    ),
    (
        "node",
        "const reply = await fetch('URL'); if (!reply.ok) throw new Error(await reply.text()); await reply.text()",
    ),
    (
        "node",
        "const answered = await page.request.get('URL'); if (!answered.ok()) throw new Error(await answered.text()); await answered.text()",
    ),
    (
        "node",
        "await new Promise((done, fail) => require('http').get('URL', (reply) => reply.statusCode === 200 ? done('ok') : fail(new Error(reply.statusCode))).on('error', fail))",
    ),
    (
        "node",
        "const http = await import('node:http'); await new Promise((done, fail) => http.get('URL', { agent: new http.Agent({ keepAlive: true }) }, (reply) => reply.statusCode === 200 ? done('ok') : fail(new Error(reply.statusCode))).on('error', fail))",
    ),
    (
        "python",
        "await page.goto('URL'); await page.inner_text('body')",
    ),
    (
        "python",
        "reply = await page.request.get('URL')\nassert reply.ok, await reply.text()\nawait reply.text()",
    ),
    (
        "python",
        "import urllib.request; urllib.request.urlopen('URL').read().decode()",
    ),
    ("bash", "curl -sSf URL"),
    (
        "bash",
        "agent-browser open URL >/dev/null && agent-browser get text body",
    ),
    (
        "bash",
        "node -e \"fetch('URL').then(async (r) => { if (!r.ok) throw new Error(r.status); console.log(await r.text()) })\"",
    ),
];

async fn ask(session: &Session, (language, code): (&str, &str), url: &str) -> (i64, String) {
    let execution = session.run(language, &code.replace("URL", url)).await;
    (
        execution.exit_code,
        format!("{}{}", execution.result, execution.stderr),
    )
}

#[tokio::test]
async fn every_kind_of_request_goes_through_the_proxy() {
    let web = Web::start().await;
    let server = allowing(&web.address.to_string()).await;
    let session = server.session().await;
    for way in WAYS {
        let before = web.asked().len();
        let (exit_code, shown) = ask(&session, way, &web.url("/")).await;
        assert!(exit_code == 0 && shown.contains("ok"), "{way:?}: {shown}");
        assert!(web.asked().len() > before, "{way:?}");
    }
    server.stop().await;

    let shut = allowing("").await;
    let session = shut.session().await;
    let asked = web.asked();
    for way in WAYS {
        let (exit_code, shown) = ask(&session, way, &web.url("/")).await;
        assert!(
            exit_code != 0 && !shown.contains("<title>ok"),
            "{way:?}: {exit_code} {shown}"
        );
    }
    // No request bypassed the proxy.
    assert_eq!(web.asked(), asked);
    shut.stop().await;
}

#[tokio::test]
async fn a_denied_page_says_why_and_how_to_allow_it() {
    let web = Web::start().await;
    let server = allowing("").await;
    let session = server.session().await;
    let setting = format!("HEARTH_EGRESS_ALLOW={}", web.address);
    let goto = format!("await page.goto('{}')", web.url("/"));
    let failed = session.node(&goto).await.failed(1);
    let curl = format!("curl -s {}", web.url("/"));
    let text = session.bash(&curl).await.ok().stdout;
    for text in [failed.error(), &text] {
        assert!(
            text.contains("the server's own machine") && text.contains(&setting),
            "{text}"
        );
    }
    // The entry that both suggest works.
    let entry = setting
        .strip_prefix("HEARTH_EGRESS_ALLOW=")
        .expect("the setting");
    let obeying = allowing(entry).await;
    let allowed = obeying.session().await;
    allowed
        .node(&format!("await page.goto('{}'); 0", web.url("/")))
        .await
        .ok();
    obeying.stop().await;
    server.stop().await;
}

/// Chromium hides the response to a denied CONNECT, so the reason is in the error of the client
/// that navigates. `navigations` tests plain HTTP.
#[tokio::test]
async fn a_denied_https_page_gives_the_reason_in_the_error_of_every_client() {
    let web = Web::with(vec![("GET /away", redirect("https://10.0.0.1/"))]).await;
    let server = allowing(&web.address.to_string()).await;
    let session = server.session().await;
    let away = web.url("/away");
    for (language, code) in [
        ("node", "await page.goto('https://10.0.0.1/')".to_owned()),
        ("python", "await page.goto('https://10.0.0.1/')".to_owned()),
        ("bash", "agent-browser open https://10.0.0.1/".to_owned()),
        ("node", format!("await page.goto('{away}')")),
        (
            "node",
            "await page.request.get('https://10.0.0.1/')".to_owned(),
        ),
        (
            "python",
            "import urllib.request; urllib.request.urlopen('https://10.0.0.1/')".to_owned(),
        ),
    ] {
        let execution = session.run(language, &code).await.failed(1);
        let error = execution.error();
        assert!(
            error.contains("10.0.0.1:443 was denied: it is in a private network"),
            "{language} {code}: {error}"
        );
        assert!(
            error.contains("HEARTH_EGRESS_ALLOW=10.0.0.1:443"),
            "{language} {code}: {error}"
        );
    }
    let execution = session
        .node("await page.goto('https://nowhere.invalid/')")
        .await
        .failed(1);
    assert!(
        execution
            .error()
            .contains("nowhere.invalid:443 could not be reached: the name does not resolve"),
        "{execution:?}"
    );
    server.stop().await;
}

#[tokio::test]
async fn every_redirect_is_checked_again() {
    let inner = Web::start().await;
    let outer = Web::with(vec![("GET /away", redirect(&inner.url("/")))]).await;
    let server = allowing(&outer.address.to_string()).await;
    let session = server.session().await;
    let goto = format!("await page.goto('{}')", outer.url("/away"));
    let failed = session.node(&goto).await.failed(1);
    assert!(
        failed
            .error()
            .contains(&format!("HEARTH_EGRESS_ALLOW={}", inner.address)),
        "{failed:?}"
    );
    let followed = session
        .bash(&format!("curl -sL {}", outer.url("/away")))
        .await
        .ok()
        .stdout;
    assert!(followed.contains("was denied"), "{followed}");
    assert_eq!(inner.asked(), Vec::<String>::new());
    server.stop().await;
}

#[tokio::test]
async fn web_sockets_of_pages_and_of_code_work() {
    let web = Web::start().await;
    let server = allowing(&web.address.to_string()).await;
    let session = server.session().await;
    let code = "const socket = new WebSocket('URL'); await new Promise((done, fail) => { socket.onerror = () => fail(new Error('refused')); socket.onopen = () => socket.send('you'); socket.onmessage = (event) => { done(event.data); socket.close(); }; })";
    let url = format!("ws://{}/socket", web.address);
    let code = code.replace("URL", &url);
    let of_page = format!(
        "await page.goto('{}'); await page.evaluate(async () => {{ {} }})",
        web.url("/"),
        code.replace("await new", "return await new")
    );
    assert_eq!(session.node(&of_page).await.ok().result, "heard you");
    assert_eq!(session.node(&code).await.ok().result, "heard you");
    server.stop().await;
}

#[tokio::test]
async fn no_session_reaches_its_own_server() {
    for mode in ["filtered", "open"] {
        let builder = TestServer::builder().setting("HEARTH_EGRESS", mode);
        let server = builder
            .setting("HEARTH_EGRESS_ALLOW", "127.0.0.0/8:*,localhost:*,[::1]:*")
            .start()
            .await;
        let session = server.session().await;
        let port = server
            .direct()
            .address()
            .rsplit(':')
            .next()
            .expect("a port")
            .to_owned();
        for host in [
            "127.0.0.1",
            "localhost",
            "127.3.2.1",
            "[::ffff:127.0.0.1]",
            "0.0.0.0",
        ] {
            let url = format!("http://{host}:{port}/health");
            let goto = format!("await page.goto('{url}')");
            let failed = session.node(&goto).await.failed(1);
            assert!(
                failed.error().contains("a port of this Hearth server"),
                "{url}: {failed:?}"
            );
            let shown = session.bash(&format!("curl -s '{url}'")).await.ok().stdout;
            assert!(shown.contains("No setting allows this"), "{url}: {shown}");
        }
        let ports = "for name in $NO_PROXY ${HTTP_PROXY#http://}; do curl -s --noproxy '' http://$name/; done";
        let shown = session.bash(ports).await.ok().stdout;
        assert_eq!(
            shown.matches("No setting allows this").count(),
            2,
            "{shown}"
        );
        server.stop().await;
    }
}

#[tokio::test]
async fn off_blocks_everything_and_open_allows_all_but_metadata() {
    let web = Web::start().await;
    let off = TestServer::builder()
        .setting("HEARTH_EGRESS", "off")
        .start()
        .await;
    let session = off.session().await;
    let shown = session
        .bash(&format!("curl -s {}", web.url("/")))
        .await
        .ok()
        .stdout;
    assert!(
        shown.contains("HEARTH_EGRESS=off blocks all network access"),
        "{shown}"
    );
    assert_eq!(web.asked(), Vec::<String>::new());
    off.stop().await;

    let builder = TestServer::builder()
        .setting("HEARTH_EGRESS", "open")
        .setting("HEARTH_EGRESS_ALLOW", "");
    let open = builder.start().await;
    let session = open.session().await;
    assert!(
        session
            .bash(&format!("curl -s {}", web.url("/")))
            .await
            .ok()
            .stdout
            .contains("ok")
    );
    let goto = "await page.goto('http://169.254.169.254/latest/')";
    let failed = session.node(goto).await.failed(1);
    let error = failed.error();
    assert!(
        error.contains("metadata service") && error.contains("HEARTH_EGRESS_ALLOW_METADATA=true"),
        "{error}"
    );
    open.stop().await;
}

#[tokio::test]
async fn a_metadata_service_is_named_and_needs_its_own_setting() {
    let listed = allowing("169.254.169.254:80").await;
    let session = listed.session().await;
    let shown = session
        .bash("curl -s http://169.254.169.254/latest/")
        .await
        .ok()
        .stdout;
    assert!(
        shown.contains("start the server with HEARTH_EGRESS_ALLOW_METADATA=true."),
        "{shown}"
    );
    listed.stop().await;
}

#[tokio::test]
async fn egress_can_use_an_upstream_proxy() {
    let upstream = Web::start().await;
    let listed = Web::start().await;
    let server = TestServer::builder()
        .setting(
            "HEARTH_EGRESS_PROXY",
            &format!("http://user:pass@{}", upstream.address),
        )
        .setting("HEARTH_EGRESS_ALLOW", &listed.address.to_string())
        .start()
        .await;
    let session = server.session().await;
    session
        .node("await page.goto('http://a.example/page'); 0")
        .await
        .ok();
    assert!(
        upstream
            .asked()
            .contains(&"GET http://a.example/page HTTP/1.1".to_owned()),
        "{:?}",
        upstream.asked()
    );
    session
        .bash(&format!("curl -s {}", listed.url("/direct")))
        .await
        .ok();
    assert_eq!(listed.asked(), ["GET /direct HTTP/1.1"]);
    server.stop().await;
}

#[tokio::test]
async fn a_context_cannot_have_its_own_proxy() {
    let server = TestServer::start().await;
    let session = server.session().await;
    for proxy in ["direct://", "http://127.0.0.1:9"] {
        let code = format!("await browser.newContext({{ proxy: {{ server: '{proxy}' }} }})");
        let execution = session.node(&code).await.failed(1);
        assert!(
            execution
                .error()
                .contains("cannot have their own network settings"),
            "{}",
            execution.error()
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn a_proxy_ends_with_its_session_and_logs_what_it_allowed_and_denied() {
    let web = Web::start().await;
    let server = allowing(&web.address.to_string()).await;
    let before = server.listening_sockets().len();
    let session = server.session().await;
    // The proxy, and the listener for the session's own CDP clients.
    assert_eq!(server.listening_sockets().len(), before + 2);
    session
        .bash(&format!(
            "curl -s {}; curl -s 'http://10.0.0.1/path?secret=sesame'",
            web.url("/")
        ))
        .await
        .ok();
    session.delete().await;
    eventually(
        Duration::from_secs(5),
        "its ports are closed",
        async || match server.listening_sockets().len() {
            now if now == before => Ok(()),
            now => Err(format!("{now} listening sockets instead of {before}")),
        },
    )
    .await;
    let is_traffic = |line: &str| line.contains("up_bytes=") && !line.contains("up_bytes=0");
    eventually(
        Duration::from_secs(5),
        "the end is logged",
        async || match server.output() {
            output if output.lines().any(is_traffic) => Ok(()),
            output => Err(output),
        },
    )
    .await;
    let output = server.output();
    let rejections: Vec<&str> = output
        .lines()
        .filter(|line| line.contains("egress denied"))
        .collect();
    assert_eq!(rejections.len(), 1, "{output}");
    assert!(
        rejections[0].contains("10.0.0.1:80") && !output.contains("sesame"),
        "{output}"
    );
    server.stop().await;
}
