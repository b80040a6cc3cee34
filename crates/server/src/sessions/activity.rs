//! The activity of a session, which determines when it counts as idle.

use hearth_contract::Language;
use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::clock;

/// The executions of a session, running and waiting, and the end of the last one.
#[derive(Debug)]
pub(super) struct Activity(watch::Sender<ActivityState>);

#[derive(Clone, Copy, Debug)]
pub(super) struct ActivityState {
    /// The number of executions that run or wait.
    pub executions: usize,
    /// The end of the last execution, or the creation of the session.
    pub idle_since: Instant,
    /// The start of the last execution, as wall-clock time.
    pub last_activity: Timestamp,
    /// The start of the code that runs in each language, which runs one execution at a time.
    running: [Option<Instant>; LANGUAGES.len()],
}

const LANGUAGES: [Language; 3] = [Language::Node, Language::Python, Language::Bash];

impl ActivityState {
    /// Returns the number of running executions.
    pub fn running(&self) -> usize {
        self.languages().count()
    }

    /// Returns the languages in which code runs.
    pub fn languages(&self) -> impl Iterator<Item = Language> {
        LANGUAGES
            .into_iter()
            .zip(self.running)
            .filter_map(|(language, since)| since.map(|_| language))
    }

    /// Returns the start of the running execution that started first.
    pub fn running_since(&self) -> Option<Instant> {
        self.running.iter().flatten().min().copied()
    }

    fn set_running(&mut self, language: Language, since: Option<Instant>) {
        for (known, running) in LANGUAGES.into_iter().zip(&mut self.running) {
            if known == language {
                *running = since;
            }
        }
    }
}

impl Activity {
    pub fn new(created_at: Timestamp) -> Activity {
        let (sender, _) = watch::channel(ActivityState {
            executions: 0,
            idle_since: Instant::now(),
            last_activity: created_at,
            running: [None; LANGUAGES.len()],
        });
        Activity(sender)
    }

    /// Stops the idle clock until the guard is dropped.
    pub fn begin(&self, language: Language) -> ActivityGuard<'_> {
        self.0.send_modify(|state| state.executions += 1);
        ActivityGuard {
            activity: self,
            language,
            has_started: false,
        }
    }

    /// Starts the idle clock again.
    pub fn touch(&self) {
        self.0
            .send_modify(|state| state.idle_since = Instant::now());
    }

    pub fn last_activity(&self) -> Timestamp {
        self.0.borrow().last_activity
    }

    /// Returns true if code runs or waits to run.
    pub fn is_busy(&self) -> bool {
        self.0.borrow().executions > 0
    }

    /// Returns a receiver of all changes.
    pub fn watch(&self) -> watch::Receiver<ActivityState> {
        self.0.subscribe()
    }
}

/// A guard that an execution holds from its arrival to its end.
pub(super) struct ActivityGuard<'a> {
    activity: &'a Activity,
    language: Language,
    has_started: bool,
}

impl ActivityGuard<'_> {
    /// Records that the code starts now.
    pub fn start(&mut self) {
        self.has_started = true;
        self.activity.0.send_modify(|state| {
            state.last_activity = clock::now();
            state.set_running(self.language, Some(Instant::now()));
        });
    }
}

impl Drop for ActivityGuard<'_> {
    fn drop(&mut self) {
        self.activity.0.send_modify(|state| {
            if self.has_started {
                state.set_running(self.language, None);
            }
            state.executions -= 1;
            state.idle_since = Instant::now();
        });
    }
}
