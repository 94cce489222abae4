// The console of a machine: wires toolbar, screen, typing and clipboard to one connection.

import { find, findAll, hear } from "./dom.js";
import { startClipboard } from "./console/clipboard.js";
import { Connection } from "./console/connection.js";
import { guardFocus } from "./console/focus.js";
import { startSoftKeyboard } from "./console/soft.js";
import { startStatus } from "./console/status.js";
import { startToolbar } from "./console/toolbar.js";
import { startTyping } from "./console/typing.js";
import { startView } from "./console/view.js";

const LOOK_AFTER = 1200; // ms after a change of the machine

// A push about the machine may mean that it was started.
function followMachine(connection, uuid) {
  let timer = 0;
  hear("live", ({ html }) => {
    if (!html?.some(([key]) => key === `vm-head:${uuid}`)) return;
    clearTimeout(timer);
    timer = setTimeout(() => connection.look(), LOOK_AFTER);
  });
}

function start(root) {
  const { ticketUrl, csrf, mayAct } = root.dataset;
  const screen = find("[data-console-screen]", root);
  const connection = new Connection({ ticketUrl, csrf, screen, viewOnly: mayAct !== "yes" });
  const parts = [startStatus, startView, guardFocus, startToolbar, startTyping, startClipboard, startSoftKeyboard];
  for (const part of parts) part(root, connection);
  followMachine(connection, root.dataset.console);
  window.addEventListener("online", () => connection.hurry());
  window.addEventListener("pagehide", () => connection.drop());
  window.addEventListener("pageshow", ({ persisted }) => persisted && connection.connect());
  connection.connect();
}

findAll("[data-console]").forEach(start);
