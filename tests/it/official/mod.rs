//! Firecrawl's own clients, unmodified, on a real server: every session call, scrapes and the code
//! that runs in them, every error as the client shows it, the CLI in all its forms, the tools of
//! language models, and the requests of the API reference. The results are tables in
//! docs/conformance.md.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod call;
mod cli;
mod cli_calls;
mod client;
mod configurations;
mod elsewhere;
mod quickstart;
mod readme;
mod rejected;
mod rejections;
mod scraped;
mod steps;
mod visit;

use std::fs;
use std::path::Path;

use call::Call;
use client::{Client, Kind};
use elsewhere::Elsewhere;
use futures_util::future::join_all;
use futures_util::stream::{self, StreamExt};
use hearth_test_support::document::assert_section;
use hearth_test_support::report::{Report, assert_all_good, table};
use hearth_test_support::{ClientHome, Exchange, ServerBuilder, Site, TestServer};
use reqwest::Method;
use serde_json::json;
use visit::Visit;

/// Two servers: one with a key and team for each client and one key of another team, and one
/// without keys.
struct Servers {
    keyed: TestServer,
    open: TestServer,
}

/// A key of a team that has no client.
const OTHER_TEAM_KEY: &str = "other-key";

impl Servers {
    async fn start() -> Self {
        Self::start_with(|server| server).await
    }

    /// Starts servers in front of another one, which takes the place of a self-hosted Firecrawl.
    /// Returns it too.
    async fn start_in_front() -> (TestServer, Self) {
        let firecrawl = TestServer::builder()
            .single()
            .setting("HEARTH_MAX_SESSIONS", "16")
            .setting("HEARTH_SCRAPE_KEEP_SECONDS", "0");
        let firecrawl = firecrawl.start().await;
        let url = firecrawl.origin().to_owned();
        let servers = Self::start_with(|server| server.setting("HEARTH_FIRECRAWL_URL", &url));
        let servers = servers.await;
        (firecrawl, servers)
    }

    async fn start_with(configure: impl Fn(ServerBuilder) -> ServerBuilder) -> Self {
        let keys: Vec<String> = Kind::ALL
            .iter()
            .map(|kind| format!("{0}:{0}-key", kind.name()))
            .collect();
        let keys = format!("{},other:{OTHER_TEAM_KEY}", keys.join(","));
        let keyed = TestServer::builder()
            .setting("HEARTH_API_KEYS", &keys)
            .setting("HEARTH_MAX_OUTPUT_BYTES", "20000")
            .setting("HEARTH_MAX_SESSIONS", "16");
        // Nodes of a cluster need keys.
        let open = TestServer::builder()
            .single()
            .setting("HEARTH_MAX_SESSIONS", "16");
        let (keyed, open) = (configure(keyed), configure(open));
        let (keyed, open) = tokio::join!(keyed.start(), open.start());
        Self { keyed, open }
    }

    async fn stop(self) {
        tokio::join!(self.keyed.stop(), self.open.stop());
    }
}

/// Lists every file below a dir by its relative path.
fn files(dir: &Path) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap();
        if entry.file_type().unwrap().is_dir() {
            found.extend(
                files(&entry.path())
                    .iter()
                    .map(|file| format!("{name}/{file}")),
            );
        } else {
            found.push(name);
        }
    }
    found.sort();
    found
}

#[tokio::test]
async fn every_official_client_works_and_is_documented() {
    let (servers, elsewhere) = tokio::join!(Servers::start(), Elsewhere::listen());
    let other_team = servers.keyed.with_key(OTHER_TEAM_KEY).session().await;
    let reports = join_all(Kind::OF_SESSIONS.map(async |kind| {
        let mut visit = Visit::begin(
            kind,
            &servers.keyed,
            &servers.open,
            other_team.id(),
            &elsewhere,
        )
        .await;
        let report = visit.run().await;
        (report, visit.end().await)
    }))
    .await;
    let (reports, homes): (Vec<_>, Vec<ClientHome>) = reports.into_iter().unzip();
    assert_all_good(&reports, &steps::STEPS);
    for (kind, home) in Kind::OF_SESSIONS.iter().zip(&homes) {
        // The CLI stores the session that was launched last, which is not the one that was closed.
        let kept: &[&str] = if *kind == Kind::CommandLine {
            &[cli::SESSION]
        } else {
            &[]
        };
        assert_eq!(
            files(home.path()),
            kept,
            "files that {} leaves in its home dir",
            kind.title()
        );
    }
    assert_eq!(
        elsewhere.received(),
        Vec::<String>::new(),
        "a client sent requests to another host"
    );
    assert_eq!(
        other_team.node("1 + 1").await.ok().result,
        "2",
        "the other team's session is unharmed"
    );
    servers.stop().await;
    assert_section("docs/conformance.md", "official", &table(&reports));
}

