//! Decides by its method whether a client's call is forwarded. The rules apply to every session,
//! because a page's session accepts browser-level methods too. Pure.

use std::borrow::Cow;

use serde_json::Value;
use serde_json::value::RawValue;

use super::downloads::MAX_BEHAVIOR_BYTES;
use super::file_access::{ClientOrigin, FileAccess};
use super::members::{Members, all_strings, string_member};
use super::page_settings::Setting;

/// The rule for a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// Forward the call unchanged.
    Pass,
    /// Deny the call, with a reason for the client.
    Deny(&'static str),
    /// End this client instead of the browser.
    CloseClient,
    /// Check the params and forward the call with params written from the checked values, because
    /// it is unknown which of two duplicate members Chromium would use.
    Check(ParamCheck, TrackedEffect),
    /// Forward the call and track its effect.
    Track(TrackedEffect),
}

/// The check of a call's params.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ParamCheck {
    AttachToTarget,
    SetAutoAttach,
    CreateBrowserContext,
    /// The `url` to open.
    Address,
    /// The `files` that a page receives.
    Files,
    /// The `data.files` that a page receives.
    DraggedFiles,
    /// The `downloadPath` to write to.
    DownloadPath,
}

/// The effect of a forwarded call on the broker's tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TrackedEffect {
    /// No effect.
    Nothing,
    /// The reply names a session of this client.
    Attach,
    /// The reply names a context that is disposed of when the client leaves.
    CreateContext,
    /// The reply lists targets.
    ListTargets,
    /// The call disposes of the context in its params.
    DisposeContext,
    /// The call ends the session in its params.
    EndSession,
    /// The call closes the tab in its params.
    CloseTarget,
    /// The reply names a tab, which becomes the current one.
    CreateTarget,
    /// The params name a tab, which becomes the current one.
    ActivateTarget,
    /// The tab of the session becomes the current one.
    BringToFront,
    /// The call turns the events of the session's page on or off.
    PageEvents(bool),
    /// The call takes a screenshot of the page. Screencasts pause meanwhile.
    Screenshot,
    /// The call sets the download directory.
    Downloads,
    /// The call changes a setting of the page, which all its clients share.
    Setting(Setting),
    /// The call grants or denies permissions.
    Grant,
    /// The call resets the permissions of a context.
    ResetGrants,
    /// The tab of the session becomes the current one, and a crashed tab gets a new renderer.
    Navigate,
}

/// Returns the rule for a method.
pub(crate) fn rule_for(method: &str) -> Rule {
    match method {
        "Browser.close" => Rule::CloseClient,
        "Browser.crash" | "Browser.crashGpuProcess" => {
            Rule::Deny("clients cannot crash the browser")
        }
        "Browser.executeBrowserCommand" => Rule::Deny("browser interface commands are disabled"),
        "Target.setRemoteLocations" => Rule::Deny("remote targets are disabled"),
        // This would expose the whole protocol to the page.
        "Target.exposeDevToolsProtocol" => Rule::Deny("pages cannot use the protocol"),
        // The inner message would not be checked.
        "Target.sendMessageToTarget" => {
            Rule::Deny("use flat sessions (attachToTarget with flatten: true)")
        }
        "Target.attachToTarget" => Rule::Check(ParamCheck::AttachToTarget, TrackedEffect::Attach),
        "Target.attachToBrowserTarget" => Rule::Track(TrackedEffect::Attach),
        "Target.setAutoAttach" => Rule::Check(ParamCheck::SetAutoAttach, TrackedEffect::Nothing),
        "Target.createBrowserContext" => Rule::Check(
            ParamCheck::CreateBrowserContext,
            TrackedEffect::CreateContext,
        ),
        "Target.detachFromTarget" => Rule::Track(TrackedEffect::EndSession),
        "Target.disposeBrowserContext" => Rule::Track(TrackedEffect::DisposeContext),
        "Target.closeTarget" => Rule::Track(TrackedEffect::CloseTarget),
        "Target.getTargets" => Rule::Track(TrackedEffect::ListTargets),
        "Target.createTarget" => Rule::Check(ParamCheck::Address, TrackedEffect::CreateTarget),
        "Target.openDevTools" => Rule::Deny("the browser's own pages are not available"),
        "Target.activateTarget" => Rule::Track(TrackedEffect::ActivateTarget),
        "Page.bringToFront" => Rule::Track(TrackedEffect::BringToFront),
        "Page.navigate" => Rule::Check(ParamCheck::Address, TrackedEffect::Navigate),
        "Page.reload" | "Page.navigateToHistoryEntry" => Rule::Track(TrackedEffect::Navigate),
        "Page.enable" => Rule::Track(TrackedEffect::PageEvents(true)),
        "Page.disable" => Rule::Track(TrackedEffect::PageEvents(false)),
        "Page.captureScreenshot" => Rule::Track(TrackedEffect::Screenshot),
        "DOM.setFileInputFiles" => Rule::Check(ParamCheck::Files, TrackedEffect::Nothing),
        "Input.dispatchDragEvent" => {
            Rule::Check(ParamCheck::DraggedFiles, TrackedEffect::BringToFront)
        }
        "Browser.setDownloadBehavior" | "Page.setDownloadBehavior" => {
            Rule::Check(ParamCheck::DownloadPath, TrackedEffect::Downloads)
        }
        "Browser.grantPermissions" | "Browser.setPermission" => Rule::Track(TrackedEffect::Grant),
        "Browser.resetPermissions" => Rule::Track(TrackedEffect::ResetGrants),
        _ => rule_for_others(method),
    }
}

