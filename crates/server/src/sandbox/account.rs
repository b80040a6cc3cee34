//! The account of a session's code: the name of its user, and the files in which programs look it
//! up. Some programs do not start if their user has no name.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use hearth_sandbox::PrivateTmp;

const PASSWD: &str = "/etc/passwd";
const GROUP: &str = "/etc/group";

/// The name of users and groups that the machine does not know.
const NEW_NAME: &str = "hearth";

/// The users and groups of the machine.
#[derive(Debug)]
pub(crate) struct Accounts {
    passwd: String,
    group: String,
}

impl Accounts {
    /// Reads the machine's files. Blocks. A file that cannot be read counts as empty.
    pub fn read() -> Accounts {
        let read = |path| {
            let bytes = fs::read(path).unwrap_or_default();
            String::from_utf8_lossy(&bytes).into_owned()
        };
        Accounts {
            passwd: read(PASSWD),
            group: read(GROUP),
        }
    }

    /// Returns the entry of the user `uid` with the group `gid`.
    pub fn account(&self, uid: u32, gid: u32) -> UserEntry<'_> {
        UserEntry {
            accounts: self,
            uid,
            gid,
        }
    }
}

/// A user of the machine, or one that only a session's programs see.
#[derive(Debug)]
pub(crate) struct UserEntry<'a> {
    accounts: &'a Accounts,
    uid: u32,
    gid: u32,
}

impl UserEntry<'_> {
    /// Returns the name of the user.
    pub fn name(&self) -> &str {
        name_of(&self.accounts.passwd, self.uid).unwrap_or(NEW_NAME)
    }

    /// Adds the user and its group, where the machine does not know them, to the files that
    /// programs see. Writes the files into `dir`. Without mounts, programs see the machine's files.
    pub fn add_to(
        &self,
        private_tmp: PrivateTmp,
        dir: &Path,
        home: &Path,
    ) -> io::Result<PrivateTmp> {
        let UserEntry { accounts, uid, gid } = self;
        let mut private_tmp = private_tmp;
        if name_of(&accounts.passwd, *uid).is_none() {
            let line = format!("{NEW_NAME}:x:{uid}:{gid}::{}:/bin/bash", home.display());
            let file = write(dir.join("passwd"), &with_line(&accounts.passwd, &line))?;
            private_tmp = private_tmp.with_file(file, Path::new(PASSWD));
        }
        if name_of(&accounts.group, *gid).is_none() {
            let line = format!("{NEW_NAME}:x:{gid}:");
            let file = write(dir.join("group"), &with_line(&accounts.group, &line))?;
            private_tmp = private_tmp.with_file(file, Path::new(GROUP));
        }
        Ok(private_tmp)
    }
}

/// Returns the name in the first line with `id`, which is the third field of both files
/// (`passwd(5)`, `group(5)`).
fn name_of(file: &str, id: u32) -> Option<&str> {
    file.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, found) = (fields.next()?, fields.nth(1)?);
        (found.parse() == Ok(id)).then_some(name)
    })
}

/// Returns `file` with `line`, and without another line for the same name.
fn with_line(file: &str, line: &str) -> String {
    let is_other = |found: &&str| found.split(':').next() != Some(NEW_NAME);
    let mut lines: Vec<&str> = file.lines().filter(is_other).collect();
    lines.push(line);
    lines.join("\n") + "\n"
}

/// Writes a file that every user can read.
fn write(path: PathBuf, text: &str) -> io::Result<PathBuf> {
    fs::write(&path, text)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644))?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\nhearth:x:999:999::/:/bin/false\nada:x:1000:1000::/home/ada:\n";

    #[test]
    fn users_of_the_machine_keep_their_names() {
        let accounts = Accounts {
            passwd: PASSWD.to_owned(),
            group: String::new(),
        };
        assert_eq!(accounts.account(1000, 1000).name(), "ada");
        assert_eq!(accounts.account(0, 0).name(), "root");
        assert_eq!(accounts.account(60_708, 60_708).name(), "hearth");
    }

    #[test]
    fn a_new_line_replaces_one_with_the_same_name() {
        assert_eq!(
            with_line(PASSWD, "hearth:x:60708:60708::/work:/bin/bash"),
            "root:x:0:0:root:/root:/bin/bash\nada:x:1000:1000::/home/ada:\nhearth:x:60708:60708::/work:/bin/bash\n"
        );
        assert_eq!(with_line("", "hearth:x:1:"), "hearth:x:1:\n");
    }
}
