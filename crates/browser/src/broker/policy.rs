//! What happens to a client's call, judged by its method's name alone and on every session alike: a
//! page's session takes browser-level methods too. Pure, one table.

use serde_json::Value;
use serde_json::value::RawValue;

use super::file_access::{ClientOrigin, FileAccess};

/// What to do with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// Goes to the browser as it is.
    Pass,
    /// Never reaches the browser; the client is told why.
    Deny(&'static str),
    /// Ends this client, not the browser.
    CloseClient,
    /// Goes on when its params are harmless, and then written anew from what was judged, for it is
    /// not known which of two equal members Chromium would take.
    Check(ParamCheck, TrackedEffect),
    /// Goes on, and its reply matters to us.
    Track(TrackedEffect),
}

/// Which params have to be looked into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ParamCheck {
    AttachToTarget,
    SetAutoAttach,
    CreateBrowserContext,
    /// `url` is opened.
    Address,
    /// `files` are handed to a page.
    Files,
    /// `data.files` are handed to a page.
    DraggedFiles,
    /// `downloadPath` is written to.
    DownloadPath,
}

/// What a call that passes means to the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TrackedEffect {
    /// Nothing.
    Nothing,
    /// Its reply names a session of this client.
    Attach,
    /// Its reply names a context that goes when the client goes.
    CreateContext,
    /// It ends a context, named in its params.
    DisposeContext,
    /// It ends a session, named in its params.
    EndSession,
    /// It closes a tab, named in its params.
    CloseTarget,
    /// Its reply names a tab that is the current one from then on.
    CreateTarget,
    /// Its params name a tab that is the current one from then on.
    ActivateTarget,
    /// The session's tab is the current one from now on.
    BringToFront,
    /// The events of the session's page are turned on or off.
    PageEvents(bool),
    /// It takes a picture of the page, which screencasts give way to.
    Screenshot,
    /// It says where downloads go.
    Downloads,
    /// The same, and it gives a crashed tab a new renderer.
    Navigate,
}

/// The rule for a method.
pub(crate) fn rule_for(method: &str) -> Rule {
    match method {
        "Browser.close" => Rule::CloseClient,
        "Browser.crash" | "Browser.crashGpuProcess" => {
            Rule::Deny("the browser is not crashed on request")
        }
        "Browser.executeBrowserCommand" => {
            Rule::Deny("commands of the browser's own interface are not available")
        }
        "Target.setRemoteLocations" => Rule::Deny("targets elsewhere are not looked for"),
        // It would hand the whole protocol to the page itself.
        "Target.exposeDevToolsProtocol" => Rule::Deny("the protocol is not exposed to pages"),
        // The inner message would pass unjudged.
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
        _ => match domain_of(method) {
            "Extensions" => Rule::Deny("extensions are not managed by clients"),
            "PWA" => Rule::Deny("web apps are not installed"),
            "Tethering" => Rule::Deny("no ports are opened on this machine"),
            // Only in a tab in front of somebody is there anything to click or type.
            "Input" => Rule::Track(TrackedEffect::BringToFront),
            _ => Rule::Pass,
        },
    }
}

fn domain_of(method: &str) -> &str {
    method.split_once('.').map_or(method, |(domain, _)| domain)
}

/// Whether a call does something to its page, in contrast to looking at it: what happens there next
/// (a dialog, a download) is most likely its doing.
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

/// Whether the browser process answers a method itself, so that it works on a tab whose renderer
/// has crashed. Anything else would wait there until somebody navigates the tab.
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

