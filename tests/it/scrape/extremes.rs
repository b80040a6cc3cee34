//! Pages that are far larger or deeper than written ones.

use serde_json::{Value, json};

use super::ending::assert_nothing_left;
use super::{Scenario, text};

/// Returns the options of a scrape that first runs a script in the page.
fn after(script: &str) -> Value {
    json!({"actions": [{"type": "executeJavascript", "script": script}]})
}

/// Returns a script that replaces the page with this HTML, a JavaScript expression.
fn show(html: &str) -> String {
    format!("document.body.innerHTML = {html}; undefined")
}

#[tokio::test]
async fn elements_that_a_script_nests_deep_keep_their_text() {
    let scenario = Scenario::start().await;
    for names in [
        "['div']",
        "['span']",
        "['ul', 'li']",
        "['table', 'tr', 'td']",
    ] {
        let script = format!(
            "const names = {names};
            let inner = document.body;
            for (let depth = 0; depth < 700; depth++) {{
                const element = document.createElement(names[depth % names.length]);
                inner.append(element);
                inner = element;
            }}
            inner.textContent = 'the innermost text';
            undefined"
        );
        let mut options = after(&script);
        options["formats"] = json!(["markdown", "html", "links", "images"]);
        let data = scenario.scrape("/title/deep", &options).await;
        for format in ["markdown", "html"] {
            let found = text(&data[format]);
            assert!(found.contains("the innermost text"), "{names}: {found}");
        }
    }
    scenario.server.stop().await;
}

#[tokio::test]
async fn a_page_without_elements_is_empty() {
    let scenario = Scenario::start().await;
    let mut options = after("document.documentElement.remove()");
    options["formats"] = json!(["markdown", "html", "rawHtml", "links", "images"]);
    let data = scenario.scrape("/title/nothing", &options).await;
    for format in ["markdown", "html", "rawHtml"] {
        assert_eq!(data[format], "", "{format}");
    }
    assert_eq!((&data["links"], &data["images"]), (&json!([]), &json!([])));
    assert_eq!(data["metadata"]["statusCode"], 200);
    scenario.server.stop().await;
}

#[tokio::test]
async fn a_long_run_of_line_breaks_is_one_paragraph_break() {
    let scenario = Scenario::start().await;
    // Each comment separates two texts of white space.
    let script = show("'<p>before' + ' <br> <!-- --> '.repeat(60_000) + 'after'");
    let data = scenario.scrape("/title/breaks", &after(&script)).await;
    assert_eq!(text(&data["markdown"]), "before\n\nafter");
    scenario.server.stop().await;
}

#[tokio::test]
async fn a_dissolved_element_can_have_very_many_children() {
    let scenario = Scenario::start().await;
    // A block in it dissolves the emphasis.
    let script =
        show("'<em><div>first</div>' + '<i>x</i>'.repeat(150_000) + '<div>last</div></em>'");
    let mut options = after(&script);
    options["timeout"] = json!(120_000);
    let data = scenario.scrape("/title/children", &options).await;
    let markdown = text(&data["markdown"]);
    assert!(markdown.starts_with("first"), "{markdown:.200}");
    assert!(markdown.ends_with("last"), "{markdown:.200}");
    scenario.server.stop().await;
}

#[tokio::test]
async fn spans_of_cells_are_limited() {
    let scenario = Scenario::start().await;
    let row = "<tr><td colspan=999999 rowspan=99999>x</td><td>y</td></tr>";
    let script = show(&format!("'<table>' + '{row}'.repeat(100) + '</table>'"));
    let data = scenario.scrape("/title/spans", &after(&script)).await;
    let markdown = text(&data["markdown"]);
    assert_eq!(markdown.matches('y').count(), 100, "{markdown}");
    scenario.server.stop().await;
}

#[tokio::test]
async fn a_page_that_blocks_its_tab_is_a_timeout_and_the_next_scrape_works() {
    let scenario = Scenario::start().await;
    let mut options = after("setTimeout(() => { for (;;); }, 0); undefined");
    options["timeout"] = json!(5000);
    let code = (408, "SCRAPE_TIMEOUT");
    scenario.failure("/title/busy", &options, code).await;
    assert_nothing_left(&scenario.server).await;
    let data = scenario.scrape("/article", &json!({})).await;
    assert!(text(&data["markdown"]).contains("# "), "{data}");
    scenario.server.stop().await;
}
