//! Checks that pages find fonts.

use std::fs;
use std::path::Path;

use super::chromium::sudo;
use super::finding::Finding;
use super::fixture::Fixture;
use super::probe::run_probe;

const CHECK: &str = "fonts";

/// The program that lists the fonts of fontconfig, which Chromium also uses.
const FC_LIST: &str = "/usr/bin/fc-list";

/// Debian's directory of TrueType fonts, with one directory per package.
const TRUETYPE: &str = "/usr/share/fonts/truetype";

/// Scripts for which fonts were found.
#[derive(Clone, Copy, Debug)]
enum Fonts {
    /// The result of fontconfig.
    Known { any: bool, cjk: bool, emoji: bool },
    /// The result without fc-list. Only the file of the font that the setup installs was checked.
    Guessed { is_set_up: bool },
}

pub(super) async fn fonts(fixture: &Fixture, is_root: bool) -> Finding {
    evaluate_fonts(bounded(fixture).await, is_root)
}

async fn bounded(fixture: &Fixture) -> Fonts {
    // The fontconfig patterns are any font, Chinese, Japanese, Korean, and emoji by their language
    // tag.
    let patterns = [":", ":lang=zh-cn", ":lang=ja", ":lang=ko", ":lang=und-zsye"];
    let mut found = [false; 5];
    for (pattern, found) in patterns.iter().zip(&mut found) {
        let answer = run_probe(
            &fixture.sandbox.code,
            &fixture.sandbox.dir.work(),
            Path::new(FC_LIST),
            &[pattern, "family"],
        )
        .await;
        match answer {
            Ok(answer) if answer.exit.shell_code() == 0 => {
                *found = !answer.stdout.trim().is_empty();
            }
            _ => {
                return Fonts::Guessed {
                    is_set_up: is_liberation_there(),
                };
            }
        }
    }
    let [any, chinese, japanese, korean, emoji] = found;
    Fonts::Known {
        any,
        cjk: chinese && japanese && korean,
        emoji,
    }
}

fn is_liberation_there() -> bool {
    let dirs = fs::read_dir(TRUETYPE).into_iter().flatten().flatten();
    dirs.map(|dir| dir.path().join("LiberationSans-Regular.ttf"))
        .any(|font| font.exists())
}

fn evaluate_fonts(fonts: Fonts, is_root: bool) -> Finding {
    let install = |packages: &str| format!("run: {}apt-get install -y {packages}", sudo(is_root));
    match fonts {
        Fonts::Known { any: false, .. } | Fonts::Guessed { is_set_up: false } => {
            Finding::failure(CHECK, "no fonts: screenshots and PDFs have no text")
                .fixed_by(install("fonts-liberation"))
        }
        Fonts::Guessed { is_set_up: true } => Finding::ok(
            CHECK,
            "the fonts of the setup are installed; others cannot be checked without fc-list (package fontconfig)",
        ),
        Fonts::Known { cjk, emoji, .. } => {
            let missing = match (cjk, emoji) {
                (true, true) => {
                    return Finding::ok(CHECK, "Latin, Chinese, Japanese, Korean and emoji");
                }
                (false, true) => ("Chinese, Japanese or Korean", "fonts-noto-cjk"),
                (true, false) => ("emoji", "fonts-noto-color-emoji"),
                (false, false) => (
                    "Chinese, Japanese, Korean or emoji",
                    "fonts-noto-cjk fonts-noto-color-emoji",
                ),
            };
            let (scripts, packages) = missing;
            Finding::note(
                CHECK,
                format!("no fonts for {scripts}: pages show boxes instead"),
            )
            .fixed_by(install(packages))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Severity;
    use super::*;

    #[test]
    fn missing_fonts_are_named_with_their_package() {
        let evaluate = |cjk, emoji| {
            evaluate_fonts(
                Fonts::Known {
                    any: true,
                    cjk,
                    emoji,
                },
                true,
            )
        };
        assert_eq!(evaluate(true, true).severity, Severity::Ok);
        assert_eq!(
            evaluate(false, true).fixes,
            ["run: apt-get install -y fonts-noto-cjk"]
        );
        assert_eq!(
            evaluate(true, false).fixes,
            ["run: apt-get install -y fonts-noto-color-emoji"]
        );
        assert_eq!(
            evaluate(false, false).fixes,
            ["run: apt-get install -y fonts-noto-cjk fonts-noto-color-emoji"]
        );
    }

    #[test]
    fn no_font_at_all_fails() {
        for fonts in [
            Fonts::Guessed { is_set_up: false },
            Fonts::Known {
                any: false,
                cjk: false,
                emoji: false,
            },
        ] {
            assert_eq!(
                evaluate_fonts(fonts, false).severity,
                Severity::Failure,
                "{fonts:?}"
            );
        }
    }
}
