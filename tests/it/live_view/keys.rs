//! Keys, text composition and paste, from the viewer's keyboard to the page.

use serde_json::json;

use crate::live_view::scenario::{PHONE, Scenario};

/// Puts the cursor into the desk's text field.
const INTO_THE_FIELD: &str = "await viewer.click(100, 160)";

#[tokio::test]
async fn typed_text_is_inserted_and_every_key_is_an_event() {
    let scenario = Scenario::with_control().await;
    scenario.act(INTO_THE_FIELD).await;
    scenario.act("await page.keyboard.type('Hé 1')").await;
    scenario.page_until("text.value === 'Hé 1'").await;
    scenario
        .act("await page.keyboard.press('Backspace'); await page.keyboard.press('Shift+ArrowLeft')")
        .await;
    scenario.act("await page.keyboard.type('x')").await;
    scenario.page_until("text.value === 'Héx'").await;
    // A key that Playwright's keyboard layout lacks arrives as text and not as an event.
    let expected = json!([
        "key H",
        "key  ",
        "key 1",
        "key Backspace",
        "key Shift",
        "key ArrowLeft",
        "key x"
    ]);
    assert_eq!(scenario.page("seen").await, expected);
    scenario.teardown().await;
}

#[tokio::test]
async fn shortcuts_act_on_the_page_and_not_on_the_live_view() {
    let scenario = Scenario::with_control().await;
    scenario.act(INTO_THE_FIELD).await;
    scenario
        .act("await page.keyboard.type('first'); await page.keyboard.press('Control+a')")
        .await;
    scenario.act("await page.keyboard.type('second')").await;
    scenario.page_until("text.value === 'second'").await;
    scenario.act("await page.keyboard.press('Control+z')").await;
    scenario.page_until("text.value !== 'second'").await;
    scenario.act("await page.keyboard.press('Tab')").await;
    scenario
        .page_until("document.activeElement === slider")
        .await;
    scenario.teardown().await;
}

#[tokio::test]
async fn an_altgr_character_is_typed_and_is_not_a_shortcut() {
    let scenario = Scenario::with_control().await;
    scenario.act(INTO_THE_FIELD).await;
    // The events that Windows sends for AltGr and Q on a German keyboard.
    let press = "await viewer.view.evaluate(() => {
        const at = { key: '@', code: 'KeyQ', keyCode: 81, ctrlKey: true, altKey: true, modifierAltGraph: true };
        const event = new KeyboardEvent('keydown', { ...at, bubbles: true, cancelable: true });
        document.getElementById('keys').dispatchEvent(event);
    })";
    scenario.act(press).await;
    scenario.page_until("text.value === '@'").await;
    assert_eq!(scenario.page("seen").await, json!([]));
    scenario.teardown().await;
}

#[tokio::test]
async fn command_on_a_mac_is_control_in_the_page() {
    let scenario = Scenario::setup().await;
    scenario
        .act("await page.addInitScript(() => Object.defineProperty(navigator, 'platform', { get: () => 'MacIntel' }))")
        .await;
    scenario.open(&scenario.interactive_link()).await;
    scenario.act(INTO_THE_FIELD).await;
    scenario
        .act("await page.keyboard.type('first'); await page.keyboard.press('Meta+a')")
        .await;
    scenario.act("await page.keyboard.type('second')").await;
    scenario.page_until("text.value === 'second'").await;
    let seen = scenario.page("seen.slice(5, 7)").await;
    assert_eq!(seen, json!(["key Control", "key a"]));
    scenario.teardown().await;
}

#[tokio::test]
async fn composed_text_is_visible_during_composition_and_inserted_once() {
    let scenario = Scenario::with_control().await;
    scenario.act(INTO_THE_FIELD).await;
    scenario
        .act("globalThis.cdp = await context.newCDPSession(page)")
        .await;
    for text in ["に", "にほ", "にほん"] {
        let end = text.chars().count();
        let parameters = json!({"text": text, "selectionStart": end, "selectionEnd": end});
        scenario
            .act(&format!(
                "await cdp.send('Input.imeSetComposition', {parameters})"
            ))
            .await;
        scenario
            .page_until(&format!("text.value === '{text}'"))
            .await;
    }
    scenario
        .act("await cdp.send('Input.insertText', { text: '日本' })")
        .await;
    scenario.page_until("text.value === '日本'").await;
    scenario.act("await page.keyboard.type('!')").await;
    scenario.page_until("text.value === '日本!'").await;
    assert_eq!(
        scenario.page("seen").await,
        json!(["compositionstart ", "compositionend 日本", "key !"])
    );
    scenario.teardown().await;
}

#[tokio::test]
async fn a_cancelled_composition_leaves_nothing() {
    let scenario = Scenario::with_control().await;
    scenario.act(INTO_THE_FIELD).await;
    scenario
        .act("globalThis.cdp = await context.newCDPSession(page)")
        .await;
    for text in ["に", ""] {
        let end = text.chars().count();
        let parameters = json!({"text": text, "selectionStart": end, "selectionEnd": end});
        scenario
            .act(&format!(
                "await cdp.send('Input.imeSetComposition', {parameters})"
            ))
            .await;
        scenario
            .page_until(&format!("text.value === '{text}'"))
            .await;
    }
    scenario.act("await page.keyboard.type('a')").await;
    scenario.page_until("text.value === 'a'").await;
    scenario.teardown().await;
}

