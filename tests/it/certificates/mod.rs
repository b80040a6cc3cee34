//! Certificates: authorities that sessions trust, and sites whose certificates are not checked.

mod authorities;
pub mod https_site;
mod ignored;

use hearth_test_support::Session;

/// Code that requests `URL` without options; each succeeds and prints `secure` if it trusts the
/// certificate.
const WAYS: [(&str, &str); 15] = [
    ("node", "await page.goto('URL'); await page.title()"),
    ("node", "await (await page.request.get('URL')).text()"),
    ("node", "await (await fetch('URL')).text()"),
    (
        "node",
        "await new Promise((done, fail) => require('https').get('URL', (reply) => reply.on('data', (body) => done(String(body)))).on('error', fail))",
    ),
    ("python", "await page.goto('URL'); await page.title()"),
    ("python", "await (await page.request.get('URL')).text()"),
    (
        "python",
        "import urllib.request; urllib.request.urlopen('URL').read().decode()",
    ),
    ("python", "import requests; requests.get('URL').text"),
    ("python", "import httpx; httpx.get('URL').text"),
    ("bash", "curl -sSf URL"),
    ("bash", "git ls-remote URLrepository.git"),
    (
        "bash",
        "node -e \"fetch('URL').then((reply) => reply.text()).then(console.log)\"",
    ),
    (
        "bash",
        "python3 -c \"import urllib.request; print(urllib.request.urlopen('URL').read())\"",
    ),
    ("bash", "agent-browser open URL && agent-browser get title"),
    ("bash", "agent-browser read URL"),
];

/// Returns true and the output if the code succeeded and got the page.
async fn gets(session: &Session, language: &str, code: &str, url: &str) -> (bool, String) {
    let execution = session.run(language, &code.replace("URL", url)).await;
    let shown = format!("{}{}", execution.result, execution.stderr);
    let is_secure = execution.exit_code == 0 && shown.contains("secure");
    (is_secure, format!("{language} {code}: {shown}"))
}

/// Asserts that code gets the page at `url`.
async fn assert_gets(session: &Session, language: &str, code: &str, url: &str) {
    let (is_got, shown) = gets(session, language, code, url).await;
    assert!(is_got, "{url} {shown}");
}

/// Asserts that code does not get the page at `url` because of its certificate.
async fn assert_rejects(session: &Session, language: &str, code: &str, url: &str) {
    let (is_got, shown) = gets(session, language, code, url).await;
    let says_why = ["CERT", "cert", "self-signed", "SSL"]
        .iter()
        .any(|word| shown.contains(word));
    assert!(!is_got && says_why, "{url} {shown}");
}
