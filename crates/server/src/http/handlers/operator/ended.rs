//! The sessions that have ended lately, on the operator page.

use hearth_contract::EndedSession;

use crate::clock;
use crate::store::SessionRecord;
use crate::team;

/// The maximum number of ended sessions on the page.
pub(super) const MAX_ENDED: usize = 10;

/// Returns an ended session as the page shows it, or none for one that is active.
pub(super) fn describe_ended(session: &SessionRecord) -> Option<EndedSession> {
    let ending = session.ending?;
    Some(EndedSession {
        id: session.id.to_string(),
        team: team::display_name(&session.team),
        reason: ending.reason.as_str(),
        ended_at: clock::format(ending.at),
        duration_ms: ending.duration_ms,
    })
}
