//! The proxy over real sockets: what it carries, what it refuses, and how it ends. Two addresses of
//! loopback stand for a good and a bad one.

mod fixture;
mod smuggling;
mod upstream;

use std::time::Duration;

use fixture::{Origin, Scene, Script};
use hearth_egress::{Egress, Mode, Policy};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket};

const HELLO: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\nKeep-Alive: timeout=5\r\nX-Own: 1\r\n\r\nhello";

#[tokio::test]
async fn a_request_is_carried_with_its_fields_and_without_those_between_neighbours() {
    let origin = Origin::saying(HELLO).await;
    let scene = Scene::allowing(&origin.address.to_string()).await;
    let request = format!(
        "POST {} HTTP/1.1\r\nHost: elsewhere.example\r\nProxy-Connection: keep-alive\r\nProxy-Authorization: Basic eA==\r\nConnection: x-private\r\nX-Private: 1\r\nX-Kept: 1\r\nContent-Length: 3\r\n\r\nabc",
        origin.url("/path?query")
    );
    let answer = scene.ask(&request).await;
    assert!(
        answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\nhello"),
        "{answer}"
    );
    assert!(
        answer.contains("X-Own: 1") && !answer.contains("Keep-Alive"),
        "{answer}"
    );
    let got = &origin.got()[0];
    assert!(
        got.starts_with("POST /path?query HTTP/1.1\r\n") && got.ends_with("\r\n\r\nabc"),
        "{got}"
    );
    assert!(
        got.contains(&format!("Host: {}\r\n", origin.address)) && got.contains("X-Kept: 1"),
        "{got}"
    );
    for field in ["roxy", "rivate", "elsewhere"] {
        assert!(!got.contains(field), "{got}");
    }
}

#[tokio::test]
async fn a_redirect_to_a_refused_address_is_refused_anew() {
    let inner = Origin::saying(HELLO).await;
    let redirect = format!(
        "HTTP/1.1 302 Found\r\nLocation: {}\r\nContent-Length: 0\r\n\r\n",
        inner.url("/")
    );
    let outer = Origin::saying(&redirect).await;
    let scene = Scene::allowing(&outer.address.to_string()).await;
    // On one connection, as a browser does it.
    let mut program = scene.program().await;
    program
        .say(&format!(
            "GET {} HTTP/1.1\r\nHost: x\r\n\r\n",
            outer.url("/")
        ))
        .await;
    let answer = program.answer().await;
    assert!(
        answer.starts_with("HTTP/1.1 302 Found") && answer.contains(&inner.url("/")),
        "{answer}"
    );
    program
        .say(&format!(
            "GET {} HTTP/1.1\r\nHost: x\r\n\r\n",
            inner.url("/")
        ))
        .await;
    let answer = program.answer().await;
    assert!(answer.starts_with("HTTP/1.1 403 Forbidden"), "{answer}");
    assert!(
        answer.contains(&format!("HEARTH_EGRESS_ALLOW={}", inner.address)),
        "{answer}"
    );
    assert_eq!((outer.got().len(), inner.got().len()), (1, 0));
}

#[tokio::test]
async fn a_name_that_changes_its_address_is_judged_each_time_and_asked_for_once() {
    let good = Origin::at("127.0.0.2:0", HELLO).await;
    let port = good.address.port();
    let bad = Origin::at(&format!("127.0.0.1:{port}"), HELLO).await;
    let resolver = Script::of(&[&["127.0.0.2"], &["127.0.0.1"], &["127.0.0.2", "127.0.0.1"]]);
    let policy = Policy {
        allow: format!("127.0.0.2:{port}").parse().expect("a list"),
        ..Policy::default()
    };
    let scene = Scene::over(Egress::with_resolver(policy, resolver.clone())).await;
    let url = format!("http://rebinding.example:{port}/");
    assert!(scene.get(&url).await.starts_with("HTTP/1.1 200"));
    assert_eq!(resolver.asked(), 1);
    for _ in ["another address", "another address beside the good one"] {
        let answer = scene.get(&url).await;
        assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
        // Not what it is in this network.
        assert!(!answer.contains("127.0.0.1"), "{answer}");
    }
    let tunnel = scene
        .ask(&format!(
            "CONNECT rebinding.example:{port} HTTP/1.1\r\nHost: x\r\n\r\n"
        ))
        .await;
    assert!(tunnel.starts_with("HTTP/1.1 403"), "{tunnel}");
    assert_eq!(
        (good.got().len(), bad.got().len(), resolver.asked()),
        (1, 0, 4)
    );
}

