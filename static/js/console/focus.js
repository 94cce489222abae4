// The screen takes every key, so there must be a way out of it: Ctrl, Alt and Shift pressed and released together.

import { find } from "../dom.js";
import { words } from "./status.js";

const MODIFIERS = ["Control", "Alt", "Shift", "AltGraph", "Meta"];

export function focusScreen(connection) {
  if (connection.isOpen) connection.rfb.focus({ preventScroll: true });
}

export function watchChord(stage, leave) {
  let armed = false;
  stage.addEventListener(
    "keydown",
    ({ key, ctrlKey, altKey, shiftKey }) => {
      if (!MODIFIERS.includes(key)) armed = false;
      else if (ctrlKey && altKey && shiftKey) armed = true;
    },
    true,
  );
  stage.addEventListener(
    "keyup",
    ({ ctrlKey, altKey, shiftKey }) => {
      if (!armed || ctrlKey || altKey || shiftKey) return;
      armed = false;
      // After noVNC has let the guest know that the last key is up.
      setTimeout(leave);
    },
    true,
  );
}

function describe(root, canvas, viewOnly) {
  canvas.tabIndex = 0;
  canvas.setAttribute("role", viewOnly ? "img" : "application");
  canvas.setAttribute("aria-label", words(root, "screen"));
  canvas.setAttribute("aria-describedby", "console-hint");
}

export function guardFocus(root, connection) {
  const stage = find("[data-console-stage]", root);
  const way = () => find("button:not([hidden]), a", find("[data-console-bar]", root))?.focus();
  watchChord(stage, way);
  connection.addEventListener("open", ({ detail }) => {
    describe(root, find("canvas", stage), detail.viewOnly);
    // Who is doing something else on the page is not interrupted.
    const idle = document.activeElement === document.body || document.activeElement === null;
    if (!detail.viewOnly && (idle || root.hadFocus)) focusScreen(connection);
    root.hadFocus = false;
  });
  stage.addEventListener("focusout", ({ target }) => {
    root.hadFocus = target instanceof HTMLCanvasElement && !target.isConnected;
  });
}
