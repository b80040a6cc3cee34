"""Schemathesis hooks for facts about Hearth that the OpenAPI file cannot express.

They limit the number of sessions and the duration of code, insert the tokens of browsers, and check
the rules for ended sessions. They must not hide a finding.
"""

import itertools
import os
import re
import uuid
from collections import OrderedDict

import requests
import schemathesis

# Max number of sessions alive at once; the server under test allows a few more.
KEPT_SESSIONS = 3

# Timeout of code in seconds, unless the value tests the limits of the schema.
SHORT_TIMEOUT = 2
LIMITS = (299, 300)

CREATE = re.compile(r"^/v2/(interact|browser)$")
EXECUTE = re.compile(r"^/v2/(interact|browser)/\{id\}/execute$")
OPERATORS_END = "/operator/sessions/{id}"
SESSION = re.compile(r"^/v2/(interact|browser)/\{id\}")
BROWSER = re.compile(r"^/cdp/\{id\}")
LIVE_VIEW = re.compile(r"^/live/\{id\}")

sessions = os.environ["FUZZ_URL"] + "/v2/interact"
client = requests.Session()
client.headers["Authorization"] = "Bearer " + os.environ["FUZZ_KEY"]
other_team = requests.Session()
other_team.headers["Authorization"] = "Bearer " + os.environ["FUZZ_OTHER_KEY"]

# Responses to session creation by id, oldest first.
alive: "OrderedDict[str, dict]" = OrderedDict()
# The placeholder token in schemathesis.toml, and every token that replaced it.
issued = {"the-session's-own"}
# The ids of deleted sessions and their durations.
ended: "dict[str, int]" = {}
turns = itertools.count()


@schemathesis.hook
def before_load_schema(context, raw_schema):
    """Adds links from a new session to its browser and live view.

    OpenAPI cannot express a token within a URL.
    """
    links = raw_schema["components"]["responses"]["Created"]["links"]
    browser = ("connectToBrowser", "showBrowserVersion", "listTargets", "listTargetsShort")
    for operation in (*browser, "openLiveView", "connectToLiveView"):
        links[operation] = {"operationId": operation, "parameters": {"id": "$response.body#/id"}}


def token_of(session, link):
    """Returns the token of a link; empty if the session has no such link."""
    return session[link].partition("token=")[2]


def record_created(body):
    alive[body["id"]] = body
    issued.update(filter(None, (token_of(body, "cdpUrl"), token_of(body, "liveViewUrl"))))
    while len(alive) > KEPT_SESSIONS:
        oldest, _ = alive.popitem(last=False)
        answer = client.delete(f"{sessions}/{oldest}", timeout=15)
        assert answer.status_code == 200, answer.text
        ended[oldest] = answer.json()["sessionDurationMs"]


def newest():
    """Returns the id of a session that is alive."""
    if not alive:
        answer = client.post(sessions, timeout=15)
        assert answer.status_code == 200, answer.text
        record_created(answer.json())
    return next(reversed(alive))


def is_uuid(text):
    try:
        return str(uuid.UUID(text)) == text
    except (TypeError, ValueError, AttributeError):
        return False


@schemathesis.hook
def before_call(context, case, kwargs):
    """Replaces most ids with the id of a live session, and tokens with those of the session.

    The stateful phase has its own ids, which stay.
    """
    identifier = (case.path_parameters or {}).get("id")
    is_stateful = case.meta is not None and case.meta.phase.name.value == "stateful"
    if is_uuid(identifier) and identifier not in alive and not is_stateful and next(turns) % 4:
        identifier = newest()
        case.path_parameters = {**case.path_parameters, "id": identifier}
    query = case.query or {}
    link = "cdpUrl" if BROWSER.match(case.path) else "liveViewUrl" if LIVE_VIEW.match(case.path) else None
    if link and query.get("token") in issued and identifier in alive:
        case.query = {**query, "token": token_of(alive[identifier], link) or query["token"]}


def is_number(value):
    return isinstance(value, int) and not isinstance(value, bool)


@schemathesis.hook
def map_case(context, case):
    """Keeps executions short. Changes only bodies that the server would run."""
    body = case.body
    if not EXECUTE.match(case.path) or not isinstance(body, dict) or not isinstance(body.get("code"), str):
        return case
    timeout = body.get("timeout", 30)
    if is_number(timeout) and SHORT_TIMEOUT < timeout <= 300:
        if timeout in LIMITS:
            case.body = {**body, "code": "1" if body["code"] else ""}
        else:
            case.body = {**body, "timeout": SHORT_TIMEOUT}
    return case


@schemathesis.hook
def after_call(context, case, response):
    """Tracks created and deleted sessions, and deletes the oldest when there are too many."""
    method, status = case.method.upper(), response.status_code
    if method == "POST" and CREATE.match(case.path) and status == 200:
        record_created(response.json())
    elif method == "DELETE" and case.path == OPERATORS_END:
        alive.pop(case.path_parameters["id"], None)
    elif method == "DELETE" and SESSION.match(case.path) and status == 200:
        identifier = case.path_parameters["id"]
        alive.pop(identifier, None)
        ended.setdefault(identifier, response.json()["sessionDurationMs"])


@schemathesis.check
def ended_sessions_stay_ended(ctx, response, case):
    """Checks that an ended session rejects code and reports a constant duration.

    Replaces the check `use_after_free`.
    """
    identifier = (case.path_parameters or {}).get("id")
    if not SESSION.match(case.path) or identifier not in ended or response.status_code in (400, 401):
        return
    method = case.method.upper()
    if method == "POST" and EXECUTE.match(case.path):
        assert response.status_code == 410, f"an ended session accepted code: {response.status_code}"
    elif method in ("GET", "DELETE") and response.status_code == 200:
        body = response.json()
        assert body["status"] in ("destroyed", "stopped"), f"an ended session has the status {body['status']}"
        assert body["sessionDurationMs"] == ended[identifier], "the duration of an ended session has changed"


@schemathesis.check
def sessions_belong_to_their_team(ctx, response, case):
    """Checks that another team cannot read a session, run code in it or delete it.

    The check `object_level_authorization` needs two logins. It compares nothing here, because all
    requests have the same key.
    """
    if case.method.upper() != "GET" or not SESSION.match(case.path) or response.status_code != 200:
        return
    session = f"{sessions}/{response.json()['id']}"
    answers = [
        other_team.get(session, timeout=15),
        other_team.post(f"{session}/execute", json={"code": "1"}, timeout=15),
        other_team.delete(session, timeout=15),
    ]
    for answer in answers:
        assert answer.status_code == 403, f"another team got {answer.status_code} for {answer.request.method}"
