//! Warm sessions: claims, isolation from earlier sessions, replacement and shutdown.

#![expect(clippy::float_cmp, reason = "counts are whole numbers")]

use std::time::Duration;

use futures_util::future::join_all;
use hearth_test_support::process::Process;
use hearth_test_support::{BrowserWrapper, ServerBuilder, Session, TestServer, eventually};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::egress::web::Web;
use crate::operator::metrics::metrics;

/// The time in which a session is prepared, on a busy machine.
const PREPARED: Duration = Duration::from_secs(30);

const READY: &str = "hearth_warm_sessions{state=\"ready\"}";
const CLAIMED: &str = "hearth_warm_claimed_total";

fn builder(sessions: u32) -> ServerBuilder {
    TestServer::builder().setting("HEARTH_WARM_SESSIONS", &sessions.to_string())
}

/// Waits until `count` sessions are warm.
async fn until_warm(server: &TestServer, count: u32) {
    eventually(PREPARED, "sessions are warm", async || {
        let ready = metrics(server.direct()).await[READY];
        let log = || server.output();
        (ready == f64::from(count))
            .then_some(())
            .ok_or_else(|| format!("{ready} are ready\n{}", log()))
    })
    .await;
}

async fn warm_server(sessions: u32) -> TestServer {
    let server = builder(sessions).start().await;
    until_warm(&server, sessions).await;
    server
}

async fn count(server: &TestServer, metric: &str) -> f64 {
    metrics(server.direct()).await[metric]
}

async fn cold(server: &TestServer, reason: &str) -> f64 {
    count(
        server,
        &format!("hearth_cold_creations_total{{reason=\"{reason}\"}}"),
    )
    .await
}

fn find(server: &TestServer, is_wanted: impl Fn(&Process) -> bool) -> Process {
    let all = server.processes();
    let found = all.into_iter().find(|process| is_wanted(process));
    found.expect("the process exists")
}

#[tokio::test]
async fn a_client_gets_a_warm_session_and_another_one_is_prepared() {
    let server = warm_server(1).await;
    for round in 1..=2 {
        let before = server.session_dirs();
        let session = server.session().await;
        assert_eq!(count(&server, CLAIMED).await, f64::from(round));
        // It is the session that was warm.
        assert!(before.iter().all(|dir| server.session_dirs().contains(dir)));
        let title = "await page.setContent('<title>Warm</title>'); await page.title()";
        assert_eq!(session.node(title).await.ok().result, "Warm");
        assert_eq!(
            session.python("await page.title()").await.ok().result,
            "Warm"
        );
        let bash = session.bash("agent-browser get title").await.ok();
        assert_eq!(bash.stdout.trim(), "Warm");
        until_warm(&server, 1).await;
        session.delete().await;
    }
    assert_eq!(cold(&server, "empty").await, 0.0);
    server.stop().await;
}

#[tokio::test]
async fn a_burst_gets_cold_sessions_when_the_pool_is_empty() {
    let server = warm_server(1).await;
    let sessions = join_all((0..4).map(|_| server.session())).await;
    let (claimed, cold) = (count(&server, CLAIMED).await, cold(&server, "empty").await);
    assert_eq!(claimed + cold, 4.0);
    // On a busy machine, another one can be ready before the last request arrives.
    assert!(claimed >= 1.0 && cold >= 2.0, "{claimed} {cold}");
    let codes = sessions.iter().map(|session| session.node("1 + 1"));
    for execution in join_all(codes).await {
        assert_eq!(execution.ok().result, "2");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_pool_of_several_sessions_is_filled() {
    let server = warm_server(5).await;
    let sessions = join_all((0..5).map(|_| server.session())).await;
    assert_eq!(count(&server, CLAIMED).await, 5.0);
    drop(sessions);
    until_warm(&server, 5).await;
    server.stop().await;
}

#[tokio::test]
async fn a_session_with_a_profile_has_its_own_browser() {
    let server = warm_server(1).await;
    let profile = json!({"profile": {"name": "warm", "saveChanges": true}});
    let add =
        "await context.addCookies([{name: 'kept', value: '1', domain: 'example.com', path: '/',
               expires: Date.now() / 1000 + 3600}])";
    for expected in ["0", "1"] {
        let (kernel, browser) = (
            find(&server, is_node_kernel).pid,
            find(&server, Process::is_browser).pid,
        );
        let session = server.session_with(&profile).await;
        let code = "(await context.cookies('http://example.com')).length";
        assert_eq!(session.node(code).await.ok().result, expected);
        assert_eq!(session.python("len(context.pages)").await.ok().result, "1");
        // The kernel is the warm one, and the browser is not.
        let is_there = |pid| server.processes().iter().any(|process| process.pid == pid);
        assert!(is_there(kernel) && !is_there(browser));
        session.node(add).await.ok();
        session.delete().await;
        until_warm(&server, 1).await;
    }
    assert_eq!(cold(&server, "profile").await, 2.0);
    server.stop().await;
}