#[tokio::test]
async fn a_tunnel_carries_bytes_both_ways_from_the_first_on_until_both_ends_have_closed() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let scene = Scene::allowing(&address.to_string()).await;
    let mut program = scene.program().await;
    // The first bytes come with the request.
    program
        .say(&format!(
            "CONNECT {address} HTTP/1.1\r\nHost: {address}\r\n\r\nfirst"
        ))
        .await;
    let (mut served, _) = listener.accept().await.expect("connected");
    program.hears("HTTP/1.1 200 OK\r\n\r\n").await;
    let mut first = [0; 5];
    served.read_exact(&mut first).await.expect("bytes");
    assert_eq!(&first, b"first");
    served.write_all(b"answer").await.expect("sent");
    program.hears("answer").await;
    // One direction may end before the other.
    program.stream.shutdown().await.expect("closed");
    let mut rest = Vec::new();
    served.read_to_end(&mut rest).await.expect("an end");
    served.write_all(b"late").await.expect("sent");
    drop(served);
    assert_eq!(program.rest().await, "late");
    let traffic = scene.proxy.traffic();
    assert!(
        traffic.up_bytes >= 5 && traffic.down_bytes >= 10,
        "{traffic:?}"
    );
}

#[tokio::test]
async fn a_tunnel_carries_what_is_long_both_ways_at_once() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let scene = Scene::allowing(&address.to_string()).await;
    let mut program = scene.program().await;
    program
        .say(&format!(
            "CONNECT {address} HTTP/1.1\r\nHost: {address}\r\n\r\n"
        ))
        .await;
    let (served, _) = listener.accept().await.expect("connected");
    program.hears("200 OK\r\n\r\n").await;
    let sent: Vec<u8> = (0..7_000_000_u32)
        .map(|number| number.to_le_bytes()[(number % 3) as usize])
        .collect();
    // Whatever comes is sent back.
    let (mut served_reads, mut served_writes) = served.into_split();
    let (mut reads, mut writes) = program.stream.into_split();
    let mut got = Vec::new();
    let echoing = async {
        tokio::io::copy(&mut served_reads, &mut served_writes)
            .await
            .expect("echoed");
        served_writes.shutdown().await.expect("closed");
    };
    let sending = async {
        writes.write_all(&sent).await.expect("sent");
        writes.shutdown().await.expect("closed");
    };
    let (_, (), ()) = tokio::join!(reads.read_to_end(&mut got), echoing, sending);
    assert!(got == sent, "{} bytes", got.len());
}

#[tokio::test]
async fn a_refused_tunnel_says_why_in_its_first_line() {
    let scene = Scene::allowing("").await;
    for (target, why) in [
        (
            "127.0.0.1:3000",
            "it is the server's own machine; HEARTH_EGRESS_ALLOW=127.0.0.1:3000 allows it",
        ),
        ("[::1]:3000", "HEARTH_EGRESS_ALLOW=[::1]:3000 allows it"),
        (
            "[::ffff:10.0.0.1]:443",
            "HEARTH_EGRESS_ALLOW=10.0.0.1:443 allows it",
        ),
        ("169.254.169.254:80", "HEARTH_EGRESS_ALLOW_METADATA=true"),
        (
            "metadata.google.internal:80",
            "HEARTH_EGRESS_ALLOW=metadata.google.internal:80",
        ),
        ("8.8.8.8:25", "HEARTH_EGRESS_ALLOW=8.8.8.8:25"),
    ] {
        let answer = scene
            .ask(&format!(
                "CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n"
            ))
            .await;
        let first = answer.lines().next().expect("a line");
        assert!(
            first.starts_with("HTTP/1.1 403 ") && first.contains(why),
            "{target}: {first}"
        );
    }
}

