//! Scrapes of a page, and the interactions that follow them.

use std::time::Duration;

use hearth_test_support::Site;
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::harness::{Extent, Harness, second_server};
use crate::rows::Group;
use crate::samples::Samples;

/// The path of the measured page, and its title.
const PATH: &str = "/title/scraped";
const TITLE: &str = "scraped";

/// Opens the page and returns the milliseconds until it is loaded.
const LOAD: &str = "
const start = performance.now();
await page.goto('URL', { waitUntil: 'load' });
performance.now() - start";

/// Measures the group [`Group::Scrape`].
pub async fn measure(main: &Harness<'_>, extent: Extent, samples: &mut Samples) {
    if !knows_scrapes(main).await {
        eprintln!("bench: this server has no scrapes");
        return;
    }
    let site = Site::start().await;
    adoptions(main, &site, extent, samples).await;
    replays(main, &site, extent, samples).await;
}

/// Measures scrapes, and interactions with their kept sessions, next to loads of the page.
async fn adoptions(main: &Harness<'_>, site: &Site, extent: Extent, samples: &mut Samples) {
    let server = second_server(1).start().await;
    let bench = Bench {
        harness: main.beside(&server, 1).await,
        url: site.url(PATH),
    };
    let warm_up_rounds = extent.warm_up_rounds(Group::Scrape);
    let mut warm_up = Samples::default();
    for round in 0..warm_up_rounds + extent.rounds {
        let samples = if round < warm_up_rounds {
            &mut warm_up
        } else {
            &mut *samples
        };
        let load_first = round % 2 == 0;
        if load_first {
            bench.load(samples).await;
        }
        bench.scrape_and_interact(samples).await;
        if !load_first {
            bench.load(samples).await;
        }
    }
    server.stop().await;
}

/// Measures first interactions on a server that keeps no sessions of scrapes.
async fn replays(main: &Harness<'_>, site: &Site, extent: Extent, samples: &mut Samples) {
    let server = second_server(1)
        .setting("HEARTH_SCRAPE_KEEP_SECONDS", "0")
        .start()
        .await;
    let bench = Bench {
        harness: main.beside(&server, 1).await,
        url: site.url(PATH),
    };
    let warm_up_rounds = extent.warm_up_rounds(Group::Scrape);
    for round in 0..warm_up_rounds + extent.rounds {
        let (job, _) = bench.scrape().await;
        bench.harness.settle().await;
        let took = bench.interact(&job).await;
        if round >= warm_up_rounds {
            samples.add("interact-replayed", took);
        }
        bench.stop(&job).await;
    }
    server.stop().await;
}

/// A server with a warm session, and the page that it opens.
struct Bench<'a> {
    harness: Harness<'a>,
    url: String,
}

impl Bench<'_> {
    /// Opens the page in a new session, as a scrape does.
    async fn load(&self, samples: &mut Samples) {
        let session = self.harness.session().await;
        let code = LOAD.replace("URL", &self.url);
        let (milliseconds, _) = self.harness.execute(&session, "node", &code).await;
        samples.add_value("page-load", milliseconds.parse().expect("a number"));
        self.harness.delete(&session).await;
        self.harness.settle().await;
    }

    /// Scrapes the page and interacts with it twice.
    async fn scrape_and_interact(&self, samples: &mut Samples) {
        let (job, took) = self.scrape().await;
        samples.add("scrape", took);
        // The server prepares the next warm session, and keeps that of the scrape.
        self.harness.settle_beside(1).await;
        samples.add("interact-adopted", self.interact(&job).await);
        samples.add("interact-again", self.interact(&job).await);
        self.stop(&job).await;
    }

    /// Returns the id of the scrape, and its time.
    async fn scrape(&self) -> (String, Duration) {
        let body = json!({"url": self.url});
        let (answer, took) = self.harness.post("/v2/scrape", &body).await;
        let data = &answer["data"];
        let text = data["markdown"].as_str().unwrap_or_default();
        assert!(text.contains(TITLE), "{answer}");
        let job = data["metadata"]["scrapeId"].as_str().expect("an id");
        (job.to_owned(), took)
    }

    /// Times an execution in the session of the scrape, which shows the page.
    async fn interact(&self, job: &str) -> Duration {
        let body = json!({"language": "node", "code": "await page.title()"});
        let (answer, took) = self.harness.post(&interact_path(job), &body).await;
        assert_eq!(answer["result"], json!(TITLE), "{answer}");
        took
    }

    /// Ends the session of the scrape, and waits for the next round.
    async fn stop(&self, job: &str) {
        let server = self.harness.server;
        let request = server.request_outside(Method::DELETE, &interact_path(job));
        server.send(request).await.ok();
        self.harness.settle().await;
    }
}

fn interact_path(job: &str) -> String {
    format!("/v2/scrape/{job}/interact")
}

/// Returns false for a server of an older version, which has no scrapes.
async fn knows_scrapes(harness: &Harness<'_>) -> bool {
    // It has no address, so it is invalid.
    let request = harness
        .server
        .request_outside(Method::POST, "/v2/scrape")
        .header("content-type", "application/json")
        .body("{}");
    let answer = request.send().await.expect("the server answers");
    answer.status() != StatusCode::NOT_FOUND
}
