//! Requests to a running server.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Body;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HOST};
use hyper::http::{HeaderName, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use serde_json::Value;

use super::error::ClientError;
use crate::config::{ConfigError, ServerOptions};
use crate::outgoing::{Connector, Exchange, OutgoingError, Received, RemoteServer};

/// The maximum size of the response to an execution. Outputs have a fraction of it, unless a
/// setting allows more.
pub(super) const MAX_OUTPUT_BYTES: usize = 1 << 30;

/// The maximum size of other responses. A list of files has up to 2 MiB.
pub(super) const MAX_ANSWER_BYTES: usize = 16 << 20;

/// The time limit for a response, besides the time of code. A session may wait for resources, and
/// its profile may be large.
const PATIENCE: Duration = Duration::from_mins(2);

/// The additional time for sending a file. No session exists longer.
const TRANSFER_TIME: Duration = Duration::from_hours(1);

/// The types that a response to an execution can have, the stream first.
const STREAM_OR_JSON: HeaderValue =
    HeaderValue::from_static("text/event-stream, application/json;q=0.9");

/// A client of one server.
#[derive(Debug)]
pub(super) struct Api {
    connector: Connector,
    /// `None` without a key.
    authorization: Option<HeaderValue>,
    is_local: bool,
}

/// A request.
#[derive(Debug)]
pub(super) struct Call<'a> {
    /// An infinitive for errors, such as `create a session`.
    pub action: &'a str,
    pub method: Method,
    /// The path below `/v2/interact`.
    pub path: String,
    pub body: Option<Value>,
}

/// A request whose body or response is a file.
#[derive(Debug)]
pub(super) struct Transfer<'a> {
    /// An infinitive for errors, such as `read a.txt`.
    pub action: &'a str,
    pub method: Method,
    /// The path below `/v2/interact`, encoded.
    pub path: String,
    /// The size of the body, if it is known.
    pub size: Option<u64>,
}

/// The JSON of a response.
#[derive(Debug)]
pub(super) struct Answer {
    /// The bytes of the response.
    pub text: String,
    pub json: Value,
}

impl Answer {
    /// Returns a text of the response, or an empty one.
    pub fn text_of(&self, key: &str) -> &str {
        self.json[key].as_str().unwrap_or_default()
    }
}

/// Returns a path that contains the id of a session.
pub(super) fn session_path(action: &str, id: &str) -> Result<String, ClientError> {
    let is_safe = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    if id.is_empty() || !id.bytes().all(is_safe) {
        let error = ClientError::new(action, format!("{id:?} is not the id of a session"));
        return Err(error.fixed_by("`hearth ls` lists the ids"));
    }
    Ok(format!("/{id}"))
}

impl Api {
    /// Creates a client. Reads the key and the authorities of the server on this machine if no
    /// other server is given. Blocks.
    pub fn new(options: &ServerOptions) -> Result<Api, anyhow::Error> {
        let ServerOptions {
            url,
            api_key,
            local,
        } = options;
        let invalid = |reason: String| ConfigError::new("HEARTH_URL", reason);
        let server = match url {
            Some(server) => server.clone(),
            None => local
                .origin()
                .unwrap_or_default()
                .parse()
                .map_err(invalid)?,
        };
        let given = api_key
            .as_deref()
            .map(str::trim)
            .filter(|key| !key.is_empty());
        let key = match (given, url) {
            (Some(key), _) => Some(key.to_owned()),
            // Another server must not learn the keys of this one.
            (None, Some(_)) => None,
            (None, None) => local.key()?,
        };
        let authorization = key.map(|key| {
            let value = HeaderValue::try_from(format!("Bearer {key}"));
            value.map_err(|_| {
                ConfigError::new("HEARTH_API_KEY", "contains characters that no key has")
            })
        });
        let mut authorization = authorization.transpose()?;
        if let Some(value) = &mut authorization {
            value.set_sensitive(true);
        }
        let authorities = local.authorities()?;
        let connector = Connector::new(server, authorities.as_ref())
            .map_err(|error| invalid(error.to_string()))?;
        Ok(Api {
            connector,
            authorization,
            is_local: url.is_none(),
        })
    }

    /// Sends a request and reads the response.
    pub async fn call(&self, call: Call<'_>) -> Result<Answer, ClientError> {
        let action = call.action.to_owned();
        let response = self.send(call, Duration::ZERO, None).await?;
        let status = response.status();
        let answer = read(&action, response, MAX_ANSWER_BYTES).await?;
        if answer.json["success"] == true {
            return Ok(answer);
        }
        Err(self.foreign(&action, status))
    }

    /// Sends the request of an execution, which can take `time`, and returns the response before
    /// its body has arrived. Asks for a stream if `accepts_stream` is set.
    pub async fn start(
        &self,
        call: Call<'_>,
        time: Duration,
        accepts_stream: bool,
    ) -> Result<Response<Received>, ClientError> {
        self.send(call, time, accepts_stream.then_some(STREAM_OR_JSON))
            .await
    }