/// Judges params of a client on that origin. Gives them back written anew, and changed where that
/// mends them, or the reason of a refusal.
pub(crate) fn check_params(
    what: ParamCheck,
    params: Option<&RawValue>,
    file_access: &FileAccess,
    origin: ClientOrigin,
) -> Result<String, &'static str> {
    let mut params: Value = match params {
        Some(params) => serde_json::from_str(params.get()).map_err(|_| "params cannot be read")?,
        None => Value::Object(serde_json::Map::new()),
    };
    let is_true = |name: &str| params.get(name) == Some(&Value::Bool(true));
    match what {
        ParamCheck::AttachToTarget if !is_true("flatten") => {
            return Err("only flat sessions are available: attachToTarget needs flatten: true");
        }
        // Turning it off needs no flatten.
        ParamCheck::SetAutoAttach if is_true("autoAttach") && !is_true("flatten") => {
            return Err("only flat sessions are available: setAutoAttach needs flatten: true");
        }
        ParamCheck::CreateBrowserContext => {
            for name in [
                "proxyServer",
                "proxyBypassList",
                "originsWithUniversalNetworkAccess",
            ] {
                if params.get(name).is_some() {
                    return Err("contexts cannot have network settings of their own \
                                (proxyServer, proxyBypassList, originsWithUniversalNetworkAccess)");
                }
            }
        }
        ParamCheck::AttachToTarget | ParamCheck::SetAutoAttach => {}
        ParamCheck::Address => {
            if let Some(address) = params.get("url").and_then(Value::as_str) {
                file_access.check_address(address, origin)?;
            }
        }
        ParamCheck::Files => check_files(params.get("files"), file_access, origin)?,
        ParamCheck::DraggedFiles => {
            check_files(params.pointer("/data/files"), file_access, origin)?
        }
        ParamCheck::DownloadPath => {
            if let Some(Value::String(path)) = params.get_mut("downloadPath") {
                *path = file_access.download_dir(path, origin);
            }
        }
    }
    Ok(params.to_string())
}

fn check_files(
    files: Option<&Value>,
    file_access: &FileAccess,
    origin: ClientOrigin,
) -> Result<(), &'static str> {
    let mut files = files
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str);
    if files.all(|file| file_access.allows(file, origin)) {
        Ok(())
    } else {
        Err("of this machine's files, only those in the session's folder can be uploaded")
    }
}

/// A string member of a call's params or of a reply.
pub(crate) fn string_in(json: Option<&RawValue>, name: &str) -> Option<String> {
    text_in(json.map(RawValue::get), name)
}

/// The same, of JSON as text.
pub(crate) fn text_in(json: Option<&str>, name: &str) -> Option<String> {
    let json: Value = serde_json::from_str(json?).ok()?;
    json.get(name)?.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(what: ParamCheck, params: Option<&RawValue>) -> Result<String, &'static str> {
        let file_access = FileAccess {
            session: "/s/1".into(),
            downloads: "/s/1/b/downloads".into(),
        };
        super::check_params(what, params, &file_access, ClientOrigin::External)
    }

    fn raw(json: &str) -> Box<RawValue> {
        RawValue::from_string(json.to_owned()).expect("JSON")
    }

    #[test]
    fn ordinary_methods_pass() {
        for method in [
            "Runtime.evaluate",
            "Target.getTargets",
            "Browser.getVersion",
            "noDot",
            "",
            "PWAx.y",
        ] {
            assert_eq!(rule_for(method), Rule::Pass, "{method}");
        }
    }

    #[test]
    fn methods_that_reach_beyond_the_session_are_refused() {
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
    fn sessions_that_are_not_flat_are_refused() {
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
    fn what_goes_on_is_written_from_what_was_judged() {
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
    fn contexts_with_a_network_of_their_own_are_refused() {
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
    fn a_crashed_target_answers_what_the_browser_process_answers() {
        assert!(works_on_a_crashed_target("Page.reload"));
        assert!(works_on_a_crashed_target("Target.getTargetInfo"));
        assert!(!works_on_a_crashed_target("Runtime.evaluate"));
        assert!(!works_on_a_crashed_target("Page.getFrameTree"));
    }

    #[test]
    fn files_elsewhere_are_neither_opened_nor_uploaded_nor_dropped() {
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
    fn downloads_are_sent_to_the_sessions_folder_whatever_is_asked_for() {
        let params =
            raw(r#"{"behavior":"allow","downloadPath":"/s/1/work","downloadPath":"/etc"}"#);
        let written = check(ParamCheck::DownloadPath, Some(&params)).expect("mended");
        assert_eq!(
            written,
            r#"{"behavior":"allow","downloadPath":"/s/1/b/downloads"}"#
        );
    }

    #[test]
    fn looking_is_not_driving() {
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
