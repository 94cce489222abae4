// Read the page, or a part of it, again and morph what is there.

import { announce, findAll, hear } from "./dom.js";
import { morph } from "./morph.js";

const STALE_WAIT = 150;
const SHELL_KEYS = ["tree:all", "drawer:all", "alarms:all", "operations-badge:all", "alarms-badge:all"];
const SHELL_PARTS = SHELL_KEYS.map((key) => `[data-live='${key}']`);

const waiting = new Map(); // element → timer
const busy = new Set(); // elements which are being fetched
const again = new Set(); // elements which became stale once more meanwhile

const toLoginPage = (response) =>
  response.redirected && new URL(response.url).pathname === document.body.dataset.loginUrl;

async function fetchDocument(address, headers = {}) {
  const response = await fetch(address, { headers: { Accept: "text/html", ...headers }, credentials: "same-origin" });
  if (toLoginPage(response) || response.status === 401) {
    location.reload();
    return null;
  }
  if (!response.ok) throw new Error(String(response.status));
  return new DOMParser().parseFromString(await response.text(), "text/html");
}

function morphMatching(selector, fresh) {
  const old = document.querySelector(selector);
  const replacement = fresh.querySelector(selector);
  if (old && replacement) morph(old, document.adoptNode(replacement));
}

// True if the page now shows what the server says.
export async function refreshPage() {
  let fresh;
  try {
    fresh = await fetchDocument(location.href);
  } catch {
    return false;
  }
  if (!fresh) return false;
  for (const selector of ["#page", ...SHELL_PARTS]) morphMatching(selector, fresh);
  document.title = fresh.title || document.title;
  announce("refreshed");
  return true;
}

const addressOf = (element) => element.getAttribute("hx-get") || element.dataset.staleUrl || location.href;

// The answer may be the part alone or the whole page: what counts is the element with the same id.
function partOf(element, fresh) {
  return (element.id && fresh.getElementById(element.id)) || fresh.body.firstElementChild;
}

async function read(element) {
  busy.add(element);
  try {
    const headers = { "HX-Request": "true", "HX-Target": element.id, "HX-Current-URL": location.href };
    const fresh = await fetchDocument(addressOf(element), headers);
    const part = fresh && partOf(element, fresh);
    if (part && element.isConnected) morph(element, document.adoptNode(part));
  } catch {
    // The connection bar tells about a lost server; the next push or reconnect brings this part up to date.
  } finally {
    busy.delete(element);
    if (again.delete(element)) refreshPart(element);
  }
}

function due(element) {
  waiting.delete(element);
  if (!element.isConnected) return;
  if (busy.has(element)) again.add(element);
  else read(element);
}

// Several changes in a row cost one request, a change during a request costs one more, a hidden tab costs none.
export function refreshPart(element) {
  const unhandled = element.dispatchEvent(new CustomEvent("stale", { bubbles: true, cancelable: true }));
  if (!unhandled || element.matches("[hx-trigger*='stale']")) return;
  if (document.hidden) {
    again.add(element);
    return;
  }
  clearTimeout(waiting.get(element));
  waiting.set(element, setTimeout(() => due(element), STALE_WAIT));
}

function catchUpHidden() {
  if (document.hidden) return;
  const left = [...again].filter((element) => !busy.has(element));
  for (const element of left) {
    again.delete(element);
    refreshPart(element);
  }
}

export function start() {
  document.addEventListener("visibilitychange", catchUpHidden);
  hear("refresh", ({ element }) => (element ? refreshPart(element) : refreshPage()));
  // A view may answer with HX-Trigger: refresh when something else on the page has to be read again.
  document.addEventListener("refresh", () => findAll("[data-stale]").forEach(refreshPart));
}
