// A text console of a machine: wires terminal, bar and state to one connection.

import { watchChord } from "./console/focus.js";
import { find, findAll } from "./dom.js";
import { TextConnection } from "./serial/connection.js";
import { startStatus } from "./serial/status.js";
import { startTerminal } from "./serial/terminal.js";
import { startToolbar } from "./serial/toolbar.js";

function start(root) {
  const { ticketUrl, csrf, device, mayAct } = root.dataset;
  const connection = new TextConnection({ ticketUrl, csrf, device, viewOnly: mayAct !== "yes" });
  const terminal = startTerminal(root, connection);
  startStatus(root, connection);
  startToolbar(root, connection, terminal);
  const stage = find("[data-console-stage]", root);
  watchChord(stage, () => find("button:not([hidden]):not([disabled]), a", find("[data-console-bar]", root))?.focus());
  window.addEventListener("online", () => connection.hurry());
  window.addEventListener("pagehide", () => connection.drop());
  window.addEventListener("pageshow", ({ persisted }) => persisted && connection.connect());
  connection.connect();
  terminal.focus();
}

findAll("[data-serial]").forEach(start);
