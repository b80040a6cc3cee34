//! The proxies of countries.

use std::collections::BTreeMap;
use std::str::FromStr;

use hearth_contract::Location;
use hearth_egress::Upstream;
use thiserror::Error;

/// The upstream proxies of countries, by their codes in lower case.
#[derive(Clone, Debug, Default)]
pub(crate) struct CountryProxies(BTreeMap<String, Upstream>);

/// An error from parsing [`CountryProxies`]. It omits the text, which may contain a password.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum ParseProxiesError {
    #[error("entry {0} is not country=URL, such as de=http://proxy.example:3128")]
    Form(usize),
    #[error("entry {0} begins with an unknown country, use a code of ISO 3166-1 such as de")]
    Country(usize),
    #[error("entry {0} is for a country with another entry")]
    Repeated(usize),
}

impl CountryProxies {
    /// Returns all countries with their proxies, in alphabetical order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Upstream)> {
        let proxies = self.0.iter();
        proxies.map(|(country, proxy)| (country.as_str(), proxy))
    }

    /// Returns the proxy of a country.
    pub fn of(&self, country: &str) -> Option<&Upstream> {
        self.0.get(country)
    }
}

impl FromStr for CountryProxies {
    type Err = ParseProxiesError;

    fn from_str(text: &str) -> Result<CountryProxies, ParseProxiesError> {
        let mut proxies = BTreeMap::new();
        for (index, entry) in text.split(',').enumerate() {
            let number = index + 1;
            let malformed = ParseProxiesError::Form(number);
            let (country, url) = entry
                .trim()
                .split_once('=')
                .ok_or_else(|| malformed.clone())?;
            let upstream = url.trim().parse().map_err(|_| malformed)?;
            let country =
                Location::country(country.trim()).ok_or(ParseProxiesError::Country(number))?;
            if proxies.insert(country, upstream).is_some() {
                return Err(ParseProxiesError::Repeated(number));
            }
        }
        Ok(CountryProxies(proxies))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn countries_have_one_proxy_each() {
        let text = "de=http://a.example:3128, GB=http://user:p%2Cw@b.example";
        let proxies: CountryProxies = text.parse().expect("valid");
        let address = |country: &str| proxies.of(country).map(Upstream::address);
        assert_eq!(address("de"), Some(("a.example", 3128)));
        assert_eq!(address("gb"), Some(("b.example", 80)));
        assert_eq!(address("fr"), None);
    }

    #[test]
    fn errors_name_the_entry_and_no_password() {
        for (text, expected) in [
            ("", ParseProxiesError::Form(1)),
            ("http://secret@a.example", ParseProxiesError::Form(1)),
            ("de=http://a.example,", ParseProxiesError::Form(2)),
            ("de=socks5://secret@a.example", ParseProxiesError::Form(1)),
            ("uk=http://a.example", ParseProxiesError::Country(1)),
            (
                "de=http://a.example,DE=http://b.example",
                ParseProxiesError::Repeated(2),
            ),
        ] {
            let error = text.parse::<CountryProxies>().expect_err(text);
            assert_eq!(error, expected, "{text}");
            assert!(!error.to_string().contains("secret"), "{text}");
        }
    }
}
