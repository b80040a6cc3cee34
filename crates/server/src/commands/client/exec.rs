//! `hearth exec`: runs code, prints its output while it runs, and has its exit code.

use std::time::Duration;

use clap::Args;
use http_body_util::BodyExt;
use hyper::header::CONTENT_TYPE;
use hyper::{Method, Response};
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};

use super::api::{Api, Call, MAX_OUTPUT_BYTES, read, session_path};
use super::code::{Language, read_code};
use super::error::ClientError;
use super::event_stream::EventStream;
use super::output::Printer;
use super::sessions;
use super::terminal::{print, warn};
use crate::config::ServerOptions;
use crate::outgoing::Received;

const ACTION: &str = "run the code";

/// The timeout of code that has none, on the server.
const DEFAULT_TIMEOUT: u32 = 30;

/// The exit code after SIGINT, as shells report it.
const INTERRUPTED: u8 = 130;

/// The exit code after SIGTERM.
const TERMINATED: u8 = 143;

/// The exit code if nobody reads the output: that of SIGPIPE.
const UNREAD: u8 = 141;

#[derive(Debug, Args)]
pub(in crate::commands) struct ExecOptions {
    /// Code, the name of a file with code, or - for stdin
    code: String,

    /// Language [default: that of the file, else node]
    #[arg(long, short, value_enum)]
    language: Option<Language>,

    /// Id of a session [default: the only active one; without one, a session for this call]
    #[arg(long, short, value_name = "ID")]
    session: Option<String>,

    /// Seconds after which the code is killed [default: 30]
    #[arg(long, short, value_name = "SECONDS")]
    timeout: Option<u32>,

    /// Print the server's response as JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    pub(super) server: ServerOptions,
}

/// Runs code. Returns its exit code.
pub(super) async fn exec(api: &Api, options: &ExecOptions) -> Result<u8, ClientError> {
    let code = read_code(&options.code)?;
    let language = options.language.or(code.language).unwrap_or(Language::Node);
    let mut body = json!({ "code": code.text, "language": language.as_str() });
    if let Some(timeout) = options.timeout {
        body["timeout"] = timeout.into();
    }
    let no_signals = |error: std::io::Error| ClientError::new(ACTION, error.to_string());
    let mut interrupt = signal(SignalKind::interrupt()).map_err(no_signals)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(no_signals)?;
    // Dropping a request makes the server end the new session, or kill the code.
    let (id, is_temporary) = tokio::select! {
        found = session(api, options.session.as_deref()) => found?,
        _ = interrupt.recv() => return Ok(INTERRUPTED),
        _ = terminate.recv() => return Ok(TERMINATED),
    };
    let outcome = tokio::select! {
        outcome = run(api, &id, body, options) => outcome,
        _ = interrupt.recv() => Ok(INTERRUPTED),
        _ = terminate.recv() => Ok(TERMINATED),
    };
    if is_temporary && let Err(error) = sessions::delete(api, &id).await {
        warn(&error.to_string());
    }
    outcome
}

/// Returns the id of the session to use, and true if it is for this call only.
async fn session(api: &Api, named: Option<&str>) -> Result<(String, bool), ClientError> {
    if let Some(id) = named {
        return Ok((id.to_owned(), false));
    }
    let active = sessions::active(api, ACTION).await?;
    if let Some(id) = sessions::only(ACTION, active, "add -s with an id")? {
        return Ok((id, false));
    }
    let created = sessions::create_with(api, json!({})).await?;
    Ok((created.text_of("id").to_owned(), true))
}

async fn run(api: &Api, id: &str, body: Value, options: &ExecOptions) -> Result<u8, ClientError> {
    let timeout = options.timeout.unwrap_or(DEFAULT_TIMEOUT);
    let call = Call {
        action: ACTION,
        method: Method::POST,
        path: format!("{}/execute", session_path(ACTION, id)?),
        body: Some(body),
    };
    let time = Duration::from_secs(timeout.into());
    let response = api.start(call, time, !options.json).await?;
    if is_stream(&response) {
        return print_stream(response).await;
    }
    let answer = read(ACTION, response, MAX_OUTPUT_BYTES).await?;
    let code = exit_code(&answer.json)?;
    if options.json {
        print(&answer.text);
        return Ok(code);
    }
    let mut output = Printer::default();
    let printed = output
        .stdout(answer.text_of("stdout"))
        .and_then(|()| output.stderr(answer.text_of("stderr")))
        .and_then(|()| output.end(&answer.json));
    Ok(printed.map_or(UNREAD, |()| code))
}

fn is_stream(response: &Response<Received>) -> bool {
    let kind = response.headers().get(CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"))
}

/// Prints output as it arrives.
async fn print_stream(response: Response<Received>) -> Result<u8, ClientError> {
    let broken = |reason: String| ClientError::new(ACTION, reason);
    let mut body = response.into_body();
    let mut stream = EventStream::default();
    let mut output = Printer::default();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| broken(error.to_string()))?;
        let data = frame.into_data().unwrap_or_default();
        let events = stream
            .push(&data)
            .map_err(|_| broken("an event is larger than 1 GiB".to_owned()))?;
        for event in events {
            let Ok(data) = serde_json::from_str::<Value>(&event.data) else {
                return Err(broken(format!("the event {:?} is not JSON", event.name)));
            };
            let text = data["text"].as_str().unwrap_or_default();
            let printed = match event.name.as_str() {
                "stdout" => output.stdout(text),
                "stderr" => output.stderr(text),
                "end" => {
                    let code = exit_code(&data)?;
                    return Ok(output.end(&data).map_or(UNREAD, |()| code));
                }
                "result" => output.value(data["result"].as_str().unwrap_or_default()),
                // A later server may have more events.
                _ => Ok(()),
            };
            if printed.is_err() {
                return Ok(UNREAD);
            }
        }
    }
    Err(broken(
        "the response ended before the code; it was probably killed".to_owned(),
    ))
}

/// Returns the exit code of the code, or 1 if it is none that a program can have.
fn exit_code(answer: &Value) -> Result<u8, ClientError> {
    let code = answer["exitCode"].as_i64();
    let code = code.ok_or_else(|| ClientError::new(ACTION, "the response has no exit code"))?;
    Ok(u8::try_from(code).unwrap_or(1))
}
