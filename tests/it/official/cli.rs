//! `firecrawl browser …` in every form that it offers, as a user would type it.

use hearth_test_support::report::{Outcome, Report};
use hearth_test_support::{Api, Site, TestServer};
use serde_json::{Value, json};

use super::call::Call;
use super::cli_calls::{NO_SESSIONS, in_short, read};
use super::client::{Client, Kind, Ran, run};
use super::elsewhere::Elsewhere;
use super::visit::UNKNOWN;

/// The rows of the table, each with a note, which may be empty.
pub const FORMS: [(&str, &str); 28] = [
    (
        "`browser launch-session`",
        "live-view URLs are printed but not opened",
    ),
    ("`browser launch-session --ttl 60 --ttl-inactivity 30`", ""),
    (
        LOST,
        "the client parses them as options of `browser` itself, so they have no effect on any server",
    ),
    ("`browser list`", ""),
    ("`browser list active`", ""),
    ("`browser list destroyed`", ""),
    ("`browser list stopped`", "rejected by the client itself"),
    ("`browser execute \"open URL\"`", ""),
    ("`browser execute \"snapshot\"`", ""),
    ("`browser execute \"click @REF\"`", ""),
    ("`browser execute \"agent-browser get title\"`", ""),
    ("`browser execute \"scrape\"`", ""),
    ("`browser execute --bash CODE`", ""),
    ("`browser execute --python CODE`", ""),
    ("`browser execute --node CODE`", ""),
    (
        "`browser execute --node --python CODE`",
        "rejected by the client itself",
    ),
    ("`browser execute --session ID CODE`", ""),
    (
        "code that fails",
        "the error goes to stderr, and the CLI exits with 0",
    ),
    ("`browser \"open URL\"`", "it uses the current session"),
    ("`browser --json \"get title\"`", ""),
    ("`browser -o FILE \"get title\"`", ""),
    ("`browser close`", ""),
    (
        "`browser close` without a session",
        "rejected by the client itself",
    ),
    (
        "`browser --profile NAME --no-save-changes \"open URL\"`",
        "without a session it launches a new one",
    ),
    (
        "`browser \"open URL\"` after the session has ended",
        "it launches another",
    ),
    ("`browser close --session ID`", ""),
    ("`-k KEY --api-url URL` instead of variables", ""),
    (
        "`login --api-url URL`, then no variables",
        "stored in `~/.config/firecrawl-cli`",
    ),
];

/// The form with options of `browser` after a subcommand, where they have no effect.
const LOST: &str =
    "`--json`, `-o FILE`, `--profile NAME` or `--no-save-changes` after a subcommand";

/// The file in which the CLI stores its current session.
pub const SESSION: &str = ".config/firecrawl-cli/browser-session.json";

/// A user of the CLI.
struct User<'a> {
    client: Client<'a>,
    key: Option<&'a str>,
    /// A client for the user's team.
    api: Api,
    site: &'a Site,
    /// The first session, and the reference of the button on its page.
    id: String,
    reference: String,
    origin: &'a str,
}

/// Runs all forms on one server. Returns the files that exist at the end.
pub async fn run_all(
    name: &str,
    server: &TestServer,
    key: Option<&str>,
    site: &Site,
    elsewhere: &Elsewhere,
) -> (Report, Vec<String>) {
    let client = Client::at(server.origin(), Kind::CommandLine, elsewhere).await;
    let api = key.map_or_else(|| (**server).clone(), |key| server.with_key(key));
    let mut report = Report::new(
        &format!("{} {}, {name}", client.kind.title(), client.version),
        "",
    );
    let (id, reference) = (String::new(), String::new());
    let mut user = User {
        client,
        key,
        api,
        site,
        id,
        reference,
        origin: server.origin(),
    };
    for (form, note) in FORMS {
        let outcome = Outcome::of(async {
            user.take(form).await;
            if form == LOST {
                Outcome::NotOffered(note.to_owned())
            } else {
                Outcome::Good(note.to_owned())
            }
        });
        report.steps.push((form.to_owned(), outcome.await));
    }
    (report, super::files(user.client.leave().await.path()))
}

