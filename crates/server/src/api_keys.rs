//! API keys, and the teams and the operator that they identify.

use std::collections::HashSet;
use std::sync::Arc;

use subtle::{Choice, ConstantTimeEq};

use crate::request_rate::RequestRate;
use crate::team::{self, Team};
use crate::token::{digest, hex};

/// The configured keys. Only their digests are kept in memory.
#[derive(Debug, Default)]
pub(crate) struct ApiKeys {
    keys: Vec<ApiKey>,
    operator: Option<[u8; 32]>,
}

/// One key of a team.
#[derive(Debug)]
pub(crate) struct ApiKey {
    digest: [u8; 32],
    pub team: Team,
    /// The maximum rate of requests with this key, if there is one.
    pub rate: Option<Arc<RequestRate>>,
}

/// The differences between two sets of keys.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct KeyChanges {
    /// The display name of the team of each new key.
    pub added: Vec<String>,
    pub removed: Vec<String>,
    pub is_operator_changed: bool,
}

impl KeyChanges {
    pub fn is_empty(&self) -> bool {
        *self == KeyChanges::default()
    }
}

/// The identity behind a request for server-wide information.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Principal {
    /// The operator of the server. Without keys, every client is the operator.
    Operator,
    /// A team, which can see only its own sessions.
    Team(Team),
}

impl Principal {
    /// Returns whether this principal may see the sessions of a team.
    pub fn can_see(&self, team: &Team) -> bool {
        match self {
            Principal::Operator => true,
            Principal::Team(own) => own == team,
        }
    }
}

impl ApiKeys {
    /// Parses a comma-separated list of `key` and `name:key`. Each key without a name is a separate
    /// team.
    pub fn parse(text: &str) -> Result<ApiKeys, String> {
        let mut keys = Vec::new();
        let mut seen = HashSet::new();
        for (index, entry) in text
            .split(',')
            .map(trimmed)
            .enumerate()
            .filter(|(_, entry)| !entry.is_empty())
        {
            let position = index + 1;
            let (name, key) = entry.split_once(':').map_or((None, entry), |(name, key)| {
                (Some(trimmed(name)), trimmed(key))
            });
            if key.is_empty() || name == Some("") {
                return Err(format!("entry {position} is neither `key` nor `name:key`"));
            }
            // A key must fit into a header unescaped. Errors never show the key, which is a secret.
            if !is_printable_ascii(key) {
                return Err(format!(
                    "the key of entry {position} contains characters other than printable ASCII"
                ));
            }
            let digest = digest(key);
            if !seen.insert(digest) {
                return Err(format!("the key of entry {position} is a duplicate"));
            }
            let team = name.map_or_else(|| team::unnamed(&hex(&digest)), team::named);
            keys.push(ApiKey {
                digest,
                team,
                rate: None,
            });
        }
        if keys.is_empty() && !text.trim().is_empty() {
            return Err("the list contains no key".to_owned());
        }
        Ok(ApiKeys {
            keys,
            operator: None,
        })
    }

    /// Returns the first key of a list in the format of [`ApiKeys::parse`].
    pub fn first_in(text: &str) -> Option<String> {
        let key = |entry: &str| {
            let key = entry.split_once(':').map_or(entry, |(_, key)| key);
            trimmed(key).to_owned()
        };
        text.split(',')
            .map(|entry| key(trimmed(entry)))
            .find(|key| is_printable_ascii(key) && !key.is_empty())
    }

