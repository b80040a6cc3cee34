//! One request and its answer, which must be one that the OpenAPI file describes.

use reqwest::header::HeaderMap;
use reqwest::{RequestBuilder, Response};
use serde_json::Value;

use crate::description::Answer;

/// A described answer, whatever its content type.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// The status code.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body as it was sent.
    pub text: String,
}

impl Exchange {
    /// Sends a request to the server and reads the answer to its end; asserts that it is described.
    pub async fn of(request: RequestBuilder) -> Self {
        let (client, request) = request.build_split();
        let request = request.expect("tests send good requests");
        let (method, path) = (request.method().clone(), request.url().path().to_owned());
        let response: Response = client.execute(request).await.expect("the server answers");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response
            .text()
            .await
            .expect("the body of an answer arrives");
        Answer {
            method: &method,
            path: &path,
            status,
            headers: &headers,
            body: &text,
        }
        .assert_described();
        Self {
            status,
            headers,
            text,
        }
    }

    /// The body as JSON, which it must be.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text)
            .unwrap_or_else(|error| panic!("{error}: {} {:?}", self.status, self.text))
    }
}