#[tokio::test]
async fn a_phones_keyboard_types_and_deletes_without_key_events() {
    let scenario = Scenario::setup().await;
    scenario.open_as(&scenario.interactive_link(), PHONE).await;
    scenario
        .act("await viewer.tap(100, 160); await page.locator('#keyboard').tap()")
        .await;
    scenario.page_until("document.activeElement === text").await;
    scenario
        .act("await page.keyboard.insertText('one two')")
        .await;
    scenario.page_until("text.value === 'one two'").await;
    scenario
        .act("globalThis.cdp = await page.context().newCDPSession(page)")
        .await;
    // The command that makes an editor delete text without a key.
    let unidentified = "type: 'rawKeyDown', key: 'Unidentified', windowsVirtualKeyCode: 229";
    for (command, expected) in [
        ("deleteBackward", "one tw"),
        ("deleteWordBackward", "one "),
        ("deleteBackward", "one"),
    ] {
        scenario
            .act(&format!("await cdp.send('Input.dispatchKeyEvent', {{ {unidentified}, commands: ['{command}'] }})"))
            .await;
        scenario
            .page_until(&format!("text.value === '{expected}'"))
            .await;
    }
    scenario.teardown().await;
}

#[tokio::test]
async fn a_tap_does_not_open_a_phones_keyboard_but_its_button_does() {
    let scenario = Scenario::setup().await;
    scenario.open_as(&scenario.interactive_link(), PHONE).await;
    let focused = "await page.evaluate(() => document.activeElement.id)";
    scenario.act("await viewer.tap(700, 500)").await;
    scenario.page_until("seen.length > 0").await;
    assert_eq!(scenario.see(focused).await, "");
    scenario.act("await page.locator('#keyboard').tap()").await;
    assert_eq!(scenario.see(focused).await, "keys");
    scenario.act("await page.locator('#keyboard').tap()").await;
    assert_eq!(scenario.see(focused).await, "");
    scenario.teardown().await;
}

#[tokio::test]
async fn pasted_text_is_inserted() {
    let scenario = Scenario::with_control().await;
    scenario
        .act("await page.context().grantPermissions(['clipboard-read', 'clipboard-write'])")
        .await;
    scenario
        .act("await page.evaluate(() => navigator.clipboard.writeText('from <the> clipboard'))")
        .await;
    scenario.act(INTO_THE_FIELD).await;
    scenario.act("await page.keyboard.press('Control+v')").await;
    scenario
        .page_until("text.value === 'from <the> clipboard'")
        .await;
    assert_eq!(scenario.page("seen").await, json!(["key Control"]));
    scenario.teardown().await;
}

#[tokio::test]
async fn a_long_text_is_pasted_completely() {
    let scenario = Scenario::with_control().await;
    scenario.code("await page.evaluate(() => { text.outerHTML = '<textarea id=area style=\"left:40px;top:140px;width:400px;height:60px\"></textarea>' })").await;
    scenario.act(INTO_THE_FIELD).await;
    // The characters have four bytes, so the viewer must not split the text at an arbitrary byte.
    let paste = "await viewer.view.evaluate(() => {
        const clipboardData = new DataTransfer();
        clipboardData.setData('text/plain', 'a' + '\\u{1F525}'.repeat(150000) + '\\r\\nend');
        const paste = new ClipboardEvent('paste', { clipboardData, cancelable: true });
        document.getElementById('keys').dispatchEvent(paste);
    })";
    scenario.act(paste).await;
    scenario.page_until("area.value.endsWith('end')").await;
    let expected = "[...area.value].length === 150005 && area.value === 'a' + '\\u{1F525}'.repeat(150000) + '\\nend'";
    assert_eq!(scenario.page(expected).await, true);
    scenario.teardown().await;
}

#[tokio::test]
async fn pressed_keys_are_released_when_the_viewer_leaves() {
    let scenario = Scenario::with_control().await;
    scenario
        .code(
            "await page.evaluate(() => { text.onkeyup = (event) => seen.push(`up ${event.key}`) })",
        )
        .await;
    scenario.act(INTO_THE_FIELD).await;
    scenario
        .act("await page.keyboard.down('Shift'); await page.locator('#address').focus()")
        .await;
    scenario.page_until("seen.includes('up Shift')").await;
    scenario.act("await page.keyboard.up('Shift')").await;
    assert_eq!(
        scenario.page("seen").await,
        json!(["key Shift", "up Shift"])
    );
    scenario.teardown().await;
}

#[tokio::test]
async fn control_alt_and_shift_together_release_the_keyboard() {
    let scenario = Scenario::with_control().await;
    scenario.act(INTO_THE_FIELD).await;
    assert_eq!(
        scenario
            .see("await page.evaluate(() => document.activeElement.id)")
            .await,
        "keys"
    );
    scenario
        .act("await page.keyboard.press('Control+Alt+Shift')")
        .await;
    assert_eq!(
        scenario
            .see("await page.evaluate(() => document.activeElement.id)")
            .await,
        "address"
    );
    scenario.teardown().await;
}