    /// Adds the operator key.
    pub fn with_operator(self, key: &str) -> Result<ApiKeys, &'static str> {
        let key = trimmed(key);
        let digest = digest(key);
        if key.is_empty() {
            return Err("there is no key");
        }
        if !is_printable_ascii(key) {
            return Err("the key contains characters other than printable ASCII");
        }
        if self.is_empty() {
            return Err(
                "an operator key requires HEARTH_API_KEYS; without API keys every client is an operator",
            );
        }
        if self.keys.iter().any(|known| known.digest == digest) {
            return Err("the key is also in HEARTH_API_KEYS; the operator key must be different");
        }
        Ok(ApiKeys {
            operator: Some(digest),
            ..self
        })
    }

    /// Limits the requests with each key.
    pub fn with_max_rate(mut self, max_per_minute: u64) -> Result<ApiKeys, &'static str> {
        if self.is_empty() {
            return Err("a maximum per key requires HEARTH_API_KEYS");
        }
        for key in &mut self.keys {
            key.rate = Some(Arc::new(RequestRate::new(max_per_minute)));
        }
        Ok(self)
    }

    /// Continues to count the requests with the keys that `earlier` has too, if the maximum is
    /// unchanged.
    pub fn continue_rates_of(&mut self, earlier: &ApiKeys) {
        for key in &mut self.keys {
            let same = earlier.keys.iter().find(|other| other.digest == key.digest);
            let max =
                |rate: &Option<Arc<RequestRate>>| rate.as_ref().map(|rate| rate.max_per_minute());
            if let Some(same) = same.filter(|same| max(&same.rate) == max(&key.rate)) {
                key.rate.clone_from(&same.rate);
            }
        }
    }

    /// Returns the differences to earlier keys.
    pub fn changes_since(&self, earlier: &ApiKeys) -> KeyChanges {
        KeyChanges {
            added: self.names_missing_in(earlier),
            removed: earlier.names_missing_in(self),
            is_operator_changed: self.operator != earlier.operator,
        }
    }

    /// Returns the display name of the team of each key that `other` does not have for this team.
    fn names_missing_in(&self, other: &ApiKeys) -> Vec<String> {
        let is_missing = |key: &&ApiKey| {
            let is_it = |known: &ApiKey| known.digest == key.digest && known.team == key.team;
            !other.keys.iter().any(is_it)
        };
        let missing = self.keys.iter().filter(is_missing);
        missing.map(|key| team::display_name(&key.team)).collect()
    }

    /// Returns whether no keys are configured, which disables authentication.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Returns the teams of all clients. A team with several keys occurs several times.
    pub fn teams(&self) -> Vec<Team> {
        if self.is_empty() {
            return vec![team::everybody()];
        }
        let teams = self.keys.iter().map(|key| Team::clone(&key.team));
        teams.collect()
    }

    /// Returns the principal that presents this key.
    pub fn principal_of(&self, key: &str) -> Option<Principal> {
        let is_operator = self
            .operator
            .is_some_and(|known| bool::from(known.ct_eq(&digest(key))));
        let team = self.find(key).map(|key| Team::clone(&key.team));
        if is_operator {
            return Some(Principal::Operator);
        }
        team.map(Principal::Team)
    }

    /// Returns whether a principal may read the metrics. Teams may read them if no operator key is
    /// configured. Of the metrics per team, a team sees only its own.
    pub fn can_read_metrics(&self, principal: &Principal) -> bool {
        *principal == Principal::Operator || self.operator.is_none()
    }

    /// Returns the key that a client presents, if it belongs to a team.
    ///
    /// Compares the digests of all keys in constant time, so that response times do not reveal
    /// keys.
    pub fn find(&self, key: &str) -> Option<&ApiKey> {
        let presented = digest(key);
        let mut found = None;
        for known in &self.keys {
            let equal: Choice = known.digest.ct_eq(&presented);
            if bool::from(equal) {
                found = Some(known);
            }
        }
        found
    }
}

/// Removes whitespace and byte order marks around a part of a list. Editors write such a mark at
/// the start of a file, and joined files have it in the middle.
fn trimmed(text: &str) -> &str {
    text.trim_matches(|letter: char| letter.is_whitespace() || letter == '\u{feff}')
}

