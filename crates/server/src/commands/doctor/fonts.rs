//! Whether pages find letters to draw.

use std::fs;
use std::path::Path;

use super::ask::ask;
use super::chromium::sudo;
use super::finding::Finding;
use super::trial::Trial;

const CHECK: &str = "fonts";

/// Lists what fontconfig finds, which is where Chromium looks, too.
const FC_LIST: &str = "/usr/bin/fc-list";

/// Where Debian has the fonts that the set-up installs, in a folder of its own.
const TRUETYPE: &str = "/usr/share/fonts/truetype";

/// What was found of the scripts that pages are written in.
#[derive(Clone, Copy, Debug)]
enum Fonts {
    /// fontconfig was asked.
    Known { any: bool, cjk: bool, emoji: bool },
    /// There is no fc-list; only the set-up's own font was looked for.
    Guessed { is_set_up: bool },
}

pub(super) async fn fonts(trial: &Trial, is_root: bool) -> Finding {
    judge_fonts(look(trial).await, is_root)
}

async fn look(trial: &Trial) -> Fonts {
    // Patterns of fontconfig: everything, Chinese and Japanese and Korean, emoji by their own
    // language tag.
    let patterns = [":", ":lang=zh-cn", ":lang=ja", ":lang=ko", ":lang=und-zsye"];
    let mut found = [false; 5];
    for (pattern, found) in patterns.iter().zip(&mut found) {
        let answer = ask(
            &trial.enclosure.code,
            &trial.enclosure.folder.work(),
            Path::new(FC_LIST),
            &[pattern, "family"],
        )
        .await;
        match answer {
            Ok(answer) if answer.exit.shell_code() == 0 => {
                *found = !answer.stdout.trim().is_empty()
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
    let folders = fs::read_dir(TRUETYPE).into_iter().flatten().flatten();
    folders
        .map(|folder| folder.path().join("LiberationSans-Regular.ttf"))
        .any(|font| font.exists())
}

fn judge_fonts(fonts: Fonts, is_root: bool) -> Finding {
    let install = |packages: &str| format!("run: {}apt-get install -y {packages}", sudo(is_root));
    match fonts {
        Fonts::Known { any: false, .. } | Fonts::Guessed { is_set_up: false } => {
            Finding::failure(CHECK, "there are none: screenshots and PDFs have no text")
                .mended_by(install("fonts-liberation"))
        }
        Fonts::Guessed { is_set_up: true } => Finding::fine(
            CHECK,
            "the set-up's are there; others cannot be told without fc-list (package fontconfig)",
        ),
        Fonts::Known { cjk, emoji, .. } => {
            let missing = match (cjk, emoji) {
                (true, true) => {
                    return Finding::fine(CHECK, "Latin, Chinese, Japanese, Korean and emoji");
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
                format!("none for {scripts}: pages show boxes in their place"),
            )
            .mended_by(install(packages))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Verdict;
    use super::*;

    #[test]
    fn what_is_missing_is_named_with_its_package() {
        let judge = |cjk, emoji| {
            judge_fonts(
                Fonts::Known {
                    any: true,
                    cjk,
                    emoji,
                },
                true,
            )
        };
        assert_eq!(judge(true, true).verdict, Verdict::Fine);
        assert_eq!(
            judge(false, true).mends,
            ["run: apt-get install -y fonts-noto-cjk"]
        );
        assert_eq!(
            judge(true, false).mends,
            ["run: apt-get install -y fonts-noto-color-emoji"]
        );
        assert_eq!(
            judge(false, false).mends,
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
                judge_fonts(fonts, false).verdict,
                Verdict::Failure,
                "{fonts:?}"
            );
        }
    }
}
