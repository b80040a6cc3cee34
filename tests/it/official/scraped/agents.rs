//! The clients that language models use: the MCP server's tools, and the AI SDK's tools in a loop
//! with a scripted model. A model passes an address and need not know about scrapes.

use hearth_test_support::report::{Outcome, Report};
use hearth_test_support::{Api, Site, TestServer};
use serde_json::{Value, json};

use super::steps::result_in;
use super::{Call, CallResult, Client, Elsewhere, Kind, closed_port, direct};

/// The rows of the table.
pub const STEPS: [&str; 7] = [
    "open a page and run code in it",
    "run code in the page that is open",
    "open a page with options of the scrape",
    "open another page",
    "open a page that does not answer",
    "get the live view before any code",
    "run code without a page",
];

/// A model's client.
struct Agent<'a> {
    client: Client<'a>,
    /// A direct API client for the client's team.
    api: Api,
    site: &'a Site,
    key: String,
    /// The scrape of the first page.
    scrape_id: String,
}

/// Runs all steps.
pub async fn run_all(
    kind: Kind,
    server: &TestServer,
    site: &Site,
    elsewhere: &Elsewhere,
) -> Report {
    let key = format!("{}-key", kind.name());
    let mut agent = Agent {
        client: Client::at(server.origin(), kind, elsewhere).await,
        api: server.with_key(&key),
        site,
        key,
        scrape_id: String::new(),
    };
    let mut report = Report::new(kind.title(), &agent.client.version);
    for step in STEPS {
        report
            .steps
            .push((step.to_owned(), Outcome::of(agent.take(step)).await));
    }
    agent.client.leave().await;
    report
}

