//! Generates scripts of conversations.

use hearth_fuzz::{Result, Unstructured, Vocabulary};

const PARAMS: Vocabulary = Vocabulary {
    names: &[
        "targetId",
        "sessionId",
        "browserContextId",
        "flatten",
        "autoAttach",
        "waitForDebuggerOnStart",
        "url",
        "files",
        "data",
        "downloadPath",
        "behavior",
        "proxyServer",
        "accept",
        "enabled",
        "features",
        "media",
        "offline",
        "message",
        "targetInfo",
        "type",
        "guid",
        "state",
    ],
    strings: &[
        "T1",
        "T2",
        "browser of R1",
        "browser of R2",
        "R1",
        "R2",
        "S1",
        "S2",
        "C1",
        "page",
        "browser",
        "/s/1/work/x",
        "/s/1/../2",
        "/etc/hostname",
        "file:///etc/hostname",
        "chrome://crash",
        "https://a.example/",
        "allow",
        "inProgress",
    ],
};

const METHODS: &[&str] = &[
    "Browser.close",
    "Browser.crash",
    "Browser.setDownloadBehavior",
    "Browser.grantPermissions",
    "Browser.resetPermissions",
    "DOM.setFileInputFiles",
    "Emulation.setDeviceMetricsOverride",
    "Emulation.setEmulatedMedia",
    "Emulation.setTouchEmulationEnabled",
    "Extensions.loadUnpacked",
    "Input.dispatchDragEvent",
    "Input.dispatchMouseEvent",
    "Network.emulateNetworkConditions",
    "Page.bringToFront",
    "Page.captureScreenshot",
    "Page.close",
    "Page.disable",
    "Page.enable",
    "Page.handleJavaScriptDialog",
    "Page.navigate",
    "Page.reload",
    "Runtime.evaluate",
    "Target.activateTarget",
    "Target.attachToBrowserTarget",
    "Target.attachToTarget",
    "Target.closeTarget",
    "Target.createBrowserContext",
    "Target.createTarget",
    "Target.detachFromTarget",
    "Target.disposeBrowserContext",
    "Target.exposeDevToolsProtocol",
    "Target.getTargets",
    "Target.sendMessageToTarget",
    "Target.setAutoAttach",
    "Target.setRemoteLocations",
    "Tethering.bind",
];

const SESSIONS: &[&str] = &["R1", "R2", "S1", "S2", "S3", "own-T1"];

const TARGETS: &[&str] = &["T1", "T2", "T3", "browser of R1", "browser of R2"];

fn pick<'a>(random: &mut Unstructured<'_>, choices: &[&'a str]) -> Result<&'a str> {
    random.choose(choices).copied()
}

/// Generates `,"sessionId":…`, or nothing.
fn generate_session(random: &mut Unstructured<'_>) -> Result<String> {
    if random.ratio(1, 3)? {
        return Ok(String::new());
    }
    Ok(format!(r#","sessionId":"{}""#, pick(random, SESSIONS)?))
}

fn generate_event(random: &mut Unstructured<'_>) -> Result<String> {
    let target = pick(random, TARGETS)?;
    let kind = pick(random, &["page", "page", "browser", "iframe", "worker"])?;
    let info = format!(
        r#""targetInfo":{{"targetId":"{target}","type":"{kind}","url":"about:blank","browserContextId":"{}"}}"#,
        pick(random, &["C0", "C1"])?
    );
    let child = pick(random, SESSIONS)?;
    let (method, params) = match random.int_in_range(0..=13)? {
        0 | 1 => (
            "Target.attachedToTarget",
            format!(r#"{{"sessionId":"{child}",{info}}}"#),
        ),
        2 => (
            "Target.detachedFromTarget",
            format!(r#"{{"sessionId":"{child}"}}"#),
        ),
        3 => ("Target.targetCreated", format!("{{{info}}}")),
        4 => ("Target.targetInfoChanged", format!("{{{info}}}")),
        5 => {
            let method = pick(random, &["Target.targetDestroyed", "Target.targetCrashed"])?;
            (method, format!(r#"{{"targetId":"{target}"}}"#))
        }
        6 => (
            "Page.javascriptDialogOpening",
            r#"{"type":"alert","message":"","url":"","hasBrowserHandler":false}"#.to_owned(),
        ),
        7 => (
            "Page.javascriptDialogClosed",
            r#"{"result":true,"userInput":""}"#.to_owned(),
        ),
        8 => (
            "Browser.downloadProgress",
            r#"{"guid":"G","totalBytes":5000,"receivedBytes":1,"state":"inProgress"}"#.to_owned(),
        ),
        9 => (
            "Network.requestWillBeSent",
            format!(
                r#"{{"requestId":"L1","loaderId":"L1","frameId":"{target}","type":"Document","request":{{"url":"https://a.example/"}}}}"#
            ),
        ),
        10 => (
            "Network.loadingFailed",
            r#"{"requestId":"L1","type":"Document","errorText":"net::ERR_FAILED"}"#.to_owned(),
        ),
        11 => (
            "Page.frameNavigated",
            format!(r#"{{"frame":{{"id":"{target}"}}}}"#),
        ),
        12 => (
            "Page.frameStoppedLoading",
            format!(r#"{{"frameId":"{target}"}}"#),
        ),
        _ => (pick(random, METHODS)?, PARAMS.object(random)?),
    };
    let session = generate_session(random)?;
    Ok(format!(
        r#"{{"method":"{method}","params":{params}{session}}}"#
    ))
}

fn generate_step(random: &mut Unstructured<'_>) -> Result<String> {
    let step = match random.int_in_range(0..=9)? {
        0..=4 => {
            let client = random.int_in_range(1..=2)?;
            let id = random.int_in_range(-1..=5)?;
            let mut method = pick(random, METHODS)?.to_owned();
            if random.ratio(1, 5)? {
                method = method.replace('.', "\\u002e");
            }
            let (params, session) = (PARAMS.object(random)?, generate_session(random)?);
            format!(r#"{client} {{"id":{id},"method":"{method}","params":{params}{session}}}"#)
        }
        5 | 6 => {
            let id = pick(random, &["$1", "$1", "$2", "$3", "1"])?;
            let (what, session) = (
                pick(random, &["result", "result", "error"])?,
                generate_session(random)?,
            );
            let content = if random.ratio(1, 5)? {
                r#"{"errorText":"net::ERR_FAILED","loaderId":"L1"}"#.to_owned()
            } else {
                PARAMS.object(random)?
            };
            format!(r#"b {{"id":{id},"{what}":{content}{session}}}"#)
        }
        7 | 8 => format!("b {}", generate_event(random)?),
        _ => pick(
            random,
            &["r ", "r ", "x 1", "x 2", r#"o {"id":$1,"result":{"#, "o x"],
        )?
        .to_owned(),
    };
    Ok(step)
}

/// Generates a script.
pub(super) fn generate(random: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let mut script = String::new();
    for _ in 0..random.int_in_range(1..=20)? {
        script.push_str(&generate_step(random)?);
        script.push('\n');
    }
    Ok(script.into_bytes())
}
