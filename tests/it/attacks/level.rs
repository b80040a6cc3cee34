//! The isolation levels at which attacks run, and a server for each.

use hearth_test_support::{ServerBuilder, TestServer};

/// A column of the matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// `none` with unrestricted egress. The attacks must succeed here; otherwise the other columns
    /// would prove nothing.
    None,
    /// `default` on a server started as root, which gives every session separate users.
    Root,
    /// `default` on a server started as an unprivileged user, whose code runs as that user.
    Plain,
}

impl Level {
    pub const ALL: [Self; 3] = [Self::None, Self::Root, Self::Plain];

    /// Returns the title of the matrix column.
    pub fn title(self) -> &'static str {
        match self {
            Self::None => "`none`",
            Self::Root => "`default`, as root",
            Self::Plain => "`default`, as a plain user",
        }
    }

    /// Returns a builder for a server at this level.
    pub fn server(self) -> ServerBuilder {
        let builder = TestServer::builder();
        match self {
            // Egress is filtered at every level unless a setting disables it, but without isolation
            // code can bypass the proxy.
            Self::None => {
                let open = builder
                    .setting("HEARTH_ISOLATION", "none")
                    .setting("HEARTH_EGRESS", "open");
                open.setting("HEARTH_EGRESS_ALLOW_METADATA", "true")
            }
            Self::Root => builder.setting("HEARTH_ISOLATION", "default"),
            Self::Plain => builder
                .setting("HEARTH_ISOLATION", "default")
                .as_plain_user(),
        }
    }
}
