//! Packages that a session installs are added to the installed libraries. The packages are built
//! here and installed without an index, so an attempt to fetch another package fails.

use hearth_test_support::{Session, TestServer, repository};

/// Defines `build`, a shell function that makes a wheel: name, version, requirement.
const BUILD: &str = r#"build() { python3 - "$@" <<'EOF'
import sys, zipfile
name, version, requirement = sys.argv[1:]
info = f"{name}-{version}.dist-info"
files = {
    f"{name}/__init__.py": f"__version__ = '{version}'\n",
    f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nRequires-Dist: {requirement}\n",
    f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
}
record = "".join(f"{file},,\n" for file in [*files, f"{info}/RECORD"])
with zipfile.ZipFile(f"{name}-{version}-py3-none-any.whl", "w") as wheel:
    for file, text in {**files, f"{info}/RECORD": record}.items():
        wheel.writestr(file, text)
EOF
}
"#;

async fn bash(session: &Session, code: &str) -> String {
    let code = format!("set -e\n{BUILD}{code}");
    session.bash(&code).await.ok().result
}

#[tokio::test]
async fn pip_does_not_install_what_is_present() {
    let server = TestServer::start().await;
    let session = server.session().await.with_long_timeout();
    let code = "build needy 1.0 pandas
pip install --quiet --no-index ./needy-1.0-py3-none-any.whl
python3 -c 'import needy, pandas; print(needy.__version__)'
ls .python/lib/python3*/site-packages | grep -c pandas || true";
    assert_eq!(bash(&session, code).await, "1.0\n0");
    server.stop().await;
}

#[tokio::test]
async fn pip_replaces_a_library_for_one_session_until_it_is_uninstalled() {
    let server = TestServer::start().await;
    let (session, other) = (server.session().await, server.session().await);
    let session = session.with_long_timeout();
    let version = "python3 -c 'import httpx; print(httpx.__version__)'";
    let installed = bash(&session, version).await;
    let code = format!(
        "build httpx 99.0 idna
pip install --quiet --no-index ./httpx-99.0-py3-none-any.whl
{version}
build httpx 99.1 idna
pip install --quiet --no-index ./httpx-99.1-py3-none-any.whl
{version}"
    );
    assert_eq!(bash(&session, &code).await, "99.0\n99.1");
    let in_kernel = "import httpx\nhttpx.__version__";
    assert_eq!(session.python(in_kernel).await.ok().result, "99.1");
    assert_eq!(other.python(in_kernel).await.ok().result, installed);
    let removing = format!("pip uninstall --quiet --yes httpx\n{version}");
    assert_eq!(bash(&session, &removing).await, installed);
    server.stop().await;
}

#[tokio::test]
async fn pip_in_a_program_of_the_kernel_installs_for_the_kernel() {
    let server = TestServer::start().await;
    let session = server.session().await.with_long_timeout();
    bash(&session, "build fresh 1.0 idna").await;
    let code = "
import subprocess, sys
subprocess.check_call([sys.executable, '-m', 'pip', 'install', '--quiet', '--no-index', './fresh-1.0-py3-none-any.whl'])
import fresh
fresh.__version__";
    assert_eq!(session.python(code).await.ok().result, "1.0");
    server.stop().await;
}

#[tokio::test]
async fn a_virtual_environment_of_the_session_is_separate() {
    let server = TestServer::start().await;
    let session = server.session().await.with_long_timeout();
    let code = "python3 -m venv own
own/bin/python -c 'import requests' 2>&1 | tail -n 1
own/bin/python -c 'import sys; print(sys.prefix == sys.argv[1])' $PWD/own";
    assert_eq!(
        bash(&session, code).await,
        "ModuleNotFoundError: No module named 'requests'\nTrue"
    );
    server.stop().await;
}

#[tokio::test]
async fn npm_keeps_the_installed_libraries() {
    let server = TestServer::start().await;
    let session = server.session().await.with_long_timeout();
    let code = r#"
make_package() {
    mkdir package
    echo "{\"name\": \"$1\", \"version\": \"99.0.0\", \"main\": \"index.js\", \"bin\": {\"$1\": \"index.js\"}}" >package/package.json
    printf '#!/usr/bin/env node\nconsole.log("%s 99");\n' "$1" >package/index.js
    tar -czf "$1.tgz" package
    rm -r package
}
make_package fresh
npm install --silent --offline ./fresh.tgz
node -e 'require("fresh")'
node -p 'typeof require("cheerio").load'
node --input-type=module -e 'import { load } from "cheerio"; console.log(typeof load)'
make_package dayjs
npm install --silent --offline ./dayjs.tgz
node -e 'require("dayjs")'
node --input-type=module -e 'import "dayjs"'
npm uninstall --silent --offline dayjs
node -p 'typeof require("dayjs")'
make_package tool
npm install --silent --offline --global ./tool.tgz
tool
ls"#;
    assert_eq!(
        bash(&session, code).await,
        "fresh 99\nfunction\nfunction\ndayjs 99\ndayjs 99\nfunction\ntool 99\n\
         dayjs.tgz\nfresh.tgz\nnode_modules\npackage-lock.json\npackage.json\ntool.tgz"
    );
    server.stop().await;
}

#[tokio::test]
async fn npm_does_not_install_what_is_present() {
    let server = TestServer::start().await;
    let session = server.session().await.with_long_timeout();
    let code = r#"
mkdir package
echo '{"name": "fresh", "version": "1.0.0"}' >package/package.json
tar -czf fresh.tgz package && rm -r package
npm install cheerio
npm i -D dayjs@^1 playwright zod --silent
ls
npm install --silent --offline cheerio ./fresh.tgz
ls node_modules
for other in dayjs@1.0.0 dayjs@latest left-pad; do
    npm install --silent --offline --loglevel=silent $other 2>&1 || echo "failed $other"
done
npm install --silent --offline 2>&1 && npm ci --silent --offline 2>&1 && ls node_modules"#;
    let execution = session.bash(code).await.ok();
    let installed = |name: &str| {
        let path = format!("runtime/.installed/node_modules/{name}/package.json");
        let text = std::fs::read_to_string(repository().join(path)).expect("a manifest");
        let manifest: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        format!(
            "{name}@{}",
            manifest["version"].as_str().expect("a version")
        )
    };
    let [cheerio, dayjs, playwright, zod] =
        ["cheerio", "dayjs", "playwright", "zod"].map(installed);
    let skipped = "npm: already installed in every session:";
    assert_eq!(
        execution.stderr,
        format!(
            "{skipped} {cheerio}\n{skipped} {dayjs}, {playwright}, {zod}\n{skipped} {cheerio}\n"
        )
    );
    assert_eq!(
        execution.stdout,
        "fresh.tgz\nfresh\nfailed dayjs@1.0.0\nfailed dayjs@latest\nfailed left-pad\nfresh\n"
    );
    // Programs of a kernel use it too.
    let code = "require('child_process').spawnSync('npm', ['install', 'zod']).stderr.toString()";
    let told = session.node(code).await.ok().result;
    assert_eq!(told, format!("{skipped} {zod}\n"));
    server.stop().await;
}