fn rule_for_others(method: &str) -> Rule {
    if let Some(setting) = Setting::changed_by(method) {
        return Rule::Track(TrackedEffect::Setting(setting));
    }
    match domain_of(method) {
        "Extensions" => Rule::Deny("clients cannot manage extensions"),
        "PWA" => Rule::Deny("clients cannot install web apps"),
        "Tethering" => Rule::Deny("clients cannot open ports"),
        // Only a tab in the foreground receives clicks and keys.
        "Input" => Rule::Track(TrackedEffect::BringToFront),
        _ => Rule::Pass,
    }
}

fn domain_of(method: &str) -> &str {
    method.split_once('.').map_or(method, |(domain, _)| domain)
}

/// Returns true if a call acts on its page instead of only reading it. The dialog or download that
/// follows is most likely caused by such a call.
pub(crate) fn drives_page(method: &str) -> bool {
    match method {
        "Page.navigate"
        | "Page.reload"
        | "Page.navigateToHistoryEntry"
        | "Page.close"
        | "Runtime.evaluate"
        | "Runtime.callFunctionOn"
        | "Runtime.runScript" => true,
        _ => domain_of(method) == "Input",
    }
}

/// Returns true if the browser process answers the method itself, so that it works on a tab whose
/// renderer has crashed. Any other call would wait until the tab is navigated.
pub(crate) fn works_on_a_crashed_target(method: &str) -> bool {
    match domain_of(method) {
        "Browser" | "Fetch" | "IO" | "Security" | "Storage" | "SystemInfo" | "Target"
        | "Tracing" => true,
        "Page" => matches!(
            method,
            "Page.bringToFront"
                | "Page.captureScreenshot"
                | "Page.close"
                | "Page.getNavigationHistory"
                | "Page.navigate"
                | "Page.navigateToHistoryEntry"
                | "Page.reload"
        ),
        "Network" => matches!(
            method,
            "Network.clearBrowserCookies"
                | "Network.deleteCookies"
                | "Network.getAllCookies"
                | "Network.getCookies"
                | "Network.setCookie"
                | "Network.setCookies"
        ),
        _ => false,
    }
}

/// The reason for denying a call whose params cannot be checked.
const UNPARSABLE: &str = "cannot parse params";

/// Checks the params of a client's call. Returns the rewritten params, with a download directory
/// that the client may use, or the reason for denying the call.
pub(crate) fn check_params<'a>(
    what: ParamCheck,
    params: Option<&'a RawValue>,
    file_access: &FileAccess,
    origin: ClientOrigin,
) -> Result<Cow<'a, str>, &'static str> {
    let text = params.map_or("{}", RawValue::get);
    let mut params = Members::parse(text).ok_or(UNPARSABLE)?;
    match what {
        ParamCheck::AttachToTarget => check_attach(&params)?,
        ParamCheck::SetAutoAttach => check_auto_attach(&params)?,
        ParamCheck::CreateBrowserContext => check_context(&params)?,
        ParamCheck::Address => {
            if let Some(address) = params.string("url").map_err(|_| UNPARSABLE)? {
                file_access.check_address(&address, origin)?;
            }
        }
        ParamCheck::Files => check_files(&params, file_access, origin)?,
        ParamCheck::DraggedFiles => {
            if let Some(data) = params.get("data").filter(|data| data.starts_with('{')) {
                let members = Members::parse(data).ok_or(UNPARSABLE)?;
                check_files(&members, file_access, origin)?;
                if let Cow::Owned(rewritten) = members.to_json(data) {
                    params.replace("data", rewritten);
                }
            }
        }
        ParamCheck::DownloadPath if text.len() > MAX_BEHAVIOR_BYTES => {
            return Err("the params are too long");
        }
        ParamCheck::DownloadPath => {
            if let Some(path) = params.string("downloadPath").map_err(|_| UNPARSABLE)? {
                let dir = file_access.download_dir(&path, origin);
                params.replace("downloadPath", Value::from(dir).to_string());
            }
        }
    }
    Ok(params.to_json(text))
}

