"""Schemathesis hooks for facts about Hearth that the OpenAPI file cannot express.

They limit the number of sessions and the duration of code and scrapes, insert the tokens of
browsers and a page that can be scraped, apply rules that involve several fields, and check the
rules for ended sessions. They must not hide a finding.
"""

import itertools
import json
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
# The same for an interaction, which may have to open a page first.
SHORT_OPENING = 8
LIMITS = (299, 300)

CREATE = re.compile(r"^/v2/(interact|browser)$")
EXECUTE = re.compile(r"^/v2/(interact|browser)/\{id\}/execute$")
OPERATORS_END = "/operator/sessions/{id}"
SESSION = re.compile(r"^/v2/(interact|browser)/\{id\}")
FILES = re.compile(r"^/v2/(interact|browser)/\{id\}/files")
BROWSER = re.compile(r"^/cdp/\{id\}")
LIVE_VIEW = re.compile(r"^/live/\{id\}")
SCRAPE = "/v2/scrape"
INTERACT = "/v2/scrape/{jobId}/interact"

# The page that is scraped, an element of it, and an address that the egress filter denies.
PAGE = os.environ["FUZZ_PAGE"]
ELEMENT = "h1"
DENIED_PAGE = "http://10.0.0.1/"

# Limits of the schema, in milliseconds, characters, bytes and elements.
SCRAPE_TIMEOUTS = (1000, 300_000)
SHORT_SCRAPE_TIMEOUT = 3000
MAX_WAIT = 60_000
SHORT_WAIT = 20
MAX_URL = 20_000
MAX_HEADER = 10_000
MAX_LIST = 50

# Fields that do not change the work of a scrape, or are varied by other scrapes.
WITHOUT_EFFECT = ("url", "origin", "lockdown", "location", "profile", "blockAds", "zeroDataRetention")

scrapes = os.environ["FUZZ_URL"] + SCRAPE
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
# The valid scrapes of the coverage phase, without the fields of WITHOUT_EFFECT.
effects: "set[str]" = set()
# The ids of scrapes whose session has not ended, and the ids of the sessions that interactions
# opened.
jobs: "OrderedDict[str, str | None]" = OrderedDict()


@schemathesis.hook
def before_load_schema(context, raw_schema):
    """Adds links from a new session to its browser and live view, and leaves out most countries.

    OpenAPI cannot express a token within a URL. Every country would be a new session.
    """
    schemas = raw_schema["components"]["schemas"]
    schemas["Country"]["enum"] = ["DE", "us"]
    for action in schemas["Action"]["oneOf"]:
        if action["properties"]["type"]["const"] == "pdf":
            action["properties"]["format"]["enum"] = ["A4", "Letter"]
    links = raw_schema["components"]["responses"]["Created"]["links"]
    browser = ("connectToBrowser", "showBrowserVersion", "listTargets", "listTargetsShort")
    for operation in (*browser, "openLiveView", "connectToLiveView"):
        links[operation] = {"operationId": operation, "parameters": {"id": "$response.body#/id"}}


def token_of(session, link):
    """Returns the token of a link; empty if the session has no such link."""
    return session[link].partition("token=")[2]


def record_created(identifier, body):
    alive[identifier] = body
    alive.move_to_end(identifier)
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
        record_created(answer.json()["id"], answer.json())
    return next(reversed(alive))


def newest_job():
    """Returns the id of a scrape."""
    if not jobs:
        answer = client.post(scrapes, json={"url": PAGE}, timeout=15)
        assert answer.status_code == 200, answer.text
        jobs[answer.json()["data"]["metadata"]["scrapeId"]] = None
    return next(reversed(jobs))


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
    is_stateful = case.meta is not None and case.meta.phase.name.value == "stateful"
    job = (case.path_parameters or {}).get("jobId")
    if is_uuid(job) and job not in jobs and not is_stateful and next(turns) % 4:
        case.path_parameters = {**case.path_parameters, "jobId": newest_job()}
    identifier = (case.path_parameters or {}).get("id")
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
def filter_case(context, case):
    """Drops most valid scrapes of the coverage phase, because they are slow.

    Keeps every second of those that differ from all earlier ones in their effect.
    """
    is_coverage = case.meta is not None and case.meta.phase.name.value == "coverage"
    if case.path != SCRAPE or not is_coverage or not case.meta.generation.mode.is_positive:
        return True
    if not isinstance(case.body, dict):
        return True
    effect = {name: value for name, value in case.body.items() if value and name not in WITHOUT_EFFECT}
    effect = json.dumps(effect, sort_keys=True)
    is_new = effect not in effects
    effects.add(effect)
    return is_new and len(effects) % 2 == 1


