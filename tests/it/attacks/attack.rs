//! Runs the attacks of each group.

use std::fs;
use std::time::{Duration, Instant};

use hearth_test_support::eventually;
use nix::unistd::Pid;

use crate::attacks::level::Level;
use crate::attacks::row::ProbeResults;
use crate::attacks::scenario::Scenario;
use crate::attacks::script;
use crate::attacks::{browser, files, network, resources, secrets};

/// A group of attacks.
#[derive(Debug, Clone, Copy)]
pub enum Attack {
    /// A script that runs from code in every language.
    Script(&'static str),
    /// Attacks from pages and through the browser.
    Pages,
    /// Attacks from a compromised browser, with all rights that the browser process has.
    CompromisedBrowser,
    /// Traces that one session leaves and another one searches for.
    Traces,
    /// Traps for the server in the session's dir.
    Traps,
    /// SIGKILL to every process that the session may signal.
    KillAll,
}

fn result(is_reached: bool, reached: &str, blocked: &str) -> String {
    if is_reached {
        format!("reached: {reached}")
    } else {
        format!("blocked: {blocked}")
    }
}

pub async fn run(attack: Attack, scenario: &Scenario) -> ProbeResults {
    match attack {
        Attack::Script(script) => try_all_languages(scenario, script).await,
        Attack::Pages => script::run_pages(&scenario.own, &scenario.parameters()).await,
        Attack::CompromisedBrowser => take_over(scenario).await,
        Attack::Traces => leave_and_come_back(scenario).await,
        Attack::Traps => set_traps(scenario).await,
        Attack::KillAll => kill_all(scenario).await,
    }
}

/// Runs a script from each language; an attack that succeeds in one language counts as successful.
async fn try_all_languages(scenario: &Scenario, script: &str) -> ProbeResults {
    // Without isolation, the kernel treats all languages alike.
    let languages: &[&str] = if scenario.level == Level::None {
        &["bash"]
    } else {
        &["bash", "python", "node"]
    };
    let parameters = scenario.parameters();
    let mut results = ProbeResults::new();
    for language in languages {
        for (name, result) in script::run(&scenario.own, language, script, &parameters).await {
            let result = format!("{result} (in {language})");
            let known = results.entry(name).or_insert_with(|| result.clone());
            if known.starts_with("blocked: ") {
                *known = result;
            }
        }
    }
    if script == secrets::SCRIPT {
        let leaks = scenario.leaks();
        results.insert(
            "log".to_owned(),
            result(!leaks.is_empty(), &leaks.join(" "), "no secret is logged"),
        );
    }
    results
}

/// Runs the scripts for code, and keeps the probes that the browser rows name.
async fn take_over(scenario: &Scenario) -> ProbeResults {
    let scripts = [
        secrets::SCRIPT,
        network::SCRIPT,
        resources::PROCESSES,
        files::SCRIPT,
    ];
    let mut results = script::run_in_browser(scenario, &scripts, &scenario.parameters()).await;
    results.retain(|name, _| {
        browser::COMPROMISED_BROWSER_ROWS
            .iter()
            .any(|row| row.has(name))
    });
    results
}

async fn leave_and_come_back(scenario: &Scenario) -> ProbeResults {
    let parameters = scenario.parameters();
    let left = script::run(&scenario.own, "bash", files::LEAVE, &parameters).await;
    scenario.own.delete().await;
    own_dir_removed(scenario).await;
    let next = scenario.client().session().await;
    let mut found = script::run(&next, "bash", files::COME_BACK, &parameters).await;
    for (name, result) in &mut found {
        *result = format!(
            "{result} (left behind: {})",
            left.get(name).map_or("no", String::as_str)
        );
    }
    found
}

/// Waits until nothing of the attacking session is left, after it was deleted.
async fn own_dir_removed(scenario: &Scenario) {
    eventually(Duration::from_secs(20), "the dir is removed", || {
        let is_there = scenario.own_dir.exists();
        std::future::ready(if is_there {
            Err(scenario.own_dir.display().to_string())
        } else {
            Ok(())
        })
    })
    .await;
}

/// Makes the server replace the session's agent-browser daemon: killing a shell at its timeout
/// kills the daemon too.
async fn have_daemon_replaced(scenario: &Scenario) {
    scenario
        .own
        .run_for("bash", "sleep 100", 1)
        .await
        .killed_at(1);
    scenario.own.bash("true").await;
}

async fn set_traps(scenario: &Scenario) -> ProbeResults {
    let mut results = ProbeResults::new();
    let (own, outside) = (
        scenario.own_dir.display(),
        scenario.outside.path().display(),
    );
    let victim = scenario.outside.path().join("own.txt");
    let before = fs::read_to_string(&victim).unwrap();

    // Replaces a file of the daemon with a link at the moment when the server checks it.
    let race = format!(
        "import os, threading, time
def race(until=time.monotonic() + 25):
    while time.monotonic() < until:
        for name in ('s.config', 's.target'):
            try: os.symlink('{outside}/own.txt', f'{own}/a/{{name}}')
            except OSError: pass
threading.Thread(target=race, daemon=True).start()"
    );
    scenario.own.python(&race).await;
    let start = Instant::now();
    while fs::read_to_string(&victim).unwrap() == before
        && start.elapsed() < Duration::from_secs(12)
    {
        have_daemon_replaced(scenario).await;
    }
    let is_written = fs::read_to_string(&victim).unwrap() != before;
    results.insert(
        "daemons_file_is_a_link".into(),
        result(
            is_written,
            "the server wrote through the link",
            "the server did not write",
        ),
    );
    scenario.own.python("import sys; sys.exit(0)").await;

    // Replaces the daemon's dir with a link.
    let replace = format!("mv {own}/a {own}/old; ln -s {outside}/shared {own}/a; ls -l {own}");
    let printed = scenario.own.bash(&replace).await.stdout;
    have_daemon_replaced(scenario).await;
    let is_written = scenario.outside.path().join("shared/s.config").exists()
        || !scenario.outside.path().join("shared/link").exists();
    results.insert(
        "daemons_dir_is_a_link".into(),
        result(is_written, "the server used the link", printed.trim()),
    );

    // Makes the dir hard to remove.
    let canaries = || {
        let names = ["mode", "times", "owner", "attributes"];
        names.map(|name| fs::read_to_string(scenario.outside.path().join("tree").join(name)).ok())
    };
    let canaries_before = canaries();
    let plant = format!(
        "cd {own}/work; ln -s {outside}/tree tree; ln -s / root; ln {outside}/tree/mode hard; mkfifo fifo .python/fifo
         mkdir -p closed/inner; touch closed/inner/file; ln -s {outside}/tree closed/inner/tree; chmod 000 closed/inner closed
         python3 -c \"import os
for _ in range(3000): os.mkdir('d' * 20); os.chdir('d' * 20)\"
         mv .python old; ln -s {outside}/tree .python; cat fifo & echo planted"
    );
    scenario.own.bash(&plant).await;
    let start = Instant::now();
    scenario.own.delete().await;
    own_dir_removed(scenario).await;
    let is_late = start.elapsed() > Duration::from_secs(15);
    results.insert(
        "removing_hangs".into(),
        result(
            is_late,
            "the removal took too long",
            &format!("{:?}", start.elapsed()),
        ),
    );
    let is_harmed = canaries() != canaries_before;
    results.insert(
        "removing_follows_links".into(),
        result(
            is_harmed,
            "files outside were changed or removed",
            "no file outside was changed or removed",
        ),
    );
    results
}

/// Sends SIGKILL to all processes. Skipped without isolation, where it would kill the test itself.
async fn kill_all(scenario: &Scenario) -> ProbeResults {
    let server = scenario.server.pid();
    let running = scenario
        .neighbour
        .bash("for i in 1 2 3 4 5 6; do sleep 0.5; done; echo still here");
    let killing = async {
        for language in ["bash", "python", "node"] {
            let code = match language {
                "bash" => "[ $(id -u) = 0 ] || kill -9 -1",
                "python" => "import os\nos.getuid() and os.kill(-1, 9)",
                _ => "process.getuid() && process.kill(-1, 'SIGKILL')",
            };
            scenario.own.run_for(language, code, 5).await;
        }
    };
    let (run, ()) = tokio::join!(running, killing);
    let lives = nix::sys::signal::kill(Pid::from_raw(server), None).is_ok()
        && scenario.server.pid() == server;
    let neighbour = scenario.neighbour.python("kept").await;
    let is_well = lives && run.stdout == "still here\n" && neighbour.result == "1";
    let why = format!("server alive: {lives}, other session: {run:?}, its kernel: {neighbour:?}");
    ProbeResults::from([(
        "kill_all".to_owned(),
        result(!is_well, &why, "it killed only its own processes"),
    )])
}
