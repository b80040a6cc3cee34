//! `firecrawl scrape …` and `firecrawl interact …`, as a user would type them.

use hearth_test_support::report::{Outcome, Report};
use hearth_test_support::{Site, TestServer};
use serde_json::Value;

use super::{Client, Elsewhere, Kind};
use crate::official::client::{Ran, run};

/// The rows of the table, each with a note, which may be empty.
pub const FORMS: [(&str, &str); 15] = [
    ("`scrape URL`", "it prints the id of the scrape to stderr"),
    ("`URL` without a command", ""),
    ("`scrape URL -f markdown,links`", ""),
    ("`scrape URL -o FILE`", ""),
    ("`scrape URL URL`", "stored in `.firecrawl`"),
    ("`interact -c CODE`", "in the page that was scraped last"),
    ("`interact -c CODE --python`", ""),
    ("`interact -c CODE --bash`", ""),
    ("`interact ID -c CODE --json`", ""),
    ("`interact -c CODE -o FILE`", ""),
    (
        "`interact -c CODE` with an error",
        "the error goes to stderr, and the CLI exits with 1",
    ),
    (
        "`interact \"PROMPT\"`",
        "this server has no model; the client shows its error",
    ),
    ("`interact stop`", ""),
    ("`interact stop` once more", "rejected by the client itself"),
    ("`-k KEY --api-url URL` instead of variables", ""),
];

/// The file in which the CLI stores its last scrape.
pub const STORED: &str = ".config/firecrawl-cli/interact-session.json";

/// A user of the CLI.
struct User<'a> {
    client: Client<'a>,
    key: Option<&'a str>,
    site: &'a Site,
    origin: &'a str,
    /// The scrape that the CLI uses by default.
    scrape_id: String,
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
    let title = format!("{} {}, {name}", client.kind.title(), client.version);
    let mut report = Report::new(&title, "");
    let mut user = User {
        client,
        key,
        site,
        origin: server.origin(),
        scrape_id: String::new(),
    };
    for (form, note) in FORMS {
        let outcome = Outcome::of(async {
            user.take(form).await;
            Outcome::Good(note.to_owned())
        });
        report.steps.push((form.to_owned(), outcome.await));
    }
    let files = crate::official::files(user.client.leave().await.path());
    (report, files)
}