@schemathesis.hook
def map_case(context, case):
    """Keeps executions and scrapes short. Changes only bodies that the server would run."""
    body = case.body
    if not isinstance(body, dict):
        return case
    if case.path == SCRAPE:
        case.body = short_scrape(body)
    elif (EXECUTE.match(case.path) or case.path == INTERACT) and isinstance(body.get("code"), str):
        case.body = short_execution(body, SHORT_TIMEOUT if EXECUTE.match(case.path) else SHORT_OPENING)
    if case.path == INTERACT and is_text(body.get("url")):
        case.body = {**case.body, "url": PAGE}
    return case


def short_execution(body, seconds):
    timeout = body.get("timeout", 30)
    if not is_number(timeout) or not seconds < timeout <= 300:
        return body
    if timeout in LIMITS:
        return {**body, "code": "1" if body["code"] else ""}
    return {**body, "timeout": seconds}


def short_scrape(body):
    """Returns a request with valid values instead of valid ones that fail or take long."""
    body = dict(body)
    # These need another browser.
    if is_valid_location(body.get("location")) and next(turns) % 4:
        del body["location"]
    if is_valid_profile(body.get("profile")) and next(turns) % 4:
        del body["profile"]
    if is_text(body.get("url")) and len(body["url"]) <= MAX_URL:
        body["url"] = PAGE if len(body["url"]) < MAX_URL - 1 else PAGE.ljust(len(body["url"]), "x")
    if body.get("zeroDataRetention") is True and "profile" in body:
        body["zeroDataRetention"] = False
    if isinstance(body.get("formats"), list) and len(body["formats"]) <= MAX_LIST:
        body["formats"] = one_screenshot(body["formats"])
    if isinstance(body.get("headers"), dict):
        body["headers"] = {name: short_header(name, value) for name, value in body["headers"].items()}
    has_actions = isinstance(body.get("actions"), list) and len(body["actions"]) <= MAX_LIST
    if has_actions:
        body["actions"] = [existing_element(action) for action in body["actions"]]
    timeout = body.get("timeout", SHORT_SCRAPE_TIMEOUT)
    if is_number(timeout) and SCRAPE_TIMEOUTS[0] + 1 < timeout < SCRAPE_TIMEOUTS[1] - 1:
        body["timeout"] = SHORT_SCRAPE_TIMEOUT
    return short_waits(body, has_actions)


def is_valid_location(location):
    return isinstance(location, dict) and location.get("country", "DE") in ("DE", "us")


def is_valid_profile(profile):
    name = profile.get("name") if isinstance(profile, dict) else None
    return is_text(name) and len(name) <= 128 and isinstance(profile.get("saveChanges", True), bool)


def short_waits(body, has_actions):
    """Shortens waits, unless `waitFor` tests its limit.

    The server then denies the page before it waits.
    """
    actions = body["actions"] if has_actions else []
    wait_for = body.get("waitFor", 0)
    is_valid = is_number(wait_for) and 0 <= wait_for <= MAX_WAIT
    has_url = is_text(body.get("url")) and len(body["url"]) <= MAX_URL
    has_timeout = is_number(body["timeout"]) and SCRAPE_TIMEOUTS[0] <= body["timeout"] <= SCRAPE_TIMEOUTS[1]
    if is_valid and wait_for >= MAX_WAIT - 1 and has_url and has_timeout:
        body = {**body, "url": DENIED_PAGE, "timeout": 2 * MAX_WAIT}
        # Other waits would exceed the limit.
        return {**body, "actions": [action for action in actions if not waits(action)]} if has_actions else body
    if is_valid and "waitFor" in body:
        body["waitFor"] = min(wait_for, SHORT_WAIT)
    if has_actions:
        body["actions"] = [
            {**action, "milliseconds": min(action["milliseconds"], SHORT_WAIT)} if is_wait(action) else action
            for action in actions
        ]
    return body


