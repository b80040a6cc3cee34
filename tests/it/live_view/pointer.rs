//! Mouse, wheel and touch input, from the canvas to the page.

use serde_json::json;

use crate::live_view::scenario::{PHONE, Scenario};

#[tokio::test]
async fn a_click_presses_the_button_under_it_and_the_viewer_sees_the_result() {
    let scenario = Scenario::with_control().await;
    scenario.act("await viewer.click(120, 70)").await;
    scenario.page_until("seen.includes('pressed')").await;
    scenario
        .act("await viewer.shows(500, 500, [30, 120, 60])")
        .await;
    scenario.teardown().await;
}

#[tokio::test]
async fn a_click_hits_the_visible_position_at_every_window_size() {
    let scenario = Scenario::with_control().await;
    for (width, height) in [(1280, 800), (640, 900), (900, 300), (320, 240)] {
        scenario
            .act(&format!(
                "await page.setViewportSize({{ width: {width}, height: {height} }})"
            ))
            .await;
        scenario.page("seen.length = 0").await;
        scenario.act("await viewer.click(120, 70)").await;
        scenario.page_until("seen.includes('pressed')").await;
    }
    scenario.teardown().await;
}

#[tokio::test]
async fn every_button_of_the_mouse_arrives_and_clicks_are_counted() {
    let scenario = Scenario::with_control().await;
    scenario
        .act("await viewer.click(700, 500, { button: 'right' })")
        .await;
    scenario.page_until("seen.includes('menu')").await;
    scenario
        .act("await viewer.click(700, 500, { button: 'middle' })")
        .await;
    scenario
        .act("await viewer.click(750, 550, { clickCount: 2 })")
        .await;
    scenario.page_until("seen.includes('double')").await;
    let expected = json!([
        "down 2 1", "menu", "down 1 1", "down 0 1", "down 0 2", "double"
    ]);
    assert_eq!(scenario.page("seen").await, expected);
    scenario.teardown().await;
}

#[tokio::test]
async fn the_back_and_forward_mouse_buttons_navigate_the_session_and_not_the_viewer() {
    let scenario = Scenario::with_control().await;
    scenario
        .code(&format!(
            "await page.goto('{}')",
            scenario.site.url("/title/next")
        ))
        .await;
    scenario.act("await viewer.says('title', 'next')").await;
    scenario
        .act("globalThis.cdp = await context.newCDPSession(page); globalThis.url = page.url()")
        .await;
    for (button, bit, title) in [("back", 8, "Desk"), ("forward", 16, "next")] {
        let press = format!(
            "const [x, y] = await viewer.at(700, 500); const press = {{ x, y, button: '{button}', clickCount: 1 }};
            await cdp.send('Input.dispatchMouseEvent', {{ type: 'mousePressed', buttons: {bit}, ...press }});
            await cdp.send('Input.dispatchMouseEvent', {{ type: 'mouseReleased', buttons: 0, ...press }})"
        );
        scenario.act(&press).await;
        scenario
            .act(&format!("await viewer.says('title', '{title}')"))
            .await;
        assert_eq!(scenario.see("page.url() === url").await, true);
    }
    scenario.teardown().await;
}

#[tokio::test]
async fn a_slider_can_be_dragged_outside_the_frame() {
    let scenario = Scenario::with_control().await;
    scenario
        .act("await viewer.move(46, 240); await page.mouse.down(); await viewer.move(240, 240)")
        .await;
    scenario
        .page_until("slider.value > 40 && slider.value < 60")
        .await;
    scenario
        .act("await page.mouse.move(1279, 2); await page.mouse.up()")
        .await;
    scenario.page_until("slider.value === '100'").await;
    // The page received the release too: the slider stays where it is.
    scenario
        .act("await viewer.move(46, 240); await viewer.click(700, 500)")
        .await;
    scenario.page_until("seen.includes('down 0 1')").await;
    assert_eq!(scenario.page("slider.value").await, "100");
    scenario.teardown().await;
}

#[tokio::test]
async fn the_wheel_scrolls_what_is_under_the_mouse() {
    let scenario = Scenario::with_control().await;
    scenario
        .act("await viewer.move(700, 100); await page.mouse.wheel(0, 400)")
        .await;
    scenario.page_until("long.scrollTop === 400").await;
    scenario.act("await page.mouse.wheel(0, -150)").await;
    scenario.page_until("long.scrollTop === 250").await;
    scenario.teardown().await;
}

#[tokio::test]
async fn a_wheel_with_line_or_page_units_scrolls_by_them() {
    let scenario = Scenario::with_control().await;
    let turn = |mode: u8, by: u8| {
        format!(
            "await viewer.view.evaluate(([clientX, clientY]) => {{
                const wheel = {{ clientX, clientY, deltaMode: {mode}, deltaY: {by}, cancelable: true }};
                document.getElementById('frame').dispatchEvent(new WheelEvent('wheel', wheel));
            }}, await viewer.at(700, 100))"
        )
    };
    scenario.act(&turn(1, 3)).await;
    scenario.page_until("long.scrollTop === 60").await;
    scenario.act(&turn(2, 1)).await;
    scenario.page_until("long.scrollTop === 780").await;
    scenario.teardown().await;
}

#[tokio::test]
async fn a_tap_on_a_phone_is_a_touch_and_a_click() {
    let scenario = Scenario::setup().await;
    scenario.open_as(&scenario.interactive_link(), PHONE).await;
    scenario.act("await viewer.tap(700, 500)").await;
    scenario.page_until("seen.length >= 3").await;
    assert_eq!(
        scenario.page("seen").await,
        json!(["touchstart 1", "touchend 0", "down 0 1"])
    );
    scenario.act("await viewer.tap(120, 70)").await;
    scenario.page_until("seen.includes('pressed')").await;
    scenario.teardown().await;
}

#[tokio::test]
async fn two_fingers_are_two_touches_and_a_moving_finger_scrolls() {
    let scenario = Scenario::setup().await;
    scenario.open_as(&scenario.interactive_link(), PHONE).await;
    let touch = |kind: &str, points: &[(u32, u32)]| {
        let points = points
            .iter()
            .map(|(x, y)| format!("await viewer.at({x}, {y})"))
            .collect::<Vec<_>>()
            .join(", ");
        format!(
            "const touchPoints = [{points}].map(([x, y], id) => ({{ x, y, id }}));
            await cdp.send('Input.dispatchTouchEvent', {{ type: '{kind}', touchPoints }})"
        )
    };
    scenario
        .act("globalThis.cdp = await page.context().newCDPSession(page)")
        .await;
    scenario
        .act(&touch("touchStart", &[(700, 450), (800, 550)]))
        .await;
    scenario.page_until("seen.includes('touchstart 2')").await;
    scenario
        .act(&touch("touchMove", &[(690, 440), (820, 570)]))
        .await;
    scenario.page_until("seen.includes('touchmove 2')").await;
    scenario.act(&touch("touchEnd", &[])).await;
    scenario.page_until("seen.includes('touchend 0')").await;

    scenario.act(&touch("touchStart", &[(700, 300)])).await;
    for y in [260, 220, 180, 140, 100] {
        scenario.act(&touch("touchMove", &[(700, y)])).await;
    }
    scenario.act(&touch("touchEnd", &[])).await;
    scenario.page_until("long.scrollTop > 50").await;
    scenario.teardown().await;
}
