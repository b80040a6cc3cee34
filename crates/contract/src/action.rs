//! The actions of a scrape: steps that are performed in the page before it is read.

use serde::{Deserialize, Serialize};

use crate::body::{Field, Fields};
use crate::field::{IssueCollector, type_name};
use crate::issue::{Issue, Path};
use crate::scrape_fields::MAX_ACTIONS;

/// The maximum time that `waitFor` and all waits of actions take together, in milliseconds. A wait
/// for an element counts as one second.
pub(crate) const MAX_WAIT_MS: u64 = 60_000;

/// The maximum length of a CSS selector, in Unicode code points.
pub(crate) const MAX_SELECTOR_CHARS: usize = 10_000;

const MAX_TEXT_CHARS: usize = 100_000;
const MAX_KEY_CHARS: usize = 100;

const TYPES: &[&str] = &[
    "wait",
    "click",
    "screenshot",
    "write",
    "press",
    "scroll",
    "scrape",
    "executeJavascript",
    "pdf",
];

const TOO_MANY: &str = "Number of actions cannot exceed 50";
pub(crate) const TOO_LONG: &str =
    "Total wait time (waitFor + wait actions) cannot exceed 60 seconds";

/// A step in a page.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase")]
pub enum Action {
    /// Waits for a fixed time.
    Wait {
        /// At least 1. All waits of a request together take at most a minute.
        milliseconds: u32,
    },
    /// Waits until an element is visible.
    WaitFor {
        /// A CSS selector.
        selector: String,
    },
    /// Clicks an element.
    Click {
        /// A CSS selector.
        selector: String,
        /// Clicks every element that matches, instead of the first one.
        all: bool,
    },
    /// Types a text into the focused element.
    Write {
        /// The text.
        text: String,
    },
    /// Presses a key.
    Press {
        /// The name of the key, such as `Enter` or `Control+A`.
        key: String,
    },
    /// Scrolls by one screen.
    Scroll {
        /// The direction.
        direction: Direction,
        /// The element that is scrolled, instead of the page.
        selector: Option<String>,
    },
    /// Takes a picture.
    Screenshot(Screenshot),
    /// Runs a script in the page.
    ExecuteJavascript {
        /// The body of an asynchronous function.
        script: String,
    },
    /// Reads the HTML of the page.
    Scrape,
    /// Prints the page.
    Pdf(Pdf),
}

/// The direction of a scroll.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Direction {
    Up,
    Down,
}

/// The options of a picture.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Screenshot {
    /// Shows the whole page instead of the viewport.
    pub full_page: bool,
    /// Makes it a JPEG of this quality, 1..=100. Without it, it is a PNG.
    pub quality: Option<u32>,
    /// The size of the viewport for the picture.
    pub viewport: Option<Viewport>,
}

/// The size of a viewport in CSS pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Viewport {
    /// 1..=7680.
    pub width: u32,
    /// 1..=4320.
    pub height: u32,
}

/// The options of a printed page.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pdf {
    /// Prints on the long side.
    pub landscape: bool,
    /// The scale of the page, 0.1..=2.
    pub scale: f64,
    /// The paper.
    pub paper: Paper,
}

/// The size of paper.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names of paper sizes")]
pub enum Paper {
    A0,
    A1,
    A2,
    A3,
    A4,
    A5,
    A6,
    Letter,
    Legal,
    Tabloid,
    Ledger,
}

impl Action {
    /// Parses the field `actions`. Missing ones are none.
    pub(crate) fn parse_all(issues: &mut IssueCollector, value: Option<&Field>) -> Vec<Self> {
        const PATH: Path = &["actions"];
        let Some(elements) = value.and_then(|value| issues.elements(PATH, value)) else {
            return Vec::new();
        };
        if elements.len() > MAX_ACTIONS {
            issues.push(Issue::custom(PATH, TOO_MANY));
            return Vec::new();
        }
        let mut actions = Vec::new();
        for (index, element) in elements.iter().enumerate() {
            match Self::parse(element) {
                Ok(action) => actions.push(action),
                Err(issue) => issues.push(issue.under(PATH).at(index)),
            }
        }
        if total_wait_ms(&actions) > MAX_WAIT_MS {
            issues.push(Issue::custom(PATH, TOO_LONG));
        }
        actions
    }