/// The number of clients that use the server at once. Each has several browsers.
const CLIENTS_AT_ONCE: usize = 3;

#[tokio::test]
async fn every_official_client_scrapes_and_interacts_and_is_documented() {
    let servers = Servers::start().await;
    let reports = scrape_with_every_client(&servers).await;
    servers.stop().await;
    assert_section("docs/conformance.md", "official-scrape", &table(&reports));
}

/// The front answers scrapes with actions, profiles and pictures, and repeats the other ones for an
/// interaction. Clients must not notice a difference.
#[tokio::test]
async fn every_official_client_scrapes_and_interacts_through_the_front() {
    let (firecrawl, servers) = Servers::start_in_front().await;
    let reports = scrape_with_every_client(&servers).await;
    let metrics = firecrawl.request_outside(Method::GET, "/metrics");
    let metrics = Exchange::of(metrics).await.text;
    let unused = "hearth_scrape_seconds_count{outcome=\"succeeded\"} 0\n";
    assert!(metrics.contains(&unused[..unused.len() - 2]), "{metrics}");
    assert!(!metrics.contains(unused), "no scrape was passed on");
    servers.stop().await;
    firecrawl.stop().await;
    assert_section("docs/conformance.md", "official-front", &table(&reports));
}

/// Runs all steps of a scrape with every client.
async fn scrape_with_every_client(servers: &Servers) -> Vec<Report> {
    let (elsewhere, site) = tokio::join!(Elsewhere::listen(), Site::start());
    let other_team = servers.keyed.with_key(OTHER_TEAM_KEY);
    let scrape = scraped::scrape_with_session(&other_team, &site.url("/title/Other")).await;
    let (both, scrape) = ((&servers.keyed, &servers.open), scrape.as_str());
    let visits = stream::iter(Kind::ALL).map(async |kind| {
        let visit = scraped::Visit::begin(kind, both, &site, scrape, &elsewhere).await;
        visit.run().await
    });
    let visits = visits.buffered(CLIENTS_AT_ONCE).collect::<Vec<_>>().await;
    let (reports, homes): (Vec<_>, Vec<ClientHome>) = visits.into_iter().unzip();
    assert_all_good(&reports, &scraped::STEPS);
    for (kind, home) in Kind::ALL.iter().zip(&homes) {
        // The CLI stores its last scrape.
        let kept: &[&str] = if *kind == Kind::CommandLine {
            &[scraped::cli::STORED]
        } else {
            &[]
        };
        assert_eq!(files(home.path()), kept, "files of {}", kind.title());
    }
    assert_eq!(elsewhere.received(), Vec::<String>::new());
    let call = Call::Interact(scrape, json!({"code": "1 + 1"}));
    let ran = scraped::direct(&other_team, &call).await;
    assert_eq!(
        ran.json()["result"],
        "2",
        "the other team's session is unharmed: {}",
        ran.text
    );
    reports
}

#[tokio::test]
async fn every_tool_of_a_model_works_and_is_documented() {
    let (servers, elsewhere, site) =
        tokio::join!(Servers::start(), Elsewhere::listen(), Site::start());
    let kinds = [Kind::McpServer, Kind::AiSdk];
    let reports =
        kinds.map(|kind| scraped::agents::run_all(kind, &servers.keyed, &site, &elsewhere));
    let reports = join_all(reports).await;
    assert_all_good(&reports, &scraped::agents::STEPS);
    assert_eq!(elsewhere.received(), Vec::<String>::new());
    servers.stop().await;
    assert_section("docs/conformance.md", "official-tools", &table(&reports));
}

#[tokio::test]
async fn every_tool_of_a_model_works_through_the_front() {
    let (elsewhere, site) = tokio::join!(Elsewhere::listen(), Site::start());
    let (firecrawl, servers) = Servers::start_in_front().await;
    let reports = [Kind::McpServer, Kind::AiSdk]
        .map(|kind| scraped::agents::run_all(kind, &servers.keyed, &site, &elsewhere));
    let reports = join_all(reports).await;
    assert_all_good(&reports, &scraped::agents::STEPS);
    servers.stop().await;
    firecrawl.stop().await;
}

