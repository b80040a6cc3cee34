//! `hearth new`, `hearth ls`, `hearth open` and `hearth rm`.

use std::io::IsTerminal;

use clap::Args;
use hyper::Method;
use serde_json::{Map, Value, json};

use super::api::{Answer, Api, Call, session_path};
use super::error::ClientError;
use super::terminal::{print, warn};
use crate::commands::print::table;
use crate::config::ServerOptions;

#[derive(Debug, Args)]
pub(in crate::commands) struct NewOptions {
    /// Seconds until the session ends [default: 600]
    #[arg(long, value_name = "SECONDS")]
    ttl: Option<u32>,

    /// Seconds without an execution until the session ends [default: 300]
    #[arg(long, value_name = "SECONDS")]
    activity_ttl: Option<u32>,

    /// Saved browser state to start from. It is created if it does not exist, and saved at the end
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,

    /// Leave the profile as it is
    #[arg(long, requires = "profile")]
    no_save: bool,

    /// Country whose time zone, languages and proxy the session has, such as de
    #[arg(long, value_name = "CODE")]
    country: Option<String>,

    /// Keep nothing of what the session does
    #[arg(long, conflicts_with = "profile")]
    zero_data_retention: bool,

    /// Print the server's response as JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    pub(super) server: ServerOptions,
}

#[derive(Debug, Args)]
pub(in crate::commands) struct ListOptions {
    /// List ended sessions, too
    #[arg(long, short)]
    all: bool,

    /// Print the server's response as JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    pub(super) server: ServerOptions,
}

#[derive(Debug, Args)]
pub(in crate::commands) struct OpenOptions {
    /// Id of a session [default: the only active one]
    session: Option<String>,

    /// Print the address of the view that accepts no input
    #[arg(long)]
    watch_only: bool,

    /// Print the server's response as JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    pub(super) server: ServerOptions,
}

#[derive(Debug, Args)]
pub(in crate::commands) struct RemoveOptions {
    /// Ids of sessions
    #[arg(required_unless_present = "all")]
    sessions: Vec<String>,

    /// End all your active sessions
    #[arg(long, short, conflicts_with = "sessions")]
    all: bool,

    /// Print the server's responses as JSON, one in a line
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    pub(super) server: ServerOptions,
}

impl NewOptions {
    /// Returns the body of the request.
    fn body(&self) -> Value {
        let mut body = Map::new();
        let mut insert = |key: &str, value: Option<Value>| {
            if let Some(value) = value {
                body.insert(key.to_owned(), value);
            }
        };
        insert("ttl", self.ttl.map(Value::from));
        insert("activityTtl", self.activity_ttl.map(Value::from));
        let profile = self.profile.as_ref();
        insert(
            "profile",
            profile.map(|name| json!({ "name": name, "saveChanges": !self.no_save })),
        );
        let country = self.country.as_ref();
        insert("location", country.map(|code| json!({ "country": code })));
        let without_data = self.zero_data_retention.then_some(Value::Bool(true));
        insert("zeroDataRetention", without_data);
        Value::Object(body)
    }
}

/// Creates a session. Prints its id alone, unless stdout is a terminal.
pub(super) async fn create(api: &Api, options: &NewOptions) -> Result<(), ClientError> {
    let created = create_with(api, options.body()).await?;
    if options.json {
        print(&created.text);
        return Ok(());
    }
    let mut lines = vec![created.text_of("id").to_owned()];
    if std::io::stdout().is_terminal() {
        lines.extend([
            format!("  live view  {}", created.text_of("interactiveLiveViewUrl")),
            format!("  CDP        {}", created.text_of("cdpUrl")),
            format!("  ends at    {}", time(created.text_of("expiresAt"))),
        ]);
    }
    print(&lines.join("\n"));
    if let Some(warning) = created.json["warning"].as_str() {
        warn(warning);
    }
    Ok(())
}

/// Creates a session with this request.
pub(super) async fn create_with(api: &Api, body: Value) -> Result<Answer, ClientError> {
    let call = Call {
        action: "create a session",
        method: Method::POST,
        path: String::new(),
        body: Some(body),
    };
    api.call(call).await
}

