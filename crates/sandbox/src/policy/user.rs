//! The user ids of sessions.
//!
//! A session has two user ids, one for its browser and one for its code, and one group that both
//! belong to. The group id is the code's user id. Sessions are numbered by an index from 0.

use std::fmt;
use std::io;

use nix::sys::stat::{Mode, umask};
use nix::unistd::{Gid, Uid, setgroups, setresgid, setresuid};

/// The range of ids of a server: first its own, then two for each session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UserIds {
    first: u32,
    max_sessions: u16,
}

impl UserIds {
    /// Creates the range from `first` to `last`, inclusive.
    ///
    /// Returns None if the range is too small for a server and one session, or if it contains root
    /// or an id that the kernel uses for unmapped users (65534 and 2³²−1, `user_namespaces(7)`).
    pub fn new(first: u32, last: u32) -> Option<UserIds> {
        const NOBODY: u32 = 65534;
        if first == 0 || last == u32::MAX || (first..=last).contains(&NOBODY) {
            return None;
        }
        let sessions = last.checked_sub(first)? / 2;
        (sessions > 0).then_some(UserIds {
            first,
            max_sessions: u16::try_from(sessions).unwrap_or(u16::MAX),
        })
    }

    /// Returns the number of sessions that the range has ids for.
    pub fn max_sessions(self) -> u16 {
        self.max_sessions
    }

    /// Returns true if `uid` is the id of the server or of a session.
    pub fn contains(self, uid: u32) -> bool {
        let count = 1 + 2 * u32::from(self.max_sessions);
        uid.checked_sub(self.first)
            .is_some_and(|offset| offset < count)
    }

    /// Returns the server's own user and group id.
    pub fn server(self) -> u32 {
        self.first
    }

    /// Returns the user id of the code of the session with `index`, which is also the id of the
    /// session's group. Returns None if the index is out of range.
    pub fn code(self, index: u16) -> Option<u32> {
        let role = UserRole::Code;
        self.ids(SandboxUser { index, role }).map(|ids| ids.uid)
    }

    /// Returns the groups of all sessions. The server belongs to them to manage session
    /// directories.
    pub(crate) fn groups(self) -> Vec<u32> {
        (0..self.max_sessions)
            .filter_map(|index| self.code(index))
            .collect()
    }

    /// Returns the index of the session that `uid` belongs to.
    pub(crate) fn index_of(self, uid: u32) -> Option<u16> {
        let index = u16::try_from(uid.checked_sub(self.first + 1)? / 2).ok()?;
        (index < self.max_sessions).then_some(index)
    }

    /// Returns the ids of `user`, or None if its index is out of range.
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

/// A role within a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserRole {
    /// The server's user with the session's group. It owns directories that both users of the
    /// session traverse. Programs never run as this user.
    Server,
    /// The browser.
    Browser,
    /// The session's code.
    Code,
}

/// A user of a session: programs run as it and own files as it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SandboxUser {
    /// The index of the session.
    pub index: u16,
    /// The role in the session.
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

/// A user id and a group id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ids {
    pub uid: u32,
    pub gid: u32,
}

/// Changes the user and group of this process permanently, and sets its supplementary groups.
pub(crate) fn drop_privileges(ids: Ids, groups: &[u32]) -> io::Result<()> {
    let (uid, gid) = (Uid::from_raw(ids.uid), Gid::from_raw(ids.gid));
    let groups: Vec<Gid> = groups.iter().copied().map(Gid::from_raw).collect();
    setgroups(&groups)?;
    setresgid(gid, gid, gid)?;
    setresuid(uid, uid, uid)?;
    Ok(())
}

/// Sets the mask of permissions that new files do not get (`umask(2)`).
pub(crate) fn set_umask(mask: u32) {
    umask(Mode::from_bits_truncate(mask));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_session_has_separate_ids() {
        let ids = UserIds::new(1000, 1006).expect("three sessions fit");
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
        let indexes = (999..1009).map(|uid| ids.index_of(uid)).collect::<Vec<_>>();
        assert_eq!(
            indexes,
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
    fn ranges_with_root_or_nobody_are_rejected() {
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
    fn users_round_trip() {
        for role in [UserRole::Server, UserRole::Browser, UserRole::Code] {
            let user = SandboxUser { index: 513, role };
            assert_eq!(SandboxUser::decode(user.encode()), Some(user));
        }
        assert_eq!(SandboxUser::decode(*b"?xx"), None);
    }
}
