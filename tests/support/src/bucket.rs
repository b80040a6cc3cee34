//! A private S3-compatible server, behind a relay with faults that a test chooses.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use nix::sys::signal::Signal;
use reqwest::Method;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::eventually::eventually;
use crate::process::Process;

const START_DEADLINE: Duration = Duration::from_mins(1);

/// The name of the bucket.
const BUCKET: &str = "hearth";

/// The header of the test's own requests. The server rejects requests without one, and does not
/// check its signature.
const AUTHORIZATION: &str = "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0";

/// The keys, which the server does not check.
const KEYS: &str = "[default]\naws_access_key_id = test\naws_secret_access_key = test\n";

/// The way in which the server does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BucketFault {
    /// It closes every connection.
    Away,
    /// It accepts connections and answers when the fault is over.
    Silent,
    /// It answers everything with status 500.
    Failing,
}

/// A private S3-compatible server with one bucket.
///
/// It ends when it is dropped and when the test process ends.
#[derive(Debug)]
pub struct TestBucket {
    dir: TempDir,
    pid: i32,
    waiting: Option<JoinHandle<()>>,
    /// The address of the server itself.
    server: SocketAddr,
    relay: SocketAddr,
    fault: watch::Sender<Option<BucketFault>>,
    _relaying: JoinSet<()>,
}

impl TestBucket {
    /// Starts a server with an empty bucket.
    pub async fn start() -> Self {
        let dir = crate::new_data_dir();
        std::fs::write(dir.path().join("keys"), KEYS).expect("written");
        let server = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port().await));
        let (pid, waiting) = launch(dir.path(), server);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("a port is free");
        let relay = listener.local_addr().expect("it is bound");
        let (fault, faults) = watch::channel(None);
        let mut relaying = JoinSet::new();
        relaying.spawn(relay_all(listener, server, faults));
        let bucket = Self {
            dir,
            pid,
            waiting: Some(waiting),
            server,
            relay,
            fault,
            _relaying: relaying,
        };
        bucket.create().await;
        bucket
    }

    async fn create(&self) {
        let url = format!("http://{}/{BUCKET}", self.server);
        let client = reqwest::Client::new();
        eventually(START_DEADLINE, "the S3 server accepts requests", || async {
            let log = std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
            assert!(
                Process::find(self.pid).is_some(),
                "the S3 server ended:\n{log}"
            );
            let request = client.put(&url).header("authorization", AUTHORIZATION);
            let created = request.send().await;
            created
                .and_then(reqwest::Response::error_for_status)
                .map(drop)
                .map_err(|error| format!("{error}\n{log}"))
        })
        .await;
    }

    /// Returns the settings of a server whose profiles are in the bucket.
    pub fn settings(&self) -> [(&'static str, String); 4] {
        [
            ("HEARTH_PROFILE_STORE", format!("s3://{BUCKET}/test")),
            ("HEARTH_S3_ENDPOINT", self.endpoint()),
            ("HEARTH_S3_REGION", "us-east-1".to_owned()),
            (
                "HEARTH_S3_KEYS_FILE",
                self.keys_file().display().to_string(),
            ),
        ]
    }

    /// Returns the URL of the server.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.relay)
    }

    /// Returns the file with the keys.
    pub fn keys_file(&self) -> PathBuf {
        self.dir.path().join("keys")
    }

    /// Makes the server fail, or answer again.
    pub fn set_fault(&self, fault: Option<BucketFault>) {
        self.fault.send_replace(fault);
    }

    /// Returns the keys of all objects, sorted.
    pub async fn keys(&self) -> Vec<String> {
        let listed = self.send(Method::GET, "?list-type=2", Vec::new()).await;
        let text = String::from_utf8(listed).expect("the list is text");
        let keys = text.split("<Key>").skip(1);
        let mut keys: Vec<String> = keys
            .filter_map(|rest| rest.split_once("</Key>"))
            .map(|(key, _)| key.to_owned())
            .collect();
        keys.sort();
        keys
    }

    /// Reads an object.
    pub async fn read(&self, key: &str) -> Vec<u8> {
        self.send(Method::GET, &format!("/{key}"), Vec::new()).await
    }

    /// Creates or replaces an object.
    pub async fn write(&self, key: &str, content: Vec<u8>) {
        self.send(Method::PUT, &format!("/{key}"), content).await;
    }

    /// Deletes an object.
    pub async fn delete(&self, key: &str) {
        self.send(Method::DELETE, &format!("/{key}"), Vec::new())
            .await;
    }

    /// Sends a request to the server itself, and returns the body of its response.
    async fn send(&self, method: Method, path: &str, body: Vec<u8>) -> Vec<u8> {
        let url = format!("http://{}/{BUCKET}{path}", self.server);
        let request = reqwest::Client::new().request(method, &url).body(body);
        let request = request.header("authorization", AUTHORIZATION);
        let answer = request
            .send()
            .await
            .and_then(reqwest::Response::error_for_status);
        let body = answer.expect("the server answers").bytes().await;
        body.expect("the response is complete").to_vec()
    }
}

