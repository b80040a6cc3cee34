//! Bash runs code as a script, and shows nothing else in messages, traces and variables.

use hearth_test_support::TestServer;

#[tokio::test]
async fn a_byte_order_mark_and_windows_line_ends_change_nothing() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let cases = [
        ("for x in 1 2; do\r\n  echo $x\r\ndone\r\n", "1\n2\n"),
        ("\u{feff}printf 'a'\r\nprintf b", "ab"),
        ("cat <<END\r\ntext\r\nEND\r\n", "text\n"),
    ];
    for (code, stdout) in cases {
        let execution = session.bash(code).await.ok();
        assert_eq!(execution.stdout, stdout, "{code:?}");
    }
    server.stop().await;
}

#[tokio::test]
async fn traces_messages_and_variables_show_only_the_script() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let cases = [
        ("set -x; echo hi", "hi\n", "+ echo hi\n"),
        (
            "set -x\nx=$(echo $(echo 1))",
            "",
            "+++ echo 1\n++ echo 1\n+ x=1\n",
        ),
        ("set -v\necho a", "a\n", "echo a\n"),
        (
            "set -xv\nif true; then echo a; fi",
            "a\n",
            "if true; then echo a; fi\n+ true\n+ echo a\n",
        ),
        (
            "set -x; nosuch",
            "",
            "+ nosuch\nbash: line 1: nosuch: command not found\n",
        ),
        (
            "for x in 1 2; do echo; fi",
            "",
            "bash: line 1: syntax error near unexpected token `fi'\nbash: line 1: `for x in 1 2; do echo; fi'\n",
        ),
        (
            "\nif true; then\n",
            "",
            "bash: line 3: syntax error: unexpected end of file\n",
        ),
        (
            "cat <<END\na\n",
            "a\n",
            "bash: line 2: warning: here-document at line 1 delimited by end-of-file (wanted `END')\n",
        ),
        (
            "trap 'echo \"$LINENO $BASH_COMMAND\"' DEBUG\necho x",
            "2 echo x\nx\n",
            "",
        ),
        (
            "trap 'echo \"at $LINENO\"' ERR\nset -e\nfalse\necho no",
            "at 3\n",
            "",
        ),
        (
            "f() {\n  caller 0; echo $LINENO ${FUNCNAME[@]} ${BASH_SOURCE[@]}\n}\nf\ncaller",
            "4 main bash\n2 f main bash bash\n0 NULL\n",
            "",
        ),
        (
            "echo \"$0 $# $LINENO ${BASH_EXECUTION_STRING-none} ${OLDPWD-none}\"",
            "bash 0 1 none none\n",
            "",
        ),
    ];
    for (code, stdout, stderr) in cases {
        let execution = session.bash(code).await;
        assert_eq!(
            (execution.stdout.as_str(), execution.stderr.as_str()),
            (stdout, stderr),
            "{code}"
        );
    }
    server.stop().await;
}

/// Scripts compare `$0` with `BASH_SOURCE` to find out whether they were sourced, and use both to
/// find their directory.
#[tokio::test]
async fn code_that_looks_for_its_own_file_runs_as_a_script_in_the_working_directory() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let code = "#!/usr/bin/env bash\nset -euo pipefail\nmain() { echo \"main in $PWD\"; }\n\
                [[ \"${BASH_SOURCE[0]}\" == \"$0\" ]] && main \"$@\"\n\
                cd \"$(dirname \"${BASH_SOURCE[0]}\")\"; [ \"$PWD\" = \"$HOME\" ] && echo home";
    let execution = session.bash(code).await.ok();
    let home = session.bash("pwd; cd /tmp; cd -").await.ok().stdout;
    let home: Vec<&str> = home.lines().collect();
    assert_eq!(home[0], home[1]);
    assert_eq!(execution.stdout, format!("main in {}\nhome\n", home[0]));
    server.stop().await;
}