    /// Sends a request whose body or response is a file, and returns the response before its body
    /// has arrived.
    pub async fn transfer<B>(
        &self,
        transfer: Transfer<'_>,
        body: B,
    ) -> Result<Response<Received>, ClientError>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let Transfer {
            action,
            method,
            path,
            size,
        } = transfer;
        let exchange = Exchange {
            head_time: PATIENCE + TRANSFER_TIME,
            idle_time: PATIENCE,
        };
        let fields = [(CONTENT_LENGTH, size.map(HeaderValue::from))];
        let request = self.request(action, method, &path, &fields, body)?;
        self.exchange(action, exchange, request).await
    }

    /// Sends a request with JSON. Returns an error for a response that reports one.
    async fn send(
        &self,
        call: Call<'_>,
        time: Duration,
        accept: Option<HeaderValue>,
    ) -> Result<Response<Received>, ClientError> {
        let Call {
            action,
            method,
            path,
            body,
        } = call;
        let limit = PATIENCE + time;
        let exchange = Exchange {
            head_time: limit,
            idle_time: limit,
        };
        let body = body.map_or_else(Bytes::new, |body| body.to_string().into());
        let json = HeaderValue::from_static("application/json");
        let fields = [(CONTENT_TYPE, Some(json)), (ACCEPT, accept)];
        let request = self.request(action, method, &path, &fields, Full::new(body))?;
        self.exchange(action, exchange, request).await
    }

    /// Returns a request with the key and these fields.
    fn request<B>(
        &self,
        action: &str,
        method: Method,
        path: &str,
        fields: &[(HeaderName, Option<HeaderValue>)],
        body: B,
    ) -> Result<Request<B>, ClientError> {
        let request = Request::builder()
            .method(method)
            .uri(format!("/v2/interact{path}"))
            .body(body);
        let mut request = request.map_err(|error| ClientError::new(action, error.to_string()))?;
        let host = self.connector.server().host_header();
        let own = [(HOST, host), (AUTHORIZATION, self.authorization.clone())];
        for (name, value) in own.iter().chain(fields) {
            if let Some(value) = value {
                request.headers_mut().insert(name, value.clone());
            }
        }
        Ok(request)
    }

    /// Sends a request. Returns an error for a response that reports one.
    async fn exchange<B>(
        &self,
        action: &str,
        exchange: Exchange,
        request: Request<B>,
    ) -> Result<Response<Received>, ClientError>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let response = exchange
            .send(&self.connector, request)
            .await
            .map_err(|error| self.unanswered(action, &error))?;
        if response.status().is_success() {
            return Ok(response);
        }
        Err(self.rejected(action, response).await)
    }

    /// Returns the error of a request without a response.
    fn unanswered(&self, action: &str, error: &OutgoingError) -> ClientError {
        let server = self.server();
        let error = match error {
            OutgoingError::Connect(reason) => {
                let error = ClientError::new(action, format!("no server at {server}: {reason}"));
                return error.fixed_by(if self.is_local {
                    "start it with `hearth serve`, or set HEARTH_URL to the address of another one"
                } else {
                    "set HEARTH_URL to the address of a running server"
                });
            }
            OutgoingError::Tls(_) => {
                let error = ClientError::new(action, format!("{server}: {error}"));
                return error
                    .fixed_by("set HEARTH_CA_FILE to the authority of the server's certificate");
            }
            error => error,
        };
        ClientError::new(action, format!("{server}: {error}"))
    }

    /// Returns the error that a response reports.
    async fn rejected(&self, action: &str, response: Response<Received>) -> ClientError {
        let status = response.status();
        let answer = match read(action, response, MAX_ANSWER_BYTES).await {
            Ok(answer) if answer.json["error"].is_string() => answer,
            _ => return self.foreign(action, status),
        };
        let error = ClientError::new(action, answer.text_of("error"));
        let fix = match status.as_u16() {
            401 if self.authorization.is_none() => "set HEARTH_API_KEY to a key of the server",
            401 => "set HEARTH_API_KEY to another key: the server does not know this one",
            404 if answer.text_of("error").starts_with("File ") => {
                "`hearth files ls` lists the files of the session"
            }
            403 | 404 => "`hearth ls` lists your sessions",
            410 => "create a new session with `hearth new`",
            429 if answer.text_of("error").contains("active browser sessions") => {
                "try again later, or end a session with `hearth rm`"
            }
            429 => "try again later",
            _ => return error,
        };
        error.fixed_by(fix)
    }

    /// Returns the error for a response that is not Hearth's.
    fn foreign(&self, action: &str, status: StatusCode) -> ClientError {
        let server = self.server();
        let reason = format!("{server} answered {status} without a message of Hearth");
        let is_of_proxy = status.is_server_error() || status.as_u16() == 413;
        ClientError::new(action, reason).fixed_by(if is_of_proxy {
            "look for the reason in the log of the proxy in front of Hearth"
        } else {
            "set HEARTH_URL to the address of a Hearth server"
        })
    }

    fn server(&self) -> &RemoteServer {
        self.connector.server()
    }
}

/// Reads the JSON of a response of at most `max_bytes`.
pub(super) async fn read(
    action: &str,
    response: Response<Received>,
    max_bytes: usize,
) -> Result<Answer, ClientError> {
    let broken = |reason: String| ClientError::new(action, reason);
    let mut body = response.into_body();
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| broken(error.to_string()))?;
        let data = frame.into_data().unwrap_or_default();
        if bytes.len() + data.len() > max_bytes {
            let reason = format!("the response is larger than {} MiB", max_bytes >> 20);
            return Err(broken(reason));
        }
        bytes.extend_from_slice(&data);
    }
    let invalid = |_| broken("the response is not JSON".to_owned());
    let json = serde_json::from_slice(&bytes).map_err(invalid)?;
    let text =
        String::from_utf8(bytes).map_err(|_| broken("the response is not text".to_owned()))?;
    Ok(Answer { text, json })
}