#[tokio::test]
async fn a_refusal_is_a_page_for_those_who_read_pages() {
    let scene = Scene::allowing("").await;
    let request =
        "GET http://127.0.0.1:3000/?secret HTTP/1.1\r\nHost: x\r\nAccept: text/html,*/*\r\n\r\n";
    let page = scene.ask(request).await;
    assert!(
        page.contains("text/html")
            && page.contains("<code>HEARTH_EGRESS_ALLOW=127.0.0.1:3000</code>"),
        "{page}"
    );
    let text = scene
        .ask(&request.replace("text/html", "application/json"))
        .await;
    assert!(
        text.contains("text/plain") && !text.contains('<') && !text.contains("secret"),
        "{text}"
    );
}

#[tokio::test]
async fn a_web_socket_is_carried_and_no_other_protocol() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let scene = Scene::allowing(&address.to_string()).await;
    let mut program = scene.program().await;
    program
        .say(&format!(
            "GET http://{address}/socket HTTP/1.1\r\nHost: {address}\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n\r\n"
        ))
        .await;
    let (mut served, _) = listener.accept().await.expect("connected");
    let mut head = vec![0; 4096];
    let count = served.read(&mut head).await.expect("a head");
    let head = String::from_utf8_lossy(&head[..count]).to_ascii_lowercase();
    assert!(
        head.contains("upgrade: websocket") && head.contains("sec-websocket-key: k"),
        "{head}"
    );
    let granted = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: a\r\n\r\nearly";
    served.write_all(granted.as_bytes()).await.expect("sent");
    let answer = program.hears("early").await.to_ascii_lowercase();
    assert!(
        answer.starts_with("http/1.1 101") && answer.contains("sec-websocket-accept: a"),
        "{answer}"
    );
    program.say("ping").await;
    let mut ping = [0; 4];
    served.read_exact(&mut ping).await.expect("bytes");
    assert_eq!(&ping, b"ping");

    let origin = Origin::saying(HELLO).await;
    let scene = Scene::allowing(&origin.address.to_string()).await;
    let upgrade = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\n";
    scene
        .ask(&format!(
            "GET {} HTTP/1.1\r\nHost: x\r\n{upgrade}\r\n",
            origin.url("/")
        ))
        .await;
    assert!(
        !origin.got()[0].to_ascii_lowercase().contains("h2c"),
        "{:?}",
        origin.got()
    );
}

#[tokio::test]
async fn bodies_are_carried_while_they_are_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let scene = Scene::allowing(&address.to_string()).await;
    let mut program = scene.program().await;
    program
        .say(&format!("PUT http://{address}/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n"))
        .await;
    let (mut served, _) = listener.accept().await.expect("connected");
    let mut got = Vec::new();
    while !got.ends_with(b"first\r\n") {
        served.read_buf(&mut got).await.expect("bytes");
    }
    served
        .write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n")
        .await
        .expect("sent");
    program.hears("half\r\n").await;
    program.say("0\r\n\r\n").await;
    while !got.ends_with(b"0\r\n\r\n") {
        served.read_buf(&mut got).await.expect("bytes");
    }
    served.write_all(b"0\r\n\r\n").await.expect("sent");
    program.hears("0\r\n\r\n").await;
}