fn is_true(params: &Members<'_>, name: &str) -> bool {
    params.get(name) == Some("true")
}

fn check_attach(params: &Members<'_>) -> Result<(), &'static str> {
    if is_true(params, "flatten") {
        Ok(())
    } else {
        Err("only flat sessions are available: attachToTarget needs flatten: true")
    }
}

fn check_auto_attach(params: &Members<'_>) -> Result<(), &'static str> {
    // Turning it off does not need `flatten`.
    if is_true(params, "autoAttach") && !is_true(params, "flatten") {
        Err("only flat sessions are available: setAutoAttach needs flatten: true")
    } else {
        Ok(())
    }
}

fn check_context(params: &Members<'_>) -> Result<(), &'static str> {
    let network_settings = [
        "proxyServer",
        "proxyBypassList",
        "originsWithUniversalNetworkAccess",
    ];
    if network_settings
        .iter()
        .all(|name| params.get(name).is_none())
    {
        Ok(())
    } else {
        Err("browser contexts cannot have their own network settings \
             (proxyServer, proxyBypassList, originsWithUniversalNetworkAccess)")
    }
}

fn check_files(
    members: &Members<'_>,
    file_access: &FileAccess,
    origin: ClientOrigin,
) -> Result<(), &'static str> {
    let files = members.get("files").unwrap_or("[]");
    if all_strings(files, |file| file_access.allows(file, origin)) {
        Ok(())
    } else {
        Err("only files in the session's directory can be uploaded")
    }
}

/// Returns a string member of a call's params or of a reply.
pub(crate) fn string_in(json: Option<&RawValue>, name: &str) -> Option<String> {
    text_in(json.map(RawValue::get), name)
}

/// Returns a string member of JSON text.
pub(crate) fn text_in(json: Option<&str>, name: &str) -> Option<String> {
    string_member(json?, name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(what: ParamCheck, params: Option<&RawValue>) -> Result<Cow<'_, str>, &'static str> {
        let file_access = FileAccess {
            session: "/s/1".into(),
            downloads: "/s/1/b/downloads".into(),
        };
        check_params(what, params, &file_access, ClientOrigin::External)
    }

    fn raw(json: &str) -> Box<RawValue> {
        RawValue::from_string(json.to_owned()).expect("JSON")
    }

    #[test]
    fn ordinary_methods_pass() {
        for method in [
            "Runtime.evaluate",
            "Target.getTargetInfo",
            "Browser.getVersion",
            "noDot",
            "",
            "PWAx.y",
        ] {
            assert_eq!(rule_for(method), Rule::Pass, "{method}");
        }
    }

    #[test]
    fn methods_beyond_the_session_are_denied() {
        for method in [
            "Browser.crash",
            "Browser.crashGpuProcess",
            "Browser.executeBrowserCommand",
            "Target.setRemoteLocations",
            "Target.exposeDevToolsProtocol",
            "Target.sendMessageToTarget",
            "Extensions.loadUnpacked",
            "PWA.install",
            "Tethering.bind",
            "Target.openDevTools",
        ] {
            assert!(matches!(rule_for(method), Rule::Deny(_)), "{method}");
        }
    }

    #[test]
    fn non_flat_sessions_are_denied() {
        for (what, params) in [
            (ParamCheck::AttachToTarget, r#"{"targetId":"T"}"#),
            (
                ParamCheck::AttachToTarget,
                r#"{"targetId":"T","flatten":false}"#,
            ),
            (
                ParamCheck::AttachToTarget,
                r#"{"targetId":"T","flatten":true,"flatten":false}"#,
            ),
            (
                ParamCheck::AttachToTarget,
                r#"{"targetId":"T","flatten":"true"}"#,
            ),
            (
                ParamCheck::SetAutoAttach,
                r#"{"autoAttach":true,"waitForDebuggerOnStart":false,"flatten":false}"#,
            ),
        ] {
            assert!(check(what, Some(&raw(params))).is_err(), "{params}");
        }
        assert!(check(ParamCheck::AttachToTarget, None).is_err());
    }

    #[test]
    fn forwarded_params_are_written_from_the_checked_ones() {
        let params = raw(r#"{"targetId":"T","flatten":false,"flatt\u0065n":true}"#);
        let written = check(ParamCheck::AttachToTarget, Some(&params)).expect("flat");
        assert_eq!(written.matches("flatten").count(), 1, "{written}");
        assert!(written.contains(r#""flatten":true"#), "{written}");
    }

    #[test]
    fn auto_attach_can_be_turned_off_without_flatten() {
        let params = raw(r#"{"autoAttach":false,"waitForDebuggerOnStart":false}"#);
        assert!(check(ParamCheck::SetAutoAttach, Some(&params)).is_ok());
    }

    #[test]
    fn contexts_with_network_settings_are_denied() {
        for params in [
            r#"{"proxyServer":"direct://"}"#,
            r#"{"proxyServer":null}"#,
            r#"{"proxyBypassList":"<-loopback>"}"#,
            r#"{"originsWithUniversalNetworkAccess":["https://a.example"]}"#,
        ] {
            assert!(
                check(ParamCheck::CreateBrowserContext, Some(&raw(params))).is_err(),
                "{params}"
            );
        }
        assert!(
            check(
                ParamCheck::CreateBrowserContext,
                Some(&raw(r#"{"disposeOnDetach":true}"#))
            )
            .is_ok()
        );
        assert_eq!(
            check(ParamCheck::CreateBrowserContext, None).as_deref(),
            Ok("{}")
        );
    }

    #[test]
    fn crashed_target_answers_browser_process_methods() {
        assert!(works_on_a_crashed_target("Page.reload"));
        assert!(works_on_a_crashed_target("Target.getTargetInfo"));
        assert!(!works_on_a_crashed_target("Runtime.evaluate"));
        assert!(!works_on_a_crashed_target("Page.getFrameTree"));
    }

    #[test]
    fn files_outside_the_session_are_not_opened_uploaded_or_dropped() {
        for (what, params) in [
            (ParamCheck::Address, r#"{"url":"file:///etc/hostname"}"#),
            (ParamCheck::Address, r#"{"url":"chrome://crash"}"#),
            (
                ParamCheck::Files,
                r#"{"files":["/s/1/work/x","/etc/hostname"]}"#,
            ),
            (
                ParamCheck::DraggedFiles,
                r#"{"type":"drop","data":{"items":[],"files":["/etc/hostname"]}}"#,
            ),
        ] {
            assert!(check(what, Some(&raw(params))).is_err(), "{params}");
        }
        for (what, params) in [
            (ParamCheck::Address, r#"{"url":"https://example.com/"}"#),
            (ParamCheck::Files, r#"{"files":["/s/1/work/x"]}"#),
            (
                ParamCheck::DraggedFiles,
                r#"{"type":"drop","data":{"items":[]}}"#,
            ),
        ] {
            assert!(check(what, Some(&raw(params))).is_ok(), "{params}");
        }
    }

    #[test]
    fn downloads_always_go_to_the_session_dir() {
        let params =
            raw(r#"{"behavior":"allow","downloadPath":"/s/1/work","downloadPath":"/etc"}"#);
        let written = check(ParamCheck::DownloadPath, Some(&params)).expect("rewritten");
        assert_eq!(
            written,
            r#"{"behavior":"allow","downloadPath":"/s/1/b/downloads"}"#
        );
    }

    #[test]
    fn reading_is_not_driving() {
        for method in [
            "Input.dispatchMouseEvent",
            "Page.navigate",
            "Runtime.evaluate",
            "Input.insertText",
        ] {
            assert!(drives_page(method), "{method}");
        }
        for method in [
            "Page.enable",
            "Browser.getVersion",
            "Runtime.enable",
            "Page.captureScreenshot",
        ] {
            assert!(!drives_page(method), "{method}");
        }
    }
}