impl Drop for TestBucket {
    fn drop(&mut self) {
        if let Some(process) = Process::find(self.pid) {
            process.signal(Signal::SIGKILL);
        }
        if let Some(waiting) = self.waiting.take() {
            let _ = waiting.join();
        }
    }
}

/// Starts moto, which ends with this process.
fn launch(dir: &Path, address: SocketAddr) -> (i32, JoinHandle<()>) {
    let python = crate::repository().join("tests/.venv/bin/python");
    assert!(
        python.exists(),
        "the venv of the tests is not installed: run scripts/setup-tests"
    );
    let log = File::create(dir.join("log")).expect("the dir belongs to this process");
    let mut command = Command::new("setpriv");
    command
        .args(["--pdeathsig", "KILL", "--"])
        .arg(python)
        .args(["-I", "-m", "moto.server", "-H", "127.0.0.1", "-p"])
        .arg(address.port().to_string())
        .env_clear()
        .current_dir(dir)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log);
    let (started, pid) = mpsc::channel();
    // The server ends with the thread that starts it, so this thread ends with the server.
    let waiting = std::thread::spawn(move || {
        let mut child = command.spawn().expect("util-linux is installed");
        let _ = started.send(child.id());
        let _ = child.wait();
    });
    let pid = pid.recv().expect("the server was started");
    (
        i32::try_from(pid).expect("ids of processes are positive"),
        waiting,
    )
}

async fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .expect("a port is free");
    listener.local_addr().expect("it is bound").port()
}

/// Accepts connections until the test ends.
async fn relay_all(
    listener: TcpListener,
    server: SocketAddr,
    faults: watch::Receiver<Option<BucketFault>>,
) {
    let server = Arc::new(server);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((stream, _)) = accepted {
                    connections.spawn(relay(stream, Arc::clone(&server), faults.clone()));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Relays one connection, or lets it fail.
async fn relay(
    mut client: TcpStream,
    server: Arc<SocketAddr>,
    mut faults: watch::Receiver<Option<BucketFault>>,
) {
    let is_over = |fault: &Option<BucketFault>| *fault != Some(BucketFault::Silent);
    let fault = match faults.wait_for(is_over).await {
        Ok(fault) => *fault,
        Err(_) => return,
    };
    match fault {
        None => {
            if let Ok(mut upstream) = TcpStream::connect(*server).await {
                let _ = copy_bidirectional(&mut client, &mut upstream).await;
            }
        }
        Some(BucketFault::Failing) => fail(client).await,
        Some(BucketFault::Away | BucketFault::Silent) => {}
    }
}

/// Answers the first request with an error, and reads the rest of it, so that the answer arrives.
async fn fail(mut client: TcpStream) {
    let mut buffer = vec![0; 64 * 1024];
    if client.read(&mut buffer).await.is_err() {
        return;
    }
    let answer =
        b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let _ = client.write_all(answer).await;
    while client.read(&mut buffer).await.is_ok_and(|bytes| bytes > 0) {}
}
