//! Runs every command of agent-browser's help in a session; the results are a table in
//! `docs/conformance.md`.

use std::fmt::Write;

use hearth_test_support::document::assert_section;
use hearth_test_support::{Session, Site, TestServer};

use crate::agent_browser::case::{Case, Expectation, Group};
use crate::agent_browser::{browser, page, tool};

/// Shell functions for the scripts. `ask` returns once the dialog is open.
const PRELUDE: &str = r#"
ab() { agent-browser "$@"; }
said() { agent-browser get text '#said'; }
height() { od -An -j20 -N4 -tu1 "$1" | { read -r a b c d; echo $((((a * 256 + b) * 256 + c) * 256 + d)); }; }
ask() { agent-browser click '#ask' >/dev/null; for _ in $(seq 100); do agent-browser dialog status | grep -q Who && return; done; }
FETCH="fetch('/data.json').then((reply) => reply.text()).catch(String)"
agent-browser open $S/elements >/dev/null || exit 90
"#;

/// Runs one script and returns the last line that it printed.
async fn last_line(session: &Session, site: &Site, script: &str) -> String {
    let code = format!("S={}\n{PRELUDE}\n{script}", site.url(""));
    let execution = session.bash(&code).await;
    let line = execution
        .stdout
        .lines()
        .map(str::trim)
        .rfind(|line| !line.is_empty());
    line.map_or_else(|| format!("nothing: {execution:?}"), ToOwned::to_owned)
}

/// Runs a case and describes its failure; `None` if it succeeds.
async fn check(
    plain: &Session,
    permitted: &Session,
    site: &Site,
    chromium: u32,
    case: &Case,
) -> Option<String> {
    let (session, script) = match &case.expectation {
        Expectation::Works { script, .. }
        | Expectation::WorksFrom { script, .. }
        | Expectation::Fails { script, .. } => (plain, script),
        Expectation::WorksWhenPermitted { script, .. } => (permitted, script),
        Expectation::Elsewhere { .. } => return None,
    };
    let accepted = case.expectation.accepted(chromium);
    let seen = last_line(session, site, script).await;
    (!accepted.contains(&seen.as_str())).then(|| {
        format!(
            "{} (Chromium {chromium})\n    expected {}\n    seen     {seen}",
            case.command,
            accepted.join(" or ")
        )
    })
}

/// Returns the major version of the session's browser.
async fn chromium_version(session: &Session) -> u32 {
    let agent = session
        .node("await page.evaluate(() => navigator.userAgent)")
        .await
        .ok()
        .result;
    agent
        .split_once("Chrome/")
        .and_then(|(_, version)| version.split('.').next()?.parse().ok())
        .unwrap_or_else(|| panic!("the user agent has no Chrome version: {agent}"))
}

/// Runs the groups one after the other, in new sessions.
async fn check_all(server: &TestServer, site: &Site, groups: &[Group]) -> Vec<String> {
    let (plain, permitted) = (server.session().await, server.session().await);
    let needs_permission =
        |case: &Case| matches!(case.expectation, Expectation::WorksWhenPermitted { .. });
    if groups
        .iter()
        .flat_map(|group| group.cases)
        .any(needs_permission)
    {
        let grant = "await context.grantPermissions(['geolocation', 'clipboard-read', 'clipboard-write']); 0";
        permitted.node(grant).await.ok();
    }
    let chromium = chromium_version(&plain).await;
    let mut wrong = Vec::new();
    for case in groups.iter().flat_map(|group| group.cases) {
        wrong.extend(check(&plain, &permitted, site, chromium, case).await);
    }
    wrong
}

fn describe(groups: &[Group]) -> String {
    let mut text = String::new();
    for Group { title, cases } in groups {
        write!(text, "\n### {title}\n\n| command | result |\n|---|---|\n")
            .expect("writing to a string cannot fail");
        for case in *cases {
            let result = match &case.expectation {
                Expectation::Works { .. } => "works".to_owned(),
                Expectation::WorksWhenPermitted { .. } => {
                    "works when the page has the permission (`context.grantPermissions` in node or python)".to_owned()
                }
                Expectation::WorksFrom {
                    works,
                    fails,
                    reason,
                    ..
                } => format!(
                    "works from Chromium {} on; fails up to Chromium {}: {reason}",
                    works.chromium, fails.chromium
                ),
                Expectation::Fails { reason, .. } => format!("fails: {reason}"),
                Expectation::Elsewhere { reason } => format!("not available: {reason}"),
            };
            writeln!(text, "| `{}` | {result} |", case.command)
                .expect("writing to a string cannot fail");
        }
    }
    text
}

#[tokio::test]
async fn every_command_of_agent_browsers_help_works_and_is_documented() {
    let (server, site) = (TestServer::start().await, Site::start().await);
    // The groups run at the same time, because they mostly wait for browsers.
    let (page, browser, tool) = tokio::join!(
        check_all(&server, &site, page::GROUPS),
        check_all(&server, &site, browser::GROUPS),
        check_all(&server, &site, tool::GROUPS),
    );
    let wrong = [page, browser, tool].concat();
    assert!(
        wrong.is_empty(),
        "{} commands have unexpected results:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    server.stop().await;

    let tables = [page::GROUPS, browser::GROUPS, tool::GROUPS]
        .map(describe)
        .concat();
    let introduction = "Version 0.41.2 through `language: \"bash\"`. Working commands were verified by their effect on a \
                        page, not by their own output.\n\
                        Relative file paths resolve in the session's working directory.\n";
    assert_section(
        "docs/conformance.md",
        "agent-browser",
        &format!("{introduction}{tables}"),
    );
}
