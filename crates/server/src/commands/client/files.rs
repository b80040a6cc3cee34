//! `hearth files`: lists, reads, writes and removes files of a session.

use std::fmt::Write;
use std::fs::Permissions;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use clap::{Args, Subcommand};
use futures_util::stream;
use http_body_util::{BodyExt, Empty, StreamBody};
use hyper::body::{Body, Frame};
use hyper::{Method, Response, StatusCode};
use tempfile::NamedTempFile;
use tokio::fs::{File, OpenOptions};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::signal::unix::{SignalKind, signal};
use url::form_urlencoded;

use super::api::{Api, Call, MAX_ANSWER_BYTES, Transfer, session_path};
use super::error::ClientError;
use super::sessions::{active, only, time};
use super::terminal::{print, warn};
use crate::commands::print::table;
use crate::config::ServerOptions;
use crate::outgoing::Received;

/// The size of the parts in which a file is sent.
const PART_BYTES: u64 = 256 * 1024;

/// The argument that means stdin or stdout.
const STDIO: &str = "-";

#[derive(Debug, Subcommand)]
pub(in crate::commands) enum FilesCommand {
    /// List the working directory, or a directory below it
    Ls(LsOptions),
    /// Copy a file of the session to this machine
    Get(GetOptions),
    /// Copy a file of this machine to the session
    Put(PutOptions),
    /// Remove files or empty directories
    Rm(RmOptions),
}

#[derive(Debug, Args)]
pub(in crate::commands) struct LsOptions {
    /// Path of a directory [default: the working directory]
    dir: Option<String>,

    /// Print the server's response as JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Args)]
pub(in crate::commands) struct GetOptions {
    /// Path of the file in the session
    path: String,

    /// Name of the new file, or - for stdout [default: the last name of PATH]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,

    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Args)]
pub(in crate::commands) struct PutOptions {
    /// Name of the file on this machine, or - for stdin
    file: PathBuf,

    /// Path of the new file in the session [default: the last name of FILE]
    path: Option<String>,

    /// Print the server's response as JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Args)]
pub(in crate::commands) struct RmOptions {
    /// Paths of files in the session
    #[arg(required = true)]
    paths: Vec<String>,

    #[command(flatten)]
    target: Target,
}

/// The session whose files are meant.
#[derive(Debug, Args)]
pub(in crate::commands) struct Target {
    /// Id of a session [default: the only active one]
    #[arg(long, short, value_name = "ID")]
    session: Option<String>,

