//! Attack scripts, run through the execute endpoint as a session's code.

use hearth_test_support::Session;
use serde_json::Value;

use crate::attacks::row::ProbeResults;
use crate::attacks::scenario::Scenario;

const KIT: &str = include_str!("../../fixtures/attacks/kit.py");

/// Timeout of a script in seconds; most of them need two.
const TIMEOUT_SECONDS: u64 = 120;

/// The delimiter of here-documents, which no script contains.
const END: &str = "END OF THE ATTACKS";

/// Quotes a text as a literal that is valid in JSON, python and JavaScript.
fn literal(text: &str) -> String {
    serde_json::to_string(text).expect("text is JSON")
}

const PAGES: &str = include_str!("../../fixtures/attacks/pages.mjs");

/// Runs the attacks that start in the browser, and reads the result of every probe.
pub async fn run_pages(session: &Session, parameters: &Value) -> ProbeResults {
    let code = format!(
        "const parameters = JSON.parse({});\n{PAGES}",
        literal(&parameters.to_string())
    );
    let execution = session.run_for("node", &code, TIMEOUT_SECONDS).await.ok();
    serde_json::from_str(&execution.result).unwrap_or_else(|error| panic!("{error}: {execution:?}"))
}

/// Runs scripts in the browser of a new session, and reads the result of every probe.
pub async fn run_in_browser(
    scenario: &Scenario,
    scripts: &[&str],
    parameters: &Value,
) -> ProbeResults {
    let scripts: Vec<String> = scripts
        .iter()
        .map(|script| format!("{KIT}\n{script}"))
        .collect();
    let attacks = serde_json::json!({"scripts": scripts, "parameters": parameters});
    std::fs::write(
        scenario.outside.path().join("bin/attacks.json"),
        attacks.to_string(),
    )
    .unwrap();
    let known = scenario.server.session_dirs();
    let session = scenario.client().session().await;
    let dir = scenario
        .server
        .session_dirs()
        .into_iter()
        .find(|dir| !known.contains(dir))
        .unwrap();
    let results = std::fs::read_to_string(dir.join("b/attacks.txt")).unwrap();
    session.delete().await;
    let lines = results
        .lines()
        .filter_map(|line| line.strip_prefix("ATTACKS "));
    lines
        .flat_map(|line| {
            serde_json::from_str::<ProbeResults>(line).expect("the attack script prints JSON")
        })
        .collect()
}

/// Builds a complete python program.
fn program(script: &str, parameters: &Value) -> String {
    format!(
        "import json\nPARAMETERS = json.loads({})\n{KIT}\n{script}",
        literal(&parameters.to_string())
    )
}

/// Builds code in `language` that runs a python program as a child process and prints its output.
fn started_by(language: &str, program: &str) -> String {
    match language {
        "bash" => format!("python3 - <<'{END}'\n{program}\n{END}\n"),
        "python" => format!(
            "import subprocess\n\
             done = subprocess.run(['python3', '-c', {}], capture_output=True, text=True, stdin=subprocess.DEVNULL)\n\
             print(done.stdout, done.stderr)",
            literal(program)
        ),
        _ => format!(
            "const options = {{stdio: ['ignore', 'pipe', 'pipe']}};\n\
             const done = require('node:child_process').spawnSync('python3', ['-c', {}], options);\n\
             console.log(String(done.stdout), String(done.stderr))",
            literal(program)
        ),
    }
}

/// Runs a script from code in `language`, and reads the result of every probe.
pub async fn run(
    session: &Session,
    language: &str,
    script: &str,
    parameters: &Value,
) -> ProbeResults {
    let code = started_by(language, &program(script, parameters));
    let execution = session.run_for(language, &code, TIMEOUT_SECONDS).await;
    let line = execution
        .stdout
        .lines()
        .find_map(|line| line.strip_prefix("ATTACKS "));
    let line =
        line.unwrap_or_else(|| panic!("the script did not end in {language}: {execution:?}"));
    serde_json::from_str(line).expect("the attack script prints JSON")
}
