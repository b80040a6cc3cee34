//! Signal handlers of Python code, which stay installed after the call: their exceptions reach the
//! code that runs, and never the kernel's own code.

use hearth_test_support::{Session, TestServer};

/// Installs a handler that raises, and defines `ring()`, which sends its signal in a moment.
const INSTALL: &str = "import asyncio, os, signal, sys, time
kept = 1
class Alarm(Exception): pass
def on_alarm(number, frame):
    raise Alarm('rang')
def ring(): signal.setitimer(signal.ITIMER_REAL, 0.05)
signal.signal(signal.SIGALRM, on_alarm)
None";

/// Code that waits much longer than until the signal, in the event loop and outside of it.
const WAITS: [&str; 6] = [
    "await asyncio.sleep(60)",
    "time.sleep(60)",
    "while True: time.time()",
    "asyncio.run(asyncio.sleep(60))",
    "await page.wait_for_selector('#never', timeout=60000)",
    "from playwright.sync_api import sync_playwright\n    with sync_playwright() as own:\n        \
     own.chromium.launch().new_page().wait_for_selector('#never', timeout=60000)",
];

async fn start() -> (TestServer, Session) {
    let server = TestServer::start().await;
    let session = server.session().await;
    session.python(INSTALL).await.ok();
    (server, session)
}

async fn assert_kept(session: &Session, after: &str) {
    let next = session.python("kept").await.ok();
    assert_eq!(
        (next.result.as_str(), next.stderr.as_str()),
        ("1", ""),
        "{after}"
    );
}

#[tokio::test]
async fn an_exception_of_an_earlier_calls_handler_is_raised_in_the_code_that_runs() {
    let (server, session) = start().await;
    for wait in WAITS {
        let code = format!("ring()\nif True:\n    {wait}");
        let execution = session.python(&code).await.failed(1);
        assert!(execution.error().starts_with("Alarm: "), "{execution:?}");
        assert!(execution.error().ends_with("rang"), "{execution:?}");
        assert!(
            !execution.stderr.contains("hearth_kernel"),
            "{code}: {}",
            execution.stderr
        );
        assert_kept(&session, &code).await;
        let code = format!("ring()\ntry:\n    {wait}\nexcept Alarm:\n    print('caught')");
        let execution = session.python(&code).await.ok();
        assert_eq!(
            (execution.stdout.as_str(), execution.stderr.as_str()),
            ("caught\n", ""),
            "{code}"
        );
        assert_kept(&session, &code).await;
    }
    let task = "async def spin():\n    ring()\n    while True: pass\ntask = asyncio.create_task(spin())\n\
                try:\n    await task\nexcept Alarm:\n    print('caught')\nrepr(task.exception())";
    let execution = session.python(task).await.ok();
    assert_eq!(execution.result, "Alarm('rang')");
    server.stop().await;
}

#[tokio::test]
async fn a_handler_that_ends_the_process_makes_no_later_call_a_success() {
    let (server, session) = start().await;
    session
        .python("signal.signal(signal.SIGALRM, lambda *_: sys.exit(0))\nNone")
        .await
        .ok();
    for wait in WAITS {
        let code = format!("ring()\nif True:\n    {wait}");
        let execution = session.python(&code).await.failed(1);
        assert_eq!(
            execution.error(),
            "sys.exit(0) was called by a signal handler of an earlier call",
            "{code}"
        );
        assert_kept(&session, &code).await;
    }
    let silent = "signal.signal(signal.SIGALRM, lambda *_: os._exit(0))\nNone";
    session.python(silent).await.ok();
    for wait in WAITS {
        let execution = session
            .python(&format!("ring()\nif True:\n    {wait}"))
            .await;
        execution.failed(1);
        assert_kept(&session, wait).await;
    }
    // A handler of the call itself ends it as usual.
    let own = "signal.signal(signal.SIGALRM, lambda *_: sys.exit(4))\nring()\n";
    for wait in WAITS {
        let code = format!("{own}if True:\n    {wait}");
        let execution = session.python(&code).await.failed(4);
        assert_eq!(execution.stderr, "", "{code}");
        assert_kept(&session, &code).await;
    }
    server.stop().await;
}

#[tokio::test]
async fn an_exception_between_calls_is_told_by_the_next_call() {
    let (server, session) = start().await;
    for (handler, told) in [
        ("on_alarm", "Alarm: rang"),
        ("lambda *_: sys.exit(0)", "sys.exit(0) was ignored"),
    ] {
        let code = format!("signal.signal(signal.SIGALRM, {handler})\nring()\nNone");
        session.python(&code).await.ok();
        // Another language waits until the signal has arrived.
        session.bash("sleep 0.3").await.ok();
        let next = session.python("kept").await.ok();
        assert_eq!(next.result, "1");
        assert!(next.stderr.contains(told), "{}", next.stderr);
        assert!(!next.stderr.contains("hearth_kernel"), "{}", next.stderr);
    }
    server.stop().await;
}

#[tokio::test]
async fn signals_that_arrive_at_any_time_do_not_break_the_kernel() {
    let (server, session) = start().await;
    let every_moment = "signal.setitimer(signal.ITIMER_REAL, 0.01, 0.002)\nNone";
    session.python(every_moment).await.ok();
    for round in 0..60 {
        let code = match round % 3 {
            0 => "kept",
            1 => "await asyncio.sleep(0.003)\nkept",
            _ => "await page.title()\nkept",
        };
        let execution = session.python(code).await;
        let told = (
            execution.exit_code,
            execution.result.as_str(),
            execution
                .error
                .as_deref()
                .map(|error| error.ends_with("rang")),
        );
        assert!(
            [(0, "1", None), (1, "", Some(true))].contains(&told),
            "{code}: {execution:?}"
        );
    }
    let stop = "signal.setitimer(signal.ITIMER_REAL, 0)\nkept";
    while session.python(stop).await.result != "1" {}
    let page = session.python("await page.title()\nkept").await.ok();
    assert_eq!(page.result, "1");
    server.stop().await;
}

#[tokio::test]
async fn handlers_of_the_event_loop_and_of_interrupts_work_in_later_calls() {
    let (server, session) = start().await;
    let handlers = "loop = asyncio.get_running_loop()
loop.add_signal_handler(signal.SIGUSR1, lambda: print('loop'))
loop.add_signal_handler(signal.SIGUSR2, lambda: 1 / 0)
signal.signal(signal.SIGHUP, lambda number, frame: print('plain', number))
None";
    session.python(handlers).await.ok();
    let send = "for each in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP):\n    os.kill(os.getpid(), each)\n\
                await asyncio.sleep(0.1)\nkept";
    let execution = session.python(send).await.ok();
    assert_eq!(
        (execution.result.as_str(), execution.stdout.as_str()),
        ("1", "plain 1\nloop\n")
    );
    assert!(execution.stderr.contains("ZeroDivisionError"));
    let interrupt = "import threading\nthreading.Timer(0.05, lambda: os.kill(os.getpid(), signal.SIGINT)).start()\n\
                     await asyncio.sleep(60)";
    let execution = session.python(interrupt).await.failed(1);
    assert_eq!(execution.error(), "KeyboardInterrupt");
    let seen = "handlers = [signal.getsignal(each) for each in (signal.SIGALRM, signal.SIGINT)]\n\
                [handlers[0] is on_alarm, handlers[1] is signal.default_int_handler, \
                 signal.signal(signal.SIGALRM, signal.SIG_DFL) is on_alarm, kept]";
    let seen = session.python(seen).await.ok();
    assert_eq!(seen.result, "[true,true,true,1]");
    server.stop().await;
}
