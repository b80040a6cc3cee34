//! Metrics on the server's own resources, and on limits.

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
            "buffer_bytes_max",
            "The limit of that memory (HEARTH_BUFFER_MB)",
            self.max_buffers.clone(),
        );
        all.register(
            "buffers_denied",
            "Buffers that could not grow, because HEARTH_BUFFER_MB was reached",
            self.buffers_denied.clone(),
        );
        all.register(
            "session_buffers_denied",
            "Buffers that could not grow, because HEARTH_SESSION_BUFFER_MB was reached",
            self.session_buffers_denied.clone(),
        );
        all.register(
            "connections",
            "Open connections of clients",
            self.connections.clone(),
        );
        all.register(
            "connections_max",
            "The limit of open connections",
            self.max_connections.clone(),
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
        all.register(
            "memory_available_bytes_min",
            "The available memory below which no session is created (HEARTH_MIN_FREE_MEMORY_MB)",
            self.min_memory.clone(),
        );
        all.register(
            "disk_free_bytes_min",
            "The free space below which no session is created (HEARTH_MIN_FREE_DISK_MB)",
            self.min_disk.clone(),
        );
    }

    pub(super) fn set_limits(&self, gauges: &Gauges) {
        self.buffers.set(saturate(gauges.buffer_bytes));
        self.max_buffers.set(saturate(gauges.max_buffer_bytes));
        raise(&self.buffers_denied, gauges.buffers_denied);
        raise(&self.session_buffers_denied, gauges.session_buffers_denied);
        let ConnectionCounts {
            open,
            max,
            replaced,
            rejected,
        } = gauges.connections;
        self.connections.set(saturate(open as u64));
        self.max_connections.set(saturate(max as u64));
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
        self.min_memory
            .set(saturate(gauges.min_available_memory_bytes));
        self.min_disk.set(saturate(gauges.min_free_disk_bytes));
    }
}
