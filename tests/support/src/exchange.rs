//! One request and its response, which the OpenAPI file must describe.

use reqwest::header::HeaderMap;
use reqwest::{RequestBuilder, Response};
use serde_json::Value;

use crate::description::DescribedResponse;

/// A response that the OpenAPI file describes, of any content type.
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
    /// Sends a request and reads the whole response; asserts that the OpenAPI file describes it.
    pub async fn of(request: RequestBuilder) -> Self {
        let (client, request) = request.build_split();
        let request = request.expect("tests build valid requests");
        let (method, path) = (request.method().clone(), request.url().path().to_owned());
        let response: Response = client.execute(request).await.expect("the server answers");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.expect("the response has a body");
        DescribedResponse {
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

    /// Parses the body as JSON; panics if it is not.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text)
            .unwrap_or_else(|error| panic!("{error}: {} {:?}", self.status, self.text))
    }
}
