// The state in words, and the veil over a screen that shows nothing now.

import { find } from "../dom.js";

const DOTS = { connected: "on", connecting: "busy", again: "busy", moved: "busy", lost: "lost" };

// A translated string of vms/console/_strings.html with {placeholders} filled in.
export function words(root, name, values = {}) {
  const source = find("[data-console-strings]", root).dataset[name] ?? name;
  return source.replace(/\{(\w+)\}/g, (whole, key) => (key in values ? String(values[key]) : whole));
}

function sentence(root, { name, viewOnly, seconds }) {
  return words(root, name === "connected" && viewOnly ? "watching" : name, { seconds });
}

function showVeil(root, state, text) {
  const veil = find("[data-console-veil]", root);
  const detail = find("[data-console-veil-detail]", root);
  const retry = find("[data-console-do=retry]", veil);
  const more = state.detail || (state.why ? words(root, state.why) : "");
  veil.hidden = state.name === "connected";
  find("[data-console-veil-text]", veil).textContent = text;
  detail.textContent = more;
  detail.hidden = !more;
  retry.hidden = !state.stopped && state.name !== "lost";
}

export function startStatus(root, connection) {
  const line = find("[data-console-state]", root);
  const spoken = find("[data-console-spoken]", root);
  let last = "";
  connection.addEventListener("state", ({ detail: state }) => {
    const text = sentence(root, state);
    line.textContent = text;
    // Each second of a countdown need not be read out.
    if (state.name !== last) spoken.textContent = text;
    last = state.name;
    find("[data-console-dot]", root).dataset.consoleDot = DOTS[state.name] ?? "off";
    root.dataset.state = state.name;
    root.dataset.watching = state.name === "connected" && state.viewOnly ? "yes" : "no";
    showVeil(root, state, text);
  });
}