impl Agent<'_> {
    async fn take(&mut self, step: &str) -> Outcome {
        match step {
            "open a page and run code in it" => self.open().await,
            "run code in the page that is open" => self.continues().await,
            "open a page with options of the scrape" => self.open_with_options().await,
            "open another page" => self.open_another().await,
            "open a page that does not answer" => self.open_nothing().await,
            "get the live view before any code" => self.start().await,
            _ => self.run_without_page().await,
        }
    }

    async fn open(&mut self) -> Outcome {
        let code = "const kept = await page.title(); kept";
        let input = json!({"url": self.site.url("/title/First"), "code": code});
        let ran = self.call(input).await;
        assert_eq!(result_in(&ran), "First");
        ran["scrapeId"]
            .as_str()
            .unwrap()
            .clone_into(&mut self.scrape_id);
        self.asserts_sessions(1).await;
        good()
    }

    /// Calls the MCP server with the id from the last step, and the AI SDK twice in one loop.
    async fn continues(&mut self) -> Outcome {
        let next = json!({"code": "kept + '!'"});
        if self.client.kind == Kind::McpServer {
            let id = self.scrape_id.clone();
            let call = Call::Interact(&id, next);
            let ran = returned(self.client.call(Some(&self.key), &call).await);
            assert_eq!(result_in(&ran), "First!");
            Outcome::Good("with the `scrapeId` that the tool returned".to_owned())
        } else {
            let url = self.site.url("/title/Loop");
            let first = json!({"url": url, "code": "const kept = await page.title(); kept"});
            let body = json!({"inputs": [first, next]});
            let ended = self.special("conversation", body).await;
            let results = ended["results"].as_array().unwrap();
            let shown: Vec<&str> = results.iter().map(result_in).collect();
            assert_eq!(shown, ["Loop", "Loop!"]);
            assert_eq!(ended["currentUrl"], url);
            Outcome::Good("without an address".to_owned())
        }
    }

    async fn open_with_options(&mut self) -> Outcome {
        let script = "document.title = 'Set'";
        let options = json!({"actions": [{"type": "executeJavascript", "script": script}]});
        let input = json!({"url": self.site.url("/title/Options"), "code": "await page.title()"});
        let ran = if self.client.kind == Kind::McpServer {
            let mut input = input;
            input["scrapeOptions"] = options;
            self.special("open", input).await
        } else {
            let body = json!({"inputs": [input], "scrape": options});
            self.special("conversation", body).await["results"][0].clone()
        };
        assert_eq!(result_in(&ran), "Set");
        good()
    }

    async fn open_another(&mut self) -> Outcome {
        self.delete_all().await;
        let inputs: Vec<Value> = ["One", "Two"]
            .map(|title| {
                let url = self.site.url(&format!("/title/{title}"));
                json!({"url": url, "code": "await page.title()"})
            })
            .into();
        if self.client.kind == Kind::AiSdk {
            let ended = self
                .special("conversation", json!({"inputs": inputs}))
                .await;
            let results = ended["results"].as_array().unwrap();
            let shown: Vec<&str> = results.iter().map(result_in).collect();
            assert_eq!(shown, ["One", "Two"]);
            self.asserts_sessions(1).await;
            return Outcome::Good("it ends the first session".to_owned());
        }
        let mut ids = Vec::new();
        for (input, title) in inputs.into_iter().zip(["One", "Two"]) {
            let ran = self.call(input).await;
            assert_eq!(result_in(&ran), title);
            ids.push(ran["scrapeId"].clone());
        }
        assert_ne!(ids[0], ids[1]);
        self.asserts_sessions(2).await;
        Outcome::Good("the first session stays until it is stopped or idle".to_owned())
    }

    async fn open_nothing(&mut self) -> Outcome {
        let url = closed_port();
        let input = json!({"url": url, "code": "1"});
        let rejected = direct(&self.api, &Call::Scrape(json!({"url": url}))).await;
        assert_eq!(rejected.status, 500, "{}", rejected.text);
        let rejected = rejected.json();
        let error = rejected["error"].as_str().unwrap();
        if self.client.kind == Kind::McpServer {
            let call = Call::Special("open", input);
            let answer = self.client.call(Some(&self.key), &call).await;
            let message = format!("Tool 'firecrawl_interact' execution failed: {error}");
            assert_eq!(answer, CallResult::Raised(json!({"message": message})));
            good()
        } else {
            let body = json!({"inputs": [input]});
            let ended = self.special("conversation", body).await;
            assert_eq!(ended["results"][0]["error"], error, "{ended}");
            Outcome::Good("the model reads the error as a result".to_owned())
        }
    }

    async fn start(&mut self) -> Outcome {
        if self.client.kind == Kind::McpServer {
            return Outcome::NotOffered("its tools run code or a prompt".to_owned());
        }
        self.delete_all().await;
        let body = json!({"url": self.site.url("/title/Live")});
        let started = self.special("start", body).await;
        let session = self.asserts_sessions(1).await.remove(0);
        let status = self.api.status(session["id"].as_str().unwrap()).await.ok();
        let interactive = &status["interactiveLiveViewUrl"];
        assert!(
            interactive.as_str().is_some_and(|url| !url.is_empty()),
            "{status}"
        );
        assert_eq!(started["started"], *interactive, "{started}");
        Outcome::Good("with `start()`, which runs `echo ready`".to_owned())
    }

    async fn run_without_page(&mut self) -> Outcome {
        let input = json!({"code": "1"});
        if self.client.kind == Kind::McpServer {
            let call = Call::Special("open", input);
            let answer = self.client.call(Some(&self.key), &call).await;
            let CallResult::Raised(raised) = answer else {
                panic!("{answer:?}")
            };
            let text = raised["message"].as_str().unwrap();
            assert!(text.contains("Provide either 'url'"), "{text}");
        } else {
            let body = json!({"inputs": [input]});
            let ended = self.special("conversation", body).await;
            let text = ended["results"][0]["error"].as_str().unwrap();
            assert!(text.starts_with("url is required on the first"), "{text}");
        }
        Outcome::Good("rejected by the client itself".to_owned())
    }

    /// Passes an input of a model to the tool that interacts.
    async fn call(&mut self, input: Value) -> Value {
        if self.client.kind == Kind::McpServer {
            self.special("open", input).await
        } else {
            let body = json!({"inputs": [input]});
            self.special("conversation", body).await["results"][0].clone()
        }
    }

    async fn special(&mut self, name: &str, body: Value) -> Value {
        let call = Call::Special(name, body);
        returned(self.client.call(Some(&self.key), &call).await)
    }

    async fn sessions(&self) -> Vec<Value> {
        let listed = self.api.list("?status=active").await.ok();
        listed["sessions"].as_array().unwrap().clone()
    }

    /// Asserts that the team has this many sessions, and returns them.
    async fn asserts_sessions(&self, count: usize) -> Vec<Value> {
        let sessions = self.sessions().await;
        assert_eq!(sessions.len(), count, "{sessions:?}");
        sessions
    }

    async fn delete_all(&self) {
        for session in self.sessions().await {
            self.api.delete(session["id"].as_str().unwrap()).await.ok();
        }
    }
}

fn good() -> Outcome {
    Outcome::Good(String::new())
}

#[track_caller]
fn returned(answer: CallResult) -> Value {
    match answer {
        CallResult::Returned(value) => value,
        other => panic!("{other:?}"),
    }
}
