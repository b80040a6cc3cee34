//! The connection to one tab: calls with their replies, and events in between.

use std::borrow::Cow;

use hearth_browser::{Client, ClientReceiver, ClientSender, Outgoing};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::time::{Instant, timeout_at};

use super::error::PageError;
use super::origin_headers::Request;
use super::page_state::PageState;

/// A client of the broker for one tab.
#[derive(Debug)]
pub(super) struct Connection {
    tab: String,
    sender: ClientSender,
    receiver: ClientReceiver,
    last_id: i64,
    is_closed: bool,
    /// The state of the page, according to the events.
    pub page: PageState,
}

/// A message from the broker.
#[derive(Deserialize)]
struct Incoming<'a> {
    id: Option<i64>,
    #[serde(borrow)]
    method: Option<Cow<'a, str>>,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    error: Option<Rejection>,
}

#[derive(Deserialize)]
struct Rejection {
    message: String,
}

#[derive(Serialize)]
struct Call<'a, P> {
    id: i64,
    method: &'a str,
    params: &'a P,
}

impl Connection {
    pub fn new(tab: String, client: Client) -> Connection {
        let (sender, receiver) = client.split();
        Connection {
            page: PageState::new(tab.clone()),
            tab,
            sender,
            receiver,
            last_id: 0,
            is_closed: false,
        }
    }

    /// Returns the id of the tab, which is the id of its main frame too.
    pub fn tab(&self) -> &str {
        &self.tab
    }

    pub fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// Sends a call without waiting for its reply. Returns its id.
    pub fn send(&mut self, method: &str, params: &impl Serialize) -> Result<i64, PageError> {
        self.last_id += 1;
        let call = Call {
            id: self.last_id,
            method,
            params,
        };
        let text = serde_json::to_string(&call).map_err(|source| PageError::Malformed {
            method: method.to_owned(),
            source,
        })?;
        self.sender.send(text)?;
        Ok(self.last_id)
    }

    /// Sends a call and waits for its reply.
    pub async fn call<T: DeserializeOwned>(
        &mut self,
        method: &str,
        params: &impl Serialize,
        deadline: Instant,
    ) -> Result<T, PageError> {
        let writable = timeout_at(deadline, self.sender.writable()).await;
        writable.map_err(|_| PageError::TimedOut)?;
        let awaited = self.send(method, params)?;
        loop {
            let text = self.next(deadline).await?.ok_or(PageError::TimedOut)?;
            let Some(incoming) = parse(&text) else {
                continue;
            };
            if incoming.id == Some(awaited) {
                return read_reply(method, &incoming);
            }
            self.handle(&incoming)?;
        }
    }

    /// Sends calls without waiting in between, and waits for all their replies. The browser
    /// handles them in this order.
    pub async fn call_all(
        &mut self,
        calls: &[(&str, Value)],
        deadline: Instant,
    ) -> Result<(), PageError> {
        let mut awaited = Vec::with_capacity(calls.len());
        for (method, params) in calls {
            let writable = timeout_at(deadline, self.sender.writable()).await;
            writable.map_err(|_| PageError::TimedOut)?;
            awaited.push((self.send(method, params)?, *method));
        }
        while !awaited.is_empty() {
            let text = self.next(deadline).await?.ok_or(PageError::TimedOut)?;
            let Some(incoming) = parse(&text) else {
                continue;
            };
            let call = awaited.iter().position(|(id, _)| incoming.id == Some(*id));
            if let Some(call) = call {
                let (_, method) = awaited.swap_remove(call);
                let _: Value = read_reply(method, &incoming)?;
            } else {
                self.handle(&incoming)?;
            }
        }
        Ok(())
    }

    /// Reads events until this time.
    pub async fn read_until(&mut self, until: Instant) -> Result<(), PageError> {
        while let Some(text) = self.next(until).await? {
            self.handle_text(&text)?;
        }
        Ok(())
    }

    /// Reads events until the page has reached a state. Returns false if this time passes first.
    pub async fn read_while(
        &mut self,
        is_waiting: impl Fn(&PageState) -> bool,
        until: Instant,
    ) -> Result<bool, PageError> {
        while is_waiting(&self.page) {
            let Some(text) = self.next(until).await? else {
                return Ok(false);
            };
            self.handle_text(&text)?;
        }
        Ok(true)
    }

    fn handle_text(&mut self, text: &str) -> Result<(), PageError> {
        match parse(text) {
            Some(incoming) => self.handle(&incoming),
            None => Ok(()),
        }
    }

    /// Applies an event, and sends what the browser needs to continue.
    fn handle(&mut self, incoming: &Incoming<'_>) -> Result<(), PageError> {
        let request = match (incoming, incoming.params) {
            (
                Incoming {
                    method: Some(method),
                    ..
                },
                Some(params),
            ) => self.page.apply(method, params.get()),
            (
                Incoming {
                    id: Some(id),
                    error: Some(_),
                    ..
                },
                _,
            ) => self.page.rejected(*id),
            _ => None,
        };
        match request {
            None => Ok(()),
            Some(Request {
                method,
                params,
                paused,
            }) => {
                let id = self.send(method, &params)?;
                if let Some(paused) = paused {
                    self.page.continues(id, paused);
                }
                Ok(())
            }
        }
    }

    /// Returns the next message, or `None` if this time passes first.
    async fn next(&mut self, until: Instant) -> Result<Option<String>, PageError> {
        if self.page.has_crashed() {
            return Err(PageError::Crashed);
        }
        match timeout_at(until, self.receiver.next()).await {
            Ok(Outgoing::Message(text)) => Ok(Some(text)),
            Ok(Outgoing::Close { reason, .. }) => {
                self.is_closed = true;
                Err(PageError::Disconnected(reason))
            }
            Err(_) => Ok(None),
        }
    }
}

/// Returns `None` for text that the broker does not send.
fn parse(text: &str) -> Option<Incoming<'_>> {
    serde_json::from_str(text).ok()
}

fn read_reply<T: DeserializeOwned>(method: &str, incoming: &Incoming<'_>) -> Result<T, PageError> {
    if let Some(error) = &incoming.error {
        return Err(PageError::Rejected {
            method: method.to_owned(),
            message: error.message.clone(),
        });
    }
    let result = incoming.result.map_or("{}", RawValue::get);
    serde_json::from_str(result).map_err(|source| PageError::Malformed {
        method: method.to_owned(),
        source,
    })
}
