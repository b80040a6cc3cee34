//! Disk limits: programs that fill the disk, and files that take no space.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use hearth_test_support::{Execution, Site, TestServer, eventually};
use nix::sys::statvfs::statvfs;
use serde_json::json;

use crate::limits::scenario::{Scenario, assert_ended_by};

const LIMIT: &str = "more than 100 MiB of disk space";
const SETTING: &str = "HEARTH_SESSION_DISK_MB";
const FILES_LIMIT: &str = "more than 2000 files";
const FILES_SETTING: &str = "HEARTH_SESSION_FILES";

/// A suffix that keeps the process of a bomb alive until a limit ends it.
const STAY: &str = "; sleep 20";

async fn scenario() -> Scenario {
    Scenario::with(&[(SETTING, "100"), (FILES_SETTING, "2000")]).await
}

async fn assert_ends_the_session(
    scenario: &Scenario,
    execution: &Execution,
    limit: &str,
    setting: &str,
) {
    assert_ended_by(execution, limit, setting);
    scenario.assert_session_ended(limit).await;
}

async fn bomb(language: &str, code: &str, limit: &str, setting: &str) {
    let scenario = scenario().await;
    let execution = scenario.run(language, code).await;
    assert_ends_the_session(&scenario, &execution, limit, setting).await;
    scenario.stop().await;
}

#[tokio::test]
async fn one_large_file_ends_the_session() {
    bomb(
        "bash",
        &format!("head -c 300M /dev/zero > large{STAY}"),
        LIMIT,
        SETTING,
    )
    .await;
}

#[tokio::test]
async fn many_small_files_end_the_session() {
    let code =
        format!("mkdir -p a/b; for number in {{1..6000}}; do echo x > a/b/$number; done{STAY}");
    bomb("bash", &code, FILES_LIMIT, FILES_SETTING).await;
}

#[tokio::test]
async fn deeply_nested_dirs_end_the_session() {
    let code = "import os, time
for depth in range(6000):
    os.mkdir('deep')
    os.chdir('deep')
time.sleep(20)";
    bomb("python", code, FILES_LIMIT, FILES_SETTING).await;
}

#[tokio::test]
async fn files_in_an_inaccessible_dir_end_the_session() {
    let code = format!(
        "mkdir closed; cd closed; chmod 300 .; head -c 300M /dev/zero > large; chmod 000 .{STAY}"
    );
    bomb("bash", &code, LIMIT, SETTING).await;
}

#[tokio::test]
async fn deleted_files_that_are_open_end_the_session() {
    let code = "import os, time
held = []
for part in range(30):
    held.append(open('part', 'wb', buffering=0))
    os.remove('part')
    held[-1].write(bytes(10 << 20))
time.sleep(20)";
    bomb("python", code, LIMIT, SETTING).await;
}

#[tokio::test]
async fn what_a_page_stores_ends_the_session() {
    let (scenario, site) = (scenario().await, Site::start().await);
    let address = site.url("/title/hoard");
    let code = format!(
        "await page.goto('{address}');
        await page.evaluate(async () => {{
            const done = request => new Promise((resolve, reject) => {{ request.onsuccess = resolve; request.onerror = reject; }});
            const opening = indexedDB.open('hoard');
            opening.onupgradeneeded = () => opening.result.createObjectStore('parts');
            await done(opening);
            for (let part = 0; part < 60; part++) {{
                const bytes = new Uint8Array(5 << 20);
                for (let at = 0; at < bytes.length; at += 65536) crypto.getRandomValues(bytes.subarray(at, at + 65536));
                const store = opening.result.transaction('parts', 'readwrite').objectStore('parts');
                await done(store.put(bytes, part));
            }}
            await new Promise(() => {{}});
        }})"
    );
    let execution = scenario.run("node", &code).await;
    assert_ends_the_session(&scenario, &execution, LIMIT, SETTING).await;
    scenario.stop().await;
}

#[tokio::test]
async fn sparse_files_and_hard_links_take_no_space() {
    let scenario = scenario().await;
    let code = "truncate -s 10G sparse; head -c 60M /dev/zero > one; ln one two; ln one three; ln -s /usr elsewhere; \
                head -c 10M /dev/zero > more; sleep 2; rm more; echo done";
    assert_eq!(scenario.run("bash", code).await.ok().result, "done");
    assert_eq!(scenario.guilty.status().await["status"], "active");
    scenario.stop().await;
}

/// Returns the free MiB of a dir's disk, as the server counts them.
fn free_mib(dir: &Path) -> u64 {
    let disk = statvfs(dir).expect("the dir is on a disk");
    (disk.blocks_available() * disk.fragment_size()) >> 20
}

/// Creates a dir in the machine's shared memory, which other programs do not fill during the test.
fn dir_in_memory() -> tempfile::TempDir {
    let dir = tempfile::Builder::new()
        .prefix("ht-")
        .tempdir_in("/dev/shm")
        .expect("/dev/shm is writable");
    assert_ne!(
        dir.path().metadata().expect("the dir exists").dev(),
        Path::new("/")
            .metadata()
            .expect("the root dir exists")
            .dev()
    );
    dir
}

#[tokio::test]
async fn the_session_that_uses_most_space_ends_when_the_disk_is_full() {
    let dir = dir_in_memory();
    let min_free_mib = free_mib(dir.path()) - 300;
    let builder = TestServer::builder().data_dir(dir.path());
    let builder = builder.setting("HEARTH_MIN_FREE_DISK_MB", &min_free_mib.to_string());
    let server = builder.start().await;
    let (small, large) = (server.session().await, server.session().await);
    small.bash("head -c 20M /dev/zero > small").await.ok();
    let execution = large.bash("head -c 500M /dev/zero > large; sleep 20").await;
    assert_ended_by(
        &execution,
        &format!("less than {min_free_mib} MiB free"),
        "HEARTH_MIN_FREE_DISK_MB",
    );
    large.assert_destroyed("limit").await;
    assert_eq!(
        small.bash("cat small | wc -c").await.ok().result,
        (20 << 20).to_string()
    );
    // The space is freed, and another session fits.
    eventually(
        Duration::from_secs(5),
        "the space is free again",
        || async {
            let free_mib = free_mib(dir.path());
            if free_mib > min_free_mib {
                Ok(())
            } else {
                Err(format!("{free_mib} MiB are free"))
            }
        },
    )
    .await;
    server.session().await;
    server.stop().await;
}

#[tokio::test]
async fn no_session_is_created_on_a_full_disk() {
    let server = TestServer::builder()
        .setting("HEARTH_MIN_FREE_DISK_MB", "1048576")
        .start()
        .await;
    let refused = server.create(&json!({})).await;
    assert_eq!(refused.status, 503);
    assert!(
        refused
            .error()
            .contains("the minimum is 1048576 MiB (HEARTH_MIN_FREE_DISK_MB)"),
        "{}",
        refused.text
    );
    refused.assert_retry_after();
    assert_eq!(server.session_dirs(), Vec::<std::path::PathBuf>::new());
    server.stop().await;
}
