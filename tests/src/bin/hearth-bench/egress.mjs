// A program that fetches over bare sockets: from the server itself, through a proxy, and through a tunnel of the proxy, in
// turns. Arguments: host:port of the server and of the proxy, how often, the path, and how many bytes are there.
import { connect } from 'node:net';
const [origin, proxy, rounds, path, length] = process.argv.slice(1);
const total = Number(length);
const wanted = `${path} HTTP/1.1\r\nHost: ${origin}\r\nConnection: close\r\n\r\n`;
const ways = {
  direct: [origin, `GET ${wanted}`],
  plain: [proxy, `GET http://${origin}${wanted}`],
  tunnel: [proxy, `CONNECT ${origin} HTTP/1.1\r\nHost: ${origin}\r\n\r\n`, `GET ${wanted}`],
};
const buffer = Buffer.alloc(64 * 1024);
const ask = (way) => new Promise((done, fail) => {
  const [to, first, second] = ways[way];
  const start = performance.now();
  let [count, isOpen] = [0, second === undefined];
  const socket = connect({
    host: '127.0.0.1', port: to.split(':')[1], noDelay: true,
    onread: { buffer, callback: (n) => { if (isOpen) count += n; else { isOpen = true; socket.write(second); } return true; } },
  }, () => socket.write(first));
  socket.on('error', fail).on('close', () => (count > total ? done(performance.now() - start) : fail(new Error(`${way}: ${count} bytes`))));
});
const times = { direct: [], plain: [], tunnel: [] };
const order = Object.keys(times);
for (let round = 0; round < Number(rounds); round++) {
  for (const way of order) times[way].push(await ask(way));
  order.reverse();
}
console.log(JSON.stringify(times));
