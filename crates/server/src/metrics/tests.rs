//! Tests the metrics.

use super::*;

#[test]
fn counters_and_gauges_are_rendered_and_default_to_0() {
    let metrics = Metrics::new("default");
    metrics.session_ended(DestroyedReason::Idle);
    metrics.execution_finished(
        Language::Python,
        ExecuteOutcome::TimedOut,
        Duration::from_secs(2),
    );
    let gauges = Gauges {
        ready: true,
        active: 2,
        max_sessions: 8,
        free_disk_bytes: Some(7),
        session_buffers_denied: 4,
        max_buffer_bytes: 9,
        egress_denials: vec![("metadata", 3)],
        ..Gauges::default()
    };
    let text = metrics.render(&gauges, |_| true);
    for line in [
        "hearth_ready 1",
        "hearth_sessions{state=\"active\"} 2",
        "hearth_sessions_used_percent 25",
        "hearth_sessions_ended_total{reason=\"idle\"} 1",
        "hearth_sessions_ended_total{reason=\"browser_crashed\"} 0",
        "hearth_execute_seconds_count{language=\"python\",outcome=\"timed_out\"} 1",
        "hearth_execute_seconds_bucket{le=\"1.0\",language=\"python\",outcome=\"timed_out\"} 0",
        "hearth_kills_total{reason=\"deadline\"} 0",
        "hearth_egress_refusals_total{rule=\"metadata\"} 3",
        "hearth_leaked_processes 0",
        "hearth_store_up 1",
        "hearth_store_seconds_count{statement=\"reserve\"} 0",
        "hearth_peer_seconds_count{outcome=\"lost\"} 0",
        "hearth_disk_free_bytes 7",
        "hearth_session_buffers_denied_total 4",
        "hearth_buffer_bytes_max 9",
        "# EOF",
    ] {
        assert!(
            text.lines().any(|found| found == line),
            "{line} is not in\n{text}"
        );
    }
}
