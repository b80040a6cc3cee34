//! Calls of the API as commands of the CLI, and the results that it prints.

use serde_json::{Value, json};

use super::call::Call;
use super::client::Ran;

pub const NO_SESSIONS: &str = "No active browser sessions.";

/// Returns the arguments for a call, or the reason why there are none.
pub fn arguments(call: &Call<'_>) -> Result<Vec<String>, &'static str> {
    match call {
        Call::Scrape(body) => return scrape_arguments(body),
        Call::Interact(id, body) => return Ok(interact_arguments(id, body)),
        Call::Stop(id) => return Ok(["interact", "stop", id].map(str::to_owned).to_vec()),
        _ => {}
    }
    let mut arguments = vec!["browser".to_owned()];
    let mut add = |words: &[&str]| arguments.extend(words.iter().map(|word| (*word).to_owned()));
    match call {
        Call::Create(body) => {
            add(&["launch-session"]);
            if body["streamWebView"].is_string() {
                return Err("it has no such option");
            }
            for (option, field) in [("--ttl", "ttl"), ("--ttl-inactivity", "activityTtl")] {
                match body.get(field) {
                    Some(Value::String(text)) => add(&[option, text]),
                    Some(value) => add(&[option, &value.to_string()]),
                    None => {}
                }
            }
        }
        Call::Execute(id, body) => {
            if body.get("timeout").is_some() {
                return Err("it has no timeout option; the server's default of 30 s applies");
            }
            add(&["execute", "--session", id]);
            match body["language"].as_str() {
                Some("ruby") => {
                    return Err("each of the three languages has its own option");
                }
                Some(language) => add(&[&format!("--{language}")]),
                None => {}
            }
            add(&[body["code"]
                .as_str()
                .ok_or("command-line arguments are always strings")?]);
        }
        Call::List(query) => {
            add(&["list"]);
            add(&query["status"].as_str().into_iter().collect::<Vec<_>>());
        }
        Call::Delete(id) => add(&["close", "--session", id]),
        _ => return Err("it has no such command"),
    }
    Ok(arguments)
}

fn scrape_arguments(body: &Value) -> Result<Vec<String>, &'static str> {
    let mut arguments = vec!["scrape".to_owned(), "--json".to_owned()];
    for (field, value) in body.as_object().unwrap() {
        let text = value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
        match field.as_str() {
            "url" => arguments.push(text),
            "formats" => {
                let formats = value.as_array().unwrap().iter();
                let formats: Vec<&str> = formats.filter_map(Value::as_str).collect();
                arguments.extend(["-f".to_owned(), formats.join(",")]);
            }
            "waitFor" => arguments.extend(["--wait-for".to_owned(), text]),
            "actions" => arguments.extend(["--actions".to_owned(), text]),
            "timeout" => {
                return Err("it has no timeout option; the server's default of 60 s applies");
            }
            _ => unreachable!("{field}"),
        }
    }
    Ok(arguments)
}

fn interact_arguments(id: &str, body: &Value) -> Vec<String> {
    let mut arguments = ["interact", "--json", "-s", id].map(str::to_owned).to_vec();
    for (field, value) in body.as_object().unwrap() {
        let text = value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
        match field.as_str() {
            "code" => arguments.extend(["-c".to_owned(), text]),
            "prompt" => arguments.extend(["-p".to_owned(), text]),
            "language" => arguments.push(format!("--{text}")),
            "timeout" => arguments.extend(["--timeout".to_owned(), text]),
            _ => unreachable!("{field}"),
        }
    }
    arguments
}

/// Parses the output of a successful command, as far as it shows the server's response.
pub fn read(call: &Call<'_>, ran: &Ran) -> Value {
    let lines = || ran.stdout.lines();
    match call {
        Call::Create(_) => {
            let entry = |line: &str| {
                let (title, value) = line.split_once(": ").unwrap_or_else(|| panic!("{ran:?}"));
                let key = match title {
                    "Session ID" => "id",
                    "CDP URL" => "cdpUrl",
                    "Live View URL" => "liveViewUrl",
                    "Interactive Live View URL (recommended)" => "interactiveLiveViewUrl",
                    _ => panic!("{ran:?}"),
                };
                (key.to_owned(), json!(value.trim()))
            };
            lines().map(entry).collect()
        }
        Call::Execute(..) => {
            let mut execution = json!({"printed": ran.stdout.trim_end()});
            if !ran.stderr.is_empty() {
                let error = ran
                    .stderr
                    .strip_prefix("Code error: ")
                    .unwrap_or_else(|| panic!("{ran:?}"));
                execution["error"] = json!(error.trim_end());
            }
            execution
        }
        Call::List(_) => {
            let session = |line: &str| {
                let fields: Vec<&str> = line.split("  ").collect();
                assert!(
                    fields.len() == 3 && fields[2].starts_with("created "),
                    "{ran:?}"
                );
                json!({"id": fields[0], "status": fields[1]})
            };
            json!({"sessions": lines().filter(|line| *line != NO_SESSIONS).map(session).collect::<Vec<_>>()})
        }
        Call::Scrape(_) | Call::Interact(..) => {
            serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:?}"))
        }
        Call::Stop(_) => stopped(ran),
        Call::Status(_) | Call::Special(..) => unreachable!("it has no such command"),
        Call::Delete(_) => {
            let id = ran
                .stdout
                .trim_end()
                .strip_prefix("Session closed (")
                .and_then(|rest| rest.strip_suffix(')'));
            json!({"closed": id.unwrap_or_else(|| panic!("{ran:?}"))})
        }
    }
}

/// Reduces a list to the values that the CLI shows.
pub fn in_short(listed: &Value) -> Value {
    let sessions = listed["sessions"].as_array().unwrap().iter();
    let sessions =
        sessions.map(|session| json!({"id": session["id"], "status": session["status"]}));
    json!({"sessions": sessions.collect::<Vec<_>>()})
}

/// Parses the output of `interact stop`.
fn stopped(ran: &Ran) -> Value {
    let lines: Vec<&str> = ran.stdout.lines().collect();
    let [first, duration, credits] = lines[..] else {
        panic!("{ran:?}")
    };
    let value = |line: &str, start: &str, end: &str| -> String {
        let rest = line
            .strip_prefix(start)
            .and_then(|rest| rest.strip_suffix(end));
        rest.unwrap_or_else(|| panic!("{ran:?}")).to_owned()
    };
    json!({
        "stopped": value(first, "Session stopped (", ")"),
        "seconds": value(duration, "Duration: ", "s"),
        "creditsBilled": value(credits, "Credits billed: ", ""),
    })
}
