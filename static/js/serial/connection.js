// A text console's way to the gateway: a ticket, a websocket, and again when it ends. Where the guest is, the gateway looks after.

import { Stop, fetchTicket, socketAddress } from "../console/ticket.js";
import { HANDSHAKE, TICKET, WITHDRAWN, Way } from "../console/way.js";
import { HISTORY, LIVE, RecordReader, SKIPPED, STATUS, ask, count, facts, input } from "./wire.js";

const GONE = 4404;
const ELSEWHERE = 4423;

const WHY = { [TICKET]: "whyTicket", [ELSEWHERE]: "whyElsewhere", 4503: "whyGateway", 1006: "whyGateway" };

// Tells by events beside "state": "facts" {…}, "begin", "written" {bytes, before}, "skipped" {bytes}.
export class TextConnection extends Way {
  facts = null;

  hangUp() {
    this.socket?.close();
    this.socket = null;
    this.facts = null;
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
