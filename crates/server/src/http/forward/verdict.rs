//! The question of a node whether it still has its lease, which it asks other nodes when it does
//! not reach the store.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{Query, State};
use axum::http::Request;
use futures_util::future::join_all;
use hearth_peer::Client;
use http_body_util::{BodyExt, Limited};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use url::form_urlencoded;

use super::forwarding::remote;
use crate::cluster::{Cluster, Life, Moment, Node, PeerVerdict};

/// The path of the question.
pub(crate) const PATH: &str = "/peer/v1/verdict";

/// The time between two questions. An answer counts for two seconds.
const ASK_EVERY: Duration = Duration::from_secs(1);

/// The time limit for one answer.
const ASK_TIMEOUT: Duration = Duration::from_secs(1);

/// The maximum size of an answer.
const MAX_ANSWER_BYTES: usize = 1024;

/// The maximum number of nodes that are asked.
const MAX_ASKED: usize = 8;

/// The life of a node that asks.
#[derive(Debug, Deserialize)]
pub(crate) struct Question {
    name: String,
    epoch: i64,
}

/// The answer of a node.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(crate) struct Answer {
    verdict: Word,
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum Word {
    Alive,
    Fenced,
    StoreAway,
}

impl From<PeerVerdict> for Word {
    fn from(verdict: PeerVerdict) -> Word {
        match verdict {
            PeerVerdict::Alive => Word::Alive,
            PeerVerdict::Fenced => Word::Fenced,
            PeerVerdict::StoreAway => Word::StoreAway,
        }
    }
}

impl From<Word> for PeerVerdict {
    fn from(word: Word) -> PeerVerdict {
        match word {
            Word::Alive => PeerVerdict::Alive,
            Word::Fenced => PeerVerdict::Fenced,
            Word::StoreAway => PeerVerdict::StoreAway,
        }
    }
}

/// `GET /peer/v1/verdict`: says what the store says about the lease of another node.
pub(crate) async fn answer(
    State(cluster): State<Arc<Cluster>>,
    Query(question): Query<Question>,
) -> Json<Answer> {
    let Question { name, epoch } = question;
    let verdict = cluster.verdict_on(&Life { name, epoch }).await.into();
    Json(Answer { verdict })
}

/// Asks other nodes about the lease of this one while the store does not answer, until `stop`.
pub(crate) async fn ask_peers(cluster: Arc<Cluster>, client: Arc<Client>, stop: CancellationToken) {
    let asking = async {
        loop {
            cluster.verdict_wanted().await;
            let next = Instant::now() + ASK_EVERY;
            ask_all(&cluster, &client).await;
            sleep_until(next).await;
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = asking => {}
    }
}

async fn ask_all(cluster: &Cluster, client: &Client) {
    let view = cluster.view();
    let life = &view.own;
    let answers = view.peers().take(MAX_ASKED).map(|node| async move {
        let asked_at = Moment::now();
        if let Ok(Some(verdict)) = timeout(ASK_TIMEOUT, ask(client, node, life)).await {
            cluster.hear(life, verdict, asked_at);
        }
    });
    join_all(answers).await;
}

/// Returns the answer of a node, if it gives one.
async fn ask(client: &Client, node: &Node, life: &Life) -> Option<PeerVerdict> {
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("name", &life.name)
        .append_pair("epoch", &life.epoch.to_string())
        .finish();
    let request = Request::builder()
        .uri(format!("{PATH}?{query}"))
        .header("host", node.address.to_string())
        .body(Body::empty())
        .ok()?;
    let response = client.send(remote(node), request).await.ok()?;
    let body = Limited::new(response.into_body(), MAX_ANSWER_BYTES);
    let body: Bytes = body.collect().await.ok()?.to_bytes();
    let answer: Answer = serde_json::from_slice(&body).ok()?;
    Some(answer.verdict.into())
}
