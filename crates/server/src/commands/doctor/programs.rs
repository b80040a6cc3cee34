//! Checks that every interpreter starts, loads its libraries and has the pinned version.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use serde_json::Value;

use super::finding::{Finding, Severity};
use super::fixture::Fixture;
use super::pins::{Installed, evaluate_pins};
use super::probe::run_probe;
use crate::toolchain::Runtime;

/// The oldest Python that the kernel supports.
const MIN_PYTHON: (u32, u32) = (3, 11);

/// A script that loads the libraries of the node kernel and prints their versions. Arguments:
/// playwright-core, acorn.
const NODE_PROBE: &str = "\
const [core, acorn] = process.argv.slice(1);
const said = { node: process.versions.node };
const failed = (name) => (error) => { said[name + 'Error'] = String(error && error.message).split('\\n')[0]; };
try { require(core); said.playwright = require(core + '/package.json').version; } catch (error) { failed('playwright')(error); }
import(acorn).then((loaded) => { said.acorn = loaded.version; }, failed('acorn')).then(() => console.log(JSON.stringify(said)));";

/// A script that loads the libraries of the Python kernel and prints their versions.
const PYTHON_PROBE: &str = "\
import json, sys
said = {'python': '.'.join(map(str, sys.version_info[:3]))}
try:
    import playwright.async_api
    from importlib.metadata import version
    said['playwright'] = version('playwright')
except Exception as error:
    said['playwrightError'] = f'{type(error).__name__}: {error}'.splitlines()[0]
print(json.dumps(said))";

/// Returns all findings about the runtime, in the order of the report.
pub(super) async fn programs(runtime: &Runtime, fixture: &Fixture) -> Vec<Finding> {
    let setup = plan_setup(&runtime.dir, Path::exists);
    let missing = runtime.missing();
    let mut findings = vec![evaluate_parts(runtime, &missing, &setup)];
    let exists = |part: &Path| !missing.contains(&part);

    let mut installed = Installed::default();
    let mut node_core = None;
    if exists(&runtime.node) {
        let parts = [&runtime.playwright_core, &runtime.acorn].map(|path| path.to_string_lossy());
        let said = run_interpreter(
            fixture,
            &runtime.node,
            &["-e", NODE_PROBE, &parts[0], &parts[1]],
        )
        .await;
        findings.push(evaluate_version("node", &said, "node", &setup));
        if said.is_ok() && exists(&runtime.acorn) {
            findings.push(evaluate_version("acorn", &said, "acorn", &setup));
        }
        installed.acorn = version_in(&said, "acorn");
        node_core = Some(said);
    }
    if exists(&runtime.python) {
        let said = run_interpreter(
            fixture,
            &runtime.python,
            &["-I", "-X", "utf8", "-c", PYTHON_PROBE],
        )
        .await;
        findings.push(evaluate_python(
            evaluate_version("python", &said, "python", &setup),
            &said,
        ));
        installed.playwright = version_in(&said, "playwright");
        let core = node_core
            .filter(|core| core.is_ok() && said.is_ok() && exists(&runtime.playwright_core));
        if let Some(core) = core {
            findings.push(evaluate_playwright(&core, &said, &setup));
        }
    }
    if exists(&runtime.agent_browser) {
        let said = version_word(fixture, &runtime.agent_browser, &["--version"]).await;
        installed.agent_browser = said.clone().ok();
        findings.push(evaluate_said("agent-browser", said, &setup));
    }
    if exists(&runtime.bash) {
        findings.push(bash(runtime, fixture).await);
    }
    let pins = |name| fs::read_to_string(runtime.dir.join(name)).ok();
    findings.extend(evaluate_pins(
        pins("pins"),
        pins("requirements.txt"),
        &installed,
        &setup,
    ));
    findings
}

/// Checks the system's shell, which every execution in bash starts.
async fn bash(runtime: &Runtime, fixture: &Fixture) -> Finding {
    let said = version_word(fixture, &runtime.bash, &["-c", "echo \"$BASH_VERSION\""]).await;
    evaluate_said("bash", said, "run: sudo apt-get install --reinstall bash")
}

/// Returns the command that installs the runtime.
fn plan_setup(runtime: &Path, exists: impl Fn(&Path) -> bool) -> String {
    let repository = runtime.parent().unwrap_or(runtime);
    if exists(&repository.join("scripts/setup")) {
        format!("run: make -C {} setup", repository.display())
    } else {
        "run: make setup   (in a checkout of the repository; then set HEARTH_RUNTIME_DIR to its runtime directory)"
            .to_owned()
    }
}

fn evaluate_parts(runtime: &Runtime, missing: &[&Path], setup: &str) -> Finding {
    let dir = runtime.dir.display();
    let [first, others @ ..] = missing else {
        return Finding::ok("runtime", format!("complete in {dir}"));
    };
    let more = if others.is_empty() {
        String::new()
    } else {
        format!(", and so are {} other parts", others.len())
    };
    let finding = Finding::failure("runtime", format!("{} is missing{more}", first.display()))
        .fixed_by(setup);
    // The link exists, but this user may not follow it. Most often it points to a python in another
    // user's home.
    match fs::metadata(first) {
        Err(error) if error.kind() == ErrorKind::PermissionDenied => finding.fixed_by(format!(
            "run: namei -l {}   (this user may not follow one of the links)",
            first.display()
        )),
        _ => finding,
    }
}

