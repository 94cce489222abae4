// The one live connection of a page. The protocol is described in docs/pages.md.

import { announce, debounce, delegate, find, findAll, text } from "./dom.js";
import * as figures from "./figures.js";
import { morph, remove } from "./morph.js";
import { refreshPage, refreshPart } from "./refresh.js";
import { toast } from "./toast.js";

const FIRST_RETRY = 500;
const LONGEST_RETRY = 15000;
const LOGIN_NEEDED = 4401;
const WITHDRAWN = 4403;

const state = { socket: null, sent: "", attempts: 0, timer: 0, wasConnected: false, version: null, over: false };
let silence = 0; // the timer which notices that a server that promised heartbeats went quiet
let quietAfter = 0;

// --- what this page watches ---

function watchedKeys() {
  const keys = new Set(figures.watched());
  for (const element of findAll("[data-live]")) keys.add(element.dataset.live);
  for (const element of findAll("[data-stale]")) {
    for (const topic of element.dataset.stale.split(/\s+/)) keys.add(`stale:${topic}`);
  }
  keys.delete("");
  return [...keys].sort();
}

function watch() {
  if (state.socket?.readyState !== WebSocket.OPEN) return;
  const message = JSON.stringify({ watch: watchedKeys() });
  if (message === state.sent) return;
  state.sent = message;
  state.socket.send(message);
}

// --- what the server says ---

function showGone(element) {
  if (find("#gone-notice")) return;
  const notice = document.createElement("div");
  notice.id = "gone-notice";
  notice.className = "notice notice-warning";
  notice.setAttribute("role", "alert");
  notice.dataset.keep = "";
  notice.textContent = text("gone");
  find("#page").prepend(notice);
  element.classList.add("is-gone");
  document.body.classList.add("is-page-gone");
}

function apply(key, html) {
  for (const element of findAll(`[data-live="${CSS.escape(key)}"]`)) {
    if (html !== null) morph(element, html);
    else if (element.hasAttribute("data-live-page")) showGone(element);
    else remove(element);
  }
}

// Only a greeting proves that somebody is there: a server may accept and close at once.
function greet({ version, heartbeat }) {
  state.attempts = 0;
  if (state.wasConnected || document.body.classList.contains("is-offline")) catchUp();
  state.wasConnected = true;
  if (state.version && version && version !== state.version) {
    toast({ level: "info", text: text("newVersion"), url: location.href, link: text("reload"), stay: true });
  }
  state.version = version ?? state.version;
  quietAfter = heartbeat ? heartbeat * 2500 : 0;
}

function goStale(topics) {
  for (const topic of topics) {
    for (const element of findAll(`[data-stale~="${CSS.escape(topic)}"]`)) refreshPart(element);
  }
}

function receive(message) {
  if (message.hello) greet(message.hello);
  for (const [key, html] of message.html ?? []) apply(key, html);
  if (message.figures) figures.receive(message.figures);
  if (message.stale) goStale(message.stale);
  announce("live", message);
}

// --- the connection ---

function setOffline(words) {
  document.body.classList.add("is-offline");
  const bar = find("#offline-bar");
  bar.hidden = false;
  find("[data-offline-text]", bar).textContent = words;
}

function setOnline() {
  document.body.classList.remove("is-offline");
  find("#offline-bar").hidden = true;
}

// After a gap the page reads itself again: a lost message costs nothing.
async function catchUp() {
  setOffline(text("catchingUp"));
  if (await refreshPage()) setOnline();
  else state.socket?.close();
}

function opened() {
  state.sent = "";
  watch();
}

function guardAgainstSilence() {
  clearTimeout(silence);
  if (quietAfter) silence = setTimeout(() => state.socket?.close(), quietAfter);
}

// Full jitter: when a server comes back, a thousand pages must not arrive in the same instant.
function retryDelay() {
  const ceiling = Math.min(LONGEST_RETRY, FIRST_RETRY * 2 ** state.attempts);
  state.attempts += 1;
  return ceiling / 2 + Math.random() * (ceiling / 2);
}

function closed({ code }) {
  clearTimeout(silence);
  state.socket = null;
  if (state.over) return;
  if (code === LOGIN_NEEDED) {
    toLogin();
    return;
  }
  if (code === WITHDRAWN) {
    state.over = true;
    setOffline(text("withdrawn"));
    return;
  }
  const delay = retryDelay();
  const words = text("offline");
  setOffline(delay > 3000 ? `${words} (${text("retryIn", { n: Math.round(delay / 1000) })})` : words);
  clearTimeout(state.timer);
  state.timer = setTimeout(connect, delay);
}

export function toLogin() {
  state.over = true;
  const next = encodeURIComponent(location.pathname + location.search);
  location.assign(`${document.body.dataset.loginUrl}?next=${next}`);
}

function connect() {
  clearTimeout(state.timer);
  if (state.socket || state.over) return;
  const address = new URL(document.body.dataset.liveUrl, location.href);
  address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  const socket = new WebSocket(address);
  state.socket = socket;
  socket.addEventListener("open", opened);
  socket.addEventListener("close", closed);
  socket.addEventListener("message", ({ data }) => {
    guardAgainstSilence();
    receive(JSON.parse(data));
  });
}

function reconnectNow() {
  state.attempts = 0;
  connect();
}

// A page put away in the back-forward cache must not hold a socket, and must catch up when it is taken out again.
function sleep() {
  state.over = true;
  clearTimeout(state.timer);
  state.socket?.close();
}

function wake({ persisted }) {
  if (!persisted) return;
  state.over = false;
  state.socket = null;
  reconnectNow();
}

export function start() {
  if (!document.body.dataset.liveUrl) return;
  const changed = debounce(50, watch);
  const options = { subtree: true, childList: true, attributeFilter: ["data-live", "data-stale", "data-figure", "data-chart"] };
  new MutationObserver(changed).observe(document.body, options);
  window.addEventListener("online", reconnectNow);
  window.addEventListener("pagehide", sleep);
  window.addEventListener("pageshow", wake);
  delegate("click", "[data-reconnect]", reconnectNow);
  connect();
}
