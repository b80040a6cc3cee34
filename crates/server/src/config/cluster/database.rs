//! The URL of a PostgreSQL database.

use std::fmt;
use std::net::IpAddr;

use url::Url;

/// The names of the parameter for TLS that sqlx accepts.
const SSL_MODE: [&str; 2] = ["sslmode", "ssl-mode"];

/// A URL of a PostgreSQL database, which may contain a password.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct DatabaseUrl(Url);

impl DatabaseUrl {
    /// Parses a URL. Requires a verified certificate, unless the URL has another mode or the server
    /// is on this machine.
    pub fn parse(text: &str) -> Result<DatabaseUrl, String> {
        let mut url = Url::parse(text.trim()).map_err(|error| format!("not a URL: {error}"))?;
        if !["postgres", "postgresql"].contains(&url.scheme()) {
            return Err("the URL does not start with postgresql://".to_owned());
        }
        if url.path().trim_matches('/').is_empty() {
            return Err("the URL does not name a database".to_owned());
        }
        let has_mode = url
            .query_pairs()
            .any(|(name, _)| SSL_MODE.contains(&&*name));
        let database = DatabaseUrl(url.clone());
        if !has_mode && !database.is_local() {
            url.query_pairs_mut()
                .append_pair(SSL_MODE[0], "verify-full");
        }
        Ok(DatabaseUrl(url))
    }

    /// Returns the URL with its password.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Returns the host and the port of the server, or `None` if it is reached over a Unix socket.
    pub fn host(&self) -> Option<(String, u16)> {
        let named = self.0.query_pairs();
        let named = named
            .filter(|(name, _)| ["host", "hostaddr"].contains(&&**name))
            .last()
            .map(|(_, host)| host.into_owned());
        let host = named.or_else(|| self.0.host_str().map(str::to_owned))?;
        let host = host.trim_matches(['[', ']']).to_owned();
        let is_socket = host.is_empty() || host.starts_with('/') || host.starts_with("%2F");
        (!is_socket).then(|| (host, self.0.port().unwrap_or(5432)))
    }

    /// Returns the name of the database, for messages.
    pub fn database(&self) -> &str {
        self.0.path().trim_matches('/')
    }

    /// Returns the name of the role, for messages.
    pub fn role(&self) -> &str {
        self.0.username()
    }

    fn is_local(&self) -> bool {
        self.host().is_none_or(|(host, _)| {
            let address = host.parse::<IpAddr>();
            host == "localhost" || address.is_ok_and(|address| address.is_loopback())
        })
    }
}

/// Shows the server and the database.
impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let database = self.database();
        match self.host() {
            Some((host, port)) if host.contains(':') => write!(f, "[{host}]:{port}/{database}"),
            Some((host, port)) => write!(f, "{host}:{port}/{database}"),
            None => write!(f, "the local socket, database {database}"),
        }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DatabaseUrl({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> DatabaseUrl {
        DatabaseUrl::parse(text).expect("valid")
    }

    #[test]
    fn other_machines_need_a_verified_certificate() {
        let remote = parse("postgresql://me:secret@db.example/hearth");
        assert!(remote.as_str().ends_with("/hearth?sslmode=verify-full"));
        let given = parse("postgres://me@db.example/hearth?sslmode=disable");
        assert!(given.as_str().ends_with("?sslmode=disable"));
        for local in [
            "postgresql://me@localhost/hearth",
            "postgresql://me@127.0.0.1:5433/hearth",
            "postgresql://me@[::1]/hearth",
            "postgresql:///hearth?host=/run/postgresql",
            "postgresql://%2Frun%2Fpostgresql/hearth",
        ] {
            assert!(!parse(local).as_str().contains("sslmode"), "{local}");
        }
    }

    #[test]
    fn a_url_is_shown_without_its_password() {
        let url = parse("postgresql://me:secret@db.example:6543/hearth");
        assert_eq!(url.to_string(), "db.example:6543/hearth");
        assert!(!format!("{url:?}").contains("secret"));
        assert_eq!((url.role(), url.database()), ("me", "hearth"));
    }

    #[test]
    fn other_urls_are_rejected() {
        for text in [
            "",
            "db.example/hearth",
            "mysql://db.example/hearth",
            "postgresql://db.example",
            "postgresql://db.example/",
        ] {
            assert!(DatabaseUrl::parse(text).is_err(), "{text}");
        }
    }
}
