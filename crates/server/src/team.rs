//! Teams, which own sessions and profiles.

use std::sync::Arc;

/// The identifier of a team. API keys with the same name belong to the same team.
///
/// It is `name:NAME` for a named key, `key:DIGEST` for a key without a name, and empty when no keys
/// are configured. The store saves it in this form.
pub(crate) type Team = Arc<str>;

/// Returns the team of all keys with this name.
pub(crate) fn named(name: &str) -> Team {
    Team::from(format!("name:{name}"))
}

/// Returns the team of one key without a name, given the key's digest in hexadecimal.
pub(crate) fn unnamed(digest: &str) -> Team {
    Team::from(format!("key:{digest}"))
}

/// Returns the team of all clients when no keys are configured.
pub(crate) fn everybody() -> Team {
    Team::from("")
}

/// Returns the name for display.
pub(crate) fn display_name(team: &Team) -> String {
    match team.split_once(':') {
        Some(("name", name)) => name.to_owned(),
        // The first digits of the digest distinguish keys without a name.
        Some((_, digest)) => format!("key {}", digest.get(..8).unwrap_or(digest)),
        None => "everybody".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn teams_have_display_names() {
        let names = [
            ("name:shop", "shop"),
            ("key:0123456789ab", "key 01234567"),
            ("", "everybody"),
        ];
        for (team, name) in names {
            assert_eq!(display_name(&team.into()), name);
        }
    }
}
