//! The files of a session over HTTP: reading, writing, listing and removing.

mod attacks;
mod downloads;
mod limits;
mod reading;
mod writing;

use hearth_test_support::{Api, Exchange, Reply, Session};
use reqwest::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Returns the path of a file below the prefix of the API.
fn path_of(session: &Session, file: &str) -> String {
    format!("/{}/files/{file}", session.id())
}

/// Reads a file.
async fn get(api: &Api, session: &Session, file: &str) -> Exchange {
    Exchange::of(api.request(Method::GET, &path_of(session, file))).await
}

/// Reads a file that cannot be read.
async fn not_read(api: &Api, session: &Session, file: &str) -> Reply {
    api.send(api.request(Method::GET, &path_of(session, file)))
        .await
}

/// Writes a file.
async fn put(api: &Api, session: &Session, file: &str, content: impl Into<Vec<u8>>) -> Reply {
    let request = api.request(Method::PUT, &path_of(session, file));
    api.send(request.body(content.into())).await
}

/// Removes a file.
async fn remove(api: &Api, session: &Session, file: &str) -> Reply {
    api.send(api.request(Method::DELETE, &path_of(session, file)))
        .await
}

/// Lists the working directory, or another one with a query.
async fn list(api: &Api, session: &Session, query: &str) -> Reply {
    let path = format!("/{}/files{query}", session.id());
    api.send(api.request(Method::GET, &path)).await
}

/// Returns the names of a listing that do not begin with a dot.
async fn visible(api: &Api, session: &Session) -> Vec<String> {
    let listed = list(api, session, "").await.ok();
    let files = listed["files"].as_array().expect("a list").iter();
    let paths = files.map(|file| file["path"].as_str().expect("a path").to_owned());
    paths.filter(|path| !path.starts_with('.')).collect()
}

/// A connection that sends a request as it is, because clients change paths and send bodies at
/// once.
struct Raw(TcpStream);

impl Raw {
    /// Sends the head of a request for a file of a session. `headers` end with a line break.
    async fn send(api: &Api, method: &str, session: &Session, file: &str, headers: &str) -> Raw {
        let mut stream = TcpStream::connect(api.address()).await.expect("connected");
        let key = api
            .authorization()
            .map(|value| format!("Authorization: {value}\r\n"));
        let head = format!(
            "{method} /v2/interact{} HTTP/1.1\r\nHost: localhost\r\n{}{headers}\r\n",
            path_of(session, file),
            key.unwrap_or_default()
        );
        stream.write_all(head.as_bytes()).await.expect("sent");
        Raw(stream)
    }

    /// Sends bytes. Returns false if the server has closed the connection.
    async fn body(&mut self, bytes: &[u8]) -> bool {
        self.0.write_all(bytes).await.is_ok()
    }

    /// Reads until the end of the head of the response, and returns the head.
    async fn head(&mut self) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let byte = self.0.read_u8().await;
            head.push(byte.unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&head))));
        }
        String::from_utf8(head).expect("text")
    }

    /// Reads until the server closes the connection, and returns the number of bytes.
    async fn rest(mut self) -> usize {
        let mut rest = Vec::new();
        // A connection that breaks off has the bytes that arrived before.
        let _ = self.0.read_to_end(&mut rest).await;
        rest.len()
    }

    /// Reads a whole response to a request with `Connection: close`.
    async fn answer(mut self) -> String {
        let mut answer = Vec::new();
        let _ = self.0.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    }
}
