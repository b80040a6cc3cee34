//! Metrics per team.
//!
//! The label `team` is the name of the team's keys, or the first digits of the digest of a key
//! without a name, as on the operator page. Teams come only from the configured keys, so there are
//! at most as many as keys.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use prometheus_client::encoding::text::encode_registry;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::outcomes::Rejection;
use crate::team::{Team, display_name};

/// The counters of all teams.
#[derive(Debug, Default)]
pub(crate) struct TeamMetrics(Mutex<BTreeMap<Team, Counters>>);

#[derive(Debug, Default)]
struct Counters {
    executions: u64,
    rejected: HashMap<Rejection, u64>,
}

impl TeamMetrics {
    /// Creates the metrics of these teams at 0.
    pub fn add(&self, teams: impl IntoIterator<Item = Team>) {
        let mut known = self.lock();
        for team in teams {
            known.entry(team).or_default();
        }
    }

    /// Counts an execution that has got its turn.
    pub fn execution_started(&self, team: &Team) {
        let mut known = self.lock();
        known.entry(Team::clone(team)).or_default().executions += 1;
    }

    /// Counts a request that was rejected because of a limit.
    pub fn request_rejected(&self, team: &Team, rejection: Rejection) {
        let mut known = self.lock();
        let counters = known.entry(Team::clone(team)).or_default();
        *counters.rejected.entry(rejection).or_default() += 1;
    }

    /// Appends the metrics of the visible teams in `OpenMetrics` text format.
    pub(super) fn encode(
        &self,
        text: &mut String,
        sessions: &HashMap<Team, usize>,
        is_visible: impl Fn(&Team) -> bool,
    ) {
        let current = Family::<[(&str, String); 1], Gauge>::default();
        let executions = Family::<[(&str, String); 1], Counter>::default();
        let rejected = Family::<[(&str, String); 2], Counter>::default();
        for (team, counters) in self.lock().iter().filter(|(team, _)| is_visible(team)) {
            let label = ("team", escape(&display_name(team)));
            let labels = [label.clone()];
            let count = sessions.get(team).copied().unwrap_or(0);
            // Teams with the same label count together.
            current
                .get_or_create(&labels)
                .inc_by(i64::try_from(count).unwrap_or(i64::MAX));
            executions
                .get_or_create(&labels)
                .inc_by(counters.executions);
            for rejection in Rejection::ALL {
                let count = counters.rejected.get(&rejection).copied().unwrap_or(0);
                rejected
                    .get_or_create(&[label.clone(), ("reason", rejection.label().to_owned())])
                    .inc_by(count);
            }
        }
        let mut all = Registry::with_prefix("hearth");
        all.register(
            "team_sessions",
            "Sessions of a team that start or are active",
            current,
        );
        all.register(
            "team_executions",
            "Executions of a team that got their turn",
            executions,
        );
        all.register(
            "team_rejected",
            "Requests of a team that got a 429, by limit",
            rejected,
        );
        // Writing to a string cannot fail.
        let _ = encode_registry(text, &all);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Team, Counters>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Escapes a label value, which the library writes unchanged.
fn escape(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::team::{everybody, named, unnamed};

    fn encoded(metrics: &TeamMetrics, is_visible: impl Fn(&Team) -> bool) -> String {
        let mut text = String::new();
        let sessions = HashMap::from([(named("shop"), 2)]);
        metrics.encode(&mut text, &sessions, is_visible);
        text
    }

    #[test]
    fn every_team_has_its_own_counters() {
        let metrics = TeamMetrics::default();
        let (shop, other) = (named("shop"), unnamed("0123456789abcdef"));
        metrics.add([shop.clone(), other.clone(), named("a \"quoted\\ name")]);
        metrics.execution_started(&shop);
        metrics.request_rejected(&other, Rejection::KeyRate);
        let text = encoded(&metrics, |_| true);
        for line in [
            "hearth_team_sessions{team=\"shop\"} 2",
            "hearth_team_sessions{team=\"key 01234567\"} 0",
            "hearth_team_executions_total{team=\"shop\"} 1",
            "hearth_team_rejected_total{team=\"key 01234567\",reason=\"key_rate\"} 1",
            "hearth_team_rejected_total{team=\"shop\",reason=\"key_rate\"} 0",
            "hearth_team_executions_total{team=\"a \\\"quoted\\\\ name\"} 0",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }

    #[test]
    fn only_visible_teams_are_encoded() {
        let metrics = TeamMetrics::default();
        metrics.add([named("shop"), named("other"), everybody()]);
        let text = encoded(&metrics, |team| *team == named("shop"));
        assert!(text.contains("team=\"shop\""), "{text}");
        assert!(
            !text.contains("other") && !text.contains("everybody"),
            "{text}"
        );
    }
}
