//! What user code runs on: that every interpreter starts, loads what it needs, and has the pinned
//! version.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use serde_json::Value;

use super::ask::ask;
use super::finding::{Finding, Verdict};
use super::pins::{Installed, judge_pins};
use super::trial::Trial;
use crate::toolchain::Runtime;

/// The python kernel's oldest.
const MIN_PYTHON: (u32, u32) = (3, 11);

/// Loads what the node kernel loads, and says what it is. Arguments: playwright-core, acorn.
const NODE_WORDS: &str = "\
const [core, acorn] = process.argv.slice(1);
const said = { node: process.versions.node };
const failed = (name) => (error) => { said[name + 'Error'] = String(error && error.message).split('\\n')[0]; };
try { require(core); said.playwright = require(core + '/package.json').version; } catch (error) { failed('playwright')(error); }
import(acorn).then((loaded) => { said.acorn = loaded.version; }, failed('acorn')).then(() => console.log(JSON.stringify(said)));";

/// The same for python.
const PYTHON_WORDS: &str = "\
import json, sys
said = {'python': '.'.join(map(str, sys.version_info[:3]))}
try:
    import playwright.async_api
    from importlib.metadata import version
    said['playwright'] = version('playwright')
except Exception as error:
    said['playwrightError'] = f'{type(error).__name__}: {error}'.splitlines()[0]
print(json.dumps(said))";

/// All findings about the runtime, in the order of the report.
pub(super) async fn programs(runtime: &Runtime, trial: &Trial) -> Vec<Finding> {
    let setup = plan_setup(&runtime.folder, Path::exists);
    let missing = runtime.missing();
    let mut findings = vec![judge_parts(runtime, &missing, &setup)];
    let is_there = |part: &Path| !missing.contains(&part);

    let mut installed = Installed::default();
    let mut node_core = None;
    if is_there(&runtime.node) {
        let parts = [&runtime.playwright_core, &runtime.acorn].map(|path| path.to_string_lossy());
        let said = words(
            trial,
            &runtime.node,
            &["-e", NODE_WORDS, &parts[0], &parts[1]],
        )
        .await;
        findings.push(judge_version("node", &said, "node", &setup));
        // Of one that does not start, nothing more is said.
        if said.is_ok() && is_there(&runtime.acorn) {
            findings.push(judge_version("acorn", &said, "acorn", &setup));
        }
        installed.acorn = version_in(&said, "acorn");
        node_core = Some(said);
    }
    if is_there(&runtime.python) {
        let said = words(
            trial,
            &runtime.python,
            &["-I", "-X", "utf8", "-c", PYTHON_WORDS],
        )
        .await;
        findings.push(judge_python(
            judge_version("python", &said, "python", &setup),
            &said,
        ));
        installed.playwright = version_in(&said, "playwright");
        let core = node_core
            .filter(|core| core.is_ok() && said.is_ok() && is_there(&runtime.playwright_core));
        if let Some(core) = core {
            findings.push(judge_playwright(&core, &said, &setup));
        }
    }
    if is_there(&runtime.agent_browser) {
        let said = last_word(trial, &runtime.agent_browser, &["--version"]).await;
        installed.agent_browser = said.clone().ok();
        findings.push(judge_said("agent-browser", said, &setup));
    }
    if is_there(&runtime.bash) {
        findings.push(bash(runtime, trial).await);
    }
    let pins = |name| fs::read_to_string(runtime.folder.join(name)).ok();
    findings.extend(judge_pins(
        pins("pins"),
        pins("requirements.txt"),
        &installed,
        &setup,
    ));
    findings
}

/// The shell of the system, which every execution in bash starts.
async fn bash(runtime: &Runtime, trial: &Trial) -> Finding {
    let said = last_word(trial, &runtime.bash, &["-c", "echo \"$BASH_VERSION\""]).await;
    judge_said("bash", said, "run: sudo apt-get install --reinstall bash")
}

/// What puts the runtime right, judged by what is around its folder.
fn plan_setup(runtime: &Path, exists: impl Fn(&Path) -> bool) -> String {
    let repository = runtime.parent().unwrap_or(runtime);
    if exists(&repository.join("scripts/setup")) {
        format!("run: make -C {} setup", repository.display())
    } else {
        "run: make setup   (in a checkout of the repository, and set HEARTH_RUNTIME_DIR to its folder runtime)"
            .to_owned()
    }
}

fn judge_parts(runtime: &Runtime, missing: &[&Path], setup: &str) -> Finding {
    let folder = runtime.folder.display();
    let [first, others @ ..] = missing else {
        return Finding::fine("runtime", format!("complete in {folder}"));
    };
    let more = if others.is_empty() {
        String::new()
    } else {
        format!(", and so are {} other parts", others.len())
    };
    let finding = Finding::failure("runtime", format!("{} is missing{more}", first.display()))
        .mended_by(setup);
    // The link is there, and leads where this user may not go: most often python in somebody's
    // home.
    match fs::metadata(first) {
        Err(error) if error.kind() == ErrorKind::PermissionDenied => finding.mended_by(format!(
            "run: namei -l {}   (this user may not look behind one of those links)",
            first.display()
        )),
        _ => finding,
    }
}

/// The words of an interpreter: an object, or the reason why there is none.
async fn words(trial: &Trial, program: &Path, args: &[&str]) -> Result<Value, String> {
    let answer = ask(
        &trial.enclosure.code,
        &trial.enclosure.folder.work(),
        program,
        args,
    )
    .await
    .map_err(|error| error.to_string())?;
    let said = answer
        .stdout
        .lines()
        .last()
        .and_then(|line| serde_json::from_str(line).ok());
    said.filter(Value::is_object)
        .ok_or_else(|| answer.complaint())
}

