//! Actions in the page, and their results.

use serde_json::{Value, json};

use super::{Scenario, text};

/// Returns the options of a scrape of `#said` after these actions.
fn with(actions: &Value) -> Value {
    json!({"formats": ["markdown"], "includeTags": ["#said", "#counted", "#keys"], "actions": actions})
}

/// Returns the size of a PNG from its data URL.
fn png_size(url: &Value) -> (u32, u32) {
    let base64 = text(url)
        .strip_prefix("data:image/png;base64,")
        .expect("a PNG");
    // The header has 24 bytes: a signature, the name of the first chunk, width and height.
    let digits = base64[..32].bytes().map(|byte| match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        _ => 63,
    });
    let bits: Vec<u8> = digits
        .flat_map(|digit| (0..6).rev().map(move |bit| digit >> bit & 1))
        .collect();
    let number = |at: usize| {
        bits[at * 8..at * 8 + 32]
            .iter()
            .fold(0u32, |number, bit| number << 1 | u32::from(*bit))
    };
    (number(16), number(20))
}

#[tokio::test]
async fn a_form_is_filled_in_and_sent() {
    let scenario = Scenario::start().await;
    let actions = json!([
        {"type": "click", "selector": "#name"},
        {"type": "write", "text": "Ada ü!"},
        {"type": "press", "key": "Backspace"},
        {"type": "click", "selector": "#send"},
    ]);
    let data = scenario.scrape("/steps", &with(&actions)).await;
    let markdown = text(&data["markdown"]);
    assert!(markdown.contains("sent Ada ü true;"), "{markdown}");
    assert!(
        markdown.contains("A/KeyA d/KeyD a/KeyA /Space"),
        "{markdown}"
    );
    assert!(markdown.contains("Backspace/Backspace"), "{markdown}");
    scenario.server.stop().await;
}

#[tokio::test]
async fn keys_are_pressed_with_modifiers() {
    let scenario = Scenario::start().await;
    let actions = json!([
        {"type": "click", "selector": "#name"},
        {"type": "write", "text": "first"},
        {"type": "press", "key": "Control+a"},
        {"type": "write", "text": "2nd"},
        {"type": "click", "selector": "#send"},
    ]);
    let data = scenario.scrape("/steps", &with(&actions)).await;
    assert!(text(&data["markdown"]).contains("sent 2nd true;"), "{data}");
    scenario.server.stop().await;
}

#[tokio::test]
async fn one_or_all_elements_are_clicked() {
    let scenario = Scenario::start().await;
    let actions = json!([
        {"type": "click", "selector": ".count"},
        {"type": "click", "selector": ".count", "all": true},
        {"type": "click", "selector": "#below"},
        {"type": "click", "selector": "#inner"},
        {"type": "click", "selector": "#ask"},
    ]);
    let data = scenario.scrape("/steps", &with(&actions)).await;
    let markdown = text(&data["markdown"]);
    assert!(markdown.contains("one one two three"), "{markdown}");
    assert!(
        markdown.contains("below;inner;answered false;"),
        "{markdown}"
    );
    scenario.server.stop().await;
}

#[tokio::test]
async fn an_action_waits_for_an_element_and_for_the_next_page() {
    let scenario = Scenario::start().await;
    let options = json!({"actions": [
        {"type": "wait", "selector": "#arrived"},
        {"type": "scrape"},
        {"type": "click", "selector": "#next"},
        {"type": "scrape"},
    ]});
    let data = scenario.scrape("/steps", &options).await;
    let scrapes = &data["actions"]["scrapes"];
    assert!(text(&scrapes[0]["html"]).contains("arrived</b>"), "{data}");
    assert_eq!(scrapes[1]["url"], scenario.site.url("/title/next"));
    assert_eq!(data["metadata"]["title"], "next");
    assert_eq!(data["metadata"]["url"], scenario.site.url("/title/next"));
    scenario.server.stop().await;
}

#[tokio::test]
async fn scripts_return_values_of_every_type() {
    let scenario = Scenario::start().await;
    let scripts = [
        "window.marker = 7; return marker;",
        "return await Promise.resolve({ a: [1, null], b: document.title });",
        "return 'text' // a comment",
        "",
        "return () => 1",
        "const own = {}; own.own = own; return own",
    ];
    let actions: Vec<Value> = scripts
        .iter()
        .map(|script| json!({"type": "executeJavascript", "script": script}))
        .collect();
    let data = scenario
        .scrape("/steps", &json!({"actions": actions}))
        .await;
    assert_eq!(
        data["actions"]["javascriptReturns"],
        json!([
            {"type": "number", "value": 7},
            {"type": "object", "value": {"a": [1, null], "b": "Steps"}},
            {"type": "string", "value": "text"},
            {"type": "undefined", "value": null},
            {"type": "function", "value": null},
            {"type": "object", "value": null},
        ])
    );
    scenario.server.stop().await;
}

