//! The time from the request that creates a session to its first result, alone and in bursts, next
//! to scripts that start their own browser.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::baseline::{Baseline, Script, at_once};
use crate::harness::{Extent, Harness, second_server};
use crate::rows::Group;
use crate::samples::Samples;

/// The profile of the row with a profile.
const PROFILE: &str = "first";

/// Saves a cookie in the profile.
const ADD_COOKIE: &str = "\
await context.addCookies([{ name: 'a', value: '1', domain: 'example.com', path: '/', expires: Date.now() / 1000 + 3600 }]); 1";

/// A way to get the title of a new page, one or several times at once.
struct Step<'a> {
    key: &'static str,
    way: Way<'a>,
    count: usize,
}

enum Way<'a> {
    /// In a new session of this server.
    Session {
        harness: &'a Harness<'a>,
        language: &'static str,
        fields: Value,
    },
    /// By a script that starts a browser.
    Script(Script),
    /// By a script in node that starts a browser and connects to its port.
    RawScript,
}

/// Measures the group [`Group::First`].
pub async fn measure(cold: &Harness<'_>, extent: Extent, samples: &mut Samples) {
    let server = second_server(1).start().await;
    let warm = cold.beside(&server, 1).await;
    save_profile(&warm).await;
    let bench = Bench {
        servers: [cold, &warm],
        baseline: Baseline::new(),
        executable: cold.recipe.executable(),
        warm_up: extent.warm_up_rounds(Group::First),
    };
    bench
        .rounds(single_steps(cold, &warm), extent.rounds, samples)
        .await;
    bench
        .rounds(
            bursts(cold, &warm, extent),
            extent.rounds.div_ceil(4),
            samples,
        )
        .await;
    drop(bench);
    server.stop().await;
}

fn single_steps<'a>(cold: &'a Harness<'a>, warm: &'a Harness<'a>) -> Vec<Step<'a>> {
    let session = |harness, language, fields| Way::Session {
        harness,
        language,
        fields,
    };
    let profile = json!({"profile": {"name": PROFILE, "saveChanges": false}});
    let ways = [
        ("result-node-warm", session(warm, "node", json!({}))),
        ("result-node-cold", session(cold, "node", json!({}))),
        ("launch-node", Way::Script(Script::Node)),
        ("result-node-profile", session(warm, "node", profile)),
        ("raw-node", Way::RawScript),
        ("result-python-warm", session(warm, "python", json!({}))),
        ("result-python-cold", session(cold, "python", json!({}))),
        ("launch-python", Way::Script(Script::Python)),
    ];
    let once = ways
        .into_iter()
        .map(|(key, way)| Step { key, way, count: 1 });
    once.collect()
}

fn bursts<'a>(cold: &'a Harness<'a>, warm: &'a Harness<'a>, extent: Extent) -> Vec<Step<'a>> {
    let session = |harness| Way::Session {
        harness,
        language: "node",
        fields: json!({}),
    };
    let (eight, thirty) = (extent.pick(8, 1), extent.pick(30, 1));
    let ways = [
        ("burst-8-warm", session(warm), eight),
        ("burst-8-launch", Way::Script(Script::Node), eight),
        ("burst-8-cold", session(cold), eight),
        ("burst-8-raw", Way::RawScript, eight),
        ("burst-30-warm", session(warm), thirty),
        ("burst-30-cold", session(cold), thirty),
    ];
    let steps = ways
        .into_iter()
        .map(|(key, way, count)| Step { key, way, count });
    steps.collect()
}

async fn save_profile(harness: &Harness<'_>) {
    let fields = json!({"profile": {"name": PROFILE, "saveChanges": true}});
    let (session, _) = harness.create_with(&fields).await;
    harness.execute(&session, "node", ADD_COOKIE).await;
    harness.delete(&session).await;
}

/// The things that the steps share.
struct Bench<'a> {
    servers: [&'a Harness<'a>; 2],
    baseline: Baseline,
    executable: &'a str,
    warm_up: usize,
}

impl Bench<'_> {
    /// Runs the steps in alternating order.
    async fn rounds(&self, mut steps: Vec<Step<'_>>, rounds: usize, samples: &mut Samples) {
        for round in 0..self.warm_up + rounds {
            for step in &steps {
                for harness in self.servers {
                    harness.settle().await;
                }
                let took = self.run(step).await;
                if round >= self.warm_up {
                    samples.add(step.key, took);
                }
            }
            steps.reverse();
        }
    }

    async fn run(&self, step: &Step<'_>) -> Duration {
        let (baseline, executable) = (&self.baseline, self.executable);
        match &step.way {
            Way::Session {
                harness,
                language,
                fields,
            } => burst(harness, language, fields, step.count).await,
            Way::Script(script) => at_once(step.count, || {
                baseline.launch(*script, executable);
            }),
            Way::RawScript => at_once(step.count, || {
                baseline.raw_launch(executable);
            }),
        }
    }
}

/// Creates sessions at the same time, and returns the time until the last one has its result.
async fn burst(harness: &Harness<'_>, language: &str, fields: &Value, count: usize) -> Duration {
    let start = Instant::now();
    let clients = (0..count).map(async |_| {
        let (session, _) = harness.create_with(fields).await;
        harness
            .execute(&session, language, "await page.title()")
            .await;
        session
    });
    let sessions = join_all(clients).await;
    let took = start.elapsed();
    join_all(sessions.iter().map(|session| harness.delete(session))).await;
    took
}
