// One console's way to the guest: a ticket, a websocket, noVNC on it, and what to do when it ends.

import RFB from "../../vendor/novnc/core/rfb.js";
import { Stop, fetchTicket, socketAddress } from "./ticket.js";
import { HANDSHAKE, TICKET, WITHDRAWN, Way } from "./way.js";

const STEADY = 10000; // ms after which a connection counts as a good one
const BACKGROUND = "#0b0d11"; // as the stage
const MOVED_DELAY = 300;
const OFF_DELAY = 4000; // ms between two looks whether a machine that was off runs again

const OFF = 4404;
const MOVED = 4410;
const UNREACHABLE = 4502;
const GATEWAY = 4503;

const WHY = { [UNREACHABLE]: "whyUnreachable", [GATEWAY]: "whyGateway", [TICKET]: "whyTicket", 1006: "whyGateway" };

// Tells by events beside "state": "open" {rfb, viewOnly}, "clipboard" {text}.
export class Connection extends Way {
  rfb = null;

  get isOpen() {
    return this.rfb !== null && this.state === "connected";
  }

  hangUp() {
    const { rfb, socket } = this;
    this.rfb = null;
    this.socket = null;
    if (rfb && socket?.readyState !== WebSocket.CLOSED) rfb.disconnect();
    else socket?.close();
  }

  async attempt(name) {
    this.drop();
    const turn = this.turn;
    this.enter(name);
    try {
      const ticket = await this.fetchTicket();
      if (turn === this.turn) this.open(ticket, turn);
    } catch (error) {
      if (turn !== this.turn) return;
      if (!(error instanceof Stop)) this.retry("whyNetwork");
      else if (error.state === "off") this.rest({ detail: error.message });
      else this.enter(error.state, { detail: error.message, stopped: true });
    }
  }

  // The machine is off, or has no screen: wait until that changes. Pushes tell it at once where the page hears them.
  rest(more) {
    this.drop();
    this.enter("off", { ...more, stopped: true });
    this.later(OFF_DELAY * (0.75 + Math.random() / 2), () => this.peek());
  }

  // Ask again without a word about it: the page says already what it waits for.
  async peek() {
    const { turn } = this;
    try {
      const ticket = await this.fetchTicket();
      if (turn === this.turn) this.open(ticket, turn);
    } catch (error) {
      if (turn !== this.turn) return;
      if (error instanceof Stop && error.state !== "off") this.enter(error.state, { detail: error.message, stopped: true });
      else this.later(OFF_DELAY * (0.75 + Math.random() / 2), () => this.peek());
    }
  }

  fetchTicket() {
    return fetchTicket(this.ticketUrl, this.csrf, { view_only: this.viewOnly ? "1" : "0" });
  }

  open(ticket, turn) {
    const socket = new WebSocket(socketAddress(ticket.url));
    const current = () => turn === this.turn;
    // noVNC does not pass the close code on; it hears the end first, then we decide.
    socket.addEventListener("close", ({ code }) => setTimeout(() => current() && this.ended(code)));
    const rfb = new RFB(this.screen, socket, { shared: true });
    rfb.viewOnly = ticket.view_only;
    rfb.background = BACKGROUND;
    rfb.addEventListener("connect", () => current() && this.opened(ticket.view_only));
    rfb.addEventListener("credentialsrequired", () => current() && this.stop("password"));
    rfb.addEventListener("securityfailure", () => current() && this.stop("broken"));
    rfb.addEventListener("clipboard", ({ detail }) => current() && this.tell("clipboard", detail));
    this.socket = socket;
    this.rfb = rfb;
    this.tell("prepare", { rfb });
    this.handshake = this.later(HANDSHAKE, () => this.retry("whyClosed"));
  }

  opened(viewOnly) {
    clearTimeout(this.handshake);
    this.enter("connected", { viewOnly });
    this.tell("open", { rfb: this.rfb, viewOnly });
    this.later(STEADY, () => {
      this.failures = 0;
    });
  }

  ended(code) {
    this.rfb = null;
    if (code === WITHDRAWN) this.stop("withdrawn");
    else if (code === OFF) this.rest({ why: "whyOff" });
    else if (code === MOVED) this.followMove();
    else this.retry(WHY[code] ?? "whyClosed");
  }

  followMove() {
    this.drop();
    this.enter("moved");
    this.failures += 1;
    this.later(MOVED_DELAY * this.failures, () => this.attempt("moved"));
  }

  // The machine changed: it may have been started.
  look() {
    if (this.state === "off") this.connect();
  }
}
