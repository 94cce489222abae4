// What every console's way to the gateway has: one attempt at a time, states that are told by events, and coming again.

export const HANDSHAKE = 25000; // ms from the ticket to the first sign of life
export const TICKET = 4401;
export const WITHDRAWN = 4403;

const DELAYS = [1, 2, 4, 8, 15]; // seconds

// Whoever extends it has `attempt(name)` and `hangUp()`. Tells "state" {name, detail, seconds, stopped, why}.
export class Way extends EventTarget {
  constructor(facts) {
    super();
    Object.assign(this, facts);
    this.socket = null;
    this.failures = 0;
    this.turn = 0; // a newer attempt makes older ones silent
    this.timers = new Set();
  }

  tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }

  enter(name, more = {}) {
    this.state = name;
    this.tell("state", { name, ...more });
  }

  later(milliseconds, action) {
    const timer = setTimeout(() => {
      this.timers.delete(timer);
      action();
    }, milliseconds);
    this.timers.add(timer);
    return timer;
  }

  drop() {
    this.turn += 1;
    this.timers.forEach(clearTimeout);
    this.timers.clear();
    this.hangUp();
  }

  // Start afresh: a person asked for it.
  connect() {
    this.failures = 0;
    this.attempt("connecting");
  }

  stop(name, why = "") {
    this.drop();
    this.enter(name, { why, stopped: true });
  }

  retry(why) {
    this.drop();
    const longest = DELAYS[Math.min(this.failures, DELAYS.length - 1)];
    this.failures += 1;
    // Some jitter: when a gateway comes back, all its consoles must not arrive in the same instant.
    this.countDown(Math.ceil(longest * (0.75 + Math.random() / 2)), why);
  }

  countDown(seconds, why) {
    if (seconds <= 0) {
      this.attempt("again");
      return;
    }
    this.enter("lost", { why, seconds });
    this.later(1000, () => this.countDown(seconds - 1, why));
  }

  // The network is back: no need to wait any longer.
  hurry() {
    if (this.state === "lost") this.attempt("again");
  }
}
