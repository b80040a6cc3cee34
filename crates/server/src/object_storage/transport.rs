//! Sends the requests of the `object_store` crate with `outgoing`, so that the server has one HTTP
//! client and one place that decides which certificates are trusted.

use std::fmt;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use hyper::header::HOST;
use hyper::http::uri::PathAndQuery;
use hyper::{Request, Uri};
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse,
    HttpResponseBody, HttpService,
};

use crate::outgoing::{
    Connector, Exchange, OutgoingError, ReceiveError, Received, RemoteServer, TlsTrust,
};

/// The limits of a request. A part of an object must arrive within `head_time`.
const LIMITS: Exchange = Exchange {
    head_time: Duration::from_secs(30),
    idle_time: Duration::from_secs(15),
};

/// Sends requests to the servers that a bucket needs: its own, and those with its keys.
#[derive(Clone)]
pub(super) struct Transport {
    trust: TlsTrust,
}

impl Transport {
    pub fn new(trust: TlsTrust) -> Transport {
        Transport { trust }
    }

    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, SendError> {
        let (mut parts, body) = request.into_parts();
        let server = origin(&parts.uri)?;
        if let Some(host) = server.host_header() {
            parts.headers.insert(HOST, host);
        }
        let path = parts.uri.path_and_query().cloned();
        parts.uri = Uri::from(path.unwrap_or_else(|| PathAndQuery::from_static("/")));
        let connector = Connector::trusting(server, &self.trust);
        let request = Request::from_parts(parts, body);
        let response = LIMITS.send(&connector, request).await?;
        Ok(response.map(|body| HttpResponseBody::new(SharedBody(Mutex::new(body)))))
    }
}

/// Returns the server that a URL names.
fn origin(uri: &Uri) -> Result<RemoteServer, SendError> {
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return Err(SendError::Address(format!("{uri} names no server")));
    };
    format!("{scheme}://{authority}")
        .parse()
        .map_err(SendError::Address)
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Transport { .. }")
    }
}

impl HttpConnector for Transport {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

impl HttpService for Transport {
    // The signature is that of the macro of the trait.
    fn call<'life0, 'async_trait>(
        &'life0 self,
        request: HttpRequest,
    ) -> Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'async_trait>>
    where
        'life0: 'async_trait,
        Self: 'async_trait,
    {
        Box::pin(async move {
            let sent = self.send(request).await;
            sent.map_err(|error| HttpError::new(error.kind(), error))
        })
    }
}

/// A reason why a request got no response.
#[derive(Debug, thiserror::Error)]
enum SendError {
    #[error("{0}")]
    Address(String),
    #[error(transparent)]
    Outgoing(#[from] OutgoingError),
}

impl SendError {
    /// Tells the crate whether a repetition can succeed.
    fn kind(&self) -> HttpErrorKind {
        match self {
            SendError::Address(_) | SendError::Outgoing(OutgoingError::Unsent(_)) => {
                HttpErrorKind::Unknown
            }
            SendError::Outgoing(OutgoingError::Connect(_) | OutgoingError::Tls(_)) => {
                HttpErrorKind::Connect
            }
            SendError::Outgoing(OutgoingError::TimedOut(_)) => HttpErrorKind::Timeout,
            SendError::Outgoing(OutgoingError::Closed) => HttpErrorKind::Interrupted,
            SendError::Outgoing(OutgoingError::Invalid) => HttpErrorKind::Decode,
        }
    }
}

/// A body that several threads may own in turn, as the crate demands. Only its reader locks it.
struct SharedBody(Mutex<Received>);

impl Body for SharedBody {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        let received = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        Pin::new(received).poll_frame(cx).map_err(|error| {
            let kind = match error {
                ReceiveError::Broken(_) => HttpErrorKind::Interrupted,
                ReceiveError::Stalled(_) => HttpErrorKind::Timeout,
            };
            HttpError::new(kind, error)
        })
    }

    fn is_end_stream(&self) -> bool {
        let received = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        received.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let received = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        received.size_hint()
    }
}
