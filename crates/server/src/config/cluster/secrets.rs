//! The secret that the nodes of a cluster share.

use std::fmt;

/// The minimum size of a secret.
const MIN_BYTES: usize = 32;

/// The secrets of a cluster: the current one and, during a change, the earlier one.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct ClusterSecrets {
    current: String,
    earlier: Option<String>,
}

impl ClusterSecrets {
    /// Parses one secret, or two that are separated by a comma.
    pub fn parse(text: &str) -> Result<ClusterSecrets, String> {
        let secrets: Vec<&str> = text.split(',').map(str::trim).collect();
        if secrets.iter().any(|secret| secret.len() < MIN_BYTES) {
            return Err(format!("a secret has less than {MIN_BYTES} bytes"));
        }
        match secrets[..] {
            [current] => Ok(ClusterSecrets {
                current: current.to_owned(),
                earlier: None,
            }),
            [current, earlier] if current != earlier => Ok(ClusterSecrets {
                current: current.to_owned(),
                earlier: Some(earlier.to_owned()),
            }),
            [_, _] => Err("both secrets are equal".to_owned()),
            _ => Err("there are more than two secrets".to_owned()),
        }
    }

    /// Returns the secret that makes tokens and proofs.
    pub fn current(&self) -> &[u8] {
        self.current.as_bytes()
    }

    /// Returns all accepted secrets, the current one first.
    pub fn accepted(&self) -> impl Iterator<Item = &[u8]> {
        std::iter::once(&self.current)
            .chain(&self.earlier)
            .map(String::as_bytes)
    }
}

impl fmt::Debug for ClusterSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClusterSecrets { .. }")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_or_two_long_secrets_are_accepted() {
        let (new, old) = ("n".repeat(32), "o".repeat(40));
        let one = ClusterSecrets::parse(&new).expect("valid");
        assert_eq!(one.accepted().collect::<Vec<_>>(), [new.as_bytes()]);
        let two = ClusterSecrets::parse(&format!("{new}, {old}\n")).expect("valid");
        assert_eq!(two.current(), new.as_bytes());
        assert_eq!(
            two.accepted().collect::<Vec<_>>(),
            [new.as_bytes(), old.as_bytes()]
        );
        assert!(!format!("{two:?}").contains("nn"));
        for text in [
            String::new(),
            "n".repeat(31),
            format!("{new},"),
            format!("{new},{new}"),
            format!("{new},{old},{}", "x".repeat(32)),
        ] {
            assert!(ClusterSecrets::parse(&text).is_err(), "{text}");
        }
    }
}