impl User<'_> {
    async fn take(&mut self, form: &str) {
        let page = self.site.url("/title/Scraped");
        match form {
            "`scrape URL`" => self.scrapes(&["scrape", &page]).await,
            "`URL` without a command" => self.scrapes(&[&page]).await,
            "`scrape URL -f markdown,links`" => {
                let ran = self.ran(&["scrape", &page, "-f", "markdown,links"]).await;
                let document: Value = serde_json::from_str(&ran.stdout).unwrap();
                assert_eq!(document["markdown"], "# Scraped\n\nA paragraph.");
                assert!(document["links"].is_array(), "{document}");
            }
            "`scrape URL -o FILE`" => {
                let ran = self.ran(&["scrape", &page, "-o", "page.md"]).await;
                assert_eq!(ran.stdout, "");
                assert_eq!(self.file("page.md"), "# Scraped\n\nA paragraph.");
            }
            "`scrape URL URL`" => self.scrapes_two(&page).await,
            "`interact -c CODE`" => {
                self.scrapes(&["scrape", &page]).await;
                self.prints(&["interact", "-c", "await page.title()"], "Scraped\n")
                    .await;
            }
            "`interact -c CODE --python`" => {
                let arguments = ["interact", "-c", "print(await page.title())", "--python"];
                self.prints(&arguments, "Scraped\n").await;
            }
            "`interact -c CODE --bash`" => {
                let arguments = ["interact", "-c", "agent-browser get title", "--bash"];
                self.prints(&arguments, "Scraped\n").await;
            }
            "`interact ID -c CODE --json`" => {
                let id = self.scrape_id.clone();
                let ran = self.ran(&["interact", &id, "-c", "6 * 7", "--json"]).await;
                let ran: Value = serde_json::from_str(&ran.stdout).unwrap();
                assert_eq!(
                    (&ran["success"], &ran["result"]),
                    (&true.into(), &"42".into())
                );
            }
            "`interact -c CODE -o FILE`" => {
                self.prints(&["interact", "-c", "6 * 7", "-o", "value.txt"], "")
                    .await;
                assert_eq!(self.file("value.txt"), "42");
            }
            "`interact -c CODE` with an error" => {
                let error = "TypeError: Cannot read properties of null (reading 'x')";
                self.fails(&["interact", "-c", "null.x"], error).await;
            }
            "`interact \"PROMPT\"`" => {
                let error = "This server has no model for prompts. Set HEARTH_MODEL_URL and HEARTH_MODEL, or send code.";
                self.fails(&["interact", "Press the button"], error).await;
            }
            "`interact stop`" => {
                let ran = self.ran(&["interact", "stop"]).await;
                let start = format!("Session stopped ({})\nDuration: ", self.scrape_id);
                assert!(ran.stdout.starts_with(&start), "{ran:?}");
                assert!(!self.client.home.path().join(STORED).exists());
            }
            "`interact stop` once more" => {
                let ran = self.client.cli(self.key, &["interact", "stop"]).await;
                let start = "Error: No active scrape session.";
                assert!(ran.code == 1 && ran.stderr.starts_with(start), "{ran:?}");
            }
            "`-k KEY --api-url URL` instead of variables" => self.without_variables(&page).await,
            _ => unreachable!("{form}"),
        }
    }

    async fn scrapes_two(&self, page: &str) {
        let other = self.site.url("/title/Other");
        self.ran(&["scrape", page, &other]).await;
        let dir = self.client.home.path().join(".firecrawl");
        let mut texts: Vec<String> = std::fs::read_dir(&dir)
            .unwrap()
            .map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap())
            .collect();
        texts.sort();
        let found: Vec<&str> = texts
            .iter()
            .filter_map(|text| text.trim().strip_suffix("\n\nA paragraph."))
            .collect();
        assert_eq!(found, ["# Other", "# Scraped"], "{texts:?}");
        std::fs::remove_dir_all(dir).unwrap();
    }

    async fn without_variables(&self, page: &str) {
        let key = self.key.map(|key| vec!["-k", key]).unwrap_or_default();
        let options = [&["--api-url", self.origin], &key[..]].concat();
        for arguments in [
            &["scrape", page][..],
            &["interact", "-c", "await page.title()"],
            &["interact", "stop"],
        ] {
            let arguments = [arguments, &options].concat();
            let ran = run(self.client.cli_command(&arguments)).await;
            assert_eq!(ran.code, 0, "{arguments:?}: {ran:?}");
        }
    }

    /// Runs a command, which must succeed.
    async fn ran(&self, arguments: &[&str]) -> Ran {
        let ran = self.client.cli(self.key, arguments).await;
        assert_eq!(ran.code, 0, "{arguments:?}: {ran:?}");
        ran
    }

    /// Asserts that a command prints this to stdout.
    async fn prints(&self, arguments: &[&str], stdout: &str) {
        let ran = self.ran(arguments).await;
        assert_eq!(ran.stdout, stdout, "{ran:?}");
    }

    /// Asserts that a command prints nothing, and this error below the address of the page.
    async fn fails(&self, arguments: &[&str], error: &str) {
        let ran = self.client.cli(self.key, arguments).await;
        let start = format!("Using scrape {} (", self.scrape_id);
        assert!(ran.stderr.starts_with(&start), "{ran:?}");
        assert!(
            ran.stderr.ends_with(&format!("\nError: {error}\n")),
            "{ran:?}"
        );
        assert_eq!((ran.code, ran.stdout.as_str()), (1, ""));
    }

    /// Asserts that a command prints the page, and that the CLI stores the scrape.
    async fn scrapes(&mut self, arguments: &[&str]) {
        let ran = self.ran(arguments).await;
        assert_eq!(ran.stdout, "# Scraped\n\nA paragraph.\n");
        let stored: Value = serde_json::from_str(&self.file(STORED)).unwrap();
        let id = stored["scrapeId"].as_str().unwrap();
        assert_eq!(ran.stderr, format!("Scrape ID: {id}\n"));
        id.clone_into(&mut self.scrape_id);
    }

    fn file(&self, path: &str) -> String {
        std::fs::read_to_string(self.client.home.path().join(path)).unwrap()
    }
}
