//! The formats of a scrape.

use crate::action::Screenshot;
use crate::body::Field;
use crate::field::{IssueCollector, type_name};
use crate::issue::{Issue, Path};
use crate::scrape::MAX_FORMATS;

/// A representation of the page.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names on the wire")]
pub enum Format {
    Markdown,
    Html,
    RawHtml,
    Links,
    Images,
    Screenshot(Screenshot),
}

/// The formats of Firecrawl that this server does not make.
const OTHERS: &[&str] = &[
    "rawBase64",
    "summary",
    "json",
    "deterministicJson",
    "changeTracking",
    "attributes",
    "branding",
    "product",
    "menu",
    "question",
    "highlights",
    "query",
    "audio",
    "video",
];

const NAMES: &[&str] = &[
    "markdown",
    "html",
    "rawHtml",
    "links",
    "images",
    "screenshot",
];

const PATH: Path = &["formats"];

impl Format {
    /// Parses the field `formats`. A missing one is markdown only. Repeated formats count once.
    pub(crate) fn parse_all(issues: &mut IssueCollector, value: Option<&Field>) -> Vec<Self> {
        let Some(value) = value else {
            return vec![Self::Markdown];
        };
        let Some(elements) = issues.elements(PATH, value) else {
            return Vec::new();
        };
        if elements.len() > MAX_FORMATS {
            let message = format!("Number of formats cannot exceed {MAX_FORMATS}");
            issues.push(Issue::custom(PATH, message));
        }
        let mut formats = Vec::new();
        for (index, element) in elements.iter().enumerate().take(MAX_FORMATS) {
            match Self::parse(element) {
                Ok(format) if formats.contains(&format) && !format.is_screenshot() => {}
                Ok(format) => formats.push(format),
                Err(issue) => issues.push(issue.under(PATH).at(index)),
            }
        }
        if formats
            .iter()
            .filter(|format| format.is_screenshot())
            .count()
            > 1
        {
            issues.push(Issue::custom(
                PATH,
                "You may only specify one screenshot format",
            ));
        }
        formats
    }

    /// Returns the name on the wire.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Markdown => "markdown",
            Self::Html => "html",
            Self::RawHtml => "rawHtml",
            Self::Links => "links",
            Self::Images => "images",
            Self::Screenshot(_) => "screenshot",
        }
    }

    const fn is_screenshot(&self) -> bool {
        matches!(self, Self::Screenshot(_))
    }

    /// Parses one format: a name, or an object with the name as `type`. The path of the issue is
    /// relative to it.
    fn parse(value: &Field) -> Result<Self, Issue> {
        let (name, fields) = match value {
            Field::String(name) => (Some(name), None),
            Field::Object(fields) => match fields.get("type") {
                Some(Field::String(name)) => (Some(name), Some(fields)),
                _ => (None, Some(fields)),
            },
            other => {
                let issue = Issue::wrong_type(&[], "object", type_name(Some(other)));
                return Err(Issue::none_of(&[], vec![vec![issue]]));
            }
        };
        let format = match name.map_or("", String::as_str) {
            "markdown" => Self::Markdown,
            "html" => Self::Html,
            "rawHtml" => Self::RawHtml,
            "links" => Self::Links,
            "images" => Self::Images,
            "screenshot" => {
                let mut issues = IssueCollector::default();
                let screenshot = fields.map(|fields| Screenshot::parse(&mut issues, fields));
                let issues = issues.into_issues();
                if !issues.is_empty() {
                    return Err(Issue::none_of(&[], vec![issues]));
                }
                Self::Screenshot(screenshot.unwrap_or_default())
            }
            other if OTHERS.contains(&other) => {
                let message = format!("This server does not make the format \"{other}\".");
                return Err(Issue::custom(&[], message));
            }
            _ => {
                let issue = Issue::not_an_option(&["type"], NAMES);
                return Err(Issue::none_of(&[], vec![vec![issue]]));
            }
        };
        Ok(format)
    }
}