    /// Returns the valid actions of a request that another server has accepted. Leaves out those
    /// that are unknown or malformed.
    pub(crate) fn clean(value: Option<&Field>) -> Vec<Self> {
        let elements = match value {
            Some(Field::Array(elements)) => elements.as_slice(),
            _ => &[],
        };
        let known = elements
            .iter()
            .filter_map(|element| Self::parse(element).ok());
        known
            .filter(|action| action.wait_ms() <= MAX_WAIT_MS)
            .take(MAX_ACTIONS)
            .collect()
    }

    /// Returns the time that the action waits, in milliseconds. A wait for an element counts as one
    /// second.
    pub fn wait_ms(&self) -> u64 {
        match self {
            Self::Wait { milliseconds } => u64::from(*milliseconds),
            Self::WaitFor { .. } => 1000,
            _ => 0,
        }
    }

    /// Returns the bytes of the texts that the client chose.
    pub(crate) fn text_bytes(&self) -> usize {
        match self {
            Self::WaitFor { selector } | Self::Click { selector, .. } => selector.len(),
            Self::Write { text } => text.len(),
            Self::Press { key } => key.len(),
            Self::Scroll { selector, .. } => selector.as_ref().map_or(0, String::len),
            Self::ExecuteJavascript { script } => script.len(),
            Self::Wait { .. } | Self::Screenshot(_) | Self::Scrape | Self::Pdf(_) => 0,
        }
    }

    /// Parses one action. The path of the issue is relative to it.
    fn parse(value: &Field) -> Result<Self, Issue> {
        let mut issues = IssueCollector::default();
        let fields = match value {
            Field::Object(fields) => fields,
            other => {
                let issue = Issue::wrong_type(&[], "object", type_name(Some(other)));
                return Err(Issue::none_of(&[], vec![vec![issue]]));
            }
        };
        let action = match fields.get("type") {
            Some(Field::String(kind)) => Self::of_type(&mut issues, kind, fields),
            _ => None,
        };
        match (action, issues.into_issues()) {
            (Some(Self::Wait { milliseconds: 0 }), issues) if issues.is_empty() => {
                Err(Issue::custom(
                    &[],
                    "Either 'milliseconds' or 'selector' must be provided, but not both.",
                ))
            }
            (Some(action), issues) if issues.is_empty() => Ok(action),
            (Some(_), issues) => Err(Issue::none_of(&[], vec![issues])),
            (None, mut issues) => {
                if issues.is_empty() {
                    issues.push(Issue::not_an_option(&["type"], TYPES));
                }
                Err(Issue::none_of(&[], vec![issues]))
            }
        }
    }

    /// Parses the fields of an action of this type. Returns a wait of 0 ms if neither or both kinds
    /// of wait are given.
    fn of_type(issues: &mut IssueCollector, kind: &str, fields: &Fields) -> Option<Self> {
        let text = |issues: &mut IssueCollector, path: Path, max_chars| {
            issues.string(path, fields.get(path[0]), 0..=max_chars)
        };
        let action = match kind {
            "wait" => Self::wait(issues, fields),
            "click" => Self::Click {
                selector: text(issues, &["selector"], MAX_SELECTOR_CHARS)?,
                all: issues.boolean(&["all"], fields.get("all"), false),
            },
            "write" => Self::Write {
                text: text(issues, &["text"], MAX_TEXT_CHARS)?,
            },
            "press" => Self::Press {
                key: text(issues, &["key"], MAX_KEY_CHARS)?,
            },
            "scroll" => Self::Scroll {
                direction: Direction::parse(issues, fields.get("direction")),
                selector: selector(issues, fields),
            },
            "screenshot" => Self::Screenshot(Screenshot::parse(issues, fields)),
            "executeJavascript" => Self::ExecuteJavascript {
                script: text(issues, &["script"], MAX_TEXT_CHARS)?,
            },
            "scrape" => Self::Scrape,
            "pdf" => Self::Pdf(Pdf::parse(issues, fields)),
            _ => return None,
        };
        Some(action)
    }

