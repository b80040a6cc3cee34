// The socket to the server: opens it, opens it again when it is lost, and knows when to give up.
// It must not know what messages mean, except the two that begin and end a connection.

const FIRST_WAIT_MS = 250;
const LONGEST_WAIT_MS = 5000;
const OPENING_MS = 10000;
/** A connection that lasted this long was a good one: the next loss starts with a short wait again. */
const GOOD_MS = 5000;
/** Answers that another try would not change. */
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
   * `address` is the socket's over http. `on` has `state(name)`, `message(object)`, `frame(buffer, drawn)` and
   * `over({state, text, at})`, which is called once, when nothing more will come.
   */
  constructor(address, on) {
    this.#address = address;
    this.#on = on;
    document.addEventListener('visibilitychange', () => document.hidden || this.#hurry());
    // What was open before the network went may be dead without a word.
    addEventListener('online', () => this.#isOver || this.#connect());
    this.#connect();
  }

  send(message) {
    // Half a surrogate pair, as some keyboards send it in between, is no text for anybody else.
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
    const opening = setTimeout(() => socket.close(), OPENING_MS);
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
      // Numbers of frames are the connection's own, so the answer must not go to a later one.
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
    if (wasGreeted && performance.now() - this.#greetedAt > GOOD_MS) this.#failures = 0;
    this.#greetedAt = 0;
    if (code === 1008) {
      this.#end({ state: 'refused', text: reason || 'The server has closed the connection.' });
      return;
    }
    this.#on.state('reconnecting');
    if (wasGreeted && code !== 1000) this.#retryLater();
    else this.#askWhy(socket);
  }

  /** A browser does not tell scripts why a socket could not be opened; the same address over http does. */
  async #askWhy(socket) {
    let refusal = null;
    try {
      const answer = await fetch(this.#address, { cache: 'no-store', signal: AbortSignal.timeout(OPENING_MS) });
      if (FINAL_STATUSES.includes(answer.status)) refusal = { status: answer.status, ...(await answer.json()) };
    } catch {
      // Out of reach, or not the server's words: worth another try.
    }
    if (socket !== this.#socket || this.#isOver) return;
    if (refusal) this.#end({ state: refusal.status === 410 ? 'ended' : 'refused', text: String(refusal.error) });
    else this.#retryLater();
  }

  #retryLater() {
    const wait = Math.min(FIRST_WAIT_MS * 2 ** this.#failures, LONGEST_WAIT_MS);
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
