//! The live view: the frame rate of a viewer, what a screencast costs concurrent work, and the
//! latency from a key to its pixel.

use std::pin::pin;
use std::time::{Duration, Instant};

use hearth_test_support::{Session, Viewer};
use serde_json::json;

use crate::harness::{Extent, Harness, second_server};
use crate::rows::Group;
use crate::samples::Samples;

/// A page that changes 60 times a second: a box over text.
const ANIMATION: &str = "\
await page.setContent(`<style>@keyframes move { from { left: 0 } to { left: 1100px } }
div { position: absolute; width: 150px; height: 150px; background: tomato; animation: move 1s infinite alternate }</style>
<div></div><p>${'Text as pages have it. '.repeat(300)}</p>`); 1";

/// Times 10 screenshots in the kernel and returns the milliseconds of each.
const SCREENSHOTS: &str = "\
const times = [];
for (let i = 0; i < 10; i++) { const start = performance.now(); await page.screenshot(); times.push(performance.now() - start); }
times";

/// A page that changes its colour with every key.
const BLINKING: &str = "\
await page.setContent(`<body tabindex=0 style='background: white'><script>
let presses = 0;
onkeydown = () => { document.body.style.background = ++presses % 2 ? 'black' : 'white'; };
</script>`); 1";

/// Code for the viewer's own browser: opens the link in `LINK`, and has the page time a key from
/// its event to a changed pixel.
const VIEWER: &str = "\
await page.goto(LINK);
await page.waitForFunction(() => document.body.dataset.state === 'live' && document.getElementById('frame').width > 1);
await page.mouse.click(640, 500);
await page.evaluate(() => {
  const canvas = document.getElementById('frame');
  const pixel = () => canvas.getContext('2d').getImageData(canvas.width / 2, canvas.height / 2, 1, 1).data[0];
  window.timed = () => new Promise((done) => {
    addEventListener('keydown', () => {
      const [start, before] = [performance.now(), pixel()];
      const look = () => {
        if (Math.abs(pixel() - before) > 128) done(performance.now() - start);
        else requestAnimationFrame(look);
      };
      requestAnimationFrame(look);
    }, { capture: true, once: true });
  });
}); 1";

/// Times 10 keys in the viewer's browser.
const KEYS: &str = "\
const times = [];
for (let i = 0; i < 10; i++) {
  const timed = page.evaluate(() => timed());
  await page.evaluate(() => 1);
  await page.keyboard.press('a');
  times.push(await timed);
}
times";

/// Time during which a viewer counts pictures.
const COUNTING: Duration = Duration::from_secs(2);

/// Measures the group [`Group::Live`].
pub async fn measure(harness: &Harness<'_>, extent: Extent, samples: &mut Samples) {
    let warm_up_rounds = extent.warm_up_rounds(Group::Live);
    let session = harness.session().await;
    harness.execute(&session, "node", ANIMATION).await;
    let mut warm_up = Samples::default();
    for round in 0..warm_up_rounds + extent.rounds {
        let samples = if round < warm_up_rounds {
            &mut warm_up
        } else {
            &mut *samples
        };
        let mut kinds = ["screenshot-alone", "screenshot-screencast"];
        if round % 2 == 1 {
            kinds.reverse();
        }
        for kind in kinds {
            screenshots(harness, &session, kind, samples).await;
        }
        samples.add_value("frame", count(&session, extent).await);
    }
    session.delete().await;
    keys(harness, extent, samples).await;
}

async fn screenshots(
    harness: &Harness<'_>,
    session: &Session,
    kind: &'static str,
    samples: &mut Samples,
) {
    let shooting = async {
        let (times, _) = harness.execute(session, "node", SCREENSHOTS).await;
        serde_json::from_str::<Vec<f64>>(&times).expect("a list of numbers")
    };
    let times = if kind == "screenshot-screencast" {
        let mut viewer = Viewer::connect(link(session)).await;
        viewer.watch().await;
        let mut watching = pin!(async move {
            loop {
                viewer.watch().await;
            }
        });
        tokio::select! {
            times = shooting => times,
            () = &mut watching => unreachable!("it watches until it is dropped"),
        }
    } else {
        shooting.await
    };
    for milliseconds in times {
        samples.add_value(kind, milliseconds);
    }
}

/// Times a key in the viewer's browser, which is a session of another server, until the pixel
/// changes there.
async fn keys(harness: &Harness<'_>, extent: Extent, samples: &mut Samples) {
    // No session can reach the server that runs it.
    let server = second_server(0).start().await;
    let viewers = harness.beside(&server, 0).await;
    let (watched, own) = (harness.session().await, viewers.session().await);
    harness.execute(&watched, "node", BLINKING).await;
    let link = watched.created["interactiveLiveViewUrl"]
        .as_str()
        .expect("a link is a string");
    viewers
        .execute(
            &own,
            "node",
            &VIEWER.replace("LINK", &json!(link).to_string()),
        )
        .await;
    for round in 0..extent.warm_up_rounds(Group::Live) + extent.rounds {
        let (times, _) = viewers.execute(&own, "node", KEYS).await;
        if round < extent.warm_up_rounds(Group::Live) {
            continue;
        }
        for milliseconds in serde_json::from_str::<Vec<f64>>(&times).expect("a list of numbers") {
            samples.add_value("key", milliseconds);
        }
    }
    watched.delete().await;
    own.delete().await;
    server.stop().await;
}

/// Returns the mean milliseconds per picture, for a viewer that draws each one as soon as it
/// arrives.
async fn count(session: &Session, extent: Extent) -> f64 {
    let time = extent.pick(COUNTING, COUNTING / 4);
    let mut viewer = Viewer::connect(link(session)).await;
    viewer.watch().await;
    let (start, mut pictures) = (Instant::now(), 0_u32);
    while start.elapsed() < time {
        viewer.watch().await;
        pictures += 1;
    }
    start.elapsed().as_secs_f64() * 1000.0 / f64::from(pictures)
}

fn link(session: &Session) -> &str {
    session.created["liveViewUrl"]
        .as_str()
        .expect("a link is a string")
}
