-- What an interaction with a scrape needs: the page and the actions, until a session has opened
-- them, and then the session.
CREATE TABLE scrapes (
    id           TEXT   NOT NULL PRIMARY KEY,
    team         TEXT   NOT NULL,
    used_at_ms   BIGINT NOT NULL,
    context_json TEXT,
    session_id   TEXT
);

CREATE INDEX scrapes_by_team ON scrapes (team, used_at_ms);