    #[command(flatten)]
    pub(super) server: ServerOptions,
}

impl FilesCommand {
    /// Returns the server that the command uses.
    pub(super) fn server(&self) -> &ServerOptions {
        let target = match self {
            FilesCommand::Ls(options) => &options.target,
            FilesCommand::Get(options) => &options.target,
            FilesCommand::Put(options) => &options.target,
            FilesCommand::Rm(options) => &options.target,
        };
        &target.server
    }
}

impl Target {
    /// Returns the path of the session's files below `/v2/interact`.
    async fn files(&self, api: &Api, action: &str) -> Result<String, ClientError> {
        let id = match &self.session {
            Some(id) => Some(id.clone()),
            None => only(action, active(api, action).await?, "add -s with an id")?,
        };
        let id = id.ok_or_else(|| {
            ClientError::new(action, "no session is active")
                .fixed_by("create one with `hearth new`")
        })?;
        Ok(format!("{}/files", session_path(action, &id)?))
    }
}

/// Runs one of the commands.
pub(super) async fn run(api: &Api, command: &FilesCommand) -> Result<(), ClientError> {
    match command {
        FilesCommand::Ls(options) => list(api, options).await,
        FilesCommand::Get(options) => get(api, options).await,
        FilesCommand::Put(options) => put(api, options).await,
        FilesCommand::Rm(options) => remove(api, options).await,
    }
}

async fn list(api: &Api, options: &LsOptions) -> Result<(), ClientError> {
    let action = "list the files";
    let mut path = options.target.files(api, action).await?;
    if let Some(dir) = &options.dir {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("path", dir.trim_end_matches('/'));
        path = format!("{path}?{}", query.finish());
    }
    let listed = api.call(request(action, Method::GET, path)).await?;
    if options.json {
        print(&listed.text);
        return Ok(());
    }
    let files = listed.json["files"].as_array();
    let rows = files.into_iter().flatten().map(|file| {
        let text = |key: &str| file[key].as_str().unwrap_or_default();
        [
            text("type").to_owned(),
            file["sizeBytes"].as_u64().unwrap_or(0).to_string(),
            time(text("modifiedAt")),
            text("path").to_owned(),
        ]
    });
    let rows: Vec<_> = rows.collect();
    print(table(["TYPE", "BYTES", "MODIFIED", "PATH"], &rows).trim_end());
    if listed.json["truncated"] == true {
        warn("the directory has more files than are listed");
    }
    Ok(())
}

async fn get(api: &Api, options: &GetOptions) -> Result<(), ClientError> {
    let action = format!("read {}", options.path);
    let files = options.target.files(api, &action).await?;
    let transfer = Transfer {
        action: &action,
        method: Method::GET,
        path: format!("{files}/{}", encoded(&options.path)),
        size: None,
    };
    let name = options.path.rsplit('/').next().unwrap_or_default();
    let output = options.output.clone().unwrap_or_else(|| name.into());
    if output.is_dir() {
        let error = local_error("write", &output, &io::ErrorKind::IsADirectory.into());
        return Err(error.fixed_by("add the name of the file to -o"));
    }
    let response = api.transfer(transfer, Empty::<Bytes>::new()).await?;
    if response.status() != StatusCode::OK {
        let reason = format!("the server answered {}", response.status());
        return Err(ClientError::new(action, reason));
    }
    if output == Path::new(STDIO) {
        return save(&action, response, own(io::stdout())?).await;
    }
    let failed = |error: io::Error| local_error("write", &output, &error);
    let is_special = std::fs::metadata(&output).is_ok_and(|about| !about.is_file());
    if is_special {
        let file = OpenOptions::new().write(true).open(&output).await;
        return save(&action, response, file.map_err(failed)?).await;
    }
    // A link stays, and the file to which it leads is replaced.
    let target = std::fs::canonicalize(&output).unwrap_or_else(|_| output.clone());
    // The file appears when it is complete.
    let part = part_of(&target).map_err(failed)?;
    let file = part.as_file().try_clone().map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    // Every return before the last step removes the part.
    tokio::select! {
        saved = save(&action, response, file.into()) => saved?,
        _ = interrupt.recv() => return Err(ClientError::new(action, "interrupted")),
        _ = terminate.recv() => return Err(ClientError::new(action, "terminated")),
    }
    part.persist(&target).map_err(|error| failed(error.error))?;
    print(&output.to_string_lossy());
    Ok(())
}

/// Creates a file beside another one that it will replace, with the usual mode of new files.
fn part_of(output: &Path) -> io::Result<NamedTempFile> {
    let dir = output.parent().filter(|dir| *dir != Path::new(""));
    tempfile::Builder::new()
        .prefix(".hearth-")
        .suffix(".part")
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(dir.unwrap_or(Path::new(".")))
}

/// Writes the body of a response.
async fn save(action: &str, response: Response<Received>, mut to: File) -> Result<(), ClientError> {
    let mut body = response.into_body();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| ClientError::new(action, error.to_string()))?;
        let data = frame.into_data().unwrap_or_default();
        let written = to.write_all(&data).await;
        written.map_err(|error| ClientError::new(action, error.to_string()))?;
    }
    let flushed = to.flush().await;
    flushed.map_err(|error| ClientError::new(action, error.to_string()))
}

