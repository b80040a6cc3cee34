//! What the attacks are tried at, and a server there.

use hearth_test_support::{ServerBuilder, TestServer};

/// One column of the matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// `none` with an open way out, where the attacks have to work: otherwise they would say
    /// nothing of the other columns.
    None,
    /// `default` of a server that is started as root, and gives every session users of its own.
    Root,
    /// `default` of a server that is started as a user without rights, whose code runs as that
    /// user.
    Plain,
}

impl Level {
    pub const ALL: [Self; 3] = [Self::None, Self::Root, Self::Plain];

    /// As the matrix has it.
    pub fn title(self) -> &'static str {
        match self {
            Self::None => "`none`",
            Self::Root => "`default`, as root",
            Self::Plain => "`default`, as a plain user",
        }
    }

    /// A server at this level.
    pub fn server(self) -> ServerBuilder {
        let builder = TestServer::builder();
        match self {
            // The way out is filtered at every level unless that is switched off; without a level
            // nobody has to use it.
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
