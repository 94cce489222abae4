// Popover menus: placed beside their button, arrow keys inside, closed after a choice.

import { delegate, find, findAll } from "./dom.js";

const GAP = 4;
const EDGE = 8;

const openerOf = (menu) => menu.openedBy ?? find(`[popovertarget="${CSS.escape(menu.id)}"]`);

function place(menu) {
  const opener = openerOf(menu);
  if (!opener) return;
  const from = opener.getBoundingClientRect();
  const size = menu.getBoundingClientRect();
  const below = from.bottom + GAP + size.height <= innerHeight - EDGE || from.top < size.height;
  const left = from.left + size.width <= innerWidth - EDGE ? from.left : from.right - size.width;
  const lowest = Math.max(EDGE, innerHeight - size.height - EDGE);
  const top = below ? Math.min(from.bottom + GAP, lowest) : from.top - GAP - size.height;
  menu.style.left = `${Math.max(EDGE, Math.min(left, innerWidth - size.width - EDGE))}px`;
  menu.style.top = `${top}px`;
}

const choices = (menu) => findAll("a[href], button:not(:disabled), input", menu).filter((item) => item.offsetParent);

function step(menu, by) {
  const items = choices(menu);
  if (!items.length) return;
  const here = items.indexOf(document.activeElement);
  items[(here + by + items.length) % items.length].focus();
}

const KEYS = {
  ArrowDown: (menu) => step(menu, 1),
  ArrowUp: (menu) => step(menu, -1),
  Home: (menu) => choices(menu)[0]?.focus(),
  End: (menu) => choices(menu).at(-1)?.focus(),
};

function onKey(event) {
  const menu = event.target.closest?.("[popover]:popover-open");
  if (!menu || !KEYS[event.key]) return;
  event.preventDefault();
  event.stopPropagation();
  KEYS[event.key](menu);
}

function onToggle(event) {
  const menu = event.target;
  if (!(menu instanceof HTMLElement) || !menu.matches(".menu[popover]")) return;
  if (event.newState !== "open") return;
  place(menu);
  if (menu.openedByKey) choices(menu)[0]?.focus();
  menu.openedByKey = false;
}

// Several buttons may open one menu: it belongs beside the one which was used.
function rememberOpener(event, button) {
  const menu = document.getElementById(button.getAttribute("popovertarget"));
  if (!menu) return;
  menu.openedBy = button;
  menu.openedByKey = event.detail === 0;
}

export function start() {
  delegate("click", "[popovertarget]", rememberOpener, true);
  document.addEventListener("toggle", onToggle, true);
  document.addEventListener("keydown", onKey, true);
  delegate("click", ".menu[popover] .menu-item", (_event, item) => {
    if (item instanceof HTMLLabelElement) return;
    item.closest("[popover]").hidePopover();
  });
  window.addEventListener("resize", () => findAll(".menu:popover-open").forEach(place));
  window.addEventListener("scroll", () => findAll(".menu:popover-open").forEach(place), { passive: true });
}