/// What goes the short way: more than a megabyte, with a length.
#[tokio::test]
async fn a_long_answer_arrives_whole_and_alone_and_a_broken_one_broken() {
    let numbers: Vec<String> = (0..600_000).map(|number| number.to_string()).collect();
    let body = numbers.join(" ");
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nX-Own: 1\r\nKeep-Alive: 5\r\n\r\n",
        body.len()
    );
    for (sent, is_complete) in [
        (format!("{head}{body}AND MORE"), true),
        (format!("{head}{}", &body[..2_000_000]), false),
    ] {
        let origin = Origin::saying(&sent).await;
        let scene = Scene::allowing(&origin.address.to_string()).await;
        let mut program = scene.program().await;
        let request = format!("GET {} HTTP/1.1\r\nHost: x\r\n\r\n", origin.url("/"));
        // What is sent behind a request that has a long answer is not read: the connection says
        // that it ends.
        program.say(&format!("{request}{request}")).await;
        let answer = program.rest().await;
        let (head, got) = answer.split_once("\r\n\r\n").expect("a head");
        let head = head.to_ascii_lowercase();
        assert!(
            head.starts_with("http/1.1 200 ok\r\n") && head.contains("x-own: 1"),
            "{head}"
        );
        assert!(
            head.contains("connection: close") && !head.contains("keep-alive"),
            "{head}"
        );
        assert_eq!(
            (got == body, got == &body[..2_000_000]),
            (is_complete, !is_complete),
            "{} bytes",
            got.len()
        );
        assert!(scene.proxy.traffic().down_bytes >= got.len() as u64);
    }
}

#[tokio::test]
async fn nobody_reaches_the_server_itself_whatever_is_allowed() {
    let (server, other) = (Origin::saying(HELLO).await, Origin::saying(HELLO).await);
    for policy in [
        Policy {
            allow: "127.0.0.0/8:*,localhost:*,[::1]:*".parse().expect("a list"),
            ..Policy::default()
        },
        Policy {
            mode: Mode::Open,
            allow_metadata: true,
            ..Policy::default()
        },
    ] {
        let scene = Scene::set(policy).await;
        scene.egress.add_self_port(server.address.port());
        let neighbour = scene
            .egress
            .open("neighbour", &scene.tracker)
            .await
            .expect("a port");
        for port in [server.address.port(), scene.proxy.port(), neighbour.port()] {
            for host in [
                "127.0.0.1",
                "127.0.0.9",
                "localhost",
                "[::1]",
                "[::ffff:127.0.0.1]",
                "0.0.0.0",
            ] {
                let answer = scene.get(&format!("http://{host}:{port}/")).await;
                assert!(
                    answer.starts_with("HTTP/1.1 403") && answer.contains("No setting"),
                    "{host}:{port}: {answer}"
                );
                let answer = scene
                    .ask(&format!(
                        "CONNECT {host}:{port} HTTP/1.1\r\nHost: x\r\n\r\n"
                    ))
                    .await;
                assert!(
                    answer.starts_with("HTTP/1.1 403"),
                    "{host}:{port}: {answer}"
                );
            }
        }
        assert!(scene.get(&other.url("/")).await.starts_with("HTTP/1.1 200"));
    }
    assert_eq!(server.got(), Vec::<String>::new());
}

#[tokio::test]
async fn nothing_goes_out_when_it_is_off() {
    let origin = Origin::saying(HELLO).await;
    let allow = origin.address.to_string().parse().expect("a list");
    let scene = Scene::set(Policy {
        mode: Mode::Off,
        allow,
        ..Policy::default()
    })
    .await;
    let answer = scene.get(&origin.url("/")).await;
    assert!(
        answer.starts_with("HTTP/1.1 403") && answer.contains("HEARTH_EGRESS=off"),
        "{answer}"
    );
    assert_eq!(origin.got(), Vec::<String>::new());
}

