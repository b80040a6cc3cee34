//! A browser without pages: it answers the commands with which the server starts, lists and ends a
//! browser. Its memory is a hundredth of Chromium's, so that one machine holds a thousand.
//!
//! It reads NUL-terminated messages from descriptor 3 and writes them to descriptor 4, like
//! Chromium with `--remote-debugging-pipe`.

#![forbid(unsafe_code)]

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};

use serde_json::{Value, json};

/// The version that the server asks for before it starts a browser.
const VERSION: &str = "156.0.0.0";

/// The only tab.
const TAB: &str = "TAB";

fn main() -> io::Result<()> {
    if std::env::args().any(|argument| argument == "--version") {
        println!("Chromium {VERSION}");
        return Ok(());
    }
    let commands = BufReader::new(File::open("/proc/self/fd/3")?);
    let answers = OpenOptions::new().write(true).open("/proc/self/fd/4")?;
    let mut browser = StubBrowser {
        answers,
        sessions: 0,
    };
    // The pipe ends with the server.
    for message in commands.split(0) {
        let command: Value = serde_json::from_slice(&message?)?;
        if browser.answer(&command)? == Next::Exit {
            break;
        }
    }
    Ok(())
}

#[derive(Debug, PartialEq, Eq)]
enum Next {
    Continue,
    Exit,
}

#[derive(Debug)]
struct StubBrowser {
    answers: File,
    /// The number of sessions on the tab so far.
    sessions: u64,
}

impl StubBrowser {
    fn answer(&mut self, command: &Value) -> io::Result<Next> {
        let method = command["method"].as_str().unwrap_or_default();
        let mut result = json!({});
        match method {
            "Target.setDiscoverTargets" => {
                let params = json!({ "targetInfo": tab() });
                self.send(&json!({ "method": "Target.targetCreated", "params": params }))?;
            }
            "Target.attachToTarget" | "Target.attachToBrowserTarget" => {
                result = self.attach(method == "Target.attachToTarget")?;
            }
            "Target.getTargets" => result = json!({ "targetInfos": [tab()] }),
            "Browser.getVersion" => result = version(),
            "Storage.getCookies" => result = json!({ "cookies": [] }),
            _ => {}
        }
        let mut answer = json!({ "id": command["id"], "result": result });
        if let Some(session) = command.get("sessionId") {
            answer["sessionId"] = session.clone();
        }
        self.send(&answer)?;
        Ok(if method == "Browser.close" {
            Next::Exit
        } else {
            Next::Continue
        })
    }

    /// Opens a session, which Chromium announces before it answers.
    fn attach(&mut self, is_tab: bool) -> io::Result<Value> {
        self.sessions += 1;
        let session = format!("SESSION{}", self.sessions);
        let target = if is_tab {
            tab()
        } else {
            json!({ "targetId": "BROWSER", "type": "browser", "title": "", "url": "", "attached": true, "canAccessOpener": false })
        };
        self.send(&json!({
            "method": "Target.attachedToTarget",
            "params": { "sessionId": session, "targetInfo": target, "waitingForDebugger": false },
        }))?;
        Ok(json!({ "sessionId": session }))
    }

    fn send(&mut self, message: &Value) -> io::Result<()> {
        let mut frame = message.to_string().into_bytes();
        frame.push(0);
        self.answers.write_all(&frame)
    }
}

fn tab() -> Value {
    json!({
        "targetId": TAB,
        "type": "page",
        "title": "",
        "url": "about:blank",
        "attached": false,
        "canAccessOpener": false,
        "browserContextId": "CONTEXT",
    })
}

fn version() -> Value {
    json!({
        "protocolVersion": "1.3",
        "product": format!("HeadlessChrome/{VERSION}"),
        "revision": "@0",
        "userAgent": format!("Chrome/{VERSION}"),
        "jsVersion": "15.6",
    })
}