/// Prints sessions, the newest first.
pub(super) async fn list(api: &Api, options: &ListOptions) -> Result<(), ClientError> {
    let listed = list_with(
        api,
        "list the sessions",
        if options.all { "" } else { "?status=active" },
    )
    .await?;
    if options.json {
        print(&listed.text);
        return Ok(());
    }
    let sessions = listed.json["sessions"].as_array();
    let rows = sessions.into_iter().flatten().map(|session| {
        let text = |key: &str| session[key].as_str().unwrap_or_default();
        [
            text("id").to_owned(),
            text("status").to_owned(),
            time(text("createdAt")),
            time(text("lastActivity")),
        ]
    });
    let rows: Vec<_> = rows.collect();
    print(table(["ID", "STATUS", "CREATED", "LAST ACTIVITY"], &rows).trim_end());
    Ok(())
}

async fn list_with(api: &Api, action: &str, query: &str) -> Result<Answer, ClientError> {
    let call = Call {
        action,
        method: Method::GET,
        path: query.to_owned(),
        body: None,
    };
    api.call(call).await
}

/// Returns the ids of all active sessions, for a command with this action.
pub(super) async fn active(api: &Api, action: &str) -> Result<Vec<String>, ClientError> {
    let listed = list_with(api, action, "?status=active").await?;
    let sessions = listed.json["sessions"].as_array();
    let ids = sessions
        .into_iter()
        .flatten()
        .filter_map(|session| session["id"].as_str().map(str::to_owned));
    Ok(ids.collect())
}

/// Returns the only one of several ids, or `None` if there is none.
pub(super) fn only(
    action: &str,
    mut ids: Vec<String>,
    how: &str,
) -> Result<Option<String>, ClientError> {
    if ids.len() > 1 {
        let reason = format!("{} sessions are active, and none is named", ids.len());
        let error = ClientError::new(action, reason);
        return Err(error.fixed_by(format!("{how}, one of:\n    {}", ids.join("\n    "))));
    }
    Ok(ids.pop())
}

/// Prints the address of a session's live view.
pub(super) async fn open(api: &Api, options: &OpenOptions) -> Result<(), ClientError> {
    const ACTION: &str = "open a session";
    let id = match &options.session {
        Some(id) => Some(id.clone()),
        None => only(
            ACTION,
            active(api, ACTION).await?,
            "add the id of a session",
        )?,
    };
    let id = id.ok_or_else(|| {
        ClientError::new(ACTION, "no session is active").fixed_by("create one with `hearth new`")
    })?;
    let call = Call {
        action: ACTION,
        method: Method::GET,
        path: session_path(ACTION, &id)?,
        body: None,
    };
    let shown = api.call(call).await?;
    if options.json {
        print(&shown.text);
        return Ok(());
    }
    let key = if options.watch_only {
        "liveViewUrl"
    } else {
        "interactiveLiveViewUrl"
    };
    match shown.text_of(key) {
        "" => Err(
            ClientError::new(ACTION, format!("{id} has ended, or has no live view"))
                .fixed_by("`hearth ls` lists the active sessions"),
        ),
        url => {
            print(url);
            Ok(())
        }
    }
}

/// Ends sessions. Continues after an error, and returns the first one.
pub(super) async fn remove(api: &Api, options: &RemoveOptions) -> Result<(), ClientError> {
    let ids = if options.all {
        active(api, "end the sessions").await?
    } else {
        options.sessions.clone()
    };
    let mut outcome = Ok(());
    for id in &ids {
        match delete(api, id).await {
            Ok(deleted) if options.json => print(&deleted.text),
            Ok(_) => print(id),
            Err(error) if outcome.is_ok() => outcome = Err(error),
            Err(error) => warn(&error.to_string()),
        }
    }
    outcome
}

/// Ends a session, and prints the warning if its profile was not saved.
pub(super) async fn delete(api: &Api, id: &str) -> Result<Answer, ClientError> {
    let action = format!("end the session {id}");
    let call = Call {
        action: &action,
        method: Method::DELETE,
        path: session_path("end a session", id)?,
        body: None,
    };
    let deleted = api.call(call).await?;
    if let Some(warning) = deleted.json["warning"].as_str() {
        warn(warning);
    }
    Ok(deleted)
}

/// Returns a time of a response for people: `2026-11-29 22:13:16Z`.
pub(super) fn time(text: &str) -> String {
    match (text.get(..10), text.get(11..19)) {
        (Some(day), Some(time)) => format!("{day} {time}Z"),
        _ => text.to_owned(),
    }
}
