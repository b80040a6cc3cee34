//! Who calls: API keys and the teams that they stand for.

use std::collections::HashSet;
use std::fmt::Write;
use std::net::IpAddr;
use std::sync::Arc;

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use hearth_contract::ErrorBody;
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

use crate::http::error::ApiError;

/// The team of a caller. Sessions belong to teams; keys of one name are one team.
pub(crate) type Team = Arc<str>;

/// The configured keys. Only their digests are kept.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    teams: Vec<([u8; 32], Team)>,
    /// Of whoever runs the server.
    operator: Option<[u8; 32]>,
}

/// Who looks at the server as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Onlooker {
    /// Whoever runs it; without keys everybody.
    Operator,
    /// A team, which sees what is its own.
    Team(Team),
}

impl Keys {
    /// Reads `key` or `name:key`, comma-separated. A key without a name is a team of its own.
    pub fn parse(text: &str) -> Result<Keys, String> {
        let mut keys = Vec::new();
        let mut seen = HashSet::new();
        for (index, entry) in text
            .split(',')
            .map(str::trim)
            .enumerate()
            .filter(|(_, entry)| !entry.is_empty())
        {
            let position = index + 1;
            let (name, key) = entry
                .split_once(':')
                .map_or((None, entry), |(name, key)| (Some(name.trim()), key.trim()));
            if key.is_empty() || name == Some("") {
                return Err(format!("entry {position} is neither `key` nor `name:key`"));
            }
            // It has to fit into a header as it is. The text itself is a secret and is not shown.
            if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(format!(
                    "the key of entry {position} has characters other than printable ASCII"
                ));
            }
            let digest = digest(key);
            if !seen.insert(digest) {
                return Err(format!("the key of entry {position} is there twice"));
            }
            let team = name.map_or_else(|| anonymous_team(&digest), |name| format!("name:{name}"));
            keys.push((digest, Team::from(team)));
        }
        if keys.is_empty() && !text.trim().is_empty() {
            return Err("there is no key in it".to_owned());
        }
        Ok(Keys {
            teams: keys,
            operator: None,
        })
    }

    /// The same with a key for whoever runs the server.
    pub fn with_operator(self, key: &str) -> Result<Keys, &'static str> {
        let digest = digest(key);
        if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("it has characters other than printable ASCII");
        }
        if self.is_empty() {
            return Err(
                "it is for a server with HEARTH_API_KEYS; without them everybody is its operator",
            );
        }
        if self.teams.iter().any(|(known, _)| *known == digest) {
            return Err(
                "it is one of HEARTH_API_KEYS, too; an operator's key has to be another one",
            );
        }
        Ok(Keys {
            operator: Some(digest),
            ..self
        })
    }

    /// No keys: no authentication.
    pub fn is_empty(&self) -> bool {
        self.teams.is_empty()
    }

    /// Who looks at the server as a whole: an operator, or a team.
    pub fn onlooker(&self, headers: &HeaderMap) -> Result<Onlooker, ApiError> {
        if self.is_empty() {
            return Ok(Onlooker::Operator);
        }
        let token = bearer(headers)?;
        let is_operator = self
            .operator
            .is_some_and(|known| bool::from(known.ct_eq(&digest(token))));
        let team = self.team(token);
        if is_operator {
            return Ok(Onlooker::Operator);
        }
        team.map(Onlooker::Team)
            .ok_or(ApiError::Unauthorized(ErrorBody::invalid_token()))
    }

    /// Whether somebody may read what says nothing of any team. A team may where there is no key
    /// for an operator.
    pub fn admits_to_figures(&self, onlooker: &Onlooker) -> bool {
        *onlooker == Onlooker::Operator || self.operator.is_none()
    }

    /// The caller's team, from the `Authorization` header. Without keys everybody is one team.
    pub fn authenticate(&self, headers: &HeaderMap) -> Result<Team, ApiError> {
        if self.is_empty() {
            return Ok(Team::from(""));
        }
        self.team(bearer(headers)?)
            .ok_or(ApiError::Unauthorized(ErrorBody::invalid_token()))
    }

    /// Looks at every key, and compares digests in constant time, so that the time taken tells
    /// nothing.
    fn team(&self, token: &str) -> Option<Team> {
        let presented = digest(token);
        let mut found = None;
        for (known, team) in &self.teams {
            let equal: Choice = known.ct_eq(&presented);
            if bool::from(equal) {
                found = Some(Arc::clone(team));
            }
        }
        found
    }
}

/// The token of an `Authorization` header.
fn bearer(headers: &HeaderMap) -> Result<&str, ApiError> {
    let header = headers
        .get(AUTHORIZATION)
        .ok_or(ApiError::Unauthorized(ErrorBody::unauthorized()))?;
    let header = header
        .to_str()
        .map_err(|_| ApiError::Unauthorized(ErrorBody::invalid_token()))?
        .trim();
    let (scheme, token) = header.split_once(' ').unwrap_or((header, ""));
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(ApiError::Unauthorized(ErrorBody::unauthorized()));
    }
    let token = token.trim();
    if token.is_empty() {
        Err(ApiError::Unauthorized(ErrorBody::token_missing()))
    } else {
        Ok(token)
    }
}

