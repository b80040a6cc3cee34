//! Sessions and executions over HTTP, and beside them the same work without Hearth.

use std::time::{Duration, Instant};

use hearth_test_support::{Session, TestServer};

use crate::apart::{Apart, BareAgent, Script};
use crate::chromium::RawChromium;
use crate::figures::Figures;
use crate::rows::Group;
use crate::stage::Stage;

const TITLE: &str = "await page.title()";

/// Times 50 calls in the kernel and gives back the milliseconds of each.
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
pub async fn starts(stage: &Stage<'_>, rounds: usize, figures: &mut Figures) {
    let mut warm_up = Figures::default();
    let apart = Apart::new();
    for round in 0..Group::Starts.warm_up_rounds() + rounds {
        let figures = if round < Group::Starts.warm_up_rounds() {
            &mut warm_up
        } else {
            &mut *figures
        };
        for language in ["node", "python", "bash"] {
            one_session(stage, &apart, language, round % 2 == 0, figures).await;
        }
    }
}

/// From create to delete; which of two that are compared comes first, changes from round to round.
async fn one_session(
    stage: &Stage<'_>,
    apart: &Apart,
    language: &str,
    raw_first: bool,
    figures: &mut Figures,
) {
    if raw_first {
        raw_start(stage, figures).await;
    }
    let (session, took) = stage.create().await;
    figures.add("create", took);
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
    let (_, took) = stage.execute(&session, language, code).await;
    figures.add(first, took);
    if let Some((script, launch, connect)) = script {
        figures.add(launch, apart.launch(script, stage.recipe.executable()));
        figures.add(connect, apart.connect(script, &session));
    }
    figures.add("delete", stage.delete(&session).await);
    if !raw_first {
        raw_start(stage, figures).await;
    }
}

async fn raw_start(stage: &Stage<'_>, figures: &mut Figures) {
    let start = Instant::now();
    let (chromium, _connection) = RawChromium::start_on_pipe(&stage.recipe).await;
    figures.add("chromium-start", start.elapsed());
    chromium.end().await;
}

/// What a round of [`warm`] consists of.
const WARM_STEPS: &[&str] = &[
    "health",
    "title-node",
    "title-python",
    "one-node-none",
    "one-node",
    "one-python",
    "bare-bash",
    "colon-none",
    "colon",
    "bare-agent",
    "agent",
];

/// Measures the group [`Group::Warm`].
pub async fn warm(stage: &Stage<'_>, rounds: usize, figures: &mut Figures) {
    let session = stage.session().await;
    stage
        .execute(
            &session,
            "node",
            "await page.goto('data:text/html,<title>Warm</title>'); 1",
        )
        .await;
    let apart = Apart::new();
    let bare = BareAgent::connect(&session);
    let unconfined = TestServer::builder()
        .setting("HEARTH_ISOLATION", "none")
        .start()
        .await;
    let without_layers = Stage::set(&unconfined).await;
    let other = without_layers.session().await;
    without_layers.execute(&other, "node", "1").await;
    let mut steps = WARM_STEPS.to_vec();
    for round in 0..Group::Warm.warm_up_rounds() + rounds * Group::Warm.rounds_each() {
        for step in &steps {
            let took = match *step {
                "one-node-none" => without_layers.execute(&other, "node", "1").await.1,
                "colon-none" => without_layers.execute(&other, "bash", ":").await.1,
                step => warm_step(stage, &session, &apart, &bare, step).await,
            };
            if round >= Group::Warm.warm_up_rounds() {
                figures.add(step, took);
                if *step == "colon" {
                    figures.add("colon-default", took);
                }
            }
        }
        steps.reverse();
    }
    for (language, code, key) in [
        ("node", NODE_INSIDE, "title-inside-node"),
        ("python", PYTHON_INSIDE, "title-inside-python"),
    ] {
        for _ in 0..rounds {
            let (times, _) = stage.execute(&session, language, code).await;
            let times: Vec<f64> = serde_json::from_str(&times).expect("a list of numbers");
            for milliseconds in times {
                figures.add_value(key, milliseconds);
            }
        }
    }
    bare.end().await;
    other.delete().await;
    unconfined.stop().await;
    session.delete().await;
}

async fn warm_step(
    stage: &Stage<'_>,
    session: &Session,
    apart: &Apart,
    bare: &BareAgent,
    step: &str,
) -> Duration {
    let (language, code, expected) = match step {
        "health" => return stage.health().await,
        "bare-bash" => return apart.bash(),
        "bare-agent" => return bare.title(),
        "title-node" => ("node", TITLE, "Warm"),
        "title-python" => ("python", TITLE, "Warm"),
        "one-node" => ("node", "1", "1"),
        "one-python" => ("python", "1", "1"),
        "colon" => ("bash", ":", ""),
        _ => ("bash", "agent-browser get title", "Warm"),
    };
    let (result, took) = stage.execute(session, language, code).await;
    assert_eq!(result, expected, "{step}");
    took
}

/// Measures the group [`Group::Kill`].
pub async fn after_a_kill(stage: &Stage<'_>, rounds: usize, figures: &mut Figures) {
    let session = stage.session().await;
    for _ in 0..rounds {
        for (key, language, endless) in [
            ("kill-node", "node", "while (true) {}"),
            ("kill-python", "python", "while True: pass"),
        ] {
            stage.execute(&session, language, "1").await;
            let (killed, _) = stage.execute_for(&session, language, endless, 1).await;
            assert_eq!(killed["killed"], serde_json::json!(true), "{killed}");
            let (result, took) = stage.execute(&session, language, "1 + 1").await;
            assert_eq!(result, "2");
            figures.add(key, took);
        }
    }
    session.delete().await;
}
