//! `hearth doctor` and the server warn of a browser whose version was not verified.

use hearth_test_support::{BrowserWrapper, Doctor, TestServer, new_data_dir};

#[tokio::test]
async fn a_chromium_that_was_not_verified_is_a_note() {
    for (version, fix) in [
        ("147.0.7727.1", "update Chromium"),
        ("999.0.0.0", "update Hearth"),
    ] {
        let browser = BrowserWrapper::new(version);
        let dir = new_data_dir();
        let diagnosis = Doctor::with_data_dir(dir.path())
            .setting("HEARTH_BROWSER", &browser.path())
            .run()
            .await;
        assert_eq!(diagnosis.code, Some(0), "{}", diagnosis.stdout);
        assert_eq!(diagnosis.finding("browser").severity, "ok");
        let rules = diagnosis.finding("CDP rules");
        let major = version.split('.').next().unwrap_or_default();
        assert_eq!(rules.severity, "note", "{}", diagnosis.stdout);
        assert!(
            rules.text.contains(&format!("not with {major}")),
            "{rules:?}"
        );
        assert!(rules.fixes[0].contains(fix), "{rules:?}");
    }
}

#[tokio::test]
async fn the_server_warns_of_a_chromium_that_was_not_verified() {
    let warning = "Chromium version not verified";
    for (version, is_expected) in [("999.0.0.0", true), ("156.0.8078.79", false)] {
        let browser = BrowserWrapper::new(version);
        let server = TestServer::builder()
            .setting("HEARTH_BROWSER", &browser.path())
            .start()
            .await;
        let session = server.session().await;
        assert_eq!(session.node("1 + 1").await.ok().result, "2");
        let output = server.output();
        assert_eq!(output.contains(warning), is_expected, "{output}");
        assert_eq!(output.contains("update Hearth"), is_expected, "{output}");
        server.stop().await;
    }
}
