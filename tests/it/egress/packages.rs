//! Package managers in bash. The packages are built here and fetched by address, so the tests need
//! no registry.

use std::path::Path;
use std::process::Command;

use hearth_test_support::{TestServer, repository};

use crate::egress::web::{Web, file};

/// A Python program that builds a wheel with one module. Its argument is the file name.
const WHEEL: &str = "\
import sys, zipfile
info = 'hearthly-1.0.dist-info/'
with zipfile.ZipFile(sys.argv[1], 'w') as wheel:
    wheel.writestr('hearthly.py', 'WORD = \"installed\"')
    wheel.writestr(info + 'METADATA', 'Metadata-Version: 2.1\\nName: hearthly\\nVersion: 1.0\\n')
    wheel.writestr(info + 'WHEEL', 'Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n')
    wheel.writestr(info + 'RECORD', 'hearthly.py,,\\n' + info + 'METADATA,,\\n' + info + 'WHEEL,,\\n' + info + 'RECORD,,\\n')";

fn make(program: &Path, arguments: &[&str], dir: &Path) {
    let status = Command::new(program)
        .args(arguments)
        .current_dir(dir)
        .status()
        .expect("it starts");
    assert!(status.success(), "{} {arguments:?}", program.display());
}

#[tokio::test]
async fn pip_and_npm_install_through_the_proxy() {
    let dir = tempfile::tempdir().expect("a dir");
    let wheel = "hearthly-1.0-py3-none-any.whl";
    make(
        &repository().join("runtime/.installed/venv/bin/python"),
        &["-c", WHEEL, wheel],
        dir.path(),
    );
    std::fs::create_dir(dir.path().join("package")).expect("made");
    let manifest = r#"{"name": "hearthly", "version": "1.0.0", "main": "index.js"}"#;
    std::fs::write(dir.path().join("package/package.json"), manifest).expect("written");
    std::fs::write(
        dir.path().join("package/index.js"),
        "module.exports = 'installed';",
    )
    .expect("written");
    make(
        Path::new("tar"),
        &["-czf", "hearthly.tgz", "package"],
        dir.path(),
    );
    let bytes = |name: &str| file(std::fs::read(dir.path().join(name)).expect("it was created"));
    let web = Web::with(vec![
        ("GET /hearthly-1.0", bytes(wheel)),
        ("GET /hearthly.tgz", bytes("hearthly.tgz")),
    ])
    .await;

    let server = TestServer::builder()
        .setting("HEARTH_EGRESS_ALLOW", &web.address.to_string())
        .start()
        .await;
    let session = server.session().await;
    let pip = format!(
        "pip install -q {} && python3 -c 'import hearthly; print(hearthly.WORD)'",
        web.url("/hearthly-1.0-py3-none-any.whl")
    );
    assert_eq!(session.bash(&pip).await.ok().stdout.trim(), "installed");
    let npm = format!(
        "npm install --silent --no-audit --no-fund {} && node -p 'require(\"hearthly\")'",
        web.url("/hearthly.tgz")
    );
    assert_eq!(
        session.bash(&npm).await.ok().result.lines().last(),
        Some("installed")
    );
    server.stop().await;

    let shut = TestServer::builder()
        .setting("HEARTH_EGRESS_ALLOW", "")
        .start()
        .await;
    let session = shut.session().await;
    let asked = web.asked().len();
    let pip = format!(
        "pip install --retries 0 {}",
        web.url("/hearthly-1.0-py3-none-any.whl")
    );
    assert!(session.bash(&pip).await.failed(1).stderr.contains("403"));
    assert_eq!(web.asked().len(), asked);
    shut.stop().await;
}
