// What has the focus may be disabled or taken away while it has it: by its own request, or by a push. Who works by keyboard then
// goes on beside it, and not at the top of the page.

import { find, findAll, hear } from "./dom.js";

const REACHED = "button, a[href], input, select, textarea, [tabindex='0']";

let last = null; // what had the focus last
let row = null; // what it stood in
let piece = ""; // the id of the live piece around it

function note({ target }) {
  last = target;
  row = target.parentElement;
  piece = target.closest("[data-live][id]")?.id ?? "";
}

function forget() {
  last = null;
}

const nowhere = () => document.activeElement === null || document.activeElement === document.body || document.activeElement.disabled;
const usable = (element) => element.isConnected && !element.disabled && element.offsetParent !== null;

function neighbour() {
  const home = piece && document.getElementById(piece);
  const places = [row?.isConnected ? row : null, home && find(".page-actions", home), home || null];
  for (const place of places) {
    const next = place && findAll(REACHED, place).find(usable);
    if (next) return next;
  }
  return find("#page");
}

// Only what was taken from somebody is given back: a click beside everything is a wish to have nothing in focus.
function goOn() {
  if (!last || !nowhere() || find("dialog[open]")) return;
  const next = usable(last) ? last : neighbour();
  next?.focus({ preventScroll: true });
}

function afterMorph() {
  if (last && !usable(last)) goOn();
}

export function start() {
  document.addEventListener("focusin", note);
  document.addEventListener("pointerdown", forget);
  document.addEventListener("htmx:afterRequest", goOn);
  hear("morphed", afterMorph);
}
