//! Tests cookies that outlive a browser.

use hearth_browser::{Browser, CookieJar};
use serde_json::{Value, json};

use crate::support::{BrowserFixture, Connection};

/// Returns cookies of every kind that a site can set.
fn cookies() -> Value {
    let later = 4_000_000_000.0_f64;
    json!([
        {"name": "session", "value": "a=b \"c\"", "domain": "shop.example", "path": "/", "secure": true, "httpOnly": true, "sameSite": "Lax"},
        {"name": "domain", "value": "", "domain": ".shop.example", "path": "/cart", "secure": false, "httpOnly": false},
        {"name": "lasting", "value": "1", "domain": "shop.example", "path": "/", "secure": true, "httpOnly": false, "expires": later, "sameSite": "None"},
        {"name": "__Host-id", "value": "2", "domain": "shop.example", "path": "/", "secure": true, "httpOnly": true, "sameSite": "Strict"},
        {"name": "plain", "value": "3", "domain": "127.0.0.1", "path": "/", "secure": false, "httpOnly": false, "sourceScheme": "NonSecure", "sourcePort": 8080},
        {"name": "framed", "value": "4", "domain": "shop.example", "path": "/", "secure": true, "httpOnly": true, "sameSite": "None",
         "partitionKey": {"topLevelSite": "https://other.example", "hasCrossSiteAncestor": true}},
    ])
}

fn jar(cookies: Value) -> CookieJar {
    serde_json::from_value(cookies).expect("cookies")
}

/// Returns the browser's cookies as a client sees them, in a stable order.
async fn told(browser: &Browser) -> Vec<Value> {
    let mut client = Connection::to(browser).await;
    let mut told = client.call(None, "Storage.getCookies", json!({})).await;
    let mut cookies = told["cookies"]
        .as_array_mut()
        .map(std::mem::take)
        .expect("cookies");
    for cookie in &mut cookies {
        // Chromium limits expiries that are too far in the future, counted from the moment of
        // setting.
        cookie["expires"] = json!(cookie["expires"].as_f64().map(|seconds| seconds > 0.0));
    }
    cookies.sort_by_key(|cookie| cookie["name"].to_string());
    cookies
}

#[tokio::test]
async fn all_kinds_of_cookies_survive_in_another_browser() {
    let (fixture, other) = (BrowserFixture::new(), BrowserFixture::new());
    let browser = fixture.browser().await;
    browser.add_cookies(&jar(cookies())).await.expect("set");
    let there = told(&browser).await;
    assert_eq!(there.len(), 6, "{there:?}");
    let second = other.browser().await;
    second.add_cookies(&jar(json!([{"name": "old", "value": "", "domain": "x.example", "path": "/", "secure": false, "httpOnly": false}]))).await.expect("set");
    second
        .replace_cookies(&browser.cookies().await.expect("cookies"))
        .await
        .expect("set");
    assert_eq!(told(&second).await, there);
    let session_cookies = browser.cookies().await.expect("cookies").session_cookies();
    assert_eq!(session_cookies.len(), 5);
    second.replace_cookies(&session_cookies).await.expect("set");
    assert_eq!(told(&second).await.len(), 5);
    assert!(
        browser.close().await && second.close().await,
        "both browsers exit without being killed"
    );
    fixture.assert_no_processes().await;
    other.assert_no_processes().await;
}

#[tokio::test]
async fn rejected_cookie_does_not_block_others() {
    let fixture = BrowserFixture::new();
    let browser = fixture.browser().await;
    let mut cookies = cookies();
    cookies[1]["name"] = "a;b".into();
    browser.add_cookies(&jar(cookies)).await.expect("set");
    assert_eq!(told(&browser).await.len(), 5);
    browser.close().await;
    fixture.assert_no_processes().await;
}
