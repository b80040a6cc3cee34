//! Waits for the end of a run, for kernels and shells.

use std::time::Duration;

use hearth_sandbox::{Exit, ProcessTree};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::outcome::{Ended, Interruption};
use crate::output::Output;

/// Time limit for a killed tree to end. The response must be sent within one second of the
/// deadline.
const KILL_TIMEOUT: Duration = Duration::from_millis(700);

/// Returns how a run ended after its process exited: normally, or because its tree was killed.
pub(crate) fn evaluate_exit(tree: &ProcessTree, exit: Exit) -> Ended {
    match (exit, tree.kill_reason()) {
        (Exit::Signal(_) | Exit::Lost, Some(reason)) => Ended::Interrupted(Interruption {
            reason: reason.to_owned(),
            exit_code: Exit::Lost.shell_code(),
        }),
        // The process exited before it could be killed.
        (exit, _) => Ended::Exited(exit),
    }
}

/// Waits until no process of the program is left. Reads output in the meantime.
pub(crate) async fn wait_until_all_ended(tree: &ProcessTree, output: &mut Output) -> Option<Exit> {
    let ending = async {
        loop {
            tokio::select! {
                exit = tree.all_ended() => return exit,
                () = output.read() => {}
            }
        }
    };
    timeout(KILL_TIMEOUT, ending).await.ok()
}

/// Waits for an interruption. Cancel safe.
pub(crate) async fn wait_for_interruption(
    interruption: &mut watch::Receiver<Option<Interruption>>,
) -> Interruption {
    match interruption
        .wait_for(Option::is_some)
        .await
        .map(|reason| reason.clone())
    {
        Ok(Some(reason)) => reason,
        // The sender was dropped, so no interruption can arrive.
        Ok(None) | Err(_) => std::future::pending().await,
    }
}
