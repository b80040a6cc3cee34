//! The layout on a phone, and the colors of both schemes.

use hearth_test_support::{Site, TestServer};
use serde_json::json;

use super::desk::{DESK, Desk};

const PHONE: &str = "{ viewport: { width: 375, height: 740 }, hasTouch: true, isMobile: true, deviceScaleFactor: 2 }";

/// The width of the document, which is that of the window if nothing overflows.
const WIDTHS: &str =
    "await desk.evaluate(() => [document.documentElement.scrollWidth, innerWidth])";

#[tokio::test]
async fn nothing_is_cut_off_on_a_phone() {
    let (server, site) = (TestServer::start().await, Site::start().await);
    let session = server.session().await;
    let long = "evening-shelf-".repeat(60);
    let goto = format!("await page.goto('{}')", site.url(&format!("/title/{long}")));
    session.node(&goto).await.ok();
    let desk = Desk::before(&server, "", PHONE).await;
    desk.act("await desk.locator('#sessions .title').waitFor()")
        .await;
    assert_eq!(desk.see(WIDTHS).await, json!([375, 375]));
    desk.act("await desk.getByRole('button', { name: 'New session' }).tap(); await desk.getByLabel('Profile', { exact: true }).waitFor()")
        .await;
    assert_eq!(desk.see(WIDTHS).await, json!([375, 375]));
    desk.act("await desk.getByRole('button', { name: 'Cancel' }).tap(); await desk.locator('#sessions .title').tap(); await desk.locator('.CodeMirror').waitFor()")
        .await;
    desk.write("console.log('x'.repeat(3000)); console.error('y'.repeat(3000)); throw new Error('z'.repeat(3000))")
        .await;
    desk.act("await desk.getByRole('button', { name: 'Run' }).tap(); await outcomeIs(/^exit 1/)")
        .await;
    assert_eq!(desk.see(WIDTHS).await, json!([375, 375]));
    for tab in ["History", "Console", "Network"] {
        desk.act(&format!(
            "await desk.getByRole('tab', {{ name: '{tab}' }}).tap()"
        ))
        .await;
        if tab == "History" {
            desk.act("await desk.locator('#past-executions summary').first().tap()")
                .await;
        }
        assert_eq!(desk.see(WIDTHS).await, json!([375, 375]), "{tab}");
    }
    let small = "await desk.evaluate(() => [...document.querySelectorAll('.session-head button, .panel-foot button, .panel-head button, .tabs button')]
        .filter(({ offsetHeight }) => offsetHeight && offsetHeight < 40).map((button) => button.outerHTML))";
    assert_eq!(desk.see(small).await, json!([]));
    desk.leave(&server).await;
    server.stop().await;
}

#[tokio::test]
async fn the_key_form_fits_on_a_phone() {
    let server = TestServer::builder()
        .setting("HEARTH_API_KEYS", "key-of-a-team")
        .start()
        .await;
    let desk = Desk::before(&server, "", PHONE).await;
    desk.act("await desk.setViewportSize({ width: 320, height: 568 }); await desk.locator('#key:focus').waitFor()")
        .await;
    let outside = desk
        .see("await desk.evaluate(() => { const form = document.getElementById('entry'); return [...form.querySelectorAll('*')].filter((part) => part.getBoundingClientRect().right > form.getBoundingClientRect().right - 16).map((part) => part.outerHTML) })")
        .await;
    assert_eq!(outside, json!([]));
    desk.leave(&server).await;
    server.stop().await;
}

/// The contrast between the text and the background of an element, as WCAG defines it.
const CONTRAST: &str = "var contrast = (selector) => desk.evaluate((selector) => {
    const luminance = (color) => {
        const parts = color.match(/[0-9.]+/g).slice(0, 3).map((part) => part / 255);
        const [red, green, blue] = parts.map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    };
    const element = document.querySelector(selector);
    let behind = element;
    while (/rgba\\(.*, 0\\)|transparent/.test(getComputedStyle(behind).backgroundColor)) behind = behind.parentElement;
    const [dark, light] = [getComputedStyle(element).color, getComputedStyle(behind).backgroundColor].map(luminance).toSorted((a, b) => a - b);
    return (light + 0.05) / (dark + 0.05);
}, selector)";

#[tokio::test]
async fn both_color_schemes_are_readable() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let desk = Desk::at(&server, &session, DESK).await;
    desk.write("const text = 'one'; // a remark\nthrow new Error(text + 2)")
        .await;
    desk.act(&format!(
        "{CONTRAST}; await desk.getByRole('button', {{ name: 'Run' }}).click(); await outcomeIs(/^exit 1/)"
    ))
    .await;
    let mut grounds = Vec::new();
    for scheme in ["light", "dark"] {
        desk.act(&format!(
            "await desk.emulateMedia({{ colorScheme: '{scheme}' }})"
        ))
        .await;
        for selector in [
            "h1 a",
            "#session-title",
            ".quiet",
            "#run",
            "#take-over",
            "#outcome",
            "#stream .stderr",
            ".cm-keyword",
            ".cm-string",
            ".cm-comment",
            ".cm-number",
            ".CodeMirror-linenumber",
            "nav a",
        ] {
            let contrast = desk.see(&format!("await contrast('{selector}')")).await;
            let contrast = contrast.as_f64().expect("a number");
            assert!(contrast >= 4.5, "{scheme}: {selector}: {contrast}");
        }
        grounds.push(
            desk.see("await desk.evaluate(() => getComputedStyle(document.body).backgroundColor)")
                .await,
        );
    }
    assert_ne!(grounds[0], grounds[1]);
    desk.leave(&server).await;
    server.stop().await;
}
