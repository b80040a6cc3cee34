// Uses the generated client as an application would, and prints what it got.
import { createClient } from './hearth/client/index.ts';
import {
  createSession, deleteSession, execute, listSessions, showSession,
} from './hearth/index.ts';

declare const process: { env: Record<string, string | undefined> };

const client = createClient({
  baseUrl: process.env.HEARTH_URL ?? '',
  auth: process.env.HEARTH_API_KEY,
});

const created = await createSession({ client, body: { ttl: 120 }, throwOnError: true });
const id = created.data.id;
const path = { id };
const ran = await execute({
  client,
  path,
  body: { code: 'await page.title()', language: 'node', timeout: 30 },
  throwOnError: true,
});
const active = await listSessions({ client, query: { status: 'active' }, throwOnError: true });
const status = await showSession({ client, path, throwOnError: true });
const rejected = await execute({ client, path, body: { code: '', timeout: 30 } });
const deleted = await deleteSession({ client, path, throwOnError: true });
const gone = await execute({ client, path, body: { code: '1' } });

console.log(JSON.stringify({
  exitCode: ran.data.exitCode,
  listed: active.data.sessions.map((session) => session.id === id),
  status: status.data.status,
  rejected: [rejected.response?.status, rejected.error?.success],
  deleted: deleted.data.success,
  gone: [gone.response?.status, gone.error?.error],
}));
