//! Code whose output proves which request and which session it belongs to.

use super::dice::Dice;

pub const LANGUAGES: [&str; 3] = ["node", "python", "bash"];

/// The file in which a session keeps its mark.
const FILE: &str = "mark";

/// The prefix of all marks. The digits after it identify one session of the run.
const PREFIX: &str = "soak-";
const MARK_LENGTH: usize = PREFIX.len() + 2 + 1 + 5;

/// Returns the mark of a client's session. All marks have the same length.
pub fn mark(client: usize, session: usize) -> String {
    format!("{PREFIX}{client:02}-{session:05}")
}

/// Returns the mark of another session that `text` contains.
pub fn foreign_mark<'a>(text: &'a str, own: &str) -> Option<&'a str> {
    text.match_indices(PREFIX)
        .filter_map(|(at, _)| text.get(at..at + MARK_LENGTH))
        .find(|found| *found != own && found.as_bytes()[PREFIX.len()].is_ascii_digit())
}

/// Code with the output that it must have.
#[derive(Debug)]
pub struct Piece {
    pub language: &'static str,
    pub code: String,
    pub stdout: String,
    pub result: String,
}

impl Piece {
    /// Writes the session's mark to a file.
    pub fn first(language: &'static str, mark: &str, nonce: &str) -> Piece {
        let code = match language {
            "node" => format!(
                "const fs = require('node:fs'); fs.writeFileSync('{FILE}', '{mark}');
                 if (fs.readFileSync('{FILE}', 'utf8') !== '{mark}') throw new Error('not written'); console.log('{nonce}'); '{nonce}'"
            ),
            "python" => format!(
                "with open('{FILE}', 'w') as file: file.write('{mark}')\nassert open('{FILE}').read() == '{mark}'\nprint('{nonce}')\n'{nonce}'"
            ),
            _ => format!(
                "printf %s {mark} > {FILE}; [ \"$(cat {FILE})\" = {mark} ] || exit 9; echo {nonce}"
            ),
        };
        Piece {
            language,
            code,
            stdout: format!("{nonce}\n"),
            result: nonce.to_owned(),
        }
    }

    /// Prints the nonce, some text, and the mark from the session's file.
    pub fn plain(language: &'static str, mark: &str, nonce: &str, dice: &mut Dice) -> Piece {
        let repeats = *dice.pick(&[1, 1, 40, 4000]);
        let leaves_children = dice.chance(30);
        let text = format!("{nonce}.").repeat(repeats);
        let code = match language {
            "node" => format!(
                "{}console.log('{nonce}.'.repeat({repeats})); console.log(require('node:fs').readFileSync('{FILE}', 'utf8')); '{nonce}'",
                if leaves_children {
                    "require('node:child_process').spawn('sleep', ['300'], {detached: true}); "
                } else {
                    ""
                }
            ),
            "python" => format!(
                "{}print('{nonce}.' * {repeats})\nprint(open('{FILE}').read())\n'{nonce}'",
                if leaves_children {
                    "import subprocess\nsubprocess.Popen(['sleep', '300'], start_new_session=True)\n"
                } else {
                    ""
                }
            ),
            _ => format!(
                "{}for i in $(seq {repeats}); do printf %s {nonce}.; done; echo; cat {FILE}; echo",
                if leaves_children {
                    "(setsid sh -c 'sleep 300 & exec sleep 301' >/dev/null 2>&1 &); "
                } else {
                    ""
                }
            ),
        };
        let stdout = format!("{text}\n{mark}\n");
        let result = if language == "bash" {
            stdout.trim_end().to_owned()
        } else {
            nonce.to_owned()
        };
        Piece {
            language,
            code,
            stdout,
            result,
        }
    }

    /// Opens a page that has the mark as its title, and prints the nonce and the title.
    pub fn page(language: &'static str, mark: &str, nonce: &str, url: &str) -> Piece {
        let code = match language {
            "node" => format!(
                "await page.goto('{url}'); console.log('{nonce}'); console.log(await page.title()); '{nonce}'"
            ),
            "python" => format!(
                "_ = await page.goto('{url}')\nprint('{nonce}')\nprint(await page.title())\n'{nonce}'"
            ),
            _ => format!(
                "agent-browser open '{url}' >/dev/null || exit 8; echo {nonce}; agent-browser get title"
            ),
        };
        let stdout = format!("{nonce}\n{mark}\n");
        let result = if language == "bash" {
            stdout.trim_end().to_owned()
        } else {
            nonce.to_owned()
        };
        Piece {
            language,
            code,
            stdout,
            result,
        }
    }

    /// Downloads a file and prints its size and its beginning.
    pub fn download(nonce: &str, url: &str, content: &str) -> Piece {
        let head: String = content.chars().take(64).collect();
        let result = format!("{}:{head}", content.len());
        Piece {
            language: "node",
            code: format!(
                "const coming_{id} = page.waitForEvent('download'); await page.goto('{url}').catch(() => {{}});
                 const text_{id} = require('node:fs').readFileSync(await (await coming_{id}).path(), 'utf8');
                 console.log('{nonce}'); `${{text_{id}.length}}:${{text_{id}.slice(0, 64)}}`",
                id = nonce.replace('-', "_"),
            ),
            stdout: format!("{nonce}\n"),
            result,
        }
    }

    /// Runs until it is killed.
    pub fn endless(language: &'static str, nonce: &str) -> Piece {
        let code = match language {
            "node" => {
                format!("console.log('{nonce}'); await new Promise(() => {{}})")
            }
            "python" => {
                format!("import subprocess\nprint('{nonce}')\nsubprocess.run(['sleep', '400'])")
            }
            _ => format!("echo {nonce}; setsid -f sleep 401; sleep 402"),
        };
        Piece {
            language,
            code,
            stdout: format!("{nonce}\n"),
            result: String::new(),
        }
    }
}

#[test]
fn foreign_marks_are_found_and_own_ones_are_not() {
    let own = mark(3, 17);
    assert_eq!(own.len(), MARK_LENGTH);
    assert_eq!(foreign_mark(&format!("{own}-e1 {own}"), &own), None);
    assert_eq!(
        foreign_mark(&format!("{own} soak-03-00018-e1"), &own),
        Some("soak-03-00018")
    );
    assert_eq!(foreign_mark("soak-", &own), None);
}
