//! Options of a scrape: headers, device, waits and profile.

use serde_json::{Value, json};

use super::{Scenario, text};

#[tokio::test]
async fn headers_go_to_the_origin_of_the_page_only() {
    let scenario = Scenario::start().await;
    let options = json!({"headers": {"X-Probe": "for the page", "Host": "other.example"}});
    let data = scenario.scrape("/headers", &options).await;
    let sent = text(&data["markdown"]).to_lowercase();
    assert!(sent.contains("x-probe: for the page"), "{sent}");
    assert!(!sent.contains("other.example"), "{sent}");
    let data = scenario.scrape("/elsewhere", &options).await;
    let sent = text(&data["markdown"]).to_lowercase();
    assert!(sent.contains("host: localhost"), "{sent}");
    assert!(!sent.contains("x-probe"), "{sent}");
    scenario.server.stop().await;
}

#[tokio::test]
async fn a_phone_is_emulated() {
    let scenario = Scenario::start().await;
    let script = "return [innerWidth, innerHeight, devicePixelRatio, navigator.maxTouchPoints > 0, \
                  navigator.userAgent.includes('Mobile'), navigator.userAgentData?.mobile ?? true]";
    let action = json!({"type": "executeJavascript", "script": script});
    let options = json!({"mobile": true, "actions": [action]});
    let data = scenario.scrape("/desk", &options).await;
    let value = &data["actions"]["javascriptReturns"][0]["value"];
    let shown: Vec<&Value> = value.as_array().expect("values").iter().skip(2).collect();
    assert_eq!(shown, [&json!(3), &json!(true), &json!(true), &json!(true)]);
    let data = scenario.scrape("/headers", &json!({"mobile": true})).await;
    assert!(text(&data["markdown"]).contains("Mobile Safari"), "{data}");
    scenario.server.stop().await;
}

#[tokio::test]
async fn a_scrape_waits_before_it_reads() {
    let scenario = Scenario::start().await;
    let options = json!({"waitFor": 1000, "includeTags": ["#late"]});
    let data = scenario.scrape("/steps", &options).await;
    assert!(text(&data["markdown"]).contains("arrived"), "{data}");
    scenario.server.stop().await;
}

#[tokio::test]
async fn elements_are_included_and_excluded() {
    let scenario = Scenario::start().await;
    let options = json!({"includeTags": ["p"], "excludeTags": ["p:has(a)"]});
    let data = scenario.scrape("/steps", &options).await;
    let markdown = text(&data["markdown"]);
    assert!(markdown.contains("end"), "{markdown}");
    assert!(
        !markdown.contains("next") && !markdown.contains("# Steps"),
        "{markdown}"
    );
    scenario.server.stop().await;
}

#[tokio::test]
async fn options_without_effect_are_named_in_a_warning() {
    let scenario = Scenario::start().await;
    let usual = scenario.scrape("/steps", &json!({})).await;
    assert_eq!(usual.get("warning"), None);
    let options = json!({
        "includeTags": ["p", "p:nth("],
        "excludeTags": ["!a"],
        "location": {"country": "DE"},
    });
    let data = scenario.scrape("/steps", &options).await;
    let warning = text(&data["warning"]);
    for expected in [
        "includeTags contains \"p:nth(\", which is not a CSS selector.",
        "excludeTags contains \"!a\", which is not a CSS selector.",
        "HEARTH_EGRESS_PROXIES",
    ] {
        assert!(warning.contains(expected), "{warning}");
    }
    scenario.server.stop().await;
}

#[tokio::test]
async fn a_profile_is_loaded_and_not_saved() {
    let scenario = Scenario::start().await;
    let url = scenario.site.url("/title/profile");
    let session = scenario
        .server
        .session_with(&json!({"profile": {"name": "shop"}}))
        .await;
    let code = format!(
        "await page.goto('{url}'); await page.evaluate(() => localStorage.setItem('kept', 'yes'))"
    );
    session.run("node", &code).await.ok();
    scenario.server.delete(session.id()).await.ok();
    let script = "const found = localStorage.getItem('kept'); localStorage.setItem('kept', 'changed'); return found";
    let action = json!({"type": "executeJavascript", "script": script});
    let options = json!({"profile": {"name": "shop"}, "actions": [action]});
    for _ in 0..2 {
        let data = scenario.scrape("/title/profile", &options).await;
        assert_eq!(
            data["actions"]["javascriptReturns"][0]["value"], "yes",
            "{data}"
        );
    }
    scenario.server.stop().await;
}