#[tokio::test]
async fn a_session_with_a_location_has_its_own_browser_and_kernels() {
    let server = warm_server(1).await;
    let dirs = server.session_dirs();
    let (kernel, browser) = (
        find(&server, is_node_kernel).pid,
        find(&server, Process::is_browser).pid,
    );
    let session = server
        .session_with(&json!({"location": {"country": "JP"}}))
        .await;
    let is_there = |pid| server.processes().iter().any(|process| process.pid == pid);
    assert!(!is_there(kernel) && !is_there(browser));
    // The rest of the warm session is used.
    assert!(dirs.iter().all(|dir| server.session_dirs().contains(dir)));
    let hours = "[new Date(0).getHours(), await page.evaluate(() => new Date(0).getHours())]";
    assert_eq!(session.node(hours).await.ok().json(), json!([9, 9]));
    let python = "from datetime import datetime; datetime.fromtimestamp(0).hour";
    assert_eq!(session.python(python).await.ok().result, "9");
    let bash = "date -d @0 +%H; agent-browser eval 'new Date(0).getHours()'";
    assert_eq!(session.bash(bash).await.ok().result, "09\n9");
    assert_eq!(cold(&server, "location").await, 1.0);
    session.delete().await;
    until_warm(&server, 1).await;
    let next = server.session().await;
    assert_eq!(count(&server, CLAIMED).await, 1.0);
    assert_eq!(next.node("'TZ' in process.env").await.ok().result, "false");
    server.stop().await;
}

#[tokio::test]
async fn a_warm_session_gets_the_options_of_its_client() {
    let web = Web::start().await;
    let proxy = format!("http://{}", web.address);
    let server = builder(1)
        .setting("HEARTH_EGRESS_PROXY", &proxy)
        .start()
        .await;
    for (options, expected) in [(json!({}), "403"), (json!({"blockAds": false}), "200")] {
        until_warm(&server, 1).await;
        let session = server.session_with(&options).await;
        let code = "curl -s -o /dev/null -w '%{http_code}' http://ad.doubleclick.net/";
        assert_eq!(session.bash(code).await.ok().result, expected, "{options}");
    }
    assert_eq!(count(&server, CLAIMED).await, 2.0);
    server.stop().await;
}

fn is_node_kernel(process: &Process) -> bool {
    process.command.contains("kernel.mjs") && !process.is_shim()
}

fn is_renderer(process: &Process) -> bool {
    process.command.contains("--type=renderer")
}

/// Describes everything that code can see of its session without a trace of its age.
async fn portrait(session: &Session) -> Vec<Value> {
    let node = session
        .node(
            "JSON.stringify([Object.getOwnPropertyNames(globalThis).sort(), Object.keys(process.env).sort(),
              process.argv.length, context.pages().length, browser.contexts().length, page.url(),
              await page.evaluate(() => [Object.getOwnPropertyNames(window).length, history.length, name]),
              await context.cookies(), page.listenerCount('response'), require('fs').readdirSync('.').sort()])",
        )
        .await
        .ok()
        .json();
    let python = session
        .python(
            "import json, os, asyncio, threading, linecache\n\
             json.dumps([sorted(globals()), sorted(os.environ), len(context.pages), page.url,\n\
             \x20   sorted(os.listdir('.')), threading.active_count(), [name for name in linecache.cache if 'hearth' in name],\n\
             \x20   await context.cookies()])",
        )
        .await
        .ok()
        .json();
    let bash = session
        .bash("env | cut -d= -f1 | sort; ls -A; ls -A /tmp; agent-browser tab list | wc -l; history | wc -l")
        .await
        .ok();
    vec![node, python, bash.stdout.into()]
}

#[tokio::test]
async fn a_warm_session_looks_like_a_new_one() {
    let server = warm_server(1).await;
    let warm = server.session().await;
    let cold_one = server.session().await;
    assert_eq!(count(&server, CLAIMED).await, 1.0);
    assert_eq!(cold(&server, "empty").await, 1.0);
    assert_eq!(portrait(&warm).await, portrait(&cold_one).await);
    server.stop().await;
}

