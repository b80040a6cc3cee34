//! The steps that succeed, each with its exact expected result.

use hearth_test_support::report::Outcome;
use serde_json::{Value, json};

use super::{Call, CallResult, Kind, Visit, scrape_id};

const NODE_ERROR: &str = "TypeError: Cannot read properties of null (reading 'x')";
const ONLY_ERROR: &str = "it shows the error without what the code printed before";
const ONE_OUTPUT: &str = "it shows the result, which is the trimmed stdout if there is no value";
const FORMATS: [&str; 6] = [
    "markdown",
    "html",
    "rawHtml",
    "links",
    "images",
    "screenshot",
];

fn good() -> Outcome {
    Outcome::Good(String::new())
}

fn noted(note: &str) -> Outcome {
    Outcome::Good(note.to_owned())
}

impl Visit<'_> {
    pub(super) async fn take(&mut self, step: &str) -> Outcome {
        match step {
            "scrape" => self.scrape().await,
            "scrape in every format" => self.every_format().await,
            "scrape with actions" => self.actions().await,
            "a page that answers 401" => self.page_with_401().await,
            "run code in the page, as the actions left it" => self.run_code().await,
            "links of the session" => self.links().await,
            "python: printed output" => self.printed("python").await,
            "bash: printed output" => self.printed("bash").await,
            "no language given" => self.no_language().await,
            "a variable in the next call" => self.variable().await,
            "an exception in node" => self.exception().await,
            "killed at its own timeout" => self.killed().await,
            "a prompt" => self.prompt().await,
            "stop" => self.stop().await,
            "stop again" => self.stop_again().await,
            "no key, on a server without keys" => self.without_keys().await,
            _ => self.rejection(step).await,
        }
    }

    async fn scrape(&mut self) -> Outcome {
        let url = self.site.url("/title/Scraped");
        let document = self.scraped(&json!({"url": url})).await;
        assert_eq!(document["markdown"], "# Scraped\n\nA paragraph.");
        let metadata = &document["metadata"];
        assert_eq!(
            (&metadata["title"], &metadata["statusCode"]),
            (&json!("Scraped"), &json!(200)),
            "{document}"
        );
        // The Python SDK has `source_url`.
        let source = metadata.get("sourceURL").or(metadata.get("sourceUrl"));
        assert_eq!(source, Some(&json!(url)), "{document}");
        let id: uuid::Uuid = scrape_id(&document).parse().unwrap();
        assert_eq!(id.get_version_num(), 7);
        good()
    }

    /// Compares with the response to the same request without a client. The tests of formats check
    /// that this response is correct.
    async fn every_format(&mut self) -> Outcome {
        let mut formats = FORMATS.to_vec();
        let mut note = "";
        if self.kind() == Kind::McpServer {
            formats.retain(|format| *format != "images");
            note = "it has no format `images`";
        }
        let body = json!({"url": self.site.url("/article"), "formats": formats});
        let expected = self.direct(&Call::Scrape(body.clone())).await.json();
        let expected = &expected["data"];
        let document = self.scraped(&body).await;
        for format in formats {
            let value = &document[format];
            match format {
                "screenshot" => {
                    let start = "data:image/png;base64,iVBOR";
                    assert!(value.as_str().unwrap().starts_with(start), "{value}");
                }
                // The CLI asks for the whole page.
                _ if self.kind() == Kind::CommandLine => assert!(!value.is_null(), "{document}"),
                _ => assert_eq!(*value, expected[format], "{format}"),
            }
        }
        assert_eq!(document["metadata"]["title"], expected["metadata"]["title"]);
        if self.kind() == Kind::CommandLine {
            note = "it asks for the whole page by default";
        }
        noted(note)
    }

    async fn actions(&mut self) -> Outcome {
        let script = "window.marker = 'kept'; return 6 * 7;";
        let actions = json!([
            {"type": "wait", "milliseconds": 1},
            {"type": "executeJavascript", "script": script},
        ]);
        let body = json!({"url": self.site.url("/title/Acted"), "actions": actions});
        let document = self.scraped(&body).await;
        let expected = json!([{"type": "number", "value": 42}]);
        assert_eq!(
            document["actions"]["javascriptReturns"], expected,
            "{document}"
        );
        scrape_id(&document).clone_into(&mut self.scrape_id);
        good()
    }

    async fn page_with_401(&mut self) -> Outcome {
        let document = self
            .scraped(&json!({"url": self.site.url("/locked")}))
            .await;
        let metadata = &document["metadata"];
        assert_eq!(
            (&metadata["statusCode"], &metadata["error"]),
            (&json!(401), &json!("Unauthorized")),
            "{document}"
        );
        good()
    }

    async fn run_code(&mut self) -> Outcome {
        let code = "[await page.title(), await page.evaluate(() => window.marker)].join()";
        let result = self.value(json!({"language": "node", "code": code})).await;
        assert_eq!(result, "Acted,kept");
        good()
    }

    /// Asserts that the scrape now has one session, and that the client shows its links.
    async fn links(&mut self) -> Outcome {
        let listed = self.api.list("?status=active").await.ok();
        let [session] = &listed["sessions"].as_array().unwrap()[..] else {
            panic!("not one session: {listed}")
        };
        self.session = self.api.status(session["id"].as_str().unwrap()).await.ok();
        let ran = match self.interacted(json!({"code": "1"})).await {
            CallResult::Returned(ran) => ran,
            other => panic!("{other:?}"),
        };
        let (shown, note): (&[&str], _) = match self.kind() {
            Kind::AiSdk => {
                let interactive = &self.session["interactiveLiveViewUrl"];
                assert_eq!(ran["liveViewUrl"], *interactive, "{ran}");
                let note = "it shows the interactive live view as both";
                (&["interactiveLiveViewUrl"], note)
            }
            Kind::Rust => (
                &["liveViewUrl", "interactiveLiveViewUrl"],
                "it does not show `cdpUrl`",
            ),
            _ => (&["cdpUrl", "liveViewUrl", "interactiveLiveViewUrl"], ""),
        };
        for key in shown {
            assert!(self.session[key].is_string(), "{key} in {}", self.session);
            assert_eq!(ran[key], self.session[key], "{key} in {ran}");
        }
        noted(note)
    }

    async fn printed(&mut self, language: &str) -> Outcome {
        let (code, stdout, result, stderr) = match language {
            "python" => ("print('six'); print(6 * 7)", "six\n42\n", "six\n42", ""),
            _ => ("echo out; echo err >&2", "out\n", "out", "err\n"),
        };
        let body = json!({"language": language, "code": code});
        let ran = match self.interacted(body).await {
            CallResult::Returned(ran) => ran,
            other => panic!("{other:?}"),
        };
        if self.kind() == Kind::AiSdk {
            assert_eq!(ran["output"], result, "{ran}");
            return noted(ONE_OUTPUT);
        }
        let expected = json!({
            "success": true, "stdout": stdout, "result": result, "stderr": stderr, "exitCode": 0, "killed": false,
        });
        assert_includes(&ran, &expected);
        good()
    }

    async fn no_language(&mut self) -> Outcome {
        let result = self.value(json!({"code": "['no', 'de'].join('')"})).await;
        assert_eq!(result, "node");
        noted("node, which is also the server's default")
    }

    async fn variable(&mut self) -> Outcome {
        for (language, assign) in [("node", "const kept = 40"), ("python", "kept = 40")] {
            self.interacted(json!({"language": language, "code": assign}))
                .await;
            let result = self
                .value(json!({"language": language, "code": "kept + 2"}))
                .await;
            assert_eq!(result, "42");
        }
        good()
    }

    async fn exception(&mut self) -> Outcome {
        let body = json!({"language": "node", "code": "console.log('before'); null.x"});
        let expected = json!({"exitCode": 1, "killed": false, "error": NODE_ERROR});
        let answer = self.interacted(body).await;
        self.assert_failed(answer, &expected, |error| error == NODE_ERROR)
    }

    async fn killed(&mut self) -> Outcome {
        let body = json!({"language": "bash", "code": "echo before; sleep 60", "timeout": 1});
        let expected = json!({"exitCode": 137, "killed": true});
        let answer = self.interacted(body).await;
        self.assert_failed(answer, &expected, |error| error.contains('1'))
    }

    /// Asserts that code ended with an error after it had printed `before`.
    fn assert_failed(
        &self,
        answer: CallResult,
        expected: &Value,
        is_error: impl Fn(&str) -> bool,
    ) -> Outcome {
        let start = match self.kind() {
            Kind::CommandLine => format!("Using scrape {}\nError: ", self.scrape_id),
            Kind::Rust => "scrape interact failed: ".to_owned(),
            _ => String::new(),
        };
        let is_shown = |text: &Value| {
            let error = text.as_str().unwrap().trim_end().strip_prefix(&start);
            assert!(error.is_some_and(&is_error), "{text}");
        };
        match answer {
            CallResult::Returned(ran) if self.kind() == Kind::AiSdk => is_shown(&ran["error"]),
            CallResult::Returned(ran) => {
                assert_includes(&ran, expected);
                assert_includes(&ran, &json!({"success": false, "stdout": "before\n"}));
                is_shown(&ran["error"]);
                return good();
            }
            CallResult::Raised(raised) => {
                let kinds = [
                    Kind::Python,
                    Kind::PythonAsync,
                    Kind::Rust,
                    Kind::CommandLine,
                ];
                assert!(kinds.contains(&self.kind()), "{raised}");
                is_shown(&raised["message"]);
            }
            CallResult::NotOffered(why) => panic!("{why}"),
        }
        noted(ONLY_ERROR)
    }

    /// Runs a prompt on a server that has no model.
    async fn prompt(&mut self) -> Outcome {
        let id = self.scrape_id.clone();
        let call = Call::Interact(&id, json!({"prompt": "Press the button."}));
        let error = "This server has no model for prompts. Set HEARTH_MODEL_URL and HEARTH_MODEL, or send code.";
        let body = json!({"success": false, "error": error});
        self.assert_rejected(&call, 501, &body).await
    }

    async fn stop(&mut self) -> Outcome {
        let id = self.scrape_id.clone();
        self.stopped = self.returned(&Call::Stop(&id)).await;
        let session = self.session["id"].as_str().unwrap();
        let status = self.api.status(session).await.ok();
        assert_eq!(status["status"], "destroyed", "{status}");
        let duration = &status["sessionDurationMs"];
        let (expected, note) = match self.kind() {
            Kind::CommandLine => {
                let seconds: f64 = self.stopped["seconds"].as_str().unwrap().parse().unwrap();
                let difference = seconds * 1000.0 - duration.as_f64().unwrap();
                assert!(difference.abs() < 51.0, "{status}");
                let seconds = &self.stopped["seconds"];
                let expected = json!({"stopped": id, "seconds": seconds, "creditsBilled": "0"});
                (expected, "")
            }
            Kind::AiSdk => (
                json!({"scrapeId": null, "currentUrl": null, "liveViewUrl": null, "interactiveLiveViewUrl": null}),
                "with `close()`, which shows nothing of the response",
            ),
            Kind::Rust => (
                json!({"success": true, "sessionDurationMs": duration, "creditsBilled": 0}),
                "",
            ),
            _ => {
                let mut expected = json!({
                    "success": true, "status": "stopped", "sessionDurationMs": duration, "creditsBilled": 0,
                });
                if !matches!(self.kind(), Kind::Python | Kind::PythonAsync) {
                    expected["cleanupQueued"] = json!(true);
                }
                (expected, "")
            }
        };
        assert_eq!(self.stopped, expected);
        noted(note)
    }

    async fn stop_again(&mut self) -> Outcome {
        let id = self.scrape_id.clone();
        let again = self.returned(&Call::Stop(&id)).await;
        assert_eq!(again, self.stopped);
        good()
    }

    async fn without_keys(&mut self) -> Outcome {
        let (key, note) = match self.kind() {
            Kind::AiSdk => (Some("any"), "it requires a key, which the server ignores"),
            _ => (None, ""),
        };
        let url = self.site.url("/title/Open");
        let scraped = self
            .open
            .call(key, &Call::Scrape(json!({"url": url})))
            .await;
        let CallResult::Returned(document) = scraped else {
            panic!("{scraped:?}")
        };
        let id = scrape_id(&document);
        let body = json!({"language": "node", "code": "await page.title()"});
        let ran = self.open.call(key, &Call::Interact(id, body)).await;
        let CallResult::Returned(ran) = ran else {
            panic!("{ran:?}")
        };
        assert_eq!(result_in(&ran), "Open");
        let stopped = self.open.call(key, &Call::Stop(id)).await;
        assert!(matches!(stopped, CallResult::Returned(_)), "{stopped:?}");
        noted(note)
    }

    /// Returns the result of code, as the client shows it.
    async fn value(&mut self, body: Value) -> String {
        match self.interacted(body).await {
            CallResult::Returned(ran) => result_in(&ran).to_owned(),
            other => panic!("{other:?}"),
        }
    }
}

/// Returns the result of code, which the AI SDK calls its output.
#[track_caller]
pub(super) fn result_in(ran: &Value) -> &str {
    ran.get("result")
        .or(ran.get("output"))
        .and_then(Value::as_str)
        .unwrap_or_else(|| panic!("no result in {ran}"))
}

/// Asserts that an object has these keys and values among others.
#[track_caller]
fn assert_includes(object: &Value, expected: &Value) {
    for (key, value) in expected.as_object().unwrap() {
        assert_eq!(object[key], *value, "{key} in {object}");
    }
}
