// Navigation, inventory tree, operations drawer, theme choice and the keys which work everywhere.

import { announce, debounce, delegate, find, findAll, hear, isTyping, recall, remember } from "./dom.js";
import { morph } from "./morph.js";
import { openPalette } from "./palette.js";

const root = document.documentElement;
const narrow = matchMedia("(max-width: 991.98px)");

// --- sidebar and drawer ---

const sidebarShown = () => (narrow.matches ? root.dataset.offcanvas === "open" : root.dataset.sidebar !== "closed");
const drawerShown = () => root.dataset.drawer === "open";

function tellToggles() {
  const tell = (selector, shown) =>
    findAll(selector).forEach((button) => button.setAttribute("aria-expanded", String(shown)));
  tell("button[data-toggle-sidebar]", sidebarShown());
  tell("[data-toggle-drawer]", drawerShown());
  // What is out of sight must be out of the tab order too.
  find("#sidebar")?.toggleAttribute("inert", !sidebarShown());
  find("#drawer-body")?.toggleAttribute("inert", !drawerShown());
}

function toggleSidebar() {
  if (narrow.matches) {
    root.dataset.offcanvas = sidebarShown() ? "closed" : "open";
    if (sidebarShown()) find("#sidebar a")?.focus();
  } else {
    root.dataset.sidebar = sidebarShown() ? "closed" : "open";
    remember("sidebar", root.dataset.sidebar);
  }
  tellToggles();
}

function toggleDrawer() {
  root.dataset.drawer = drawerShown() ? "closed" : "open";
  remember("drawer", root.dataset.drawer);
  tellToggles();
}

function closeOffcanvas() {
  if (root.dataset.offcanvas !== "open") return false;
  root.dataset.offcanvas = "closed";
  tellToggles();
  find("button[data-toggle-sidebar]")?.focus();
  return true;
}

// On a phone there may be more tabs than fit: the one that is shown must be among those in sight.
function showTab() {
  const here = find(".tabs a[aria-current]");
  const tabs = here?.closest(".tabs");
  if (!tabs) return;
  const from = here.getBoundingClientRect().left - tabs.getBoundingClientRect().left;
  tabs.scrollLeft += from - (tabs.clientWidth - here.offsetWidth) / 2;
}

// --- theme ---

function tellTheme() {
  const choice = root.dataset.themeChoice;
  for (const button of findAll("[data-theme-choice]:not(html)")) {
    button.setAttribute("aria-pressed", String(button.dataset.themeChoice === choice));
  }
}

function chooseTheme(choice) {
  remember("theme", choice);
  announce("choose-theme");
  tellTheme();
}

// --- inventory tree ---

function markHere(scope = document) {
  for (const link of findAll(".tree-link", scope)) {
    const path = new URL(link.href).pathname;
    const here = location.pathname === path || (path.length > 1 && location.pathname.startsWith(path));
    if (here) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

const restored = new WeakSet();

function restoreDetails(scope = document) {
  for (const details of findAll("details[data-open-key]", scope)) {
    if (restored.has(details)) continue;
    restored.add(details);
    const before = recall(details.dataset.openKey);
    if (before) details.open = before === "open";
  }
}

// With thousands of machines the tree holds only those of open hosts: <details data-lazy="/url/"> answers with the
// <li>s (shell/_tree_vm.html) and forgets them when it is closed.
async function fillLazy(details) {
  const list = find("ul", details);
  if (!details.open) {
    list.replaceChildren();
    return;
  }
  try {
    const response = await fetch(details.dataset.lazy, { headers: { "HX-Request": "true" } });
    if (!response.ok) return;
    morph(list, await response.text(), { style: "innerHTML" });
  } catch {
    /* the connection bar tells; the tree is read again after it */
  }
}

const refillLazy = debounce(500, () => findAll("#tree details[data-lazy][open]").forEach(fillLazy));

function onFold({ target }) {
  if (!target.dataset?.openKey) return;
  remember(target.dataset.openKey, target.open ? "open" : "closed");
  if (target.dataset.lazy) fillLazy(target);
}

const contains = (item, words) => item.dataset.treeName.toLowerCase().includes(words);

function filterHost(host, words) {
  const machines = findAll("[data-tree-name]", host);
  const hostMatches = contains(host, words);
  let found = hostMatches;
  for (const machine of machines) {
    const shown = hostMatches || contains(machine, words);
    machine.hidden = !shown;
    found ||= shown;
  }
  host.hidden = !found;
  const details = find("details", host);
  if (details && !details.dataset.lazy && words && found) details.open = true;
  return found;
}

function filterTree() {
  const words = find("[data-tree-filter]")?.value.trim().toLowerCase() ?? "";
  const hosts = findAll(".tree-host");
  const found = hosts.filter((host) => filterHost(host, words)).length;
  const none = find("[data-tree-none]");
  if (none) none.hidden = !words || found > 0;
}

function onTreeKey(event) {
  if (event.key !== "Enter") return;
  event.preventDefault();
  const first = findAll("li li[data-tree-name]:not([hidden]) .tree-link, .tree-host:not([hidden]) > .tree-link", find("#tree"));
  if (first.length && event.target.value.trim()) first[0].click();
  else openPalette(event.target.value);
}

function stepInTree(event, link) {
  const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!by) return;
  event.preventDefault();
  const links = findAll(".tree-link", find("#tree")).filter((item) => item.offsetParent);
  links[links.indexOf(link) + by]?.focus();
}

function afterMorph({ root: scope }) {
  if (!scope?.closest?.("#tree, #drawer, .sidebar") && scope?.id !== "tree") return;
  restoreDetails(scope);
  if (scope.matches("#tree, .tree-host")) refillLazy();
  markHere(scope);
  filterTree();
  tellToggles();
}

// --- keys ---

function showHelp() {
  find("#help").showModal();
}

const KEYS = { "/": () => openPalette(), "?": showHelp, b: toggleSidebar, o: toggleDrawer };

function onKey(event) {
  if ((event.ctrlKey || event.metaKey) && !event.altKey && event.key.toLowerCase() === "k") {
    event.preventDefault();
    openPalette();
    return;
  }
  if (event.key === "Escape" && closeOffcanvas()) return;
  if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target) || find("dialog[open]")) return;
  if (!KEYS[event.key]) return;
  event.preventDefault();
  KEYS[event.key]();
}

export function start() {
  restoreDetails();
  markHere();
  tellToggles();
  showTab();
  tellTheme();
  delegate("click", "[data-toggle-sidebar]", toggleSidebar);
  delegate("click", "[data-toggle-drawer]", toggleDrawer);
  delegate("click", "[data-theme-choice]:not(html)", (_event, button) => chooseTheme(button.dataset.themeChoice));
  delegate("click", "[data-open-help]", showHelp);
  delegate("input", "[data-tree-filter]", filterTree);
  delegate("keydown", "[data-tree-filter]", onTreeKey);
  delegate("keydown", ".tree-link", stepInTree);
  document.addEventListener("toggle", onFold, true);
  document.addEventListener("keydown", onKey);
  narrow.addEventListener("change", tellToggles);
  hear("morphed", afterMorph);
  hear("theme", tellTheme);
}
