// What the buttons over the screen do.

import { find, findAll } from "../dom.js";
import { focusScreen } from "./focus.js";
import { hold, sendCombination } from "./keys.js";
import { saveScreenshot, toggleFullScreen } from "./view.js";

function toggleViewOnly(root, connection) {
  connection.viewOnly = !connection.viewOnly;
  if (connection.rfb) connection.rfb.viewOnly = connection.viewOnly;
  find("[data-console-do=view-only]", root)?.setAttribute("aria-pressed", String(connection.viewOnly));
  // With a ticket for watching the server lets nothing through either, and the others see who types.
  connection.connect();
}

function sendKeys(connection, names) {
  if (!connection.isOpen) return;
  sendCombination(connection.rfb, names);
  focusScreen(connection);
}

const ACTIONS = {
  retry: (_root, connection) => (connection.state === "signedOut" ? location.reload() : connection.connect()),
  "view-only": toggleViewOnly,
  "ctrl-alt-del": (_root, connection) => sendKeys(connection, "Control Alt Delete"),
  screenshot: saveScreenshot,
  "full-screen": toggleFullScreen,
};

function toggleHold(connection, button) {
  if (!connection.isOpen) return;
  const down = button.getAttribute("aria-pressed") !== "true";
  button.setAttribute("aria-pressed", String(down));
  hold(connection.rfb, button.dataset.consoleHold, down);
}

function openOwnWindow(event, link) {
  event.preventDefault();
  const size = `width=${Math.min(screen.availWidth, 1100)},height=${Math.min(screen.availHeight, 860)}`;
  const opened = window.open(link.href, `console-${link.closest("[data-console]").dataset.console}`, `popup,${size}`);
  if (opened) opened.focus();
  else location.assign(link.href);
}

function onClick(event, root, connection) {
  const button = event.target.closest("button, a");
  if (!button) return;
  const { consoleDo, consoleKeys, consoleHold } = button.dataset;
  if (consoleDo === "own-window") openOwnWindow(event, button);
  else if (ACTIONS[consoleDo]) ACTIONS[consoleDo](root, connection);
  else if (consoleKeys) sendKeys(connection, consoleKeys);
  else if (consoleHold) toggleHold(connection, button);
}

function tellState(root, connection, { name, viewOnly }) {
  const usable = name === "connected" && !viewOnly;
  for (const control of findAll("[data-console-input] button, [data-console-keys]", root)) control.disabled = !usable;
  for (const button of findAll("[data-console-hold]", root)) {
    button.disabled = !usable;
    button.setAttribute("aria-pressed", "false");
  }
  find("[data-console-do=view-only]", root)?.setAttribute("aria-pressed", String(connection.viewOnly));
}

export function startToolbar(root, connection) {
  root.addEventListener("click", (event) => onClick(event, root, connection));
  connection.addEventListener("state", ({ detail }) => tellState(root, connection, detail));
}
