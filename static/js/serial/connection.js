// A text console's way to the gateway: a ticket, a websocket, and again when it ends. Where the guest is, the gateway looks after.

import { Stop, fetchTicket, socketAddress } from "../console/ticket.js";
import { HISTORY, LIVE, RecordReader, SKIPPED, STATUS, ask, count, facts, input } from "./wire.js";

const DELAYS = [1, 2, 4, 8, 15]; // seconds
const HANDSHAKE = 25000; // ms

const TICKET = 4401;
const WITHDRAWN = 4403;
const GONE = 4404;
const ELSEWHERE = 4423;

const WHY = { [TICKET]: "whyTicket", [ELSEWHERE]: "whyElsewhere", 4503: "whyGateway", 1006: "whyGateway" };

// Tells by events: "state" {name, detail, seconds, stopped, why}, "facts" {…}, "begin", "written" {bytes, before}, "skipped" {bytes}.
export class TextConnection extends EventTarget {
  constructor({ ticketUrl, csrf, device, viewOnly }) {
    super();
    Object.assign(this, { ticketUrl, csrf, device, viewOnly });
    this.socket = null;
    this.facts = null;
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
    this.socket?.close();
    this.socket = null;
    this.facts = null;
  }

  connect() {
    this.failures = 0;
    this.attempt("connecting");
  }

  async attempt(name) {
    this.drop();
    const { turn } = this;
    this.enter(name);
    try {
      const fields = { device: this.device, view_only: this.viewOnly ? "1" : "0" };
      const ticket = await fetchTicket(this.ticketUrl, this.csrf, fields);
      if (turn === this.turn) this.open(ticket, turn);
    } catch (error) {
      if (turn !== this.turn) return;
      if (error instanceof Stop) this.enter(error.state, { detail: error.message, stopped: true });
      else this.retry("whyNetwork");
    }
  }

  open(ticket, turn) {
    const socket = new WebSocket(socketAddress(ticket.url), "binary");
    const reader = new RecordReader((kind, payload) => this.take(kind, payload));
    const handshake = this.later(HANDSHAKE, () => this.retry("whyGateway"));
    socket.binaryType = "arraybuffer";
    socket.addEventListener("message", ({ data }) => {
      if (turn !== this.turn) return;
      clearTimeout(handshake);
      reader.feed(new Uint8Array(data));
    });
    socket.addEventListener("close", ({ code }) => turn === this.turn && this.ended(code));
    this.socket = socket;
  }

  take(kind, payload) {
    if (kind === STATUS) this.learn(facts(payload));
    else if (kind === SKIPPED) this.tell("skipped", { bytes: count(payload) });
    else if (kind === LIVE || kind === HISTORY) {
      this.tell("written", { bytes: payload.slice(), before: kind === HISTORY });
    }
  }

  learn(told) {
    const isFirst = this.facts === null;
    this.facts = told;
    if (isFirst) {
      this.failures = 0;
      this.tell("begin");
      this.enter("connected");
    }
    this.tell("facts", told);
  }

  ended(code) {
    if (code === WITHDRAWN) this.stop("withdrawn");
    else if (code === GONE) this.stop("gone");
    else this.retry(WHY[code] ?? "whyClosed");
  }

  stop(name) {
    this.drop();
    this.enter(name, { stopped: true });
  }

  retry(why) {
    this.drop();
    const longest = DELAYS[Math.min(this.failures, DELAYS.length - 1)];
    this.failures += 1;
    // Some jitter: when a gateway comes back, all its consoles must not arrive in the same instant.
    this.count(Math.ceil(longest * (0.75 + Math.random() / 2)), why);
  }

  count(seconds, why) {
    if (seconds <= 0) {
      this.attempt("again");
      return;
    }
    this.enter("lost", { why, seconds });
    this.later(1000, () => this.count(seconds - 1, why));
  }

  hurry() {
    if (this.state === "lost") this.attempt("again");
  }

  get isOpen() {
    return this.facts?.state === "open";
  }

  get mayWrite() {
    return this.isOpen && this.facts.may && (this.facts.all || this.facts.mine);
  }

  send(bytes) {
    if (!this.mayWrite) return false;
    for (const record of input(bytes)) this.socket.send(record);
    return true;
  }

  ask(wish) {
    if (this.facts?.may && this.socket?.readyState === WebSocket.OPEN) this.socket.send(ask(wish));
  }
}
