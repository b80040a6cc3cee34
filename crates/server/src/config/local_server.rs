//! The settings by which a client on the machine of a server finds it.

use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use clap::{ArgMatches, Args, Command, Error, FromArgMatches};

use super::certificates::CertificateSettings;
use super::error::ConfigError;
use super::keys::KeySettings;
use super::settings::Config;
use crate::certificate_authorities::CertificateAuthorities;

/// The names of the fields in [`Config`].
const IDS: [&str; 4] = ["listen", "api_keys", "api_keys_file", "ca_file"];

/// The settings by which a client on the machine of a server finds it. [`Config`] declares them.
/// The help of a client does not show them.
#[derive(Clone, Debug)]
pub(crate) struct LocalServer {
    listen: Option<SocketAddr>,
    keys: KeySettings,
    certificates: CertificateSettings,
}

impl LocalServer {
    /// Returns the origin at which the server can be reached from its own machine.
    pub fn origin(&self) -> Option<String> {
        self.listen.map(|listen| {
            let ip = match listen.ip() {
                IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
                IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
                ip => ip,
            };
            format!("http://{}", SocketAddr::new(ip, listen.port()))
        })
    }

    /// Returns the first API key of the server, if it has one.
    pub fn key(&self) -> Result<Option<String>, ConfigError> {
        self.keys.first(&|path| File::open(path))
    }

    /// Returns the certificate authorities of the operator, if there are some.
    pub fn authorities(&self) -> Result<Option<CertificateAuthorities>, ConfigError> {
        self.certificates.read(&|path| File::open(path))
    }
}

impl Args for LocalServer {
    fn augment_args(command: Command) -> Command {
        let settings = Config::augment_args(Command::new("serve"));
        let wanted = settings
            .get_arguments()
            .filter(|setting| IDS.contains(&setting.get_id().as_str()));
        let hidden = wanted.map(|setting| setting.clone().hide(true));
        command.args(hidden.collect::<Vec<_>>())
    }

    fn augment_args_for_update(command: Command) -> Command {
        LocalServer::augment_args(command)
    }
}

impl FromArgMatches for LocalServer {
    fn from_arg_matches(matches: &ArgMatches) -> Result<LocalServer, Error> {
        let [listen, keys, keys_file, ca_file] = IDS;
        let path = |id| matches.get_one::<PathBuf>(id).cloned();
        Ok(LocalServer {
            listen: matches.get_one::<SocketAddr>(listen).copied(),
            keys: KeySettings::of_clients(matches.get_one(keys).cloned(), path(keys_file)),
            certificates: CertificateSettings::of_clients(path(ca_file)),
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = LocalServer::from_arg_matches(matches)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(arguments: &[&str]) -> LocalServer {
        let command = LocalServer::augment_args(Command::new("ls"));
        let matches = command.try_get_matches_from(arguments).expect("valid");
        LocalServer::from_arg_matches(&matches).expect("valid")
    }

    #[test]
    fn a_client_reaches_the_server_on_its_own_machine() {
        for (listen, origin) in [
            ("127.0.0.1:3010", "http://127.0.0.1:3010"),
            ("0.0.0.0:80", "http://127.0.0.1:80"),
            ("[::]:3010", "http://[::1]:3010"),
            ("10.0.0.5:3010", "http://10.0.0.5:3010"),
        ] {
            let server = of(&["ls", "--listen", listen]);
            assert_eq!(server.origin().as_deref(), Some(origin));
        }
    }

    #[test]
    fn a_client_uses_the_first_key_of_the_server() {
        let key = |keys: &str| of(&["ls", "--api-keys", keys]).key().expect("readable");
        assert_eq!(key("shop: one,two").as_deref(), Some("one"));
        assert_eq!(key(" ,two").as_deref(), Some("two"));
        assert_eq!(key(""), None);
        let dir = tempfile::tempdir().expect("a temporary directory");
        let file = dir.path().join("keys");
        std::fs::write(&file, "\u{feff}\nshop:three\r\nfour").expect("written");
        let in_file = of(&["ls", "--api-keys-file", &file.to_string_lossy()]);
        assert_eq!(in_file.key().expect("readable").as_deref(), Some("three"));
        let missing = of(&["ls", "--api-keys-file", "/nowhere"]).key();
        assert!(missing.is_err());
    }
}
