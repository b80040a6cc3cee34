//! A session with a page and files for clients to use, and the checks after they have disconnected.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::time::Duration;

use hearth_test_support::cdp::CdpClient;
use hearth_test_support::report::Report;
use hearth_test_support::{Session, Site, TestServer, attachment, eventually};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::client::Client;
use super::{chromiumoxide_client, program};

/// A browser in which a cross-site frame is a separate target, as in full Chromium. By default, the
/// headless shell keeps both in one process.
const SITE_PER_PROCESS: &str =
    "#!/bin/sh\nexec /usr/lib/chromium/chromium-headless-shell --site-per-process \"$@\"\n";

/// A server with one session.
pub struct Scenario {
    /// Dir of the browser's script.
    _programs: TempDir,
    server: TestServer,
    site: Site,
    pub session: Session,
    /// The session's dir.
    dir: PathBuf,
    /// Targets and contexts before any client connects.
    before: Value,
}

impl Scenario {
    /// Starts a server and a session whose first page is `/title/first`, with `upload.bin` and
    /// `note.txt` in its dir.
    pub async fn setup() -> Self {
        let programs = tempfile::tempdir().unwrap();
        let browser = programs.path().join("chromium-headless-shell");
        let mut script = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o755)
            .open(&browser)
            .unwrap();
        script.write_all(SITE_PER_PROCESS.as_bytes()).unwrap();
        drop(script);
        let server = TestServer::builder()
            .setting("HEARTH_BROWSER", browser.to_str().unwrap())
            // Six clients that upload 40 MB each at the same time take 2 GB of memory in one
            // browser.
            .setting("HEARTH_SESSION_MEMORY_MB", "4096")
            .start()
            .await;
        let site = Site::start().await;
        let session = server.session().await;
        session
            .bash("head -c 40000000 /dev/zero > upload.bin; printf hello > note.txt")
            .await
            .ok();
        session
            .node(&format!(
                "await page.goto('{}'); 0",
                site.url("/title/first")
            ))
            .await
            .ok();
        let [dir] = server.session_dirs().try_into().unwrap();
        let before = inventory(&session).await;
        Self {
            _programs: programs,
            server,
            site,
            session,
            dir,
            before,
        }
    }

    /// Runs all steps of a client.
    pub async fn run(&self, client: Client) -> Report {
        let (site, dir) = (self.site.url(""), self.dir.join("work"));
        let arguments = [self.session.cdp_url(), &site, dir.to_str().unwrap()];
        match client {
            Client::Chromiumoxide => chromiumoxide_client::run(arguments).await,
            _ => program::run(client, arguments).await,
        }
    }

    /// Asserts that a complete copy of what a client downloaded is in the session's dir, under any
    /// name.
    #[track_caller]
    pub fn assert_saved(&self, client: Client) {
        let dir = self.dir.join("b/downloads");
        let content = attachment(client.name());
        let files: Vec<PathBuf> = std::fs::read_dir(&dir)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        let is_saved = files
            .iter()
            .any(|file| std::fs::read(file).is_ok_and(|bytes| bytes == content.as_bytes()));
        assert!(
            is_saved,
            "the download of {} is not among {files:?}",
            client.title()
        );
    }

    /// Asserts that the targets and contexts are the same as before any client connected, and that
    /// code still runs on the session's page.
    pub async fn assert_left_as_it_was(&self) {
        eventually(
            Duration::from_secs(5),
            "the clients leave nothing behind",
            || async {
                let now = inventory(&self.session).await;
                if now == self.before {
                    Ok(())
                } else {
                    Err(format!("before {}\nnow {now}", self.before))
                }
            },
        )
        .await;
        assert_eq!(
            self.session.node("await page.title()").await.ok().result,
            "first"
        );
    }

    /// Stops the server.
    pub async fn teardown(self) {
        self.server.stop().await;
    }
}

/// Lists every target and context of a session's browser, as a client sees them.
pub async fn inventory(session: &Session) -> Value {
    let mut client = CdpClient::connect(session.cdp_url()).await;
    let targets = client.call("Target.getTargets", json!({})).await;
    let mut targets: Vec<String> = targets["result"]["targetInfos"]
        .as_array()
        .unwrap()
        .iter()
        .map(|target| {
            format!(
                "{} {} {}",
                target["targetId"], target["type"], target["url"]
            )
        })
        .collect();
    targets.sort();
    let contexts = client.call("Target.getBrowserContexts", json!({})).await;
    client.close().await;
    json!({"targets": targets, "contexts": contexts["result"]["browserContextIds"]})
}