async fn put(api: &Api, options: &PutOptions) -> Result<(), ClientError> {
    let (source, size) = open(&options.file).await?;
    let name = options.file.file_name().and_then(|name| name.to_str());
    let path = match (options.path.as_deref(), name) {
        (Some(path), _) => path,
        (None, Some(name)) if name != STDIO => name,
        _ => {
            let error = ClientError::new("write the file", "it has no path in the session");
            return Err(error.fixed_by("add the path after the name"));
        }
    };
    let action = format!("write {path}");
    let files = options.target.files(api, &action).await?;
    let transfer = Transfer {
        action: &action,
        method: Method::PUT,
        path: format!("{files}/{}", encoded(path)),
        size,
    };
    let response = api.transfer(transfer, content(source)).await?;
    let written = super::api::read(&action, response, MAX_ANSWER_BYTES).await?;
    if options.json {
        print(&written.text);
    } else {
        print(written.text_of("path"));
    }
    Ok(())
}

type Source = Box<dyn AsyncRead + Send + Unpin>;

/// Opens a file of this machine, or stdin. Returns its size if it is known.
async fn open(name: &Path) -> Result<(Source, Option<u64>), ClientError> {
    if name == Path::new(STDIO) {
        return Ok((Box::new(own(io::stdin())?), None));
    }
    let failed = |error: io::Error| {
        local_error("read", name, &error).fixed_by("name an existing file, or - for stdin")
    };
    let file = File::open(name).await.map_err(failed)?;
    let about = file.metadata().await.map_err(failed)?;
    if about.is_dir() {
        return Err(failed(io::ErrorKind::IsADirectory.into()));
    }
    if about.is_file() {
        // A file that grows meanwhile is sent with the size that was announced.
        let size = about.len();
        return Ok((Box::new(file.take(size)), Some(size)));
    }
    Ok((Box::new(file), None))
}

/// Returns stdin or stdout as a file.
fn own(stream: impl AsFd) -> Result<File, ClientError> {
    let fd = stream.as_fd().try_clone_to_owned();
    let fd = fd.map_err(|error| ClientError::new("use stdin or stdout", error.to_string()))?;
    Ok(File::from_std(fd.into()))
}

/// Returns a body that is read while it is sent.
fn content(source: Source) -> impl Body<Data = Bytes, Error = io::Error> + Send + 'static {
    StreamBody::new(stream::unfold(source, async |mut source| {
        let mut part = Vec::new();
        let read = (&mut source).take(PART_BYTES).read_to_end(&mut part).await;
        match read {
            Ok(0) => None,
            Ok(_) => Some((Ok(Frame::data(Bytes::from(part))), source)),
            Err(error) => Some((Err(error), source)),
        }
    }))
}

/// Removes files. Continues after an error, and returns the first one.
async fn remove(api: &Api, options: &RmOptions) -> Result<(), ClientError> {
    let files = options.target.files(api, "remove the files").await?;
    let mut outcome = Ok(());
    for path in &options.paths {
        let action = format!("remove {path}");
        let file = format!("{files}/{}", encoded(path));
        match api.call(request(&action, Method::DELETE, file)).await {
            Ok(_) => print(path),
            Err(error) if outcome.is_ok() => outcome = Err(error),
            Err(error) => warn(&error.to_string()),
        }
    }
    outcome
}

fn request(action: &str, method: Method, path: String) -> Call<'_> {
    Call {
        action,
        method,
        path,
        body: None,
    }
}

fn local_error(verb: &str, name: &Path, error: &io::Error) -> ClientError {
    ClientError::new(format!("{verb} {}", name.display()), error.to_string())
}

/// Encodes the path of a file for an address.
fn encoded(path: &str) -> String {
    let mut encoded = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a text cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_encoded_for_addresses() {
        assert_eq!(encoded("a/b c/ü?.txt"), "a/b%20c/%C3%BC%3F.txt");
        assert_eq!(encoded("100%/#1"), "100%25/%231");
    }
}