/// The last word on the first line, which is the version in many a program.
async fn last_word(trial: &Trial, program: &Path, args: &[&str]) -> Result<String, String> {
    let answer = ask(
        &trial.enclosure.code,
        &trial.enclosure.folder.work(),
        program,
        args,
    )
    .await
    .map_err(|error| error.to_string())?;
    let word = answer
        .stdout
        .lines()
        .next()
        .and_then(|line| line.split_whitespace().last());
    let word = word.filter(|_| answer.exit.shell_code() == 0);
    word.map(str::to_owned).ok_or_else(|| answer.complaint())
}

fn version_in(said: &Result<Value, String>, name: &str) -> Option<String> {
    said.as_ref().ok()?[name].as_str().map(str::to_owned)
}

/// The finding about one of the things that an interpreter has spoken of.
fn judge_version(
    check: &'static str,
    said: &Result<Value, String>,
    name: &str,
    setup: &str,
) -> Finding {
    let version = match said {
        Ok(said) => said[name].as_str().map(str::to_owned).ok_or_else(|| {
            said[format!("{name}Error")]
                .as_str()
                .unwrap_or("it does not say its version")
                .to_owned()
        }),
        Err(why) => Err(why.clone()),
    };
    judge_said(check, version, setup)
}

fn judge_said(check: &'static str, version: Result<String, String>, setup: &str) -> Finding {
    match version {
        Ok(version) => Finding::fine(check, version),
        Err(why) => {
            let finding = Finding::failure(check, format!("does not start or load: {why}"));
            // The one library that the wheel's Node needs and a slim system lacks.
            let finding = if why.contains("libatomic") {
                finding.mended_by("run: sudo apt-get install -y libatomic1")
            } else {
                finding
            };
            finding.mended_by(setup)
        }
    }
}

fn judge_python(finding: Finding, said: &Result<Value, String>) -> Finding {
    let Some(version) = version_in(said, "python") else {
        return finding;
    };
    match major_minor(&version) {
        Some(version) if version >= MIN_PYTHON => finding,
        _ => Finding::failure(
            "python",
            format!("{version} is too old: the kernel needs {}.{}", MIN_PYTHON.0, MIN_PYTHON.1),
        )
        .mended_by("run: sudo apt-get install -y python3 python3-venv   (then make setup; Debian 12 has 3.11)"),
    }
}

/// One wheel serves both languages. Its own number may be ahead of its core's in the last place.
fn judge_playwright(
    node: &Result<Value, String>,
    python: &Result<Value, String>,
    setup: &str,
) -> Finding {
    let check = "playwright";
    for (said, language) in [(node, "node"), (python, "python")] {
        let finding = judge_version(check, said, check, setup);
        if finding.verdict != Verdict::Fine {
            return Finding {
                text: format!("in {language} it {}", finding.text),
                ..finding
            };
        }
    }
    let (core, wheel) = (
        version_in(node, check).unwrap_or_default(),
        version_in(python, check).unwrap_or_default(),
    );
    if major_minor(&core) == major_minor(&wheel) {
        return Finding::fine(check, format!("{wheel} in python, its core {core} in node"));
    }
    Finding::failure(
        check,
        format!("node has {core} and python {wheel}: they do not come from one wheel"),
    )
    .mended_by(setup)
}

fn major_minor(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.split('.').map(str::parse);
    numbers.next()?.ok().zip(numbers.next()?.ok())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const SETUP: &str = "run: make setup";

    fn versions(name: &str, version: &str) -> Value {
        json!({ name: version })
    }

    #[test]
    fn set_up_is_named_with_its_folder_where_there_is_one() {
        let runtime = Path::new("/srv/hearth/runtime");
        assert_eq!(
            plan_setup(runtime, |path| path
                == Path::new("/srv/hearth/scripts/setup")),
            "run: make -C /srv/hearth setup"
        );
        assert!(plan_setup(runtime, |_| false).contains("HEARTH_RUNTIME_DIR"));
    }

    #[test]
    fn an_old_python_is_refused() {
        let judge = |version| {
            judge_python(
                Finding::fine("python", version),
                &Ok(versions("python", version)),
            )
            .verdict
        };
        assert_eq!(judge("3.11.2"), Verdict::Fine);
        assert_eq!(judge("3.9.18"), Verdict::Failure);
    }

    #[test]
    fn both_languages_have_the_same_playwright() {
        let judge = |core, wheel| {
            judge_playwright(
                &Ok(versions("playwright", core)),
                &Ok(versions("playwright", wheel)),
                SETUP,
            )
        };
        assert_eq!(judge("1.65.1", "1.65.2").verdict, Verdict::Fine);
        assert_eq!(judge("1.64.0", "1.65.2").verdict, Verdict::Failure);
    }

    #[test]
    fn what_does_not_load_is_told_in_its_own_words() {
        let node = Ok(json!({"node": "26.1.0", "playwrightError": "Cannot find module"}));
        let finding = judge_playwright(&node, &Ok(versions("playwright", "1.65.2")), SETUP);
        assert_eq!(
            finding.text,
            "in node it does not start or load: Cannot find module"
        );
        assert_eq!(finding.mends, [SETUP]);
    }

    #[test]
    fn a_node_without_its_library_is_mended_by_the_package() {
        let why = "libatomic.so.1: cannot open shared object file".to_owned();
        assert_eq!(
            judge_said("node", Err(why), SETUP).mends[0],
            "run: sudo apt-get install -y libatomic1"
        );
    }
}
