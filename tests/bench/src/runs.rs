//! Sessions and executions over HTTP, next to baselines without Hearth.

use std::time::{Duration, Instant};

use hearth_test_support::Session;

use crate::baseline::{BareAgent, Baseline, Script};
use crate::chromium::RawChromium;
use crate::harness::{Extent, Harness, second_server};
use crate::rows::Group;
use crate::samples::Samples;

const TITLE: &str = "await page.title()";

/// Times 50 calls in the kernel and returns the milliseconds of each.
const NODE_INSIDE: &str = "\
const times = [];
for (let i = 0; i < 50; i++) { const start = performance.now(); await page.title(); times.push(performance.now() - start); }
times";

const PYTHON_INSIDE: &str = "\
import time
times = []
for _ in range(50):
    start = time.perf_counter()
    await page.title()
    times.append((time.perf_counter() - start) * 1000)
times";

/// Measures the group [`Group::Starts`].
pub async fn starts(harness: &Harness<'_>, extent: Extent, samples: &mut Samples) {
    let warm_up_rounds = extent.warm_up_rounds(Group::Starts);
    let mut warm_up = Samples::default();
    let baseline = Baseline::new();
    for round in 0..warm_up_rounds + extent.rounds {
        let samples = if round < warm_up_rounds {
            &mut warm_up
        } else {
            &mut *samples
        };
        for language in ["node", "python", "bash"] {
            one_session(harness, &baseline, language, round % 2 == 0, samples).await;
        }
    }
}

/// Measures one session from create to delete. The order of the compared steps alternates from
/// round to round.
async fn one_session(
    harness: &Harness<'_>,
    baseline: &Baseline,
    language: &str,
    raw_first: bool,
    samples: &mut Samples,
) {
    if raw_first {
        raw_start(harness, samples).await;
    }
    let (session, took) = harness.create().await;
    samples.add("create", took);
    let (first, code, script) = match language {
        "node" => (
            "first-node",
            TITLE,
            Some((Script::Node, "script-node", "connect-node")),
        ),
        "python" => (
            "first-python",
            TITLE,
            Some((Script::Python, "script-python", "connect-python")),
        ),
        _ => ("first-bash", ":", None),
    };
    let (_, took) = harness.execute(&session, language, code).await;
    samples.add(first, took);
    if let Some((script, launch, connect)) = script {
        samples.add(launch, baseline.launch(script, harness.recipe.executable()));
        samples.add(connect, baseline.connect(script, &session));
    }
    samples.add("delete", harness.delete(&session).await);
    harness.settle().await;
    if !raw_first {
        raw_start(harness, samples).await;
    }
}

async fn raw_start(harness: &Harness<'_>, samples: &mut Samples) {
    let start = Instant::now();
    let (chromium, _connection) = RawChromium::start_on_pipe(&harness.recipe).await;
    samples.add("chromium-start", start.elapsed());
    chromium.end().await;
}

/// The steps of the two kinds of rounds of [`warm`]. After an execution in a shell, the server
/// prepares the next shell in the background, which would slow down the executions in kernels.
const WARM_STEPS: [&[&str]; 2] = [
    &[
        "health",
        "title-node",
        "title-python",
        "one-node-none",
        "one-node",
        "one-python",
    ],
    &["bare-bash", "colon-none", "colon", "bare-agent", "agent"],
];

/// Measures the group [`Group::Warm`].
pub async fn warm(harness: &Harness<'_>, extent: Extent, samples: &mut Samples) {
    let warm_up_rounds = extent.warm_up_rounds(Group::Warm);
    let session = harness.session().await;
    harness
        .execute(
            &session,
            "node",
            "await page.goto('data:text/html,<title>Warm</title>'); 1",
        )
        .await;
    let baseline = Baseline::new();
    let bare = BareAgent::connect(&session);
    let unsandboxed = second_server(0)
        .setting("HEARTH_ISOLATION", "none")
        .start()
        .await;
    let without_layers = Harness::setup(&unsandboxed).await;
    let other = without_layers.session().await;
    without_layers.execute(&other, "node", "1").await;
    for steps in WARM_STEPS {
        let mut steps = steps.to_vec();
        for round in 0..warm_up_rounds + extent.rounds * Group::Warm.rounds_each() {
            for step in &steps {
                let took = match *step {
                    "one-node-none" => without_layers.execute(&other, "node", "1").await.1,
                    "colon-none" => without_layers.execute(&other, "bash", ":").await.1,
                    step => warm_step(harness, &session, &baseline, &bare, step).await,
                };
                if round >= warm_up_rounds {
                    samples.add(step, took);
                    if *step == "colon" {
                        samples.add("colon-default", took);
                    }
                }
            }
            steps.reverse();
        }
    }
    for (language, code, key) in [
        ("node", NODE_INSIDE, "title-inside-node"),
        ("python", PYTHON_INSIDE, "title-inside-python"),
    ] {
        for _ in 0..extent.rounds {
            let (times, _) = harness.execute(&session, language, code).await;
            let times: Vec<f64> = serde_json::from_str(&times).expect("a list of numbers");
            for milliseconds in times {
                samples.add_value(key, milliseconds);
            }
        }
    }
    bare.end().await;
    other.delete().await;
    unsandboxed.stop().await;
    session.delete().await;
}

async fn warm_step(
    harness: &Harness<'_>,
    session: &Session,
    baseline: &Baseline,
    bare: &BareAgent,
    step: &str,
) -> Duration {
    let (language, code, expected) = match step {
        "health" => return harness.health().await,
        "bare-bash" => return baseline.bash(),
        "bare-agent" => return bare.title(),
        "title-node" => ("node", TITLE, "Warm"),
        "title-python" => ("python", TITLE, "Warm"),
        "one-node" => ("node", "1", "1"),
        "one-python" => ("python", "1", "1"),
        "colon" => ("bash", ":", ""),
        _ => ("bash", "agent-browser get title", "Warm"),
    };
    let (result, took) = harness.execute(session, language, code).await;
    assert_eq!(result, expected, "{step}");
    took
}

/// Measures the group [`Group::Kill`].
pub async fn after_a_kill(harness: &Harness<'_>, rounds: usize, samples: &mut Samples) {
    let session = harness.session().await;
    for _ in 0..rounds {
        for (key, language, endless) in [
            ("kill-node", "node", "while (true) {}"),
            ("kill-python", "python", "while True: pass"),
        ] {
            harness.execute(&session, language, "1").await;
            let (killed, _) = harness.execute_for(&session, language, endless, 1).await;
            assert_eq!(killed["killed"], serde_json::json!(true), "{killed}");
            let (result, took) = harness.execute(&session, language, "1 + 1").await;
            assert_eq!(result, "2");
            samples.add(key, took);
        }
    }
    session.delete().await;
}
