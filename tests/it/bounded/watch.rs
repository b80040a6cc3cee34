//! Measures the server while a test attacks it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use hearth_test_support::TestServer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, timeout};

/// The bounds of every attack.
const MAX_GROWTH_MIB: u64 = 250;
const MAX_LIVEZ: Duration = Duration::from_millis(500);

/// Samples the server until it is finished.
pub struct Watch {
    stop: Arc<AtomicBool>,
    sampling: JoinHandle<Peaks>,
}

/// The largest values during an attack.
#[derive(Debug)]
pub struct Peaks {
    /// The memory of the server above its memory before the attack.
    pub growth_mib: u64,
    pub descriptors: u64,
    /// The 95th percentile of the times of `/livez`, each on a new connection.
    pub livez: Duration,
}

impl Watch {
    pub fn start(server: &TestServer) -> Watch {
        let stop = Arc::new(AtomicBool::new(false));
        let sampling = sample(
            server.serving_pid(),
            server.address().to_owned(),
            Arc::clone(&stop),
        );
        Watch {
            stop,
            sampling: tokio::spawn(sampling),
        }
    }

    /// Ends the measurement and asserts the bounds.
    pub async fn assert_bounded(self) -> Peaks {
        self.stop.store(true, Ordering::Relaxed);
        let peaks = self.sampling.await.expect("no panic");
        let max_descriptors = descriptor_limit() / 2;
        assert!(
            peaks.growth_mib < MAX_GROWTH_MIB
                && peaks.descriptors < max_descriptors
                && peaks.livez < MAX_LIVEZ,
            "{peaks:?}, at most {MAX_GROWTH_MIB} MiB, {max_descriptors} descriptors, {MAX_LIVEZ:?}"
        );
        peaks
    }
}

async fn sample(pid: i32, address: String, stop: Arc<AtomicBool>) -> Peaks {
    let idle = resident_mib(pid);
    let mut samples = interval(Duration::from_millis(50));
    samples.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut peak = 0;
    let mut descriptors = 0;
    let mut times = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        samples.tick().await;
        peak = peak.max(resident_mib(pid));
        descriptors = descriptors.max(open_descriptors(pid));
        times.push(livez(&address).await);
    }
    times.sort_unstable();
    Peaks {
        growth_mib: peak.saturating_sub(idle),
        descriptors,
        livez: times[times.len() * 95 / 100],
    }
}

/// Returns the time of a request on a new connection; at most 30 s.
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
    match timeout(Duration::from_secs(30), request).await {
        Ok(Ok(true)) => start.elapsed(),
        // A rejected request counts as one that was never answered.
        _ => Duration::from_secs(30),
    }
}

pub fn resident_mib(pid: i32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kib.expect("a running process has memory") / 1024
}

pub fn open_descriptors(pid: i32) -> u64 {
    let entries = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("it runs");
    entries.count() as u64
}

fn descriptor_limit() -> u64 {
    let limit = nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE);
    limit.expect("it can be read").1
}