fn is_printable_ascii(key: &str) -> bool {
    key.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn team_of(keys: &str, key: &str) -> Option<String> {
        ApiKeys::parse(keys)
            .expect("valid keys")
            .find(key)
            .map(|key| key.team.to_string())
    }

    #[test]
    fn keys_with_one_name_are_one_team_and_unnamed_keys_are_separate_teams() {
        let keys = "a:one, a:two ,b:three,four,five";
        assert_eq!(team_of(keys, "one"), team_of(keys, "two"));
        assert_ne!(team_of(keys, "one"), team_of(keys, "three"));
        assert_ne!(team_of(keys, "four"), team_of(keys, "five"));
        assert_eq!(team_of(keys, "six"), None);
        assert_eq!(team_of(keys, "a:one"), None);
    }

    #[test]
    fn byte_order_marks_are_no_part_of_keys_and_names() {
        let keys = "\u{feff}a:one, \u{feff}a:\u{feff}two,\u{feff}three";
        assert_eq!(team_of(keys, "one").as_deref(), Some("name:a"));
        assert_eq!(team_of(keys, "two").as_deref(), Some("name:a"));
        assert_eq!(team_of(keys, "three"), team_of("three", "three"));
    }

    #[test]
    fn the_operator_sees_every_team_and_a_team_only_itself() {
        let keys = ApiKeys::parse("a:one,two").expect("valid keys");
        assert!(keys.can_read_metrics(&keys.principal_of("one").expect("known")));
        let keys = keys.with_operator("boss").expect("a valid key");
        assert_eq!(keys.principal_of("boss"), Some(Principal::Operator));
        let team = keys.principal_of("one").expect("known");
        assert_eq!(team, Principal::Team("name:a".into()));
        assert!(!keys.can_read_metrics(&team) && keys.can_read_metrics(&Principal::Operator));
        assert!(team.can_see(&"name:a".into()) && !team.can_see(&"name:b".into()));
        assert!(Principal::Operator.can_see(&"name:b".into()));
        assert_eq!(keys.principal_of("nobody"), None);
        assert!(keys.find("boss").is_none());
        for (keys, key) in [
            ("", "boss"),
            ("one", "one"),
            ("one", "b ss"),
            ("one", "\u{feff}"),
        ] {
            assert!(
                ApiKeys::parse(keys)
                    .expect("valid keys")
                    .with_operator(key)
                    .is_err(),
                "{key}"
            );
        }
    }

    #[test]
    fn every_key_has_its_own_rate_and_a_rate_requires_keys() {
        let keys = ApiKeys::parse("a:one,a:two").expect("valid keys");
        let keys = keys.with_max_rate(1).expect("there are keys");
        let count = |key: &str| keys.find(key)?.rate.as_ref().map(|rate| rate.count());
        for key in ["one", "two"] {
            assert_eq!(count(key), Some(Ok(())), "{key}");
        }
        assert!(matches!(count("one"), Some(Err(_))));
        assert!(ApiKeys::default().with_max_rate(1).is_err());
    }

    #[test]
    fn changes_name_teams_and_kept_keys_keep_their_rate() {
        let parse = |keys: &str, max: u64| {
            let keys = ApiKeys::parse(keys).expect("valid keys");
            keys.with_max_rate(max).expect("there are keys")
        };
        let count = |keys: &ApiKeys, key: &str| {
            let rate = keys.find(key).and_then(|key| key.rate.clone());
            rate.is_some_and(|rate| rate.count().is_ok())
        };
        let earlier = parse("a:one,b:two", 1);
        assert!(count(&earlier, "one"));
        let mut later = parse("a:one,a:three", 1);
        later.continue_rates_of(&earlier);
        assert!(!count(&later, "one") && count(&later, "three"));
        let mut raised = parse("a:one", 2);
        raised.continue_rates_of(&earlier);
        assert!(count(&raised, "one"));
        let changes = later.changes_since(&earlier);
        let expected = KeyChanges {
            added: vec!["a".to_owned()],
            removed: vec!["b".to_owned()],
            is_operator_changed: false,
        };
        assert_eq!(changes, expected);
        assert!(earlier.changes_since(&earlier).is_empty());
        let renamed = parse("shop:one,b:two", 1).changes_since(&earlier);
        assert_eq!(renamed.added, ["shop"]);
        assert_eq!(renamed.removed, ["a"]);
        let with_operator = parse("a:one,b:two", 1).with_operator("boss");
        let changes = with_operator.expect("valid").changes_since(&earlier);
        assert!(changes.is_operator_changed && changes.added.is_empty());
    }

    #[test]
    fn the_teams_include_everybody_without_keys() {
        let keys = ApiKeys::parse("a:one,a:two,b:three").expect("valid keys");
        assert_eq!(keys.teams(), ["name:a", "name:a", "name:b"].map(Team::from));
        assert_eq!(ApiKeys::default().teams(), [team::everybody()]);
    }

    #[test]
    fn bad_lists_are_rejected_without_showing_the_key() {
        for text in [
            ":x",
            "a:",
            ",",
            "sec ret",
            "one,one",
            "a:one,b:one",
            "schlüssel",
        ] {
            let error = ApiKeys::parse(text).expect_err(text);
            assert!(!error.contains("one") && !error.contains("sec"), "{error}");
        }
        assert!(ApiKeys::parse("").expect("none").is_empty());
    }
}