#[tokio::test]
async fn every_form_of_scrape_and_interact_works_and_is_documented() {
    let (servers, elsewhere, site) =
        tokio::join!(Servers::start(), Elsewhere::listen(), Site::start());
    let key = Some("command-line-key");
    let (keyed, open) = tokio::join!(
        scraped::cli::run_all("with a key", &servers.keyed, key, &site, &elsewhere),
        scraped::cli::run_all("without a key", &servers.open, None, &site, &elsewhere),
    );
    let (reports, files): (Vec<_>, Vec<_>) = [keyed, open].into_iter().unzip();
    assert_all_good(&reports, &scraped::cli::FORMS.map(|(form, _)| form));
    assert_eq!(files, [["page.md", "value.txt"], ["page.md", "value.txt"]]);
    assert_eq!(elsewhere.received(), Vec::<String>::new());
    servers.stop().await;
    assert_section(
        "docs/conformance.md",
        "official-cli-scrape",
        &table(&reports),
    );
}

#[tokio::test]
async fn the_documented_mcp_configurations_work_with_and_without_a_key() {
    let (servers, elsewhere, site) =
        tokio::join!(Servers::start(), Elsewhere::listen(), Site::start());
    let key = Some("mcp-server-key");
    configurations::run_all(&servers.keyed, key, &site, &elsewhere).await;
    configurations::run_all(&servers.open, None, &site, &elsewhere).await;
    assert_eq!(elsewhere.received(), Vec::<String>::new());
    servers.stop().await;
}

#[tokio::test]
async fn every_form_of_the_cli_works_and_is_documented() {
    let (servers, elsewhere, site) =
        tokio::join!(Servers::start(), Elsewhere::listen(), Site::start());
    let (keyed, open) = tokio::join!(
        cli::run_all(
            "with a key",
            &servers.keyed,
            Some("command-line-key"),
            &site,
            &elsewhere
        ),
        cli::run_all("without a key", &servers.open, None, &site, &elsewhere),
    );
    let (reports, files): (Vec<_>, Vec<_>) = [keyed, open].into_iter().unzip();
    assert_all_good(&reports, &cli::FORMS.map(|(form, _)| form));
    let expected = [".config/firecrawl-cli/credentials.json", "printed.txt"];
    assert_eq!(
        files,
        [expected, expected],
        "files that the CLI leaves in its home dir"
    );
    assert_eq!(
        elsewhere.received(),
        Vec::<String>::new(),
        "the CLI sent requests to another host"
    );
    servers.stop().await;
    assert_section("docs/conformance.md", "official-cli", &table(&reports));
}

#[tokio::test]
async fn every_request_of_the_api_reference_works_and_is_documented() {
    let (servers, site) = tokio::join!(Servers::start(), Site::start());
    let reports = join_all(
        hearth_test_support::PREFIXES
            .map(|prefix| quickstart::run_all(prefix, &servers.keyed, &site)),
    )
    .await;
    assert_all_good(&reports, &quickstart::REQUESTS);
    servers.stop().await;
    assert_section(
        "docs/conformance.md",
        "official-quickstart",
        &table(&reports),
    );
}

#[tokio::test]
async fn the_readme_snippets_print_their_documented_output_with_and_without_a_key() {
    let servers = Servers::start().await;
    readme::run_all(&servers.keyed, Some("javascript-key")).await;
    readme::run_all(&servers.open, None).await;
    servers.stop().await;
}

/// Checks that the other tests would detect a request to another host.
#[tokio::test]
async fn a_request_to_another_host_is_detected() {
    let official = Kind::ALL.into_iter().filter(|kind| *kind != Kind::Curl);
    join_all(official.map(async |kind| {
        let elsewhere = Elsewhere::listen().await;
        let mut client = Client::at("https://api.firecrawl.dev", kind, &elsewhere).await;
        let call = Call::Scrape(json!({"url": "http://example.com/"}));
        client.call(Some("fc-key"), &call).await;
        let received = elsewhere.received();
        assert!(
            received
                .iter()
                .any(|line| line.contains("api.firecrawl.dev")),
            "{}: {received:?}",
            kind.title()
        );
        client.leave().await;
    }))
    .await;
}
