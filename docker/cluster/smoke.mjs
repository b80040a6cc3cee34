// Checks a running cluster from outside, through its load balancer. scripts/cluster-test runs it.
// The first argument names the check, the others are ids of sessions. CLUSTER_URL and CLUSTER_KEY
// select the cluster.
import assert from 'node:assert/strict';

const { CLUSTER_URL: origin, CLUSTER_KEY: key } = process.env;

async function api(method, path, body) {
  const response = await fetch(origin + path, {
    method,
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: body && JSON.stringify(body),
  });
  return { status: response.status, body: await response.json() };
}

// Repeats `attempt` until it returns something other than undefined, for at most `seconds`.
async function until(seconds, what, attempt) {
  const end = Date.now() + seconds * 1000;
  let last;
  while (Date.now() < end) {
    try {
      const result = await attempt();
      if (result !== undefined) return result;
    } catch (error) {
      last = error;
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`${what}: not within ${seconds} s`, { cause: last });
}

async function create(options = {}) {
  const { status, body } = await api('POST', '/v2/interact', { ttl: 300, ...options });
  assert.equal(status, 200, JSON.stringify(body));
  return body;
}

async function run(id, code, language = 'node') {
  const { status, body } = await api('POST', `/v2/interact/${id}/execute`, { language, code });
  assert.equal(status, 200, JSON.stringify(body));
  assert.equal(body.exitCode, 0, JSON.stringify(body));
  return body.result;
}

const remove = async (id) => assert.equal((await api('DELETE', `/v2/interact/${id}`)).status, 200);

const checks = {
  // Prints the ids of new sessions, in which code has run.
  async create(count) {
    for (let made = 0; made < Number(count); made += 1) {
      const { id } = await create();
      await run(id, `globalThis.number = ${made}; await page.goto('data:text/html,<title>${id}</title>'); 1`);
      console.log(id);
    }
  },

  // Uses sessions in every way that names one.
  async use(...ids) {
    const { body: list } = await api('GET', '/v2/interact');
    for (const id of ids) {
      assert.equal(await run(id, 'await page.title()'), id);
      assert.ok(list.sessions.some((session) => session.id === id), `${id} is not in the list`);
      const { body } = await api('GET', `/v2/interact/${id}`);
      assert.equal(body.status ?? body.session?.status, 'active', JSON.stringify(body));
    }
  },

  // Connects to the CDP sockets of sessions, whose addresses are in the list.
  async cdp(...ids) {
    const { body } = await api('GET', '/v2/interact');
    for (const id of ids) {
      const { cdpUrl } = body.sessions.find((session) => session.id === id);
      assert.ok(cdpUrl.startsWith(origin.replace('http', 'ws')), cdpUrl);
      const socket = new WebSocket(cdpUrl);
      const answer = await until(20, 'a CDP answer', () => new Promise((resolve, reject) => {
        socket.onopen = () => socket.send('{"id":1,"method":"Target.getTargets"}');
        socket.onmessage = ({ data }) => resolve(JSON.parse(data));
        socket.onerror = reject;
      }));
      assert.ok(answer.result.targetInfos.some((target) => target.title === id), JSON.stringify(answer));
      socket.close();
    }
  },

  async delete(...ids) {
    for (const id of ids) await remove(id);
  },

  // Waits until sessions are lost, as long as docs/cluster.md promises. Meanwhile a request gets a 503.
  async lost(...ids) {
    await until(10, 'the sessions of a lost node', async () => {
      for (const id of ids) {
        const { status, body } = await api('POST', `/v2/interact/${id}/execute`, { code: '1' });
        assert.ok([410, 503].includes(status), `${status}: ${JSON.stringify(body)}`);
        if (status !== 410) return undefined;
      }
      return true;
    });
    for (const id of ids) {
      const { body } = await api('GET', `/v2/interact/${id}`);
      assert.equal(body.destroyedReason ?? body.session?.destroyedReason, 'node_lost', JSON.stringify(body));
    }
  },

  // Waits until sessions can be created. Before that a request is rejected with a 503.
  async recovered() {
    const id = await until(60, 'a new session', async () => {
      const { status, body } = await api('POST', '/v2/interact', { ttl: 300 });
      if (status === 200) return body.id;
      assert.equal(status, 503, JSON.stringify(body));
    });
    await remove(id);
  },

  // Saves a cookie in a profile, and finds it in another session.
  async save() {
    const { id } = await create({ profile: { name: 'kept' } });
    await run(id, 'await page.context().addCookies([{ name: "kept", value: "yes", domain: "example.com", path: "/", expires: 4102444800 }]); 1');
    const { status, body } = await api('DELETE', `/v2/interact/${id}`);
    assert.equal(status, 200, JSON.stringify(body));
    assert.equal(body.warning, undefined);
  },
  async load() {
    const { id } = await create({ profile: { name: 'kept' } });
    assert.equal(await run(id, '(await page.context().cookies("https://example.com")).map((cookie) => cookie.value).join()'), 'yes');
    await remove(id);
  },
};

const [check, ...rest] = process.argv.slice(2);
await checks[check](...rest);
if (check !== 'create') console.log(`${check}: passed`);
process.exit(0);