#[tokio::test]
async fn a_script_can_open_another_page() {
    let scenario = Scenario::start().await;
    let script = format!("location.href = '{}'", scenario.site.url("/title/other"));
    let options = json!({"actions": [{"type": "executeJavascript", "script": script}]});
    let data = scenario.scrape("/steps", &options).await;
    assert_eq!(data["metadata"]["title"], "other");
    scenario.server.stop().await;
}

#[tokio::test]
async fn the_page_and_elements_are_scrolled() {
    let scenario = Scenario::start().await;
    let position =
        json!({"type": "executeJavascript", "script": "return [scrollY, list.scrollTop > 0]"});
    let options = json!({"actions": [
        position,
        {"type": "scroll"},
        position,
        {"type": "scroll", "direction": "up"},
        {"type": "scroll", "selector": "#list"},
        position,
    ]});
    let data = scenario.scrape("/steps", &options).await;
    let values: Vec<&Value> = data["actions"]["javascriptReturns"]
        .as_array()
        .expect("values")
        .iter()
        .map(|returned| &returned["value"])
        .collect();
    assert_eq!(
        values,
        [&json!([0, false]), &json!([720, false]), &json!([0, true])]
    );
    scenario.server.stop().await;
}

#[tokio::test]
async fn pictures_and_prints_are_taken() {
    let scenario = Scenario::start().await;
    let options = json!({
        "formats": [{"type": "screenshot", "quality": 60}],
        "actions": [
            {"type": "screenshot"},
            {"type": "screenshot", "viewport": {"width": 400, "height": 300}},
            {"type": "screenshot", "fullPage": true},
            {"type": "screenshot"},
            {"type": "pdf", "format": "A4"},
        ],
    });
    let data = scenario.scrape("/steps", &options).await;
    assert!(text(&data["screenshot"]).starts_with("data:image/jpeg;base64,/9j/"));
    let pictures = &data["actions"]["screenshots"];
    assert_eq!(png_size(&pictures[0]), (1280, 720));
    assert_eq!(png_size(&pictures[1]), (400, 300));
    let (width, height) = png_size(&pictures[2]);
    assert_eq!(width, 1280);
    assert!(height > 3000, "{height}");
    assert_eq!(png_size(&pictures[3]), (1280, 720));
    assert!(text(&data["actions"]["pdfs"][0]).starts_with("data:application/pdf;base64,JVBER"));
    scenario.server.stop().await;
}

#[tokio::test]
async fn an_empty_tab_is_left_behind_and_a_page_in_a_new_tab_is_read() {
    let scenario = Scenario::start().await;
    let options = json!({"actions": [{"type": "click", "selector": "#blank"}]});
    let data = scenario.scrape("/steps", &options).await;
    assert_eq!(data["metadata"]["title"], "Steps");
    let options = json!({"actions": [
        {"type": "click", "selector": "a"},
        {"type": "wait", "selector": "h1"},
    ]});
    let data = scenario.scrape("/popup", &options).await;
    assert_eq!(data["metadata"]["title"], "popped");
    scenario.server.stop().await;
}

#[tokio::test]
async fn an_action_that_fails_is_named_by_its_number() {
    let scenario = Scenario::start().await;
    for (action, reason) in [
        (
            json!({"type": "click", "selector": "a["}),
            "is not a valid selector",
        ),
        (json!({"type": "press", "key": "Return!"}), "unknown key"),
        (
            json!({"type": "executeJavascript", "script": "throw new Error('no')"}),
            "Error: no",
        ),
        (
            json!({"type": "executeJavascript", "script": "return {"}),
            "SyntaxError",
        ),
        (
            json!({"type": "executeJavascript", "script": "return 'x'.repeat(5_000_000)"}),
            "exceeds 4 MiB",
        ),
    ] {
        let options = json!({"actions": [{"type": "scroll"}, action]});
        let error = scenario
            .failure("/steps", &options, (500, "SCRAPE_ACTION_ERROR"))
            .await;
        assert!(error.starts_with("Action 2 failed: "), "{error}");
        assert!(error.contains(reason), "{error}");
    }
    scenario.server.stop().await;
}
