// The WebSocket to the server: opens it, reconnects when it is lost, and gives up on final errors.
// It does not interpret messages, except those that start and end a connection.

const FIRST_WAIT_MS = 250;
const MAX_WAIT_MS = 5000;
const OPEN_TIMEOUT_MS = 10000;
/** The duration of a connection after which the wait before a reconnect is short again. */
const STABLE_MS = 5000;
/** The response statuses that a retry would not change. */
const FINAL_STATUSES = [401, 403, 404, 410];

export class Connection {
  #address;
  #on;
  #socket = null;
  #greetedAt = 0;
  #failures = 0;
  #timer = 0;
  #isOver = false;

  /**
   * `address` is the http URL of the socket. `on` has `state(name)`, `message(object)`,
   * `frame(buffer, drawn)` and `over({state, text, at})`, which is called once, at the end.
   */
  constructor(address, on) {
    this.#address = address;
    this.#on = on;
    document.addEventListener('visibilitychange', () => document.hidden || this.#hurry());
    // A connection can be dead without an event if the network was lost.
    addEventListener('online', () => this.#isOver || this.#connect());
    this.#connect();
  }

  send(message) {
    // Some keyboards send one half of a surrogate pair, which is not valid text.
    const whole = (_, value) => (typeof value === 'string' ? value.toWellFormed() : value);
    if (this.#greetedAt && this.#socket.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message, whole));
  }

  #connect() {
    clearTimeout(this.#timer);
    this.#timer = 0;
    this.#socket?.close();
    this.#greetedAt = 0;
    const socket = new WebSocket(this.#address.replace(/^http/, 'ws'));
    socket.binaryType = 'arraybuffer';
    this.#socket = socket;
    const opening = setTimeout(() => socket.close(), OPEN_TIMEOUT_MS);
    socket.onopen = () => clearTimeout(opening);
    socket.onmessage = ({ data }) => {
      if (socket === this.#socket) this.#receive(socket, data);
    };
    socket.onclose = (close) => {
      clearTimeout(opening);
      if (socket === this.#socket && !this.#isOver) this.#lost(socket, close);
    };
  }

  #receive(socket, data) {
    if (typeof data !== 'string') {
      // Frame numbers belong to a connection, so the answer must not go to a later one.
      const drawn = (frame) => {
        if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify({ type: 'drawn', frame }));
      };
      this.#on.frame(data, drawn);
      return;
    }
    const message = JSON.parse(data);
    if (message.type === 'ended') {
      this.#end({ state: 'ended', text: message.text, at: message.at });
      return;
    }
    if (message.type === 'hello') {
      this.#greetedAt = performance.now();
      this.#on.state('live');
    }
    this.#on.message(message);
  }

  #lost(socket, { code, reason }) {
    const wasGreeted = this.#greetedAt > 0;
    if (wasGreeted && performance.now() - this.#greetedAt > STABLE_MS) this.#failures = 0;
    this.#greetedAt = 0;
    if (code === 1008) {
      this.#end({ state: 'rejected', text: reason || 'The server closed the connection.' });
      return;
    }
    this.#on.state('reconnecting');
    if (wasGreeted && code !== 1000) this.#retryLater();
    else this.#askWhy(socket);
  }

  /**
   * Gets the reason why a socket cannot be opened. Browsers hide it from scripts, but a request to
   * the same URL returns it.
   */
  async #askWhy(socket) {
    let rejection = null;
    try {
      const signal = AbortSignal.timeout(OPEN_TIMEOUT_MS);
      const response = await fetch(this.#address, { cache: 'no-store', signal });
      if (FINAL_STATUSES.includes(response.status)) rejection = { status: response.status, ...(await response.json()) };
    } catch {
      // The server is unreachable, or another program responded. Retry.
    }
    if (socket !== this.#socket || this.#isOver) return;
    if (rejection) this.#end({ state: rejection.status === 410 ? 'ended' : 'rejected', text: String(rejection.error) });
    else this.#retryLater();
  }

  #retryLater() {
    const wait = Math.min(FIRST_WAIT_MS * 2 ** this.#failures, MAX_WAIT_MS);
    this.#failures += 1;
    this.#timer = setTimeout(() => this.#connect(), wait);
  }

  #hurry() {
    if (this.#timer) this.#connect();
  }

  #end(ending) {
    this.#isOver = true;
    clearTimeout(this.#timer);
    this.#socket.close();
    this.#on.over(ending);
  }
}