#[tokio::test]
async fn what_is_not_there_is_told_apart_from_what_is_refused() {
    let scene = Scene::over(Egress::with_resolver(
        Policy {
            mode: Mode::Open,
            ..Policy::default()
        },
        Script::of(&[]),
    ))
    .await;
    let answer = scene.get("http://nowhere.example/").await;
    assert!(
        answer.starts_with("HTTP/1.1 502") && answer.contains("the name has no address"),
        "{answer}"
    );
    let free = TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port")
        .local_addr()
        .expect("an address");
    let answer = scene.get(&format!("http://{free}/")).await;
    assert!(
        answer.starts_with("HTTP/1.1 502") && answer.contains("nobody answers"),
        "{answer}"
    );
    let silent = Origin::saying("").await;
    let answer = scene.get(&silent.url("/")).await;
    assert!(
        answer.starts_with("HTTP/1.1 502") && answer.contains("without an answer"),
        "{answer}"
    );
}

/// The clock stands still but for waits, so that each bound is met at once.
#[tokio::test(start_paused = true)]
async fn a_program_that_does_not_finish_its_head_is_cut_off() {
    let scene = Scene::allowing("").await;
    let mut program = scene.program().await;
    program
        .say("GET http://a.example/ HTTP/1.1\r\nX-Slow: ")
        .await;
    let rest = program.rest().await;
    assert!(
        rest.is_empty() || rest.starts_with("HTTP/1.1 408"),
        "{rest}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_accept_is_waited_for_a_bounded_time() {
    // A full backlog: the next connection gets no answer at all.
    let socket = TcpSocket::new_v4().expect("a socket");
    socket
        .bind("127.0.0.1:0".parse().expect("an address"))
        .expect("bound");
    let listener = socket.listen(1).expect("listening");
    let address = listener.local_addr().expect("an address");
    let mut waiting = Vec::new();
    while let Ok(Ok(stream)) = tokio::time::timeout(
        Duration::from_millis(500),
        tokio::net::TcpStream::connect(address),
    )
    .await
    {
        waiting.push(stream);
    }
    let scene = Scene::allowing(&address.to_string()).await;
    let answer = scene.get(&format!("http://{address}/")).await;
    assert!(
        answer.starts_with("HTTP/1.1 504") && answer.contains("in time"),
        "{answer}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_tunnel_on_which_nothing_moves_ends() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let scene = Scene::allowing(&address.to_string()).await;
    let mut program = scene.program().await;
    program
        .say(&format!("CONNECT {address} HTTP/1.1\r\nHost: x\r\n\r\n"))
        .await;
    let (mut served, _) = listener.accept().await.expect("connected");
    program.hears("200 OK\r\n\r\n").await;
    assert_eq!(program.rest().await, "");
    assert_eq!(served.read(&mut [0]).await.unwrap_or(0), 0);
}

#[tokio::test]
async fn ending_a_proxy_ends_its_connections_and_its_tasks() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let scene = Scene::allowing(&address.to_string()).await;
    let idle = scene.program().await;
    let mut tunnel = scene.program().await;
    tunnel
        .say(&format!("CONNECT {address} HTTP/1.1\r\nHost: x\r\n\r\n"))
        .await;
    let (_served, _) = listener.accept().await.expect("connected");
    tunnel.hears("200 OK\r\n\r\n").await;
    let mut waiting = scene.program().await;
    waiting
        .say(&format!(
            "GET http://{address}/ HTTP/1.1\r\nHost: x\r\n\r\n"
        ))
        .await;
    let (_silent, _) = listener.accept().await.expect("connected");
    let port = scene.proxy.port();
    scene.proxy.end();
    for program in [idle, tunnel, waiting] {
        assert_eq!(program.rest().await, "");
    }
    scene.tracker.close();
    tokio::time::timeout(Duration::from_secs(5), scene.tracker.wait())
        .await
        .expect("no task is left");
    assert!(
        tokio::net::TcpStream::connect(("127.0.0.1", port))
            .await
            .is_err()
    );
}
