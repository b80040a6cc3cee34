//! The country that a session appears to be in.

use crate::body::Field;
use crate::field::IssueCollector;
use crate::issue::Issue;

/// The country that a session appears to be in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// A code of ISO 3166-1 alpha-2 in lower case, from [`COUNTRIES`](Self::COUNTRIES).
    pub country: String,
}

impl Location {
    /// The countries of ISO 3166-1, in order.
    #[rustfmt::skip]
    pub const COUNTRIES: [&'static str; 249] = [
        "ad", "ae", "af", "ag", "ai", "al", "am", "ao", "aq", "ar", "as", "at", "au", "aw", "ax", "az",
        "ba", "bb", "bd", "be", "bf", "bg", "bh", "bi", "bj", "bl", "bm", "bn", "bo", "bq", "br", "bs",
        "bt", "bv", "bw", "by", "bz", "ca", "cc", "cd", "cf", "cg", "ch", "ci", "ck", "cl", "cm", "cn",
        "co", "cr", "cu", "cv", "cw", "cx", "cy", "cz", "de", "dj", "dk", "dm", "do", "dz", "ec", "ee",
        "eg", "eh", "er", "es", "et", "fi", "fj", "fk", "fm", "fo", "fr", "ga", "gb", "gd", "ge", "gf",
        "gg", "gh", "gi", "gl", "gm", "gn", "gp", "gq", "gr", "gs", "gt", "gu", "gw", "gy", "hk", "hm",
        "hn", "hr", "ht", "hu", "id", "ie", "il", "im", "in", "io", "iq", "ir", "is", "it", "je", "jm",
        "jo", "jp", "ke", "kg", "kh", "ki", "km", "kn", "kp", "kr", "kw", "ky", "kz", "la", "lb", "lc",
        "li", "lk", "lr", "ls", "lt", "lu", "lv", "ly", "ma", "mc", "md", "me", "mf", "mg", "mh", "mk",
        "ml", "mm", "mn", "mo", "mp", "mq", "mr", "ms", "mt", "mu", "mv", "mw", "mx", "my", "mz", "na",
        "nc", "ne", "nf", "ng", "ni", "nl", "no", "np", "nr", "nu", "nz", "om", "pa", "pe", "pf", "pg",
        "ph", "pk", "pl", "pm", "pn", "pr", "ps", "pt", "pw", "py", "qa", "re", "ro", "rs", "ru", "rw",
        "sa", "sb", "sc", "sd", "se", "sg", "sh", "si", "sj", "sk", "sl", "sm", "sn", "so", "sr", "ss",
        "st", "sv", "sx", "sy", "sz", "tc", "td", "tf", "tg", "th", "tj", "tk", "tl", "tm", "tn", "to",
        "tr", "tt", "tv", "tw", "tz", "ua", "ug", "um", "us", "uy", "uz", "va", "vc", "ve", "vg", "vi",
        "vn", "vu", "wf", "ws", "ye", "yt", "za", "zm", "zw",
    ];

    /// Returns the code in lower case if it is one of a country.
    pub fn country(code: &str) -> Option<String> {
        let code = code.to_ascii_lowercase();
        let is_known = Self::COUNTRIES.binary_search(&code.as_str()).is_ok();
        is_known.then_some(code)
    }

    /// Parses the field `location`. Returns `None` if it is missing or has an issue.
    pub(crate) fn parse(issues: &mut IssueCollector, value: Option<&Field>) -> Option<Self> {
        let fields = issues.object(&["location"], value?)?;
        let country = Self::parse_country(issues, fields.get("country"));
        if !fields.unknown().is_empty() {
            issues.push(Issue::unknown_fields(
                &["location"],
                fields.unknown().to_vec(),
            ));
        }
        Some(Self { country: country? })
    }

    /// Parses the field `location` of a scrape, where the country is optional and other fields are
    /// ignored.
    pub(crate) fn parse_lenient(
        issues: &mut IssueCollector,
        value: Option<&Field>,
    ) -> Option<Self> {
        let fields = issues.object(&["location"], value?)?;
        let country = Self::parse_country(issues, Some(fields.get("country")?))?;
        Some(Self { country })
    }

    fn parse_country(issues: &mut IssueCollector, value: Option<&Field>) -> Option<String> {
        const PATH: &[&str] = &["location", "country"];
        let country = Self::country(issues.text(PATH, value)?);
        if country.is_none() {
            issues.push(Issue::custom(
                PATH,
                "Invalid country code. Use a valid ISO 3166-1 alpha-2 country code.",
            ));
        }
        country
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_countries_are_sorted_codes() {
        assert!(Location::COUNTRIES.is_sorted());
        for code in Location::COUNTRIES {
            assert_eq!(
                Location::country(&code.to_ascii_uppercase()).as_deref(),
                Some(code)
            );
        }
        for code in ["", "xx", "uk", "deu", "d", "\u{ff44}e"] {
            assert_eq!(Location::country(code), None, "{code}");
        }
    }
}
