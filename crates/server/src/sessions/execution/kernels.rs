//! The start of a session's kernels.

use std::sync::Arc;

use hearth_budget::Budget;
use hearth_contract::Language;
use hearth_runner::{Attachment, Kernel, RunError};
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::task::TaskTracker;
use tracing::{Instrument, Span};

use crate::sandbox::programs::SessionCommands;
use crate::sandbox::session::SessionSandbox;
use crate::sessions::error::SessionError;
use crate::sessions::resources::SessionResources;

/// Starts a kernel that loads what it needs and is not connected to the browser.
pub(in crate::sessions) async fn load_kernel(
    sandbox: &SessionSandbox,
    tasks: &TaskTracker,
    commands: &SessionCommands,
    budget: &Budget,
    language: Language,
) -> Result<Kernel, RunError> {
    let Some(program) = commands.plan_kernel(language) else {
        return Err(RunError::Unable(format!(
            "{} has no kernel",
            language.as_str()
        )));
    };
    Kernel::start(&sandbox.code, tasks, program, budget).await
}

/// Starts a kernel that connects to the browser at once.
pub(in crate::sessions) async fn start_kernel(
    resources: &SessionResources,
    language: Language,
    session_span: &Span,
) -> Result<Kernel, RunError> {
    let loading = load_kernel(
        &resources.sandbox,
        &resources.tasks,
        &resources.commands,
        &resources.budget,
        language,
    );
    // A tab that does not respond would block the kernel when it connects.
    let recovering = resources.browser.recover_unresponsive_tabs();
    let (kernel, ()) = tokio::join!(loading.instrument(session_span.clone()), recovering);
    let kernel = kernel?;
    attach_kernel(resources, &kernel);
    Ok(kernel)
}

/// Lets a loaded kernel connect to the browser at once.
fn attach_kernel(resources: &SessionResources, kernel: &Kernel) {
    kernel.attach(Attachment {
        endpoint: resources.commands.endpoint.url(),
        warm_up: false,
    });
}

/// Provides the next kernel in the background: `successor`, if it has been loaded, or a new one.
/// Holds the turn until the kernel has started, so that the end of the session also waits for it.
pub(in crate::sessions) fn replace_kernel(
    resources: &Arc<SessionResources>,
    language: Language,
    session_span: &Span,
    turn: OwnedSemaphorePermit,
    successor: Option<Kernel>,
) {
    let owned = Arc::clone(resources);
    let span = session_span.clone();
    let replacing = async move {
        // A session that is ending does not need a kernel.
        if owned.interruption.borrow().is_none() {
            let provided = match successor {
                Some(kernel) => {
                    // A tab that does not respond would block the kernel when it connects.
                    owned.browser.recover_unresponsive_tabs().await;
                    attach_kernel(&owned, &kernel);
                    Ok(kernel)
                }
                None => start_kernel(&owned, language, &span).await,
            };
            if let Ok(kernel) = provided {
                owned.kernel_slots.of(language).put_kernel(kernel);
            }
        }
        drop(turn);
    };
    resources
        .tasks
        .spawn(replacing.instrument(session_span.clone()));
}

/// Waits until a kernel of each of `languages` has warmed up.
pub(in crate::sessions) async fn wait_until_warm(
    loaded: &[(Language, Kernel)],
    languages: &[Language],
) -> Result<(), SessionError> {
    for &language in languages {
        let kernel = loaded.iter().find(|(of, _)| *of == language);
        let is_warm = match kernel {
            Some((_, kernel)) => kernel.warmed_up().await,
            None => false,
        };
        if !is_warm {
            return Err(not_warm(&format!("the {}", language.as_str())));
        }
    }
    Ok(())
}

/// Returns the error of a kernel that did not warm up.
pub(in crate::sessions) fn not_warm(kernel: &str) -> SessionError {
    SessionError::ExecutionNotStarted(format!("{kernel} kernel did not become ready"))
}
