//! Persistence: what a profile adds to the creation and deletion of sessions, and what the store
//! adds to an execution.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};

use hearth_test_support::{Api, Site, TestServer};
use serde_json::json;

use crate::harness::{Extent, Harness, second_server};
use crate::rows::Group;
use crate::samples::Samples;

/// Stores `COUNT` random values of a million bytes each, which cannot be compressed.
const FILL: &str = "
    const database = await new Promise((done) => {
        const opening = indexedDB.open('d', 1);
        opening.onupgradeneeded = () => opening.result.createObjectStore('s');
        opening.onsuccess = () => done(opening.result);
    });
    for (let key = 0; key < COUNT; key += 1) {
        const bytes = new Uint8Array(1_000_000);
        for (let at = 0; at < bytes.length; at += 50_000) crypto.getRandomValues(bytes.subarray(at, at + 50_000));
        await new Promise((done) => {
            const change = database.transaction('s', 'readwrite');
            change.objectStore('s').put(bytes, key);
            change.oncomplete = done;
        });
    }
    return 'filled'";

/// Locks the server's store, reports it, and keeps the lock until stdin closes.
const HOLD: &str = "
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute('BEGIN IMMEDIATE')
print('held', flush=True)
sys.stdin.read()
connection.execute('ROLLBACK')";

/// A process that blocks all writes to the store.
struct Holder(Child);

impl Holder {
    fn of(server: &TestServer) -> Self {
        let mut child = Command::new("python3")
            .args(["-c", HOLD])
            .arg(server.data_dir().join("hearth.db"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python runs");
        let mut line = String::new();
        let stdout = child.stdout.as_mut().expect("it is piped");
        BufReader::new(stdout.by_ref())
            .read_line(&mut line)
            .expect("it prints something");
        assert_eq!(line, "held\n");
        Self(child)
    }

    fn end(mut self) {
        drop(self.0.stdin.take());
        assert!(
            self.0
                .wait()
                .expect("it is a child of this process")
                .success()
        );
    }
}

/// Measures the group [`Group::Lasting`].
pub async fn measure(harness: &Harness<'_>, extent: Extent, samples: &mut Samples) {
    profiles(harness, extent, samples).await;
    store(harness, extent.rounds, samples).await;
}

async fn profiles(harness: &Harness<'_>, extent: Extent, samples: &mut Samples) {
    let warm_up_rounds = extent.warm_up_rounds(Group::Lasting);
    let site = Site::start().await;
    let with = json!({"profile": {"name": "twenty"}});
    save_profile(harness.server, &site, "twenty", 20).await;
    let mut turns = [
        (json!({}), "create-plain", "delete-plain"),
        (with, "create-profile", "delete-profile"),
    ];
    for round in 0..warm_up_rounds + extent.rounds {
        for (body, create, delete) in &turns {
            let (session, created) = harness.create_with(body).await;
            let deleted = harness.delete(&session).await;
            harness.settle().await;
            if round >= warm_up_rounds {
                samples.add(create, created);
                samples.add(delete, deleted);
            }
        }
        turns.reverse();
    }
}

/// Saves a profile of `megabytes` as the only one.
pub async fn save_profile(server: &Api, site: &Site, name: &str, megabytes: u64) {
    let session = server
        .session_with(&json!({"profile": {"name": name}}))
        .await;
    let fill = format!(
        "await page.goto('{}'); await page.evaluate(async () => {{ {} }})",
        site.url("/title/full"),
        FILL.replace("COUNT", &megabytes.to_string())
    );
    assert_eq!(session.node(&fill).await.ok().result, "filled");
    session.delete().await;
    let listed = server
        .send(server.request(reqwest::Method::GET, "/profiles"))
        .await
        .ok();
    let bytes = listed["profiles"][0]["sizeBytes"].as_u64().unwrap_or(0);
    let expected = megabytes * 1_000_000;
    assert!((expected..expected * 11 / 10).contains(&bytes), "{listed}");
}

async fn store(harness: &Harness<'_>, rounds: usize, samples: &mut Samples) {
    let held = second_server(0).start().await;
    let without = Harness::setup(&held).await;
    let (one, other) = (harness.session().await, without.session().await);
    harness.execute(&one, "node", "1").await;
    without.execute(&other, "node", "1").await;
    let holder = Holder::of(&held);
    let mut turns = [
        (harness, &one, "execute-stored"),
        (&without, &other, "execute-held"),
    ];
    for round in 0..20 + rounds * 15 {
        for (harness, session, key) in &turns {
            let took = harness.execute(session, "node", "1").await.1;
            if round >= 20 {
                samples.add(key, took);
            }
        }
        turns.reverse();
    }
    holder.end();
    one.delete().await;
    other.delete().await;
    held.stop().await;
}
