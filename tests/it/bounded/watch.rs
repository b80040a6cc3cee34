//! Measures the server while a test attacks it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use hearth_test_support::TestServer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, timeout};

/// The interval between two samples.
const INTERVAL: Duration = Duration::from_millis(25);

/// The minimum number of samples, so that one slow response is not the 95th percentile.
const MIN_SAMPLES: usize = 40;

/// The time after which a request counts as not answered.
const LIVEZ_DEADLINE: Duration = Duration::from_secs(5);

/// The values of an idle server.
#[derive(Clone, Copy, Debug, Default)]
pub struct Idle {
    resident_mib: u64,
    threads: u64,
    /// The 95th percentile of the times of `/livez`.
    pub livez: Duration,
}

/// Samples the server until it is finished.
pub struct Watch {
    stop: Arc<AtomicBool>,
    sampling: JoinHandle<Peaks>,
    log_bytes: usize,
}

/// The largest values during an attack.
#[derive(Debug)]
pub struct Peaks {
    /// The memory above that of the idle server.
    pub growth_mib: u64,
    pub descriptors: u64,
    /// The threads in addition to those of the idle server.
    pub more_threads: u64,
    /// The 95th percentile of the times of `/livez`, each on a new connection.
    pub livez: Duration,
    /// The bytes that the server has logged.
    pub log_bytes: usize,
}

impl Idle {
    pub async fn of(server: &TestServer) -> Idle {
        let peaks = Watch::start(server, Idle::default()).finish(server).await;
        Idle {
            resident_mib: peaks.growth_mib,
            threads: peaks.more_threads,
            livez: peaks.livez,
        }
    }
}

impl Watch {
    pub fn start(server: &TestServer, idle: Idle) -> Watch {
        let stop = Arc::new(AtomicBool::new(false));
        let sampling = sample(
            server.serving_pid(),
            server.address().to_owned(),
            idle,
            Arc::clone(&stop),
        );
        Watch {
            stop,
            sampling: tokio::spawn(sampling),
            log_bytes: server.output().len(),
        }
    }

    /// Ends the measurement.
    pub async fn finish(self, server: &TestServer) -> Peaks {
        self.stop.store(true, Ordering::Relaxed);
        let peaks = self.sampling.await.expect("no panic");
        Peaks {
            log_bytes: server.output().len() - self.log_bytes,
            ..peaks
        }
    }
}

async fn sample(pid: i32, address: String, idle: Idle, stop: Arc<AtomicBool>) -> Peaks {
    let mut samples = interval(INTERVAL);
    samples.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut peaks = Peaks {
        growth_mib: 0,
        descriptors: 0,
        more_threads: 0,
        livez: Duration::ZERO,
        log_bytes: 0,
    };
    let mut times = Vec::new();
    while times.len() < MIN_SAMPLES || !stop.load(Ordering::Relaxed) {
        samples.tick().await;
        let growth = resident_mib(pid).saturating_sub(idle.resident_mib);
        let threads = threads(pid).saturating_sub(idle.threads);
        peaks.growth_mib = peaks.growth_mib.max(growth);
        peaks.more_threads = peaks.more_threads.max(threads);
        peaks.descriptors = peaks.descriptors.max(open_descriptors(pid));
        times.push(livez(&address).await);
    }
    times.sort_unstable();
    peaks.livez = times[times.len() * 95 / 100];
    peaks
}

/// Returns the time of a request on a new connection, or the deadline if it fails.
async fn livez(address: &str) -> Duration {
    let start = Instant::now();
    let request = async {
        let mut stream = TcpStream::connect(address).await?;
        stream
            .write_all(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            .await?;
        let mut response = Vec::new();
        stream.read_to_end(&mut response).await?;
        std::io::Result::Ok(response.starts_with(b"HTTP/1.1 200"))
    };
    match timeout(LIVEZ_DEADLINE, request).await {
        Ok(Ok(true)) => start.elapsed(),
        _ => LIVEZ_DEADLINE,
    }
}

pub fn resident_mib(pid: i32) -> u64 {
    status_number(pid, "VmRSS:") / 1024
}

/// Returns the memory without files.
pub fn private_mib(pid: i32) -> u64 {
    status_number(pid, "RssAnon:") / 1024
}

pub fn threads(pid: i32) -> u64 {
    status_number(pid, "Threads:")
}

/// Returns a number of `/proc/PID/status`.
fn status_number(pid: i32, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
    number.expect("a running process has this number")
}

pub fn open_descriptors(pid: i32) -> u64 {
    let entries = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("it runs");
    entries.count() as u64
}