/// What people call a team.
pub(crate) fn team_name(team: &Team) -> String {
    match team.split_once(':') {
        Some(("name", name)) => name.to_owned(),
        // A key without a name: the first digits of its digest tell it from others.
        Some((_, digest)) => format!("key {}", digest.get(..8).unwrap_or(digest)),
        None => "everybody".to_owned(),
    }
}

fn digest(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

fn anonymous_team(digest: &[u8; 32]) -> String {
    format!("key:{}", hex(digest))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}

/// A random secret that opens one session's browser.
#[derive(Debug)]
pub(crate) struct Token(String);

impl Token {
    /// 128 bits from the system.
    pub fn new() -> Result<Token, getrandom::Error> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes)?;
        Ok(Token(hex(&bytes)))
    }

    /// The text for an address.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What may be written down of it.
    pub fn digest(&self) -> String {
        hex(&digest(&self.0))
    }

    /// Compares in constant time.
    pub fn matches(&self, presented: &str) -> bool {
        self.0.as_bytes().ct_eq(presented.as_bytes()).into()
    }
}

/// Whether one of these digests is that of the presented token. Compares in constant time.
pub(crate) fn is_digest_of(digests: &[String], presented: &str) -> bool {
    let presented = hex(&digest(presented));
    let equal = digests
        .iter()
        .map(|known| known.as_bytes().ct_eq(presented.as_bytes()));
    equal.fold(Choice::from(0), |any, one| any | one).into()
}

/// Whether a `Host` header names this machine itself: `localhost` or a loopback address, with any
/// port.
pub(crate) fn is_loopback_host(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name.eq_ignore_ascii_case("localhost")
        || name
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_loopback_hosts() {
        for host in [
            "localhost",
            "LOCALHOST:3010",
            "127.0.0.1",
            "127.8.9.1:80",
            "[::1]:3010",
            "[::1]",
        ] {
            assert!(is_loopback_host(host), "{host}");
        }
        for host in [
            "",
            "example.com",
            "localhost.example.com:3010",
            "127.0.0.1.nip.io",
            "10.0.0.1",
            "[::2]",
            "[",
            "::1",
        ] {
            assert!(!is_loopback_host(host), "{host}");
        }
    }

    fn team_of(keys: &str, token: &str) -> Option<String> {
        Keys::parse(keys)
            .expect("good keys")
            .team(token)
            .map(|team| team.to_string())
    }

    #[test]
    fn keys_of_one_name_are_one_team_and_nameless_ones_their_own() {
        let keys = "a:one, a:two ,b:three,four,five";
        assert_eq!(team_of(keys, "one"), team_of(keys, "two"));
        assert_ne!(team_of(keys, "one"), team_of(keys, "three"));
        assert_ne!(team_of(keys, "four"), team_of(keys, "five"));
        assert_eq!(team_of(keys, "six"), None);
        assert_eq!(team_of(keys, "a:one"), None);
    }

    #[test]
    fn an_operator_sees_everybody_and_a_team_itself() {
        let with = |key: &str| {
            HeaderMap::from_iter([(AUTHORIZATION, format!("Bearer {key}").parse().expect("one"))])
        };
        let keys = Keys::parse("a:one,two").expect("good keys");
        assert!(keys.admits_to_figures(&keys.onlooker(&with("one")).expect("a team's")));
        let keys = keys.with_operator("boss").expect("a good key");
        assert_eq!(
            keys.onlooker(&with("boss")).expect("known"),
            Onlooker::Operator
        );
        let team = keys.onlooker(&with("one")).expect("known");
        assert_eq!(team, Onlooker::Team("name:a".into()));
        assert!(!keys.admits_to_figures(&team) && keys.admits_to_figures(&Onlooker::Operator));
        assert!(
            keys.onlooker(&with("nobody")).is_err() && keys.onlooker(&HeaderMap::new()).is_err()
        );
        assert!(keys.authenticate(&with("boss")).is_err());
        assert_eq!(
            Keys::default()
                .onlooker(&HeaderMap::new())
                .expect("no keys"),
            Onlooker::Operator
        );
        for (keys, key) in [("", "boss"), ("one", "one"), ("one", "b ss")] {
            assert!(
                Keys::parse(keys)
                    .expect("good keys")
                    .with_operator(key)
                    .is_err(),
                "{key}"
            );
        }
    }

    #[test]
    fn teams_have_names_for_people() {
        let names = [
            ("name:shop", "shop"),
            ("key:0123456789ab", "key 01234567"),
            ("", "everybody"),
        ];
        for (team, name) in names {
            assert_eq!(team_name(&team.into()), name);
        }
    }

    #[test]
    fn bad_lists_are_refused_without_showing_the_key() {
        for text in [
            ":x",
            "a:",
            ",",
            "sec ret",
            "one,one",
            "a:one,b:one",
            "schlüssel",
        ] {
            let error = Keys::parse(text).expect_err(text);
            assert!(!error.contains("one") && !error.contains("sec"), "{error}");
        }
        assert!(Keys::parse("").expect("none").is_empty());
    }
}
