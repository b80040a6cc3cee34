"""What schemathesis has to know of Hearth beside its OpenAPI file: how to keep sessions few and code short, where the
tokens of browsers are, and what must be true of a session that has ended. It must not make a finding disappear.
"""

import itertools
import os
import re
import uuid
from collections import OrderedDict

import requests
import schemathesis

# As many sessions as stay alive at once; the server under test allows a few more.
KEPT_SESSIONS = 3

# Seconds that code may take, unless the number is one that tries the limits of the schema.
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

# New sessions as they were answered, by their ids, oldest first.
alive: "OrderedDict[str, dict]" = OrderedDict()
# What schemathesis.toml gives for a token, and every token that took its place.
issued = {"the-session's-own"}
# The ids of those that were deleted, and how long they lived.
ended: "dict[str, int]" = {}
turns = itertools.count()


@schemathesis.hook
def before_load_schema(context, raw_schema):
    """Lets a new session's browser and live view be asked for, too: OpenAPI has no words for a token within an address."""
    links = raw_schema["components"]["responses"]["Created"]["links"]
    browser = ("connectToBrowser", "showBrowserVersion", "listTargets", "listTargetsShort")
    for operation in (*browser, "openLiveView", "connectToLiveView"):
        links[operation] = {"operationId": operation, "parameters": {"id": "$response.body#/id"}}


def token_of(session, link):
    """Nothing for a session that has no such link."""
    return session[link].partition("token=")[2]


def note_created(body):
    alive[body["id"]] = body
    issued.update(filter(None, (token_of(body, "cdpUrl"), token_of(body, "liveViewUrl"))))
    while len(alive) > KEPT_SESSIONS:
        oldest, _ = alive.popitem(last=False)
        answer = client.delete(f"{sessions}/{oldest}", timeout=15)
        assert answer.status_code == 200, answer.text
        ended[oldest] = answer.json()["sessionDurationMs"]


def newest():
    """A session that is alive."""
    if not alive:
        answer = client.post(sessions, timeout=15)
        assert answer.status_code == 200, answer.text
        note_created(answer.json())
    return next(reversed(alive))


def is_uuid(text):
    try:
        return str(uuid.UUID(text)) == text
    except (TypeError, ValueError, AttributeError):
        return False


@schemathesis.hook
def before_call(context, case, kwargs):
    """Outside of the stateful phase, which brings its own, most ids become one of a session that is alive. Tokens become
    those of the session."""
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
    """Keeps executions short. Only bodies that the server would run are changed."""
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
    """Notes sessions that come and go, and ends the oldest when there are too many."""
    method, status = case.method.upper(), response.status_code
    if method == "POST" and CREATE.match(case.path) and status == 200:
        note_created(response.json())
    elif method == "DELETE" and case.path == OPERATORS_END:
        alive.pop(case.path_parameters["id"], None)
    elif method == "DELETE" and SESSION.match(case.path) and status == 200:
        identifier = case.path_parameters["id"]
        alive.pop(identifier, None)
        ended.setdefault(identifier, response.json()["sessionDurationMs"])


@schemathesis.check
def ended_sessions_stay_ended(ctx, response, case):
    """Runs no code, has no links, and tells the same duration for ever: in place of `use_after_free`."""
    identifier = (case.path_parameters or {}).get("id")
    if not SESSION.match(case.path) or identifier not in ended or response.status_code in (400, 401):
        return
    method = case.method.upper()
    if method == "POST" and EXECUTE.match(case.path):
        assert response.status_code == 410, f"code was taken by an ended session: {response.status_code}"
    elif method in ("GET", "DELETE") and response.status_code == 200:
        body = response.json()
        assert body["status"] in ("destroyed", "stopped"), f"an ended session is {body['status']}"
        assert body["sessionDurationMs"] == ended[identifier], "the duration of an ended session has changed"


@schemathesis.check
def sessions_belong_to_their_team(ctx, response, case):
    """Who may not look at a session may not run code in it or end it either. `object_level_authorization` wants to log
    in as two callers and compares nothing here, where all requests are one caller's."""
    if case.method.upper() != "GET" or not SESSION.match(case.path) or response.status_code != 200:
        return
    session = f"{sessions}/{response.json()['id']}"
    answers = [
        other_team.get(session, timeout=15),
        other_team.post(f"{session}/execute", json={"code": "1"}, timeout=15),
        other_team.delete(session, timeout=15),
    ]
    for answer in answers:
        assert answer.status_code == 403, f"another team is answered {answer.status_code} to {answer.request.method}"
