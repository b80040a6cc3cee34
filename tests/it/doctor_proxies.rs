//! The check of `hearth doctor` for the proxies of countries.

use std::net::TcpListener;

use hearth_test_support::{Doctor, new_data_dir};

#[tokio::test]
async fn it_names_the_proxies_of_countries_that_cannot_be_reached() {
    let dir = new_data_dir();
    let listening = TcpListener::bind("127.0.0.1:0").expect("a port");
    let reachable = listening.local_addr().expect("an address");
    let closed = TcpListener::bind("127.0.0.1:0").expect("a port");
    let unreachable = closed.local_addr().expect("an address");
    drop(closed);
    let of_germany = format!("de=http://user:secret@{unreachable}");
    let of_both = format!("{of_germany},gb=http://{reachable}");
    let diagnosis = Doctor::with_data_dir(dir.path())
        .setting("HEARTH_EGRESS_PROXIES", &of_both)
        .run()
        .await;
    assert_eq!(diagnosis.code, Some(78));
    let finding = diagnosis.finding("country proxies");
    let expected = format!("that of de at {unreachable}: ");
    assert!(finding.text.contains(&expected), "{finding:?}");
    assert!(
        !finding.text.contains(&reachable.to_string()),
        "{finding:?}"
    );
    assert!(!diagnosis.stdout.contains("secret"), "{}", diagnosis.stdout);
    let of_britain = format!("gb=http://{reachable}");
    let diagnosis = Doctor::with_data_dir(dir.path())
        .setting("HEARTH_EGRESS_PROXIES", &of_britain)
        .run()
        .await;
    let finding = diagnosis.finding("country proxies");
    assert_eq!(finding.severity, "ok", "{finding:?}");
}
