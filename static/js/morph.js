// Bring a part of the page to what the server says now, without touching what the person is doing there: focus, text
// being typed, ticked boxes, open menus and details, scroll positions, charts.

import { Idiomorph } from "../vendor/idiomorph/idiomorph.esm.js";
import { announce, calm, find, findAll } from "./dom.js";

const FLASH = { duration: 1200, easing: "ease-out" };

// --- what belongs to the browser and not to the server ---

function selectIsDirty(select) {
  const options = [...select.options];
  const chosen = options.some((option) => option.defaultSelected);
  if (!chosen && !select.multiple) return select.selectedIndex > 0;
  return options.some((option) => option.selected !== option.defaultSelected);
}

function isDirty(control) {
  if (control instanceof HTMLSelectElement) return selectIsDirty(control);
  if (control instanceof HTMLInputElement && ["checkbox", "radio"].includes(control.type)) {
    return control.checked !== control.defaultChecked;
  }
  return control.value !== control.defaultValue;
}

const isControl = (node) =>
  node instanceof HTMLInputElement || node instanceof HTMLTextAreaElement || node instanceof HTMLSelectElement;

const inUse = (node) => isControl(node) && node.type !== "hidden" && (node === document.activeElement || isDirty(node));

// Charts draw into their element; a figure's text is younger than any rendered page; ages count by themselves.
function isOurs(old, fresh) {
  const same = (name) => old.hasAttribute(name) && old.getAttribute(name) === fresh.getAttribute?.(name);
  if (old.hasAttribute("data-keep") || same("data-chart")) return true;
  if (same("data-figure") && old.dataset.figureAt) return true;
  return old.hasAttribute("data-age") && same("datetime");
}

// A picture stays until the next one is there to be drawn: a place that goes blank each time would flicker.
const awaited = new WeakMap();

function changePicture(old, fresh) {
  const address = fresh.getAttribute("src");
  if ((awaited.get(old) ?? old.getAttribute("src")) === address) return;
  awaited.set(old, address);
  const next = new Image();
  const put = () => {
    if (awaited.get(old) !== address) return;
    awaited.delete(old);
    old.setAttribute("src", address);
  };
  next.src = address;
  next.decode().then(put, put);
}

function ownsAttribute(name, element) {
  if (name === "src" && element instanceof HTMLImageElement) return true;
  if (name === "style" || name === "nonce") return true;
  if (name === "open") return element instanceof HTMLDetailsElement || element instanceof HTMLDialogElement;
  return (element.dataset.local ?? "").split(" ").includes(name);
}

// --- flashing what changed ---

const words = (element) => {
  const copy = element.cloneNode(true);
  for (const age of copy.querySelectorAll("[data-age], [data-figure]")) age.remove();
  return copy.textContent.replace(/\s+/g, " ").trim();
};

function hasChanged(old, fresh) {
  if (old.dataset.flash || fresh.dataset?.flash) return old.dataset.flash !== fresh.dataset?.flash;
  return words(old) !== words(fresh);
}

function flash(element) {
  const cell = element.closest("td") ?? element;
  cell.animate([{ backgroundColor: "var(--kd-flash)" }, { backgroundColor: "transparent" }], FLASH);
}

// --- rows only show the columns which this person has chosen ---

function keepChosenColumns(row, table) {
  const chosen = new Set(findAll("thead [data-col]", table).map((head) => head.dataset.col));
  if (!chosen.size) return;
  for (const cell of findAll("[data-col]", row)) if (!chosen.has(cell.dataset.col)) cell.remove();
}

function fitRows(content, place) {
  const table = place.closest("table[data-table]");
  if (!table) return;
  for (const node of content) if (node instanceof HTMLTableRowElement) keepChosenColumns(node, table);
}

// --- the morph itself ---

export function parse(html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  return [...template.content.children];
}

function callbacks(changed, newer) {
  return {
    beforeNodeMorphed(old, fresh) {
      if (!(old instanceof Element)) return true;
      if (newer?.has(old.dataset?.live)) return false;
      if (old instanceof HTMLScriptElement || inUse(old) || isOurs(old, fresh)) return false;
      if (old instanceof HTMLImageElement && fresh instanceof HTMLImageElement) changePicture(old, fresh);
      if (old.dataset?.flash !== undefined && hasChanged(old, fresh)) changed.push(old);
      return true;
    },
    beforeNodeAdded: (node) => !(node instanceof HTMLScriptElement),
    beforeAttributeUpdated: (name, element) => !ownsAttribute(name, element),
  };
}

function focusAfterLoss(row) {
  if (!row.contains(document.activeElement)) return null;
  const neighbour = row.nextElementSibling ?? row.previousElementSibling;
  return (neighbour && find("a[href], button, input", neighbour)) ?? find("#page");
}

// `newer`: keys of pieces which are on the page already as they are now, and must not become older again.
export function morph(element, content, { style = "outerHTML", newer = null } = {}) {
  const fresh = typeof content === "string" ? parse(content) : content;
  const nodes = Array.isArray(fresh) ? fresh : [fresh];
  const changed = [];
  const place = element.parentElement;
  fitRows(nodes, element);
  const result = Idiomorph.morph(element, nodes, { morphStyle: style, callbacks: callbacks(changed, newer) });
  window.htmx?.process(style === "outerHTML" && !element.isConnected ? place : element);
  if (!calm()) changed.forEach(flash);
  announce("morphed", { root: element.isConnected ? element : place });
  return result;
}

export function remove(element) {
  const next = focusAfterLoss(element);
  const place = element.parentElement;
  element.remove();
  next?.focus({ preventScroll: true });
  announce("morphed", { root: place });
}

// hx-swap="morph" and hx-swap="morph:innerHTML" for htmx, with the same care.
export function registerWithHtmx() {
  const styleOf = (swap) => (swap === "morph:innerHTML" ? "innerHTML" : "outerHTML");
  window.htmx?.defineExtension("morph", {
    isInlineSwap: (swap) => swap === "morph" || swap === "morph:outerHTML",
    handleSwap(swap, target, fragment) {
      if (!swap.startsWith("morph")) return false;
      return morph(target, [...fragment.children], { style: styleOf(swap) });
    },
  });
}
