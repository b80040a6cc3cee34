"""Runs calls of Firecrawl's Python SDK for a test.

The arguments are the server's origin and `sync` or `async`. The program reads and prints the same
lines as sdk.mjs.
"""

import asyncio
import json
import re
import sys
from importlib.metadata import version

from firecrawl import AsyncFirecrawl, Firecrawl

API_URL, STYLE = sys.argv[1:]


def browser(client, body, **_):
    profile = body.get("profile")
    if profile is not None:
        profile = {"name": profile["name"], "save_changes": profile.get("saveChanges", True)}
    return client.browser(
        ttl=body.get("ttl"),
        activity_ttl=body.get("activityTtl"),
        stream_web_view=body.get("streamWebView"),
        profile=profile,
    )


def execute(client, id, body, **_):
    return client.browser_execute(id, **body)


def scrape(client, body, **_):
    return client.scrape(**{re.sub("[A-Z]", lambda letter: f"_{letter[0].lower()}", key): value for key, value in body.items()})


CALLS = {
    "create": browser,
    "execute": execute,
    "list": lambda client, body, **_: client.list_browsers(**body),
    "delete": lambda client, id, **_: client.delete_browser(id),
    "scrape": scrape,
    "interact": lambda client, id, body, **_: client.interact(id, **body),
    "stop": lambda client, id, **_: client.stop_interaction(id),
}


async def outcome(call, key=None, **rest):
    client = (Firecrawl if STYLE == "sync" else AsyncFirecrawl)(api_url=API_URL, api_key=key)
    try:
        came = CALLS[call](client, **rest)
        came = came if STYLE == "sync" else await came
        return {"returned": came.model_dump(exclude_none=True)}
    except Exception as error:
        kind = type(error).__name__
        return {"raised": {"name": kind, "message": str(error), "status": getattr(error, "status_code", None)}}


print(json.dumps({"version": version("firecrawl-py")}), flush=True)
for line in sys.stdin:
    print(json.dumps(asyncio.run(outcome(**json.loads(line)))), flush=True)
