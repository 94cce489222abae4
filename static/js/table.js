// Tables: selecting rows, bulk actions, choosing columns, moving by keyboard. Sorting, filtering and paging are links.
//
//   <table data-table="vms"> … <input type="checkbox" data-select-all> … <tr data-row> <input type="checkbox"
//   name="ids" value="…" data-select form="bulk-vms"> … <a data-row-link href="…">
//   <div data-bulk-bar="vms" hidden> <span data-bulk-count></span> … buttons

import { announce, delegate, find, findAll, hear, isTyping, text } from "./dom.js";

const YEAR = 31536000;
let lastTicked = null;

const tableOf = (element) => element.closest("[data-table]");
const boxes = (table) => findAll("[data-select]", table);
const barOf = (table) => find(`[data-bulk-bar="${CSS.escape(table.dataset.table)}"]`);

// --- selection ---

function tellSelection(table) {
  const all = boxes(table);
  const ticked = all.filter((box) => box.checked).length;
  const head = find("[data-select-all]", table);
  if (head) {
    head.checked = ticked > 0 && ticked === all.length;
    head.indeterminate = ticked > 0 && ticked < all.length;
  }
  const bar = barOf(table);
  if (!bar) return;
  bar.hidden = ticked === 0;
  const count = find("[data-bulk-count]", bar);
  if (count) count.textContent = text("selected", { n: ticked });
}

function tickRange(table, box) {
  const all = boxes(table);
  const [from, to] = [all.indexOf(lastTicked), all.indexOf(box)].sort((a, b) => a - b);
  if (from < 0) return;
  for (const between of all.slice(from, to + 1)) between.checked = box.checked;
}

function onTick(event, box) {
  const table = tableOf(box);
  if (event.shiftKey && lastTicked && tableOf(lastTicked) === table) tickRange(table, box);
  lastTicked = box;
  tellSelection(table);
}

function onTickAll(_event, head) {
  const table = tableOf(head);
  for (const box of boxes(table)) box.checked = head.checked;
  tellSelection(table);
}

function clearSelection(table) {
  for (const box of boxes(table)) box.checked = false;
  tellSelection(table);
}

// --- columns: remembered in a cookie, so that the server renders what is wanted ---

function chooseColumns(_event, box) {
  const menu = box.closest("[data-columns]");
  const name = menu.dataset.columns;
  const chosen = findAll("input", menu).filter((item) => item.checked);
  const value = chosen.map((item) => item.value).join(".");
  document.cookie = `columns_${name}=${value}; path=/; max-age=${YEAR}; SameSite=Lax`;
  const table = find(`[data-table="${CSS.escape(name)}"]`);
  announce("refresh", { element: table?.closest("[data-stale]") ?? null });
}

// --- keyboard ---

const rowLink = (row) => find("[data-row-link]", row) ?? find("a[href]", row);

function focusRow(table, by) {
  const rows = findAll("[data-row]", table);
  const here = rows.indexOf(document.activeElement.closest("[data-row]"));
  const next = rows[here < 0 ? (by > 0 ? 0 : rows.length - 1) : here + by];
  if (!next) return;
  rowLink(next)?.focus();
  next.scrollIntoView({ block: "nearest" });
}

function tickRow() {
  const box = find("[data-select]", document.activeElement.closest("[data-row]") ?? document.createElement("i"));
  box?.click();
}

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
  if (find("dialog[open]") || find("[popover]:popover-open")) return;
  const table = event.target.closest?.("[data-table]") ?? find("#page [data-table]");
  if (!table) return;
  const inside = table.contains(event.target);
  const moves = { j: 1, k: -1, ...(inside ? { ArrowDown: 1, ArrowUp: -1 } : {}) };
  if (moves[event.key]) {
    event.preventDefault();
    focusRow(table, moves[event.key]);
  } else if (event.key === "x" && inside) {
    event.preventDefault();
    tickRow();
  } else if (event.key === "Escape") {
    clearSelection(table);
  }
}

// A click on the free part of a row opens it; text can still be marked, and links and buttons keep their own meaning.
function onRowClick(event, row) {
  if (event.target.closest("a, button, input, label, summary, [popover]") || String(getSelection())) return;
  const link = rowLink(row);
  if (!link) return;
  if (event.ctrlKey || event.metaKey) window.open(link.href, "_blank", "noopener");
  else link.click();
}

export function start() {
  delegate("click", "[data-select]", onTick);
  delegate("click", "[data-select-all]", onTickAll);
  delegate("click", "[data-clear-selection]", (_event, button) => {
    const name = button.closest("[data-bulk-bar]").dataset.bulkBar;
    clearSelection(find(`[data-table="${CSS.escape(name)}"]`));
  });
  delegate("change", "[data-columns] input", chooseColumns);
  delegate("click", "[data-row][data-row-opens]", onRowClick);
  document.addEventListener("keydown", onKey);
  const tellAll = () => findAll("[data-table]").forEach(tellSelection);
  hear("morphed", tellAll);
  tellAll();
}