#[tokio::test]
async fn nothing_of_a_session_is_in_the_next_one() {
    let server = warm_server(1).await;
    let leave = [
        ("node", "globalThis.secret = 1; setInterval(() => console.log('secret'), 1); require('fs').writeFileSync('secret', ''); require('fs').writeFileSync('/tmp/secret', '');
                  await context.addCookies([{name: 'secret', value: '1', url: 'http://example.com'}]); process.env.SECRET = '1';
                  require('net').createServer().listen(4711, '127.0.0.1'); 0"),
        ("python", "secret = 1\nimport builtins\nbuiltins.secret = 1\n0"),
        ("bash", "export SECRET=1; echo secret > ~/.bashrc; (setsid sleep 1004 &)"),
    ];
    let first = server.session().await;
    for (language, code) in leave {
        first.run(language, code).await.ok();
    }
    until_warm(&server, 1).await;
    // One session beside the first, and one after it.
    for round in 0..2 {
        let next = server.session().await;
        assert_eq!(cold(&server, "empty").await, 0.0);
        let node = next
            .node(
                "[typeof secret, require('fs').existsSync('secret'), require('fs').existsSync('/tmp/secret'), process.env.SECRET,
                  (await context.cookies()).length,
                  await new Promise(done => require('net').connect(4711, '127.0.0.1').on('connect', () => done('open')).on('error', () => done('closed')))]",
            )
            .await
            .ok();
        let expected = json!(["undefined", false, false, null, 0, "closed"]);
        assert_eq!(
            (node.json(), node.stdout.as_str()),
            (expected, ""),
            "{round}"
        );
        let python = next
            .python("'secret' in dir(__builtins__) or 'secret' in globals()")
            .await;
        assert_eq!(python.ok().result, "false");
        let bash = next.bash("echo $SECRET; cat ~/.bashrc").await;
        assert_eq!(bash.stdout.trim(), "");
        if round == 0 {
            first.delete().await;
        }
        until_warm(&server, 1).await;
    }
    server.stop().await;
}

/// Returns the address of the browser that a kernel has in its environment.
fn endpoint_of(server: &TestServer) -> String {
    let kernel = find(server, is_node_kernel);
    let environment = kernel.environment().expect("it runs");
    let url = environment
        .iter()
        .find_map(|entry| entry.strip_prefix("CDP_URL="));
    url.expect("kernels know the address")
        .replacen("ws:", "http:", 1)
}

