//! The settings that nothing else in the report speaks of.

use super::finding::Finding;
use crate::config::{ConfigError, Judged};

const CHECK: &str = "settings";

/// One failure for each setting that cannot be used, one note for the unknown ones, or one line
/// that all is well. The data folder, the runtime and the browser have findings of their own.
pub(super) fn settings(judged: &Judged) -> Vec<Finding> {
    let errors = [
        judged.listen.as_ref().err(),
        judged.keys.as_ref().err(),
        judged.public_url.as_ref().err(),
        judged.frame_ancestors.as_ref().err(),
        judged.user_agent.as_ref().err(),
        judged.viewport.as_ref().err(),
        judged.max_sessions.as_ref().err(),
        judged.max_output_bytes.as_ref().err(),
        judged.retention.as_ref().err(),
        judged.checkpoint_every.as_ref().err(),
        judged.egress.as_ref().err(),
        judged.egress_allow.as_ref().err(),
        judged.egress_allow_metadata.as_ref().err(),
        judged.egress_proxy.as_ref().err(),
        judged.stop_grace.as_ref().err(),
        judged.log.as_ref().err(),
    ];
    let limits = judged.limits.as_ref().err().into_iter().flatten();
    let mut findings: Vec<Finding> = errors
        .into_iter()
        .flatten()
        .chain(limits)
        .map(judge_bad)
        .collect();
    if !judged.unknown_variables.is_empty() {
        let names = judged.unknown_variables.join(", ");
        findings.push(
            Finding::note(
                CHECK,
                format!("no setting of Hearth has this name: {names}"),
            )
            .mended_by("run: hearth serve --help   (lists all settings)"),
        );
    }
    if findings.is_empty() {
        findings.push(Finding::fine(CHECK, "all of them can be used"));
    }
    findings
}

/// Every such error begins with the name of its setting.
fn judge_bad(error: &ConfigError) -> Finding {
    let text = error.to_string();
    let name = text.split(':').next().unwrap_or_default().to_owned();
    if name.ends_with("_FILE") {
        return Finding::failure(CHECK, text).mended_by(format!(
            "run: ls -l \"${name}\"   (the file has to be there, and the server's user has to be able to read it)"
        ));
    }
    Finding::failure(CHECK, text).mended_by(format!(
        "run: unset {name}   (or leave out its flag; hearth serve --help says what it takes)"
    ))
}
