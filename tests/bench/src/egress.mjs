// Fetches a file with node's http module in turns: directly from the server, through a proxy, and
// through a tunnel of the proxy. Arguments: host:port of the server and of the proxy, the number of
// rounds, the path, and the size in bytes.
import { get } from 'node:http';
import { connect } from 'node:net';

const [origin, proxy, rounds, path, length] = process.argv.slice(1);

const socketTo = (address) => connect({ host: '127.0.0.1', port: address.split(':')[1], noDelay: true });

async function tunnel() {
  const socket = socketTo(proxy);
  socket.write(`CONNECT ${origin} HTTP/1.1\r\nHost: ${origin}\r\n\r\n`);
  await new Promise((done, fail) => socket.once('data', done).once('error', fail));
  return socket;
}

const ways = {
  direct: async () => [socketTo(origin), path],
  plain: async () => [socketTo(proxy), `http://${origin}${path}`],
  tunnel: async () => [await tunnel(), path],
};

async function ask(way) {
  const start = performance.now();
  const [socket, target] = await ways[way]();
  const response = await new Promise((done, fail) => {
    get({ createConnection: () => socket, path: target, headers: { Host: origin, Connection: 'close' } }, done).on('error', fail);
  });
  let count = 0;
  for await (const chunk of response) count += chunk.length;
  if (count !== Number(length)) throw new Error(`${way}: ${count} bytes`);
  return performance.now() - start;
}

const times = { direct: [], plain: [], tunnel: [] };
const order = Object.keys(times);
for (let round = 0; round < Number(rounds); round++) {
  for (const way of order) times[way].push(await ask(way));
  order.reverse();
}
console.log(JSON.stringify(times));
