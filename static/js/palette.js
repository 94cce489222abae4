// Search everything: objects and actions in one list, all by keyboard. The server words and ranks the results.

import { debounce, delegate, find, findAll, text } from "./dom.js";

const WAIT = 120;
let request = null;

const dialog = () => find("#palette");
const input = () => find("#palette-input");
const results = () => find("#palette-results");
const options = () => findAll("[role=option]", results());
const active = () => find("[role=option][aria-selected=true]", results());

function select(option) {
  active()?.setAttribute("aria-selected", "false");
  if (!option) {
    input().removeAttribute("aria-activedescendant");
    return;
  }
  option.setAttribute("aria-selected", "true");
  option.scrollIntoView({ block: "nearest" });
  input().setAttribute("aria-activedescendant", option.id);
}

function show(html) {
  results().innerHTML = html;
  const found = options();
  found.forEach((option, index) => {
    option.id = `palette-option-${index}`;
  });
  find("[data-palette-note]").textContent = found.length ? "" : text("noResults");
  select(found[0]);
}

async function search() {
  request?.abort();
  request = new AbortController();
  const address = new URL(dialog().dataset.paletteUrl, location.href);
  address.searchParams.set("q", input().value.trim());
  try {
    const response = await fetch(address, { signal: request.signal, headers: { "HX-Request": "true" } });
    if (!response.ok) throw new Error(String(response.status));
    show(await response.text());
  } catch (error) {
    if (error.name !== "AbortError") find("[data-palette-note]").textContent = text("errorNetwork");
  }
}

const searchSoon = debounce(WAIT, search);

function step(by) {
  const all = options();
  if (all.length) select(all[(all.indexOf(active()) + by + all.length) % all.length]);
}

function open(event) {
  const option = active();
  if (!option) return;
  // Ctrl-Enter opens a new tab, as a click would.
  const click = new MouseEvent("click", { bubbles: true, cancelable: true, ctrlKey: event.ctrlKey, metaKey: event.metaKey });
  option.dispatchEvent(click);
  dialog().close();
}

const KEYS = { ArrowDown: () => step(1), ArrowUp: () => step(-1), Enter: open };

function onKey(event) {
  if (!KEYS[event.key]) return;
  event.preventDefault();
  KEYS[event.key](event);
}

export function openPalette(words = "") {
  const palette = dialog();
  if (palette.open) return;
  palette.showModal();
  input().value = words;
  input().select();
  search();
}

export function start() {
  delegate("click", "[data-open-palette]", () => openPalette());
  input()?.addEventListener("input", searchSoon);
  input()?.addEventListener("keydown", onKey);
  results()?.addEventListener("click", () => dialog().close());
  results()?.addEventListener("pointermove", (event) => {
    const option = event.target.closest("[role=option]");
    if (option && option !== active()) select(option);
  });
}
