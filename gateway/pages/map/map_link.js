// The WebSocket of the page: AUTH, SUBSCRIBE_CITY, heartbeat, and coming back by itself.
// What a close code asks of a client is the contract's table.

const FIRST_DELAY_MS = 500;
const LONGEST_DELAY_MS = 60_000;
const WELCOME_WITHIN_MS = 15_000;
// CITY frames come twice a second; this long without a word means the line is dead.
const SILENCE_MS = 45_000;

export class Link {
  /** @param hear {city, state, refused}: callbacks for frames, connection states, lost rights. */
  constructor(url, hear) {
    this.url = url;
    this.hear = hear;
    this.failures = 0;
    this.token = null;
  }

  open(token) {
    this.token = token;
    clearTimeout(this.retry);
    this.hear.state("connecting");
    const socket = new WebSocket(this.url);
    this.socket = socket;
    this.listenFor(WELCOME_WITHIN_MS);
    socket.onopen = () => this.say("AUTH", { token });
    socket.onmessage = (message) => this.take(JSON.parse(message.data));
    socket.onclose = (closed) => {
      if (socket === this.socket) this.ended(closed.code);
    };
  }

  say(type, data) {
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify({ type, data }));
  }

  listenFor(ms) {
    clearTimeout(this.patience);
    const socket = this.socket;
    this.patience = setTimeout(() => {
      socket.onclose = null;
      socket.close();
      this.ended(1006);
    }, ms);
  }

  take(message) {
    this.listenFor(SILENCE_MS);
    if (message.type === "WELCOME") {
      this.failures = 0;
      this.heartbeat(message.data.heartbeat_seconds * 1000);
      this.say("SUBSCRIBE_CITY");
    } else if (message.type === "CITY") {
      this.hear.state("live");
      this.hear.city(message.data);
    } else if (message.type === "ERROR" && /^HX50/.test(message.data.code)) {
      this.stop();
      this.hear.refused(message.data.message);
    }
  }

  heartbeat(every) {
    clearInterval(this.heart);
    this.heart = setInterval(() => this.say("PING"), every);
  }

  stop() {
    clearTimeout(this.patience);
    clearTimeout(this.retry);
    clearInterval(this.heart);
    this.socket.onclose = null;
    this.socket.close();
    this.hear.state("stopped");
  }

  ended(code) {
    clearTimeout(this.patience);
    clearInterval(this.heart);
    if ((code >= 4100 && code < 4200) || (code >= 4300 && code < 4400)) {
      this.hear.state("stopped");
      this.hear.refused("The service did not take this token.");
      return;
    }
    const span = Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** Math.min(this.failures, 10));
    const wait = Math.random() * span + (code >= 4200 && code < 4300 ? 1000 : 0);
    this.failures += 1;
    this.hear.state("waiting", Math.ceil(wait / 1000));
    this.retry = setTimeout(() => this.open(this.token), wait);
  }
}
