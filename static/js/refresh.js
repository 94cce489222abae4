// Read the page, or a part of it, again and morph what is there.

import { announce, findAll, hear } from "./dom.js";
import { morph } from "./morph.js";

const STALE_WAIT = 150;
const SHELL_KEYS = ["tree:all", "drawer:all", "alarms:all", "operations-badge:all", "alarms-badge:all"];
const SHELL_PARTS = SHELL_KEYS.map((key) => `[data-live='${key}']`);

const waiting = new Map(); // element → timer
const busy = new Set(); // elements which are being fetched
const again = new Set(); // elements which became stale once more meanwhile
const underWay = new Set(); // of each reading the pieces which were pushed since it began: key → html or null

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

// What is read was rendered before what was pushed meanwhile: a row must not show again what is no longer so.
function morphOlder(element, part, pushed) {
  for (const [key, html] of pushed) {
    if (html === null) part.querySelector(`[data-live="${CSS.escape(key)}"]`)?.remove();
  }
  morph(element, document.adoptNode(part), { newer: pushed });
}

function morphMatching(selector, fresh, pushed) {
  const old = document.querySelector(selector);
  const replacement = fresh.querySelector(selector);
  if (old && replacement) morphOlder(old, replacement, pushed);
}

async function watchingPushes(work) {
  const pushed = new Map();
  underWay.add(pushed);
  try {
    return await work(pushed);
  } finally {
    underWay.delete(pushed);
  }
}

// True if the page now shows what the server says.
export const refreshPage = () => watchingPushes(readPage);

async function readPage(pushed) {
  let fresh;
  try {
    fresh = await fetchDocument(location.href);
  } catch {
    return false;
  }
  if (!fresh) return false;
  for (const selector of ["#page", ...SHELL_PARTS]) morphMatching(selector, fresh, pushed);
  document.title = fresh.title || document.title;
  announce("refreshed");
  return true;
}

const addressOf = (element) => element.getAttribute("hx-get") || element.dataset.staleUrl || location.href;

// The answer may be the part alone or the whole page: what counts is the element with the same id.
function partOf(element, fresh) {
  return (element.id && fresh.getElementById(element.id)) || fresh.body.firstElementChild;
}

async function readPart(element, pushed) {
  const headers = { "HX-Request": "true", "HX-Target": element.id, "HX-Current-URL": location.href };
  const fresh = await fetchDocument(addressOf(element), headers);
  const part = fresh && partOf(element, fresh);
  if (part && element.isConnected) morphOlder(element, part, pushed);
}

async function read(element) {
  busy.add(element);
  try {
    await watchingPushes((pushed) => readPart(element, pushed));
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
  hear("live", ({ html }) => {
    for (const [key, piece] of html ?? []) for (const pushed of underWay) pushed.set(key, piece);
  });
  hear("refresh", ({ element }) => (element ? refreshPart(element) : refreshPage()));
  // A view may answer with HX-Trigger: refresh when something else on the page has to be read again.
  document.addEventListener("refresh", () => findAll("[data-stale]").forEach(refreshPart));
}
