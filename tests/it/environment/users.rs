//! The user of code has a name.

use hearth_test_support::{ServerBuilder, TestServer, netns};

const NODE: &str = "const u = require('os').userInfo(); [u.username, process.env.USER, process.env.LOGNAME].join()";

const PYTHON: &str = "
import getpass, grp, os, pwd
','.join([getpass.getuser(), pwd.getpwuid(os.getuid()).pw_name, grp.getgrgid(os.getgid()).gr_name])";

const BASH: &str = "whoami; id -un; id -gn; groups; echo $USER; echo $LOGNAME";

/// Asserts that every language gets a name for its user from every source.
async fn assert_named(builder: ServerBuilder) {
    let server = builder.start().await;
    let session = server.session().await;
    let name = session.bash("whoami").await.ok().result;
    assert!(!name.is_empty());
    let names = |count| vec![name.as_str(); count];
    assert_eq!(session.node(NODE).await.ok().result, names(3).join(","));
    let python = session.python(PYTHON).await.ok().result;
    assert_eq!(python.split(',').take(2).collect::<Vec<_>>(), names(2));
    let bash = session.bash(BASH).await.ok().result;
    let lines: Vec<&str> = bash.lines().collect();
    assert_eq!([&lines[..2], &lines[4..]].concat(), names(4), "{bash}");
    server.stop().await;
}

#[tokio::test]
async fn code_with_a_separate_user_id_has_a_user_name() {
    assert_named(TestServer::builder()).await;
}

/// The user id has no entry in the machine's `/etc/passwd`.
#[tokio::test]
async fn code_of_a_server_that_runs_as_a_plain_user_has_a_user_name() {
    // Inside the image this process has the plain user, and the test above covers it.
    if netns::is_possible() && !netns::is_inside() {
        assert_named(TestServer::builder().as_plain_user()).await;
    }
}

#[tokio::test]
async fn code_without_isolation_has_a_user_name() {
    assert_named(TestServer::builder().setting("HEARTH_ISOLATION", "none")).await;
}

#[tokio::test]
async fn a_session_cannot_change_its_list_of_users() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let code = "echo intruder:x:0:0::/:/bin/sh >>/etc/passwd";
    session.bash(code).await.failed(1);
    session.bash("rm -f /etc/passwd").await.failed(1);
    let other = server.session().await;
    let found = "getent passwd intruder || echo none";
    assert_eq!(other.bash(found).await.ok().result, "none");
    server.stop().await;
}
