//! A network between a node and the database that can be cut without a word.

use std::net::Ipv4Addr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

/// A relay to the database. Its tasks end when it is dropped.
#[derive(Debug)]
pub(super) struct Relay {
    port: u16,
    is_cut: watch::Sender<bool>,
    _stop: DropGuard,
}

impl Relay {
    pub async fn start(database: u16) -> Relay {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let listener = listener.expect("a port is free");
        let port = listener.local_addr().expect("it is bound").port();
        let (is_cut, cut) = watch::channel(false);
        let stop = CancellationToken::new();
        let tasks = TaskTracker::new();
        let relay = accept(listener, database, cut, tasks.clone(), stop.clone());
        tasks.spawn(stop.clone().run_until_cancelled_owned(relay));
        Relay {
            port,
            is_cut,
            _stop: stop.drop_guard(),
        }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Holds everything back from now on.
    pub fn cut(&self) {
        self.is_cut.send_replace(true);
    }

    /// Delivers what was held back, and what follows.
    pub fn restore(&self) {
        self.is_cut.send_replace(false);
    }
}

async fn accept(
    listener: TcpListener,
    database: u16,
    cut: watch::Receiver<bool>,
    tasks: TaskTracker,
    stop: CancellationToken,
) {
    loop {
        let (client, _) = listener.accept().await.expect("it listens");
        let mut cut = cut.clone();
        let relaying = async move {
            restored(&mut cut).await;
            let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, database)).await else {
                return;
            };
            let (from_client, to_client) = client.into_split();
            let (from_server, to_server) = server.into_split();
            tokio::join!(
                copy(from_client, to_server, cut.clone()),
                copy(from_server, to_client, cut)
            );
        };
        tasks.spawn(stop.clone().run_until_cancelled_owned(relaying));
    }
}

/// Copies bytes, and the end of the connection, while the network is not cut.
async fn copy(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut cut: watch::Receiver<bool>) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        restored(&mut cut).await;
        if to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
    restored(&mut cut).await;
}

async fn restored(cut: &mut watch::Receiver<bool>) {
    // The relay is gone if this fails.
    let _ = cut.wait_for(|is_cut| !is_cut).await;
}
