//! The format of server-sent events, as a client reads it.

/// The maximum size of one event, which is several times that of the largest output.
const MAX_EVENT_BYTES: usize = 1 << 30;

/// One event.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Event {
    /// The name, or an empty text.
    pub name: String,
    pub data: String,
}

/// An event that is too large.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooLarge;

/// A reader of the parts of a stream.
#[derive(Debug, Default)]
pub(super) struct EventStream {
    /// The beginning of a line.
    line: Vec<u8>,
    next: Event,
    has_data: bool,
    /// Set after a carriage return, which a line feed may follow.
    is_after_return: bool,
}

impl EventStream {
    /// Reads the next part. Returns the events that it completes.
    pub fn push(&mut self, part: &[u8]) -> Result<Vec<Event>, TooLarge> {
        let mut events = Vec::new();
        for &byte in part {
            let is_second = byte == b'\n' && self.is_after_return;
            self.is_after_return = byte == b'\r';
            if is_second {
                continue;
            }
            if byte == b'\n' || byte == b'\r' {
                let line = std::mem::take(&mut self.line);
                events.extend(self.end_line(&String::from_utf8_lossy(&line)));
            } else {
                self.line.push(byte);
            }
            if self.line.len() + self.next.data.len() + self.next.name.len() > MAX_EVENT_BYTES {
                return Err(TooLarge);
            }
        }
        Ok(events)
    }

    /// Reads a line. An empty one ends an event.
    fn end_line(&mut self, line: &str) -> Option<Event> {
        if line.is_empty() {
            let event = std::mem::take(&mut self.next);
            return std::mem::take(&mut self.has_data).then_some(event);
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.next.name),
            "data" => {
                if self.has_data {
                    self.next.data.push('\n');
                }
                self.next.data.push_str(value);
                self.has_data = true;
            }
            // A comment, or a field that has no meaning here.
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(name: &str, data: &str) -> Event {
        Event {
            name: name.to_owned(),
            data: data.to_owned(),
        }
    }

    #[test]
    fn events_are_the_same_however_the_stream_is_split() {
        let text = ": hello\n\nevent: stdout\ndata: {\"text\":\"\u{e9}\"}\n\nevent:end\r\ndata:1\r\n\
                    data: 2\r\nid: 7\r\n\r\nevent: none\n\ndata\n\n";
        let expected = [
            event("stdout", "{\"text\":\"\u{e9}\"}"),
            event("end", "1\n2"),
            event("", ""),
        ];
        for size in 1..=text.len() {
            let mut stream = EventStream::default();
            let mut events = Vec::new();
            for part in text.as_bytes().chunks(size) {
                events.extend(stream.push(part).expect("small"));
            }
            assert_eq!(events, expected, "parts of {size} bytes");
        }
    }

    #[test]
    fn an_event_without_its_empty_line_is_not_complete() {
        let mut stream = EventStream::default();
        assert_eq!(stream.push(b"event: end\ndata: 1\n"), Ok(Vec::new()));
        assert_eq!(stream.push(b"\n"), Ok(vec![event("end", "1")]));
    }
}
