//! The code of `hearth exec`: an argument, a file, or stdin.

use std::fs;
use std::io::Read;
use std::path::Path;

use clap::ValueEnum;

use super::error::ClientError;

/// The maximum size of code that is read. The server has a smaller one, in characters.
const MAX_BYTES: u64 = 10_000_000;

/// A language of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Language {
    Node,
    Python,
    Bash,
}

impl Language {
    /// Returns the name in requests.
    pub fn as_str(self) -> &'static str {
        match self {
            Language::Node => "node",
            Language::Python => "python",
            Language::Bash => "bash",
        }
    }

    /// Returns the language of files with this name, if it is known.
    fn of_file(name: &str) -> Option<Language> {
        match Path::new(name).extension()?.to_str()? {
            "js" | "mjs" | "cjs" => Some(Language::Node),
            "py" => Some(Language::Python),
            "sh" | "bash" => Some(Language::Bash),
            _ => None,
        }
    }
}

/// Code, with the language of its file if there is one.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Code {
    pub text: String,
    pub language: Option<Language>,
}

/// Returns true for an argument that can only be the name of a file.
fn is_file_name(argument: &str) -> bool {
    let is_plain = |c: char| c.is_alphanumeric() || "/._-".contains(c);
    Language::of_file(argument).is_some() && argument.chars().all(is_plain)
}

/// Returns the code that an argument means: `-` is stdin, the name of an existing file its content,
/// and everything else the code itself.
pub(super) fn read_code(argument: &str) -> Result<Code, ClientError> {
    let failed = |name: &str, error: std::io::Error| {
        ClientError::new(format!("read {name}"), error.to_string())
    };
    if argument == "-" {
        let text = limited(std::io::stdin()).map_err(|error| failed("stdin", error))?;
        return Ok(Code {
            text,
            language: None,
        });
    }
    // Long code is not a path, so an error of `metadata` says nothing about a file.
    let is_file = fs::metadata(argument).is_ok_and(|file| !file.is_dir());
    if !is_file && !is_file_name(argument) {
        return Ok(Code {
            text: argument.to_owned(),
            language: None,
        });
    }
    let text = fs::File::open(argument)
        .and_then(limited)
        .map_err(|error| {
            failed(argument, error)
                .fixed_by("name an existing file, or give code that is not a file name")
        })?;
    Ok(Code {
        text,
        language: Language::of_file(argument),
    })
}

fn limited(source: impl Read) -> std::io::Result<String> {
    let mut text = String::new();
    source.take(MAX_BYTES + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_BYTES {
        return Err(std::io::Error::other("it has more than 10,000,000 bytes"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_argument_is_a_file_or_code() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        for (name, language) in [
            ("a.py", Some(Language::Python)),
            ("b.mjs", Some(Language::Node)),
            ("c.sh", Some(Language::Bash)),
            ("noext", None),
        ] {
            let path = dir.path().join(name);
            fs::write(&path, "1 + 1").expect("written");
            let code = read_code(&path.to_string_lossy()).expect("readable");
            assert_eq!((&*code.text, code.language), ("1 + 1", language));
        }
        for text in [
            "1 + 1",
            "page.title()",
            "await page.title()",
            "a\nb.py",
            "ls -l x.sh",
        ] {
            let code = read_code(text).expect("code");
            assert_eq!((&*code.text, code.language), (text, None));
        }
        let long = "x".repeat(100_000);
        assert_eq!(read_code(&long).expect("code").text, long);
        for missing in ["/nowhere/a.py", "missing-file.js"] {
            let error = read_code(missing).expect_err("no file");
            assert!(
                error
                    .to_string()
                    .starts_with(&format!("cannot read {missing}: ")),
                "{error}"
            );
        }
    }
}
