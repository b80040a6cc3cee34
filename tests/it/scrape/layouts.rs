//! The formats of pages with many layouts. Each page of `tests/fixtures/layouts` has its expected
//! Markdown beside it, and some have a JSON file with their other formats.
//!
//! `HEARTH_WRITE_DOCS=1` writes the expected files instead. Review the diff as a reader of the
//! page.

use std::fs;
use std::path::PathBuf;

use hearth_test_support::repository;
use serde_json::{Value, json};

use super::{Scenario, text};

/// The layouts whose other formats are expected too.
const WITH_OTHER_FORMATS: [&str; 5] = ["base_href", "form", "gallery", "news", "shadow"];

fn dir() -> PathBuf {
    repository().join("tests/fixtures/layouts")
}

/// Lists the layouts by name.
fn layouts() -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(dir())
        .expect("the layouts can be listed")
        .filter_map(|entry| {
            let name = entry.expect("an entry").file_name().into_string();
            let name = name.expect("a layout has a plain name");
            name.strip_suffix(".html").map(ToOwned::to_owned)
        })
        .collect();
    names.sort();
    names
}

/// Returns the options that a layout needs.
fn options(layout: &str) -> Value {
    match layout {
        "spa" => json!({"actions": [{"type": "wait", "selector": "#root h1"}]}),
        _ => json!({}),
    }
}

/// Describes the difference from an expected file, or writes the file if that is asked for.
fn difference(file: &str, found: &str) -> Option<String> {
    let path = dir().join(file);
    let found = format!("{}\n", found.trim_end());
    if std::env::var_os("HEARTH_WRITE_DOCS").is_some_and(|value| value == "1") {
        fs::write(&path, found).expect("an expected file can be written");
        return None;
    }
    let expected = fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()));
    (expected != found).then(|| format!("--- {file}: expected\n{expected}--- found\n{found}"))
}

fn assert_no_differences(differences: &[String]) {
    assert!(
        differences.is_empty(),
        "HEARTH_WRITE_DOCS=1 updates the expected files.\n{}",
        differences.join("\n")
    );
}

#[tokio::test]
async fn every_layout_becomes_readable_markdown() {
    let scenario = Scenario::start().await;
    let layouts = layouts();
    assert!(layouts.len() >= 30, "{layouts:?}");
    let mut differences = Vec::new();
    for layout in layouts {
        let data = scenario
            .scrape(&format!("/layouts/{layout}"), &options(&layout))
            .await;
        let markdown = text(&data["markdown"]).replace(&scenario.site.url(""), "SITE");
        differences.extend(difference(&format!("{layout}.md"), &markdown));
    }
    assert_no_differences(&differences);
    scenario.server.stop().await;
}

#[tokio::test]
async fn layouts_have_the_expected_other_formats() {
    let scenario = Scenario::start().await;
    let mut differences = Vec::new();
    for layout in WITH_OTHER_FORMATS {
        let data = scenario
            .scrape(
                &format!("/layouts/{layout}"),
                &json!({"formats": ["html", "links", "images"]}),
            )
            .await;
        let mut metadata = data["metadata"].clone();
        // It differs on every run.
        metadata
            .as_object_mut()
            .expect("metadata is an object")
            .remove("scrapeId");
        let formats = json!({
            "html": text(&data["html"]).lines().collect::<Vec<_>>(),
            "links": data["links"],
            "images": data["images"],
            "metadata": metadata,
        });
        let found = serde_json::to_string_pretty(&formats)
            .expect("JSON")
            .replace(&scenario.site.url(""), "SITE");
        differences.extend(difference(&format!("{layout}.json"), &found));
    }
    assert_no_differences(&differences);
    scenario.server.stop().await;
}

#[tokio::test]
async fn tags_select_parts_of_a_page() {
    let scenario = Scenario::start().await;
    for (options, expected) in [
        (
            json!({"includeTags": ["header.site-header"]}),
            "[The Valley Post](SITE/)",
        ),
        (
            json!({"includeTags": ["h1", ".byline"], "excludeTags": ["time", "a"]}),
            "# River bridge opens after three years\n\nBy ,",
        ),
        (json!({"includeTags": [".absent"]}), ""),
        (
            json!({"includeTags": ["article li"], "onlyMainContent": false}),
            "- Line 4 runs every ten minutes.\n- The ferry stops on 1 April.",
        ),
    ] {
        let data = scenario.scrape("/layouts/news", &options).await;
        let markdown = text(&data["markdown"]).replace(&scenario.site.url(""), "SITE");
        assert_eq!(markdown, expected, "{options}");
    }
    let whole = json!({"onlyMainContent": false});
    let data = scenario.scrape("/layouts/news", &whole).await;
    assert!(text(&data["markdown"]).contains("[Imprint]"), "{data}");
    scenario.server.stop().await;
}

#[tokio::test]
async fn a_scrape_does_not_change_the_page() {
    let scenario = Scenario::start().await;
    let body = |data: &Value| text(&data["rawHtml"]).to_owned();
    for layout in ["shop", "form", "shadow", "malformed"] {
        let path = format!("/layouts/{layout}");
        let raw = scenario
            .scrape(&path, &json!({"formats": ["rawHtml"]}))
            .await;
        // The page's code is read last.
        let formats = json!({"formats": ["markdown", "html", "links", "images", "rawHtml"]});
        let after = scenario.scrape(&path, &formats).await;
        assert_eq!(body(&raw), body(&after), "{layout}");
    }
    scenario.server.stop().await;
}