def waits(action):
    return is_wait(action) or action == {"type": "wait", "selector": ELEMENT}


def is_wait(action):
    """Returns true for a wait of a valid time."""
    milliseconds = action.get("milliseconds") if isinstance(action, dict) and action.get("type") == "wait" else None
    return is_number(milliseconds) and 1 <= milliseconds <= MAX_WAIT


def existing_element(action):
    """Replaces most selectors, because the server waits for their elements."""
    if isinstance(action, dict) and isinstance(action.get("selector"), str) and len(action["selector"]) <= 10_000:
        return {**action, "selector": ELEMENT} if next(turns) % 4 else action
    return action


def one_screenshot(formats):
    """Leaves out all screenshots but the first."""
    names = [format.get("type") if isinstance(format, dict) else format for format in formats]
    return [
        format
        for index, format in enumerate(formats)
        if names[index] != "screenshot" or "screenshot" not in names[:index]
    ]


def short_header(name, value):
    """Shortens a valid value that is too long together with its name."""
    if isinstance(value, str) and len(value) <= MAX_HEADER < len(name) + len(value):
        return value[: MAX_HEADER - len(name)]
    return value


def is_text(value):
    return isinstance(value, str) and value != ""


@schemathesis.hook
def after_call(context, case, response):
    """Tracks created and deleted sessions, and deletes the oldest when there are too many."""
    method, status = case.method.upper(), response.status_code
    if method == "POST" and CREATE.match(case.path) and status == 200:
        record_created(response.json()["id"], response.json())
    elif method == "POST" and case.path == SCRAPE and status == 200 and response.json()["success"]:
        jobs[response.json()["data"]["metadata"]["scrapeId"]] = None
    elif case.path == INTERACT:
        after_interaction(case.path_parameters["jobId"], method, status, response)
    elif method == "DELETE" and case.path == OPERATORS_END:
        alive.pop(case.path_parameters["id"], None)
    elif method == "DELETE" and SESSION.match(case.path) and not FILES.match(case.path) and status == 200:
        identifier = case.path_parameters["id"]
        alive.pop(identifier, None)
        ended.setdefault(identifier, response.json()["sessionDurationMs"])


def after_interaction(job, method, status, response):
    if method == "POST" and status == 200:
        session = response.json()["sessionId"]
        jobs[job] = session
        record_created(session, response.json())
    elif method == "POST" and status in (404, 409, 410):
        jobs.pop(job, None)
    elif method == "DELETE" and status == 200:
        session = jobs.pop(job, None)
        if alive.pop(session, None):
            ended[session] = response.json()["sessionDurationMs"]


@schemathesis.check
def failures_of_scrapes_have_a_cause(ctx, response, case):
    """Checks that a scrape fails because of its page, and an interaction because of its timeout.

    schemathesis.toml permits these statuses for them.
    """
    if response.status_code < 500:
        return
    body = response.json()
    if case.path == SCRAPE:
        assert str(body.get("code")).startswith("SCRAPE_"), f"a scrape failed without a code: {body}"
    elif case.path == INTERACT and response.status_code == 503:
        assert body["error"].startswith("The page could not be opened in time."), body


@schemathesis.check
def ended_sessions_stay_ended(ctx, response, case):
    """Checks that an ended session rejects code and reports a constant duration.

    Replaces the check `use_after_free`.
    """
    identifier = (case.path_parameters or {}).get("id")
    if not SESSION.match(case.path) or identifier not in ended or response.status_code in (400, 401):
        return
    method = case.method.upper()
    if FILES.match(case.path):
        # The fuzzer also sends methods that no route has.
        assert response.status_code in (405, 410, 429), f"files of an ended session: {response.status_code}"
    elif method == "POST" and EXECUTE.match(case.path):
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
    if FILES.match(case.path):
        return
    session = f"{sessions}/{response.json()['id']}"
    answers = [
        other_team.get(session, timeout=15),
        other_team.post(f"{session}/execute", json={"code": "1"}, timeout=15),
        other_team.delete(session, timeout=15),
    ]
    for answer in answers:
        assert answer.status_code == 403, f"another team got {answer.status_code} for {answer.request.method}"
