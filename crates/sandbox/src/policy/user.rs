//! The user ids of sessions. A session has a *slot*: one user id for its browser, one for its code,
//! and a group that is the code's and that both are in.

use std::fmt;

use crate::policy::sandbox_policy::Ids;

/// The ids that a server may give out: its own first, then two for every slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UserIds {
    first: u32,
    max_sessions: u16,
}

impl UserIds {
    /// From the first to the last id, both included. None when there is no room for a server and
    /// one session, when root is among them, or what the kernel takes for "nobody in particular"
    /// (`user_namespaces(7)`, 65534 and 2³²−1).
    pub fn new(first: u32, last: u32) -> Option<UserIds> {
        const NOBODY: u32 = 65534;
        if first == 0 || last == u32::MAX || (first..=last).contains(&NOBODY) {
            return None;
        }
        let slots = last.checked_sub(first)? / 2;
        (slots > 0).then_some(UserIds {
            first,
            max_sessions: u16::try_from(slots).unwrap_or(u16::MAX),
        })
    }

    /// How many sessions there are ids for.
    pub fn max_sessions(self) -> u16 {
        self.max_sessions
    }

    /// The server's own, as user and as group.
    pub fn server(self) -> u32 {
        self.first
    }

    /// The groups of all sessions, which the server is in: it looks after their dirs.
    pub(crate) fn groups(self) -> Vec<u32> {
        (0..self.max_sessions)
            .filter_map(|index| {
                self.ids(SandboxUser {
                    index,
                    role: UserRole::Code,
                })
            })
            .map(|ids| ids.gid)
            .collect()
    }

    /// Whose id it is, if it is a session's.
    pub(crate) fn index_of(self, uid: u32) -> Option<u16> {
        let index = u16::try_from(uid.checked_sub(self.first + 1)? / 2).ok()?;
        (index < self.max_sessions).then_some(index)
    }

    /// None for a slot that there is not.
    pub(crate) fn ids(self, user: SandboxUser) -> Option<Ids> {
        let SandboxUser { index, role } = user;
        if index >= self.max_sessions {
            return None;
        }
        let browser = self.first + 1 + 2 * u32::from(index);
        let code = browser + 1;
        let uid = match role {
            UserRole::Server => self.first,
            UserRole::Browser => browser,
            UserRole::Code => code,
        };
        Some(Ids { uid, gid: code })
    }
}

impl fmt::Display for UserIds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}-{}",
            self.first,
            self.first + 2 * u32::from(self.max_sessions)
        )
    }
}

/// Whose ids in a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserRole {
    /// The server's user with the session's group: for folders that both members pass through. No
    /// program runs so.
    Server,
    /// The browser.
    Browser,
    /// The session's code.
    Code,
}

/// Under which ids something of a session runs, or whose a folder is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SandboxUser {
    /// Which session's.
    pub index: u16,
    /// Whose of it.
    pub role: UserRole,
}

impl SandboxUser {
    pub(crate) const BYTES: usize = 3;

    pub(crate) fn encode(self) -> [u8; SandboxUser::BYTES] {
        let [low, high] = self.index.to_ne_bytes();
        let role = match self.role {
            UserRole::Server => b'S',
            UserRole::Browser => b'B',
            UserRole::Code => b'C',
        };
        [role, low, high]
    }

    pub(crate) fn decode([role, low, high]: [u8; SandboxUser::BYTES]) -> Option<SandboxUser> {
        let role = match role {
            b'S' => UserRole::Server,
            b'B' => UserRole::Browser,
            b'C' => UserRole::Code,
            _ => return None,
        };
        Some(SandboxUser {
            index: u16::from_ne_bytes([low, high]),
            role,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_slot_has_ids_of_its_own() {
        let ids = UserIds::new(1000, 1006).expect("room for three");
        assert_eq!(ids.max_sessions(), 3);
        let of = |index, role| ids.ids(SandboxUser { index, role });
        assert_eq!(
            of(0, UserRole::Browser),
            Some(Ids {
                uid: 1001,
                gid: 1002
            })
        );
        assert_eq!(
            of(0, UserRole::Code),
            Some(Ids {
                uid: 1002,
                gid: 1002
            })
        );
        assert_eq!(
            of(2, UserRole::Code),
            Some(Ids {
                uid: 1006,
                gid: 1006
            })
        );
        assert_eq!(
            of(2, UserRole::Server),
            Some(Ids {
                uid: 1000,
                gid: 1006
            })
        );
        assert_eq!(of(3, UserRole::Code), None);
        let slots = (999..1009).map(|uid| ids.index_of(uid)).collect::<Vec<_>>();
        assert_eq!(
            slots,
            [
                None,
                None,
                Some(0),
                Some(0),
                Some(1),
                Some(1),
                Some(2),
                Some(2),
                None,
                None
            ]
        );
        assert_eq!(ids.to_string(), "1000-1006");
    }

    #[test]
    fn root_and_nobody_are_given_to_no_session() {
        for (first, last) in [
            (0, 100),
            (65_000, 66_000),
            (5, 5),
            (5, 6),
            (9, 3),
            (10, u32::MAX),
        ] {
            assert_eq!(
                UserIds::new(first, last).map(UserIds::max_sessions),
                None,
                "{first}-{last}"
            );
        }
    }

    #[test]
    fn an_identity_survives_the_wire() {
        for role in [UserRole::Server, UserRole::Browser, UserRole::Code] {
            let user = SandboxUser { index: 513, role };
            assert_eq!(SandboxUser::decode(user.encode()), Some(user));
        }
        assert_eq!(SandboxUser::decode(*b"?xx"), None);
    }
}
