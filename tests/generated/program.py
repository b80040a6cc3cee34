"""Uses the generated client as an application would, and prints what it got."""

import json
import os

from hearth_client import AuthenticatedClient
from hearth_client.api.sessions import create_session, delete_session, execute, list_sessions, show_session
from hearth_client.models import CreateRequest, ExecuteRequest

client = AuthenticatedClient(base_url=os.environ["HEARTH_URL"], token=os.environ["HEARTH_API_KEY"])

created = create_session.sync(client=client, body=CreateRequest(ttl=120))
code = ExecuteRequest(code="await page.title()", language="python", timeout=30)
ran = execute.sync(created.id, client=client, body=code)
active = list_sessions.sync(client=client, status="active")
status = show_session.sync(created.id, client=client)
rejected = execute.sync_detailed(created.id, client=client, body=ExecuteRequest(code=""))
deleted = delete_session.sync(created.id, client=client)
gone = execute.sync_detailed(created.id, client=client, body=ExecuteRequest(code="1"))

print(
    json.dumps(
        {
            "exitCode": ran.exit_code,
            "listed": [session.id == created.id for session in active.sessions],
            "status": status.status,
            "rejected": [rejected.status_code, rejected.parsed.success],
            "deleted": deleted.success,
            "gone": [gone.status_code, gone.parsed.error],
        }
    )
)