impl User<'_> {
    #[expect(
        clippy::too_many_lines,
        reason = "a flat list of commands and their output"
    )]
    async fn take(&mut self, form: &str) {
        let page = format!("open {}", self.site.url("/button"));
        match form {
            "`browser launch-session`" => self.launch().await,
            "`browser launch-session --ttl 60 --ttl-inactivity 30`" => {
                let launched = self
                    .launched(&["launch-session", "--ttl", "60", "--ttl-inactivity", "30"])
                    .await;
                let [created, expires] = ["createdAt", "expiresAt"].map(|key| {
                    launched[key]
                        .as_str()
                        .unwrap()
                        .parse::<jiff::Timestamp>()
                        .unwrap()
                });
                assert_eq!(expires.duration_since(created).as_secs(), 60);
            }
            LOST => {
                self.launched(&[
                    "launch-session",
                    "--profile",
                    "p",
                    "--no-save-changes",
                    "-o",
                    "lost.json",
                    "--json",
                ])
                .await;
                let plain = self.browser(&["list"]).await.stdout;
                self.prints(&["list", "--json", "-o", "lost.json"], &plain)
                    .await;
            }
            "`browser list`" => self.lists(&["list"], 3).await,
            "`browser list active`" => self.lists(&["list", "active"], 1).await,
            "`browser list destroyed`" => self.lists(&["list", "destroyed"], 2).await,
            "`browser list stopped`" => {
                let message =
                    "Error: Invalid status \"stopped\". Use \"active\" or \"destroyed\".\n";
                self.refuses(&["list", "stopped"], message).await;
            }
            "`browser execute \"open URL\"`" => {
                self.remember(&self.id);
                let ran = self.browser(&["execute", &page]).await;
                assert!(ran.stdout.contains("Button"), "{ran:?}");
                assert_eq!(self.title().await, "Button");
            }
            "`browser execute \"snapshot\"`" => {
                let ran = self.browser(&["execute", "snapshot"]).await;
                let (_, rest) = ran
                    .stdout
                    .split_once("button \"Press\" [ref=")
                    .unwrap_or_else(|| panic!("{ran:?}"));
                rest.split(']')
                    .next()
                    .unwrap()
                    .clone_into(&mut self.reference);
            }
            "`browser execute \"click @REF\"`" => {
                self.browser(&["execute", &format!("click @{}", self.reference)])
                    .await;
                assert_eq!(self.title().await, "pressed");
            }
            "`browser execute \"agent-browser get title\"`" => {
                self.prints(&["execute", "agent-browser get title"], "pressed\n")
                    .await;
            }
            "`browser execute \"scrape\"`" => {
                self.browser(&[
                    "execute",
                    &format!("open {}", self.site.url("/title/Scraped")),
                ])
                .await;
                self.prints(&["execute", "scrape"], "# Scraped\n\nA paragraph.\n")
                    .await;
            }
            "`browser execute --bash CODE`" => {
                self.prints(&["execute", "--bash", "echo $((6 * 7))"], "42\n")
                    .await;
            }
            "`browser execute --python CODE`" => {
                self.prints(
                    &["execute", "--python", "print(await page.title())"],
                    "Scraped\n",
                )
                .await;
            }
            "`browser execute --node CODE`" => {
                self.prints(&["execute", "--node", "await page.title()"], "Scraped\n")
                    .await;
            }
            "`browser execute --node --python CODE`" => {
                let message = "Error: Only one of --python, --node, or --bash can be specified\n";
                self.refuses(&["execute", "--node", "--python", "1"], message)
                    .await;
            }
            "`browser execute --session ID CODE`" => {
                self.remember(UNKNOWN);
                self.prints(
                    &["execute", "--session", &self.id, "--node", "6 * 7"],
                    "42\n",
                )
                .await;
                self.remember(&self.id);
            }
            "code that fails" => {
                let ran = self
                    .browser(&["execute", "--node", "console.log('before'); null.x"])
                    .await;
                assert_eq!(ran.stdout, "before\n");
                assert_eq!(
                    ran.stderr,
                    "Code error: TypeError: Cannot read properties of null (reading 'x')\n"
                );
            }
            "`browser \"open URL\"`" => {
                self.browser(&[&page]).await;
                assert_eq!(
                    (self.title().await.as_str(), self.active().await),
                    ("Button", vec![self.id.clone()])
                );
            }
            "`browser --json \"get title\"`" => {
                let execution: Value =
                    serde_json::from_str(&self.browser(&["--json", "get title"]).await.stdout)
                        .unwrap();
                assert_eq!(
                    (&execution["result"], &execution["exitCode"]),
                    (&json!("Button"), &json!(0))
                );
            }
            "`browser -o FILE \"get title\"`" => {
                self.prints(&["-o", "printed.txt", "get title"], "").await;
                assert_eq!(self.file("printed.txt"), "Button");
            }
            "`browser close`" => {
                self.prints(&["close"], &format!("Session closed ({})\n", self.id))
                    .await;
                assert_eq!(self.active().await, Vec::<String>::new());
            }
            "`browser close` without a session" => {
                let message = "Error: No active browser session. Launch one with: firecrawl browser launch\nOr specify \
                               a session ID with: --session <id>\n";
                self.refuses(&["close"], message).await;
            }
            "`browser --profile NAME --no-save-changes \"open URL\"`" => {
                let ran = self
                    .browser(&["--profile", "p", "--no-save-changes", &page])
                    .await;
                [self.id] = self.active().await.try_into().unwrap();
                assert_eq!(ran.stderr, format!("Session launched: {}\n", self.id));
                assert_eq!(self.title().await, "Button");
            }
            "`browser \"open URL\"` after the session has ended" => {
                self.api.delete(&self.id).await.ok();
                let ran = self.browser(&[&page]).await;
                [self.id] = self.active().await.try_into().unwrap();
                let start = "Cached session expired, launching a new one...\nSession launched: ";
                assert_eq!(ran.stderr, format!("{start}{}\n", self.id));
                assert_eq!(self.title().await, "Button");
            }
            "`browser close --session ID`" => {
                self.prints(
                    &["close", "--session", &self.id],
                    &format!("Session closed ({})\n", self.id),
                )
                .await;
            }
            "`-k KEY --api-url URL` instead of variables" => {
                let key = self.key.map(|key| vec!["-k", key]).unwrap_or_default();
                self.lists_none(
                    &[
                        &["browser", "list", "active", "--api-url", self.origin],
                        &key[..],
                    ]
                    .concat(),
                )
                .await;
                self.lists_none(
                    &[
                        &["--api-url", self.origin],
                        &key[..],
                        &["browser", "list", "active"],
                    ]
                    .concat(),
                )
                .await;
            }
            "`login --api-url URL`, then no variables" => {
                let key = self
                    .key
                    .map(|key| vec!["--api-key", key])
                    .unwrap_or_default();
                let ran = run(self
                    .client
                    .cli_command(&[&["login", "--api-url", self.origin], &key[..]].concat()))
                .await;
                assert_eq!(ran.code, 0, "{ran:?}");
                self.lists_none(&["browser", "list", "active"]).await;
            }
            _ => unreachable!("{form}"),
        }
    }

    /// Runs `firecrawl browser …`, which must succeed.
    async fn browser(&self, arguments: &[&str]) -> Ran {
        let ran = self
            .client
            .cli(self.key, &[&["browser"], arguments].concat())
            .await;
        assert_eq!(ran.code, 0, "{arguments:?}: {ran:?}");
        ran
    }

    /// Asserts that a command prints exactly this, and nothing to stderr.
    async fn prints(&self, arguments: &[&str], stdout: &str) {
        let ran = self.browser(arguments).await;
        assert_eq!(
            (ran.stdout.as_str(), ran.stderr.as_str()),
            (stdout, ""),
            "{arguments:?}"
        );
    }

    /// Asserts that a command fails with exactly this on stderr.
    async fn refuses(&self, arguments: &[&str], stderr: &str) {
        let ran = self
            .client
            .cli(self.key, &[&["browser"], arguments].concat())
            .await;
        assert_eq!(
            (ran.code, ran.stdout.as_str(), ran.stderr.as_str()),
            (1, "", stderr),
            "{arguments:?}"
        );
    }

    /// Asserts that a command finds the server without its environment variables, and lists no
    /// session.
    async fn lists_none(&self, arguments: &[&str]) {
        let ran = run(self.client.cli_command(arguments)).await;
        assert_eq!(
            (ran.stdout, ran.stderr, ran.code),
            (format!("{NO_SESSIONS}\n"), String::new(), 0)
        );
    }

    /// Launches the session for the next forms; asserts that its details are printed and stored,
    /// and that no process stays.
    async fn launch(&mut self) {
        let ran = self.browser(&["launch-session"]).await;
        [self.id] = self.active().await.try_into().unwrap();
        let status = self.api.status(&self.id).await.ok();
        let text = |key: &str| status[key].as_str().unwrap();
        let mut expected = format!(
            "Session ID:    {}\nCDP URL:       {}\n",
            self.id,
            text("cdpUrl")
        );
        for (title, key) in [
            (
                "Interactive Live View URL (recommended)",
                "interactiveLiveViewUrl",
            ),
            ("Live View URL", "liveViewUrl"),
        ] {
            if !text(key).is_empty() {
                expected = format!("{expected}{title}: {}\n", text(key));
            }
        }
        assert_eq!(ran.stdout, expected);
        self.client.home.assert_nothing_runs().await;
        let stored: Value = serde_json::from_str(&self.file(SESSION)).unwrap();
        assert_eq!(
            (&stored["id"], &stored["cdpUrl"]),
            (&json!(self.id), &status["cdpUrl"])
        );
    }

    /// Launches another session, asserts that it is shown in plain text, deletes it, and returns
    /// its status.
    async fn launched(&self, arguments: &[&str]) -> Value {
        let created = read(&Call::Create(json!({})), &self.browser(arguments).await);
        let id = created["id"].as_str().unwrap();
        let status = self.api.status(id).await.ok();
        assert_eq!(created["cdpUrl"], status["cdpUrl"]);
        self.api.delete(id).await.ok();
        status
    }

    /// Writes a session to the file that the CLI reads.
    fn remember(&self, id: &str) {
        std::fs::write(
            self.client.home.path().join(SESSION),
            json!({"id": id}).to_string(),
        )
        .unwrap();
    }

    fn file(&self, path: &str) -> String {
        std::fs::read_to_string(self.client.home.path().join(path)).unwrap()
    }

    /// Returns the ids of the team's active sessions.
    async fn active(&self) -> Vec<String> {
        let listed = self.api.list("?status=active").await.ok();
        let id = |session: &Value| session["id"].as_str().unwrap().to_owned();
        listed["sessions"]
            .as_array()
            .unwrap()
            .iter()
            .map(id)
            .collect()
    }

    /// Returns the page's title, read from the server.
    async fn title(&self) -> String {
        let reply = self
            .api
            .execute(&self.id, &json!({"code": "await page.title()"}))
            .await
            .ok();
        reply["result"].as_str().unwrap().to_owned()
    }

    /// Asserts that `list` prints this many lines, each with the id and the status of a session.
    async fn lists(&self, arguments: &[&str], count: usize) {
        let query = arguments
            .get(1)
            .map(|status| format!("?status={status}"))
            .unwrap_or_default();
        let printed = read(&Call::List(json!({})), &self.browser(arguments).await);
        let listed = self.api.list(&query).await.ok();
        assert_eq!(printed, in_short(&listed));
        assert_eq!(printed["sessions"].as_array().unwrap().len(), count);
    }
}
