// xterm.js on a text console: what the guest writes is drawn, what is typed is sent.

import { FitAddon } from "../../vendor/xterm/addon-fit.mjs";
import { Terminal } from "../../vendor/xterm/xterm.mjs";
import { find } from "../dom.js";
import { words } from "../console/status.js";
import { encoded } from "./wire.js";

const LINES = 10000;
// Beyond so many bytes that wait to be drawn, what comes is left out: a guest may write faster than a browser draws.
const MOST_WAITING = 4 << 20;
const FIT_AFTER = 80; // ms
const THEME = {
  background: "#0b0d11", foreground: "#dfe4ec", cursor: "#dfe4ec", cursorAccent: "#0b0d11", selectionBackground: "#3a5a8c",
};
// Answers of a terminal to questions that the guest asked (where the cursor is, what it is): one terminal gives them, not each.
const ANSWER = /^(?:\x1b\[[?>=]?[\d;]*[Rcnty]|\x1b[P\]_^])/;

// xterm.js writes style elements of its own. The page's policy lets in those that carry its nonce, so they get it; only while it opens.
function openWithNonce(terminal, element) {
  const { nonce } = find("script[nonce]");
  const create = Document.prototype.createElement;
  document.createElement = function createElement(name, ...more) {
    const made = create.call(document, name, ...more);
    if (made instanceof HTMLStyleElement) made.nonce = nonce;
    return made;
  };
  try {
    terminal.open(element);
  } finally {
    delete document.createElement;
  }
}

function make(root) {
  Terminal.strings.promptLabel = words(root, "terminal");
  const terminal = new Terminal({
    cursorBlink: !matchMedia("(prefers-reduced-motion: reduce)").matches,
    fontFamily: getComputedStyle(root).getPropertyValue("--tblr-font-monospace") || "monospace",
    fontSize: 13,
    scrollback: LINES,
    theme: THEME,
    convertEol: false,
  });
  return terminal;
}

// Returns {terminal, paste}: draws and types for as long as the page lives.
export function startTerminal(root, connection) {
  const stage = find("[data-serial-screen]", root);
  const terminal = make(root);
  const fit = new FitAddon();
  let waiting = 0;
  let left = 0;
  let replaying = 0;
  terminal.loadAddon(fit);
  openWithNonce(terminal, stage);

  const note = (bytes) => terminal.write(`\r\n\x1b[0;7m ${words(root, "skipped", { bytes })} \x1b[0m\r\n`);
  const write = ({ bytes, before }) => {
    if (waiting > MOST_WAITING) {
      left += bytes.length;
      return;
    }
    if (left) note(left);
    left = 0;
    waiting += bytes.length;
    replaying += before ? 1 : 0;
    terminal.write(bytes, () => {
      waiting -= bytes.length;
      replaying -= before ? 1 : 0;
    });
  };
  connection.addEventListener("begin", () => terminal.reset());
  connection.addEventListener("written", ({ detail }) => write(detail));
  connection.addEventListener("skipped", ({ detail }) => note(detail.bytes));

  const send = (bytes) => connection.send(bytes);
  terminal.onData((text) => {
    const isAnswer = ANSWER.test(text);
    if (isAnswer && (replaying || !connection.facts?.mine)) return;
    send(encoded(text));
  });
  terminal.onBinary((text) => send(Uint8Array.from(text, (letter) => letter.charCodeAt(0))));

  let timer = 0;
  new ResizeObserver(() => {
    clearTimeout(timer);
    timer = setTimeout(() => fit.fit(), FIT_AFTER);
  }).observe(stage);
  fit.fit();
  return terminal;
}
