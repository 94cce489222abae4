// How things are, in words: the line in the bar, the strip over the terminal, who writes.

import { find, findAll } from "../dom.js";
import { words } from "../console/status.js";

const DOTS = { open: "on", opening: "busy", waiting: "busy", held: "lost", connecting: "busy", again: "busy", lost: "lost" };
const STOPPED = ["withdrawn", "signedOut", "off", "gone"];
// What the gateway says of why it waits → our sentence.
const WAITS = {
  off: "waitsOff", host: "waitsHost", nowhere: "waitsNowhere", starting: "waitsStarting", ended: "waitsEnded", gone: "gone",
};

function whereWeAre(connection, state) {
  return state.name === "connected" && connection.facts ? connection.facts.state : state.name;
}

function sentence(root, connection, state) {
  const { facts } = connection;
  if (state.name !== "connected" || !facts) return words(root, state.name, { seconds: state.seconds });
  if (facts.state === "open") return words(root, facts.may ? "open" : "watching", { host: facts.host });
  if (facts.state === "waiting") return words(root, WAITS[facts.why] ?? "waitsStarting", { host: facts.host });
  return words(root, facts.state);
}

function showStrip(root, connection, state, text) {
  const where = whereWeAre(connection, state);
  const strip = find("[data-serial-strip]", root);
  const more = state.detail || (state.why ? words(root, state.why) : "") || (where === "held" ? words(root, "heldMore") : "");
  strip.hidden = where === "open";
  strip.dataset.serialStrip = DOTS[where] ?? "off";
  find("[data-serial-strip-text]", strip).textContent = text;
  find("[data-serial-strip-more]", strip).textContent = more;
  find("[data-serial-do=retry]", strip).hidden = !STOPPED.includes(where) && where !== "lost";
  const force = find("[data-serial-do=force]", strip);
  if (force) force.hidden = where !== "held" || !connection.facts.may;
}

function showPen(root, connection) {
  const { facts } = connection;
  const pen = find("[data-serial-pen]", root);
  const open = facts !== null && connection.state === "connected";
  let text = "";
  if (open && facts.all) text = words(root, "allWrite");
  else if (open && facts.mine) text = words(root, "youWrite");
  else if (open && facts.pen) text = words(root, "otherWrites", { name: facts.pen });
  else if (open) text = words(root, "nobodyWrites");
  pen.textContent = text;
  pen.hidden = !text;
  const may = open && facts.may;
  for (const button of findAll("[data-serial-write]", root)) button.disabled = !connection.mayWrite;
  const take = find("[data-serial-do=take]", root);
  if (!take) return;
  const others = may && facts.people.some(({ watches }) => !watches) && facts.people.filter((one) => !one.watches).length > 1;
  take.hidden = !may || facts.all || facts.mine;
  find("[data-serial-do=give]", root).hidden = !others || facts.all || !facts.mine;
  const all = find("[data-serial-do=all]", root);
  all.disabled = !may;
  all.setAttribute("aria-pressed", String(Boolean(may && facts.all)));
}

export function startStatus(root, connection) {
  const line = find("[data-serial-state]", root);
  const spoken = find("[data-serial-spoken]", root);
  let last = "";
  let state = { name: "connecting" };
  const show = () => {
    const where = whereWeAre(connection, state);
    const text = sentence(root, connection, state);
    line.textContent = text;
    // Each second of a countdown need not be read out.
    if (where !== last || where === "waiting") spoken.textContent = text;
    last = where;
    find("[data-console-dot]", root).dataset.consoleDot = DOTS[where] ?? "off";
    root.dataset.state = where;
    showStrip(root, connection, state, text);
    showPen(root, connection);
  };
  connection.addEventListener("state", ({ detail }) => {
    state = detail;
    show();
  });
  connection.addEventListener("facts", show);
}
