//! The secrets of a session.

use crate::cluster::DerivedTokens;
use crate::token::Token;

/// The tokens that grant access to a session's browser and its live view.
#[derive(Debug)]
pub(super) struct Tokens {
    /// The token in `cdpUrl`.
    pub public: Token,
    /// The tokens in the links of the live view, unless the session was created without one.
    pub live_view: Option<LiveViewTokens>,
}

impl Tokens {
    /// Creates random tokens.
    pub fn new(with_live_view: bool) -> Result<Tokens, getrandom::Error> {
        Ok(Tokens {
            live_view: with_live_view.then(LiveViewTokens::new).transpose()?,
            public: Token::new()?,
        })
    }

    /// Returns the tokens of a cluster's session, which every node can derive.
    pub fn derived(derived: DerivedTokens, with_live_view: bool) -> Tokens {
        let DerivedTokens {
            cdp,
            watch,
            control,
        } = derived;
        Tokens {
            live_view: with_live_view.then_some(LiveViewTokens { watch, control }),
            public: cdp,
        }
    }
}

/// The tokens of the live view's two links.
#[derive(Debug)]
pub(crate) struct LiveViewTokens {
    /// The token in the link that shows the browser.
    pub watch: Token,
    /// The token in the link that also accepts input.
    pub control: Token,
}

impl LiveViewTokens {
    fn new() -> Result<LiveViewTokens, getrandom::Error> {
        Ok(LiveViewTokens {
            watch: Token::new()?,
            control: Token::new()?,
        })
    }
}
