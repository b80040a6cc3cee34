//! Metrics on the server's own resources and their limits.

use super::{ConnectionCounts, Gauges, Metrics, raise, saturate};

impl Metrics {
    pub(super) fn register_limits(&mut self) {
        let all = &mut self.registry;
        all.register(
            "buffer_bytes",
            "Memory of messages, output and bodies that are not delivered yet",
            self.buffers.clone(),
        );
        all.register(
            "buffers_denied",
            "Buffers that could not grow, because HEARTH_BUFFER_MB was reached",
            self.buffers_denied.clone(),
        );
        all.register(
            "connections",
            "Open connections of clients",
            self.connections.clone(),
        );
        all.register(
            "connections_closed",
            "Connections that were closed for lack of room, by reason",
            self.connections_closed.clone(),
        );
        all.register(
            "descriptors",
            "Open descriptors of the server, and their limit",
            self.descriptors.clone(),
        );
        all.register(
            "accept_paused",
            "1 while no connection is accepted, because too many descriptors are open",
            self.accept_paused.clone(),
        );
    }

    pub(super) fn set_limits(&self, gauges: &Gauges) {
        self.buffers.set(saturate(gauges.buffer_bytes));
        raise(&self.buffers_denied, gauges.buffers_denied);
        let ConnectionCounts {
            open,
            replaced,
            rejected,
        } = gauges.connections;
        self.connections.set(saturate(open as u64));
        for (reason, count) in [("replaced", replaced), ("rejected", rejected)] {
            let counter = self.connections_closed.get_or_create(&[("reason", reason)]);
            raise(&counter, count);
        }
        for (state, count) in [
            ("open", gauges.open_descriptors),
            ("max", gauges.max_descriptors),
        ] {
            self.descriptors
                .get_or_create(&[("state", state)])
                .set(saturate(count));
        }
        self.accept_paused.set(i64::from(gauges.accept_paused));
    }
}
