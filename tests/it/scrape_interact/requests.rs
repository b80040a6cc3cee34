//! The order in which requests are checked, and the errors.

use hearth_test_support::{Exchange, TestServer};
use reqwest::Method;
use serde_json::json;

use super::{JOB, assert_error, interact, path, stop};

const NO_UUID: &str = "Invalid job ID format. Job ID must be a valid UUID.";

#[tokio::test]
async fn requests_are_checked_in_the_documented_order() {
    let builder = TestServer::builder().without_browser();
    let server = builder.setting("HEARTH_API_KEYS", "secret").start().await;
    let (foreign, api) = (server.with_key("other"), server.with_key("secret"));
    let post = |api: &hearth_test_support::Api, job: &str, body: &str| {
        let request = api.request_outside(Method::POST, &path(job));
        let request = request.header("content-type", "application/json");
        Exchange::of(request.body(body.to_owned()))
    };
    assert_eq!(post(&foreign, "no-uuid", "{").await.status, 400);
    assert_error(
        &post(&foreign, "no-uuid", "{}").await,
        401,
        "Unauthorized: Invalid token",
    );
    assert_error(&post(&api, "no-uuid", "{}").await, 400, NO_UUID);
    let neither = post(&api, JOB, "{}").await;
    assert_eq!(neither.status, 400);
    assert_eq!(
        neither.json()["error"],
        "Either 'code' or 'prompt' must be provided."
    );
    let unknown = json!({"prompt": "press the button"});
    assert_error(&interact(&api, JOB, &unknown).await, 404, "Job not found.");
    let prompt = json!({"prompt": "press the button", "url": "http://a.example/"});
    assert_error(
        &interact(&api, JOB, &prompt).await,
        501,
        "This server has no model for prompts. Set HEARTH_MODEL_URL and HEARTH_MODEL, or send code.",
    );
    assert_error(
        &stop(&foreign, "no-uuid").await,
        401,
        "Unauthorized: Invalid token",
    );
    assert_error(&stop(&api, "no-uuid").await, 400, NO_UUID);
    assert_error(&stop(&api, JOB).await, 404, "Browser session not found.");
    server.stop().await;
}

#[tokio::test]
async fn an_id_has_the_usual_form_of_a_uuid() {
    let server = TestServer::builder().without_browser().start().await;
    let code = json!({"code": "1"});
    for job in [
        "01920000000070008000000000000000",
        "%7B01920000-0000-7000-8000-00000000000a%7D",
        "urn:uuid:01920000-0000-7000-8000-00000000000a",
    ] {
        assert_error(&interact(&server, job, &code).await, 400, NO_UUID);
    }
    for job in [
        JOB.to_uppercase().as_str(),
        "3d813cbb-47fb-32ba-91df-831e1593ac29",
    ] {
        assert_error(&interact(&server, job, &code).await, 404, "Job not found.");
    }
    server.stop().await;
}
