//! The tokens of a cluster's sessions, which every node can derive.
//!
//! A list of sessions contains their links, with tokens. Nodes derive the tokens from the secret of
//! the cluster and the id of the session, so that the store does not contain them.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use uuid::Uuid;

use crate::config::ClusterSecrets;
use crate::token::Token;

/// Separates these authentication codes from others with the same secret.
const DOMAIN: &[u8] = b"hearth tokens v1";

/// The tokens of a session.
#[derive(Debug)]
pub(crate) struct DerivedTokens {
    /// The token in `cdpUrl`.
    pub cdp: Token,
    /// The token in the link that shows the browser.
    pub watch: Token,
    /// The token in the link that also accepts input.
    pub control: Token,
}

/// The secrets from which tokens are derived.
#[derive(Clone, Debug)]
pub(crate) struct TokenKeys(ClusterSecrets);

impl TokenKeys {
    pub fn new(secrets: ClusterSecrets) -> TokenKeys {
        TokenKeys(secrets)
    }

    /// Returns the name of the secret for new sessions, which the store keeps with a session.
    pub fn current(&self) -> i64 {
        name_of(self.0.current())
    }

    /// Returns the tokens of a new session.
    pub fn derive(&self, id: Uuid) -> DerivedTokens {
        tokens(self.0.current(), id)
    }

    /// Returns the tokens of a session whose secret has this name. Returns none if this node does
    /// not know the secret.
    pub fn derive_with(&self, key: i64, id: Uuid) -> Option<DerivedTokens> {
        let secret = self.0.accepted().find(|secret| name_of(secret) == key)?;
        Some(tokens(secret, id))
    }
}

fn tokens(secret: &[u8], id: Uuid) -> DerivedTokens {
    let token = |purpose: &str| {
        let code = code(secret, purpose, id.as_bytes());
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&code[..16]);
        Token::from_bytes(bytes)
    };
    DerivedTokens {
        cdp: token("cdp"),
        watch: token("watch"),
        control: token("control"),
    }
}

/// Returns a number that identifies a secret and does not reveal it.
fn name_of(secret: &[u8]) -> i64 {
    let code = code(secret, "name", &[]);
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&code[..8]);
    i64::from_be_bytes(bytes)
}

/// Returns the authentication code of a purpose and data. No two inputs share a code, because the
/// purposes have no zero byte.
fn code(secret: &[u8], purpose: &str, data: &[u8]) -> [u8; 32] {
    let mut code = Hmac::<Sha256>::new_from_slice(secret).expect("a key may have any length");
    for part in [DOMAIN, b"\0", purpose.as_bytes(), b"\0", data] {
        code.update(part);
    }
    code.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "0123456789abcdef0123456789abcdef";
    const NEW: &str = "fedcba9876543210fedcba9876543210";

    fn keys(text: &str) -> TokenKeys {
        TokenKeys::new(ClusterSecrets::parse(text).expect("valid"))
    }

    fn texts(tokens: &DerivedTokens) -> [&str; 3] {
        [&tokens.cdp, &tokens.watch, &tokens.control].map(Token::as_str)
    }

    #[test]
    fn every_node_derives_the_same_tokens_and_they_differ_by_purpose_and_session() {
        let (one, other) = (keys(OLD), keys(OLD));
        let tokens = one.derive(Uuid::from_u128(1));
        let again = other.derive_with(one.current(), Uuid::from_u128(1));
        assert_eq!(texts(&tokens), texts(&again.expect("the same secret")));
        let of_another = one.derive(Uuid::from_u128(2));
        let mut all = [texts(&tokens), texts(&of_another)].concat();
        assert!(all.iter().all(|token| token.len() == 32));
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 6);
    }

    #[test]
    fn sessions_keep_their_tokens_while_the_secret_changes() {
        let (old, changing, new) = (keys(OLD), keys(&format!("{NEW},{OLD}")), keys(NEW));
        let id = Uuid::from_u128(1);
        let before = old.derive(id);
        let during = changing
            .derive_with(old.current(), id)
            .expect("both are accepted");
        assert_eq!(texts(&before), texts(&during));
        assert_ne!(texts(&changing.derive(id)), texts(&before));
        assert_eq!(texts(&changing.derive(id)), texts(&new.derive(id)));
        assert!(new.derive_with(old.current(), id).is_none());
    }
}
