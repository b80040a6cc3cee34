//! An HTTP client of the server: an address, a prefix and one key.

use std::time::Duration;

use reqwest::{Client, Method, RequestBuilder};
use serde_json::Value;

use crate::reply::Reply;
use crate::session::Session;

/// Request timeout for a server that never responds. Each test has a shorter deadline.
const PATIENCE: Duration = Duration::from_mins(2);

fn client(patience: Duration) -> Client {
    let client = Client::builder().timeout(patience).no_proxy().build();
    client.expect("a client without TLS can always be built")
}

/// A client of the server, under one of its prefixes and with one `Authorization` header or none.
#[derive(Debug, Clone)]
pub struct Api {
    client: Client,
    origin: String,
    prefix: &'static str,
    authorization: Option<String>,
}

impl Api {
    /// Creates a client of the server at `origin`, which sends no key.
    pub fn new(origin: String) -> Self {
        Self {
            client: client(PATIENCE),
            origin,
            prefix: crate::PREFIXES[0],
            authorization: None,
        }
    }

    /// Returns a copy of this client whose timeout exceeds the longest execution.
    #[must_use]
    pub fn with_long_timeout(&self) -> Self {
        Self {
            client: client(PATIENCE * 3),
            ..self.clone()
        }
    }

    /// Returns a copy of this client under another prefix.
    #[must_use]
    pub fn under(&self, prefix: &'static str) -> Self {
        Self {
            prefix,
            ..self.clone()
        }
    }

    /// Returns a copy of this client with another key.
    #[must_use]
    pub fn with_key(&self, key: &str) -> Self {
        self.with_authorization(&format!("Bearer {key}"))
    }

    /// Returns a copy of this client with this `Authorization` header.
    #[must_use]
    pub fn with_authorization(&self, header: &str) -> Self {
        Self {
            authorization: Some(header.to_owned()),
            ..self.clone()
        }
    }

    /// Returns `http://127.0.0.1:PORT`.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Returns the `Authorization` header, if requests have one.
    pub fn authorization(&self) -> Option<&str> {
        self.authorization.as_deref()
    }

    /// Returns `127.0.0.1:PORT`.
    pub fn address(&self) -> &str {
        self.origin.trim_start_matches("http://")
    }

    /// Builds a request for a path below the prefix; an empty path is the collection itself.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.request_outside(method, &format!("{}{path}", self.prefix))
    }

    /// Builds a request for any path of the server.
    pub fn request_outside(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self
            .client
            .request(method, format!("{}{path}", self.origin));
        match &self.authorization {
            Some(header) => request.header("authorization", header),
            None => request,
        }
    }

    /// Sends a request and reads the response.
    pub async fn send(&self, request: RequestBuilder) -> Reply {
        Reply::to(request).await
    }

    /// Sends a POST with this text as its JSON body, valid or not.
    pub async fn post_text(&self, path: &str, body: impl Into<String>) -> Reply {
        let request = self
            .request(Method::POST, path)
            .header("content-type", "application/json");
        self.send(request.body(body.into())).await
    }

    /// Creates a session.
    pub async fn create(&self, body: &Value) -> Reply {
        self.post_text("", body.to_string()).await
    }

    /// Lists sessions; `query` is empty or starts with `?`.
    pub async fn list(&self, query: &str) -> Reply {
        self.send(self.request(Method::GET, query)).await
    }

    /// Reads the status of one session.
    pub async fn status(&self, id: &str) -> Reply {
        self.send(self.request(Method::GET, &format!("/{id}")))
            .await
    }

    /// Runs code in a session.
    pub async fn execute(&self, id: &str, body: &Value) -> Reply {
        self.post_text(&format!("/{id}/execute"), body.to_string())
            .await
    }

    /// Deletes a session.
    pub async fn delete(&self, id: &str) -> Reply {
        self.send(self.request(Method::DELETE, &format!("/{id}")))
            .await
    }

    /// Creates a session with the defaults.
    pub async fn session(&self) -> Session {
        self.session_with(&serde_json::json!({})).await
    }

    /// Creates a session with this body.
    pub async fn session_with(&self, body: &Value) -> Session {
        Session::new(self.clone(), self.create(body).await.ok())
    }

    /// Returns the session that a response to its creation describes.
    pub fn session_of(&self, created: Value) -> Session {
        Session::new(self.clone(), created)
    }
}