    fn wait(issues: &mut IssueCollector, fields: &Fields) -> Self {
        let given = fields.get("milliseconds");
        let milliseconds = issues.integer(&["milliseconds"], given, 1..=u32::MAX, 0);
        match (given.is_some(), selector(issues, fields)) {
            (true, None) => Self::Wait { milliseconds },
            (false, Some(selector)) => Self::WaitFor { selector },
            _ => Self::Wait { milliseconds: 0 },
        }
    }
}

/// Returns the time that actions wait, in milliseconds.
pub(crate) fn total_wait_ms(actions: &[Action]) -> u64 {
    actions.iter().map(Action::wait_ms).sum()
}

fn selector(issues: &mut IssueCollector, fields: &Fields) -> Option<String> {
    let value = fields.get("selector");
    issues.optional_string(&["selector"], value, 0..=MAX_SELECTOR_CHARS)
}

impl Direction {
    fn parse(issues: &mut IssueCollector, value: Option<&Field>) -> Self {
        match value {
            None => Self::Down,
            Some(Field::String(name)) if name == "down" => Self::Down,
            Some(Field::String(name)) if name == "up" => Self::Up,
            Some(_) => {
                issues.push(Issue::not_an_option(&["direction"], &["up", "down"]));
                Self::Down
            }
        }
    }
}

impl Screenshot {
    pub(crate) fn parse(issues: &mut IssueCollector, fields: &Fields) -> Self {
        let quality = fields.get("quality");
        Self {
            full_page: issues.boolean(&["fullPage"], fields.get("fullPage"), false),
            quality: quality.map(|value| issues.integer(&["quality"], Some(value), 1..=100, 80)),
            viewport: Viewport::parse(issues, fields.get("viewport")),
        }
    }
}

impl Viewport {
    fn parse(issues: &mut IssueCollector, value: Option<&Field>) -> Option<Self> {
        let fields = issues.object(&["viewport"], value?)?;
        let mut side = |path: Path, max| {
            let value = fields.get(path[1]);
            if value.is_none() {
                issues.push(Issue::wrong_type(path, "number", "undefined"));
            }
            issues.integer(path, value, 1..=max, max)
        };
        Some(Self {
            width: side(&["viewport", "width"], 7680),
            height: side(&["viewport", "height"], 4320),
        })
    }
}

impl Pdf {
    fn parse(issues: &mut IssueCollector, fields: &Fields) -> Self {
        let scale = issues.number(&["scale"], fields.get("scale"), 1.0);
        Self {
            landscape: issues.boolean(&["landscape"], fields.get("landscape"), false),
            scale: scale.clamp(0.1, 2.0),
            paper: Paper::parse(issues, fields.get("format")),
        }
    }
}

impl Paper {
    const NAMES: &'static [&'static str] = &[
        "A0", "A1", "A2", "A3", "A4", "A5", "A6", "Letter", "Legal", "Tabloid", "Ledger",
    ];

    const ALL: [Self; 11] = [
        Self::A0,
        Self::A1,
        Self::A2,
        Self::A3,
        Self::A4,
        Self::A5,
        Self::A6,
        Self::Letter,
        Self::Legal,
        Self::Tabloid,
        Self::Ledger,
    ];

    fn parse(issues: &mut IssueCollector, value: Option<&Field>) -> Self {
        let known = match value {
            None => Some(Self::Letter),
            Some(Field::String(name)) => {
                let index = Self::NAMES.iter().position(|known| known == name);
                index.map(|index| Self::ALL[index])
            }
            Some(_) => None,
        };
        known.unwrap_or_else(|| {
            issues.push(Issue::not_an_option(&["format"], Self::NAMES));
            Self::Letter
        })
    }

    /// Returns the width and height in inches.
    pub const fn inches(self) -> (f64, f64) {
        match self {
            Self::A0 => (33.1, 46.8),
            Self::A1 => (23.4, 33.1),
            Self::A2 => (16.54, 23.4),
            Self::A3 => (11.7, 16.54),
            Self::A4 => (8.27, 11.7),
            Self::A5 => (5.83, 8.27),
            Self::A6 => (4.13, 5.83),
            Self::Letter => (8.5, 11.0),
            Self::Legal => (8.5, 14.0),
            Self::Tabloid => (11.0, 17.0),
            Self::Ledger => (17.0, 11.0),
        }
    }
}
