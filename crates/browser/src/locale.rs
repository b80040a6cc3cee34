//! The time zone and languages of a browser.

/// The time zone and the languages of a browser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Locale {
    /// A name of the time zone database, such as `Europe/Berlin`.
    pub time_zone: String,
    /// The languages of `Accept-Language` and `navigator.languages` in order, separated by commas,
    /// such as `de-DE,de,en`.
    pub languages: String,
    /// The language of formatted numbers and dates, such as `de-DE`.
    pub tag: String,
}
