//! Tests of the settings of a cluster.

use std::fs::File;

use clap::{Args, Command, FromArgMatches};

use super::*;

const SECRET_TEXT: &str = "0123456789abcdef0123456789abcdef";

const NEEDS: ClusterNeeds = ClusterNeeds {
    has_keys: true,
    has_public_url: true,
    isolation: IsolationLevel::Default,
};

fn settings(flags: &[&str]) -> ClusterSettings {
    // The variables of the test's environment have no effect.
    let command = ClusterSettings::augment_args(Command::new("serve"))
        .mut_args(|setting| setting.env(None::<&str>));
    let matches = command
        .try_get_matches_from([&["serve"], flags].concat())
        .expect("valid");
    ClusterSettings::from_arg_matches(&matches).expect("valid")
}

fn node(flags: &[&str]) -> ClusterSettings {
    let secret = format!("--cluster-secret={SECRET_TEXT}");
    let required = [
        "--database-url=postgresql://me:password@127.0.0.1/hearth",
        &secret,
    ];
    settings(&[&required, flags].concat())
}

fn read(settings: &ClusterSettings, needs: ClusterNeeds) -> Result<Option<ClusterSpec>, String> {
    let read = settings.read(&|path| File::open(path), needs);
    read.map_err(|error| {
        assert!(error.fix.is_some(), "{error} has no fix");
        error.to_string()
    })
}

#[test]
fn a_server_without_a_database_is_no_node() {
    let alone = ClusterNeeds {
        has_keys: false,
        has_public_url: false,
        isolation: IsolationLevel::None,
    };
    assert!(read(&settings(&[]), alone).expect("valid").is_none());
    let error = read(&settings(&["--node-name=a"]), alone).expect_err("rejected");
    assert_eq!(error, "HEARTH_NODE_NAME: HEARTH_DATABASE_URL is not set");
}

#[test]
fn a_node_has_a_name_and_an_address() {
    let spec = read(&node(&[]), NEEDS).expect("valid").expect("a node");
    assert!(!spec.node_name.is_empty());
    assert_eq!(spec.peer_address, spec.peer_listen);
    assert_eq!(spec.peer_tls, PeerTls::Pinned);
    assert!(!format!("{spec:?}").contains("password"));
    let flags = [
        "--node-name=a-1.example",
        "--peer-listen=0.0.0.0:4000",
        "--peer-address=localhost:4001",
        "--peer-tls=off",
        "--drain-seconds=60",
    ];
    let spec = read(&node(&flags), NEEDS).expect("valid").expect("a node");
    assert_eq!(spec.node_name, "a-1.example");
    assert_eq!(spec.peer_address, ([127, 0, 0, 1], 4001).into());
    assert_eq!(spec.peer_tls, PeerTls::Off);
    assert_eq!(spec.drain, Duration::from_mins(1));
}

#[test]
fn nobody_connects_to_a_wildcard_address() {
    for flag in ["--peer-listen=0.0.0.0:1", "--peer-address=[::]:1"] {
        let error = read(&node(&[flag]), NEEDS).expect_err("rejected");
        assert!(
            error.contains(": other nodes cannot connect to "),
            "{error}"
        );
    }
    let error = read(&node(&["--node-name=two words"]), NEEDS).expect_err("rejected");
    assert!(error.starts_with("HEARTH_NODE_NAME: "), "{error}");
}

#[test]
fn a_cluster_needs_keys_an_origin_a_sandbox_and_a_secret() {
    for (needs, variable) in [
        (
            ClusterNeeds {
                has_keys: false,
                ..NEEDS
            },
            "HEARTH_API_KEYS: ",
        ),
        (
            ClusterNeeds {
                has_public_url: false,
                ..NEEDS
            },
            "HEARTH_PUBLIC_URL: ",
        ),
        (
            ClusterNeeds {
                isolation: IsolationLevel::None,
                ..NEEDS
            },
            "HEARTH_ISOLATION: ",
        ),
    ] {
        let error = read(&node(&[]), needs).expect_err("rejected");
        assert!(error.starts_with(variable), "{error}");
    }
    let unsandboxed = node(&["--dangerously-allow-unsandboxed-cluster=true"]);
    let needs = ClusterNeeds {
        isolation: IsolationLevel::None,
        ..NEEDS
    };
    assert!(read(&unsandboxed, needs).is_ok());
    let url = "--database-url=postgresql://me@127.0.0.1/hearth";
    let error = read(&settings(&[url]), NEEDS).expect_err("rejected");
    assert!(error.starts_with("HEARTH_CLUSTER_SECRET: "), "{error}");
}

#[test]
fn secrets_are_in_variables_or_in_files() {
    let dir = tempfile::tempdir().expect("a directory");
    let [url, secret] = ["url", "secret"].map(|name| dir.path().join(name));
    fs::write(&url, "postgresql://me:password@127.0.0.1/hearth\n").expect("written");
    fs::write(&secret, SECRET_TEXT).expect("written");
    let [url, secret] = [url, secret].map(|path| path.display().to_string());
    let url = format!("--database-url-file={url}");
    let secret = format!("--cluster-secret-file={secret}");
    let spec = read(&settings(&[&url, &secret]), NEEDS);
    let spec = spec.expect("valid").expect("a node");
    assert_eq!(spec.database.database(), "hearth");
    assert_eq!(spec.secrets.current(), SECRET_TEXT.as_bytes());
    let error = read(&node(&[&url]), NEEDS).expect_err("rejected");
    assert_eq!(
        error,
        "HEARTH_DATABASE_URL_FILE: HEARTH_DATABASE_URL is set as well"
    );
    let error = read(&node(&["--profile-store=/shared"]), NEEDS).expect_err("rejected");
    assert!(error.starts_with("HEARTH_PROFILE_STORE: "), "{error}");
}