#[tokio::test]
async fn the_browser_of_a_warm_session_needs_its_token() {
    let server = warm_server(1).await;
    let endpoint = endpoint_of(&server);
    let (address, token) = endpoint.split_once("?token=").expect("it has a token");
    let session = server.session().await;
    until_warm(&server, 1).await;
    let other = endpoint_of(&server);
    // The two kernels are listed in no order, so either may be the warm one.
    assert!(
        server
            .processes()
            .iter()
            .filter(|each| each.command.contains("kernel.mjs"))
            .count()
            >= 2
    );
    let client = reqwest::Client::new();
    for url in [
        address.to_owned(),
        format!("{address}?token=x"),
        format!("{address}/agent?token=x"),
    ] {
        let status = client.get(&url).send().await.expect("it responds").status();
        assert!(status == 401 || status == 405, "{url}: {status}");
    }
    // The public listener has no such route, and code of another session cannot connect.
    let public = format!("{}/cdp?token={token}", server.origin());
    assert_eq!(
        client
            .get(&public)
            .send()
            .await
            .expect("it responds")
            .status(),
        404
    );
    for url in [endpoint.as_str(), other.as_str()] {
        let code = format!(
            "const own = process.env.CDP_URL.replace('ws:', 'http:').split('/')[2];\n\
             const there = new URL('{url}').host;\n\
             there === own ? 'own' : await new Promise(done => require('net').connect(new URL('{url}').port, '127.0.0.1')\n\
             \x20 .on('connect', () => done('open')).on('error', () => done('closed')))"
        );
        let reached = session.node(&code).await.ok().result;
        assert!(
            ["own", "closed"].contains(&reached.as_str()),
            "{url}: {reached}"
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn a_broken_warm_session_is_replaced() {
    let server = warm_server(1).await;
    for (signal, is_broken) in [
        (
            Signal::SIGKILL,
            &Process::is_browser as &dyn Fn(&Process) -> bool,
        ),
        (Signal::SIGSTOP, &Process::is_browser),
        (Signal::SIGSTOP, &is_renderer),
        (Signal::SIGKILL, &is_node_kernel),
    ] {
        let mut broken = server.processes();
        broken.retain(is_broken);
        assert!(!broken.is_empty(), "{signal}");
        for process in &broken {
            process.signal(signal);
        }
        let claimed = count(&server, CLAIMED).await;
        let session = server.session().await;
        assert_eq!(session.node("await page.title()").await.ok().result, "");
        // The server may not have noticed yet that a process ended.
        if signal == Signal::SIGSTOP {
            assert_eq!(count(&server, CLAIMED).await, claimed);
        }
        session.delete().await;
        until_warm(&server, 1).await;
        broken.retain_mut(Process::refresh);
        assert!(
            broken.is_empty(),
            "{signal}: the broken session is still there"
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn warm_sessions_leave_no_room_for_fewer_sessions() {
    let server = builder(1).setting("HEARTH_MAX_SESSIONS", "1").start().await;
    until_warm(&server, 1).await;
    let session = server.session().await;
    until_warm(&server, 1).await;
    let listed = server.list("").await.ok();
    assert_eq!(listed["sessions"].as_array().map(Vec::len), Some(1));
    assert_eq!(server.create(&json!({})).await.status, 429);
    session.delete().await;
    server.session().await.delete().await;
    server.stop().await;
}

#[tokio::test]
async fn a_warm_session_gives_its_user_ids_to_a_session_that_needs_them() {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("skipped: only root can start programs under other users");
        return;
    }
    // The ids of the server, and of the browser and the code of one session.
    let server = builder(1)
        .setting("HEARTH_UIDS", "61992-61994")
        .start()
        .await;
    until_warm(&server, 1).await;
    let profile = json!({"profile": {"name": "only", "saveChanges": false}});
    let session = server.session_with(&profile).await;
    assert_eq!(session.node("1").await.ok().result, "1");
    assert_eq!(count(&server, READY).await, 0.0);
    session.delete().await;
    until_warm(&server, 1).await;
    server.stop().await;
}

#[tokio::test]
async fn a_browser_that_does_not_start_is_reported_and_tried_again() {
    // A node stays ready, because the other nodes create sessions.
    let server = TestServer::builder()
        .single()
        .without_browser()
        .setting("HEARTH_WARM_SESSIONS", "1")
        .start()
        .await;
    eventually(PREPARED, "the server is not ready", async || {
        let ready = count(&server, "hearth_ready").await;
        (ready == 0.0).then_some(()).ok_or_else(|| server.output())
    })
    .await;
    eventually(PREPARED, "the pause grows", async || {
        let log = server.output();
        let is_logged = log.contains("warm session failed") && log.contains("retry_seconds=2");
        is_logged.then_some(()).ok_or(log)
    })
    .await;
    server.stop().await;
}

#[tokio::test]
async fn a_reload_replaces_warm_sessions() {
    let dir = hearth_test_support::new_data_dir();
    let file = dir.path().join("settings");
    std::fs::write(&file, "HEARTH_MAX_TABS=100\n").expect("the directory is writable");
    let server = builder(1)
        .setting("HEARTH_ENV_FILE", &file.to_string_lossy())
        .start()
        .await;
    until_warm(&server, 1).await;
    std::fs::write(&file, "HEARTH_MAX_TABS=2\n").expect("the directory is writable");
    server.signal(Signal::SIGHUP);
    eventually(PREPARED, "the setting is in effect", async || {
        let log = server.output();
        log.contains("HEARTH_MAX_TABS").then_some(()).ok_or(log)
    })
    .await;
    until_warm(&server, 1).await;
    let session = server.session().await;
    assert_eq!(count(&server, CLAIMED).await, 1.0);
    let opened = session
        .node("await context.newPage(); await context.newPage()")
        .await;
    assert_eq!(opened.exit_code, 1, "{opened:?}");
    server.stop().await;
}

#[tokio::test]
async fn a_server_that_is_killed_leaves_no_warm_session() {
    let mut server = warm_server(2).await;
    server.processes();
    server.kill_hard().await;
    server.assert_nothing_runs(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_server_stops_at_once_while_it_prepares_a_session() {
    // The first one is still being prepared.
    builder(1).start().await.stop().await;
    let server = warm_server(1).await;
    let session = server.session().await;
    // The next one is being prepared, or about to be.
    session.node("1").await.ok();
    server.stop().await;
}

#[tokio::test]
async fn a_server_stops_at_once_although_a_browser_hangs() {
    let mut server = builder(1).browser(BrowserWrapper::hanging()).start().await;
    eventually(PREPARED, "the browser starts", async || {
        let all = server.processes();
        let is_started = all.iter().any(|process| process.command.contains("sleep"));
        is_started.then_some(()).ok_or_else(|| server.output())
    })
    .await;
    server.signal(Signal::SIGTERM);
    server.ended_by_itself().await;
    // It did not wait until the time limit of the launch.
    let log = server.output();
    assert!(!log.contains("warm session failed"), "{log}");
}