/// Runs an interpreter and returns the JSON object that it prints, or an error.
async fn run_interpreter(
    fixture: &Fixture,
    program: &Path,
    args: &[&str],
) -> Result<Value, String> {
    let answer = run_probe(
        &fixture.sandbox.code,
        &fixture.sandbox.dir.work(),
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
        .ok_or_else(|| answer.error_line())
}

/// Runs a program and returns the last word of its first line, which is often a version.
async fn version_word(fixture: &Fixture, program: &Path, args: &[&str]) -> Result<String, String> {
    let answer = run_probe(
        &fixture.sandbox.code,
        &fixture.sandbox.dir.work(),
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
    word.map(str::to_owned).ok_or_else(|| answer.error_line())
}

fn version_in(said: &Result<Value, String>, name: &str) -> Option<String> {
    said.as_ref().ok()?[name].as_str().map(str::to_owned)
}

/// Evaluates one of the versions that an interpreter printed.
fn evaluate_version(
    check: &'static str,
    said: &Result<Value, String>,
    name: &str,
    setup: &str,
) -> Finding {
    let version = match said {
        Ok(said) => said[name].as_str().map(str::to_owned).ok_or_else(|| {
            said[format!("{name}Error")]
                .as_str()
                .unwrap_or("it does not print its version")
                .to_owned()
        }),
        Err(why) => Err(why.clone()),
    };
    evaluate_said(check, version, setup)
}

fn evaluate_said(check: &'static str, version: Result<String, String>, setup: &str) -> Finding {
    match version {
        Ok(version) => Finding::ok(check, version),
        Err(why) => {
            let finding = Finding::failure(check, format!("does not start or load: {why}"));
            // The wheel's Node needs this library, which slim systems lack.
            let finding = if why.contains("libatomic") {
                finding.fixed_by("run: sudo apt-get install -y libatomic1")
            } else {
                finding
            };
            finding.fixed_by(setup)
        }
    }
}

fn evaluate_python(finding: Finding, said: &Result<Value, String>) -> Finding {
    let Some(version) = version_in(said, "python") else {
        return finding;
    };
    match major_minor(&version) {
        Some(version) if version >= MIN_PYTHON => finding,
        _ => Finding::failure(
            "python",
            format!("{version} is too old: the kernel needs {}.{}", MIN_PYTHON.0, MIN_PYTHON.1),
        )
        .fixed_by("run: sudo apt-get install -y python3 python3-venv   (then make setup; Debian 12 has 3.11)"),
    }
}

/// Checks that both languages use the same wheel. The patch version of the wheel may differ from
/// that of its core.
fn evaluate_playwright(
    node: &Result<Value, String>,
    python: &Result<Value, String>,
    setup: &str,
) -> Finding {
    let check = "playwright";
    for (said, language) in [(node, "node"), (python, "python")] {
        let finding = evaluate_version(check, said, check, setup);
        if finding.severity != Severity::Ok {
            return Finding {
                text: format!("in {language}: {}", finding.text),
                ..finding
            };
        }
    }
    let (core, wheel) = (
        version_in(node, check).unwrap_or_default(),
        version_in(python, check).unwrap_or_default(),
    );
    if major_minor(&core) == major_minor(&wheel) {
        return Finding::ok(check, format!("{wheel} in python, its core {core} in node"));
    }
    Finding::failure(
        check,
        format!("node has {core} and python {wheel}, which come from different wheels"),
    )
    .fixed_by(setup)
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
    fn setup_is_named_with_the_checkout_if_there_is_one() {
        let runtime = Path::new("/srv/hearth/runtime");
        assert_eq!(
            plan_setup(runtime, |path| path
                == Path::new("/srv/hearth/scripts/setup")),
            "run: make -C /srv/hearth setup"
        );
        assert!(plan_setup(runtime, |_| false).contains("HEARTH_RUNTIME_DIR"));
    }

    #[test]
    fn an_old_python_fails() {
        let evaluate = |version| {
            evaluate_python(
                Finding::ok("python", version),
                &Ok(versions("python", version)),
            )
            .severity
        };
        assert_eq!(evaluate("3.11.2"), Severity::Ok);
        assert_eq!(evaluate("3.9.18"), Severity::Failure);
    }

    #[test]
    fn both_languages_have_the_same_playwright() {
        let evaluate = |core, wheel| {
            evaluate_playwright(
                &Ok(versions("playwright", core)),
                &Ok(versions("playwright", wheel)),
                SETUP,
            )
        };
        assert_eq!(evaluate("1.65.1", "1.65.2").severity, Severity::Ok);
        assert_eq!(evaluate("1.64.0", "1.65.2").severity, Severity::Failure);
    }

    #[test]
    fn the_error_of_a_library_is_quoted() {
        let node = Ok(json!({"node": "26.1.0", "playwrightError": "Cannot find module"}));
        let finding = evaluate_playwright(&node, &Ok(versions("playwright", "1.65.2")), SETUP);
        assert_eq!(
            finding.text,
            "in node: does not start or load: Cannot find module"
        );
        assert_eq!(finding.fixes, [SETUP]);
    }

    #[test]
    fn a_missing_library_of_node_is_fixed_by_its_package() {
        let why = "libatomic.so.1: cannot open shared object file".to_owned();
        assert_eq!(
            evaluate_said("node", Err(why), SETUP).fixes[0],
            "run: sudo apt-get install -y libatomic1"
        );
    }
}
