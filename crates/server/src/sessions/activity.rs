//! When a session was last used.

use hearth_contract::Language;
use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::clock;

/// What keeps a session from being idle: executions that run or wait, and the end of the last one.
#[derive(Debug)]
pub(super) struct Activity(watch::Sender<Use>);

#[derive(Clone, Copy, Debug)]
pub(super) struct Use {
    /// Executions that run or wait to run.
    pub executions: usize,
    /// When the last one ended, or the session began.
    pub idle_since: Instant,
    /// When the last one started, for people.
    pub last_activity: Timestamp,
    /// In which languages code runs: one execution each at a time.
    runs: [bool; LANGUAGES.len()],
}

const LANGUAGES: [Language; 3] = [Language::Node, Language::Python, Language::Bash];

impl Use {
    /// How many executions run.
    pub fn running(&self) -> usize {
        self.languages().count()
    }

    /// In which languages.
    pub fn languages(&self) -> impl Iterator<Item = Language> {
        LANGUAGES
            .into_iter()
            .zip(self.runs)
            .filter_map(|(language, runs)| runs.then_some(language))
    }

    fn set(&mut self, language: Language, runs: bool) {
        for (known, slot) in LANGUAGES.into_iter().zip(&mut self.runs) {
            if known == language {
                *slot = runs;
            }
        }
    }
}

impl Activity {
    pub fn new(created_at: Timestamp) -> Activity {
        let (idle_since, runs) = (Instant::now(), [false; LANGUAGES.len()]);
        let (sender, _) = watch::channel(Use {
            executions: 0,
            idle_since,
            last_activity: created_at,
            runs,
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

    pub fn last_activity(&self) -> Timestamp {
        self.0.borrow().last_activity
    }

    /// Whether code runs, or waits to.
    pub fn is_busy(&self) -> bool {
        self.0.borrow().executions > 0
    }

    /// To be told of changes.
    pub fn watch(&self) -> watch::Receiver<Use> {
        self.0.subscribe()
    }
}

/// Held by an execution from its arrival to its end.
pub(super) struct ActivityGuard<'a> {
    activity: &'a Activity,
    language: Language,
    has_started: bool,
}

impl ActivityGuard<'_> {
    /// The code starts now.
    pub fn started(&mut self) {
        self.has_started = true;
        self.activity.0.send_modify(|state| {
            state.last_activity = clock::now();
            state.set(self.language, true);
        });
    }
}

impl Drop for ActivityGuard<'_> {
    fn drop(&mut self) {
        self.activity.0.send_modify(|state| {
            if self.has_started {
                state.set(self.language, false);
            }
            state.executions -= 1;
            state.idle_since = Instant::now();
        });
    }
}
