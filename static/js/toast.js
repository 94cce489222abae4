// Short messages in the corner, and what to say when a request failed.

import { delegate, find, findAll, text } from "./dom.js";

const STAY = 6000;

function dismiss(note) {
  note.remove();
}

function dismissLater(note) {
  let timer = setTimeout(() => dismiss(note), STAY);
  // Somebody who reads it keeps it.
  note.addEventListener("pointerenter", () => clearTimeout(timer));
  note.addEventListener("focusin", () => clearTimeout(timer));
  note.addEventListener("pointerleave", () => {
    timer = setTimeout(() => dismiss(note), STAY / 2);
  });
}

// level: success | info | warning | danger. Errors stay until they are closed.
export function toast({ level = "info", text: words, url = null, link = null, stay = false }) {
  const note = find("#toast-template").content.firstElementChild.cloneNode(true);
  note.classList.add(`toast-${level}`);
  find(".toast-text", note).textContent = words;
  const anchor = find(".toast-link", note);
  if (url) {
    anchor.href = url;
    anchor.hidden = false;
    if (link) anchor.textContent = link;
  }
  find("#toasts").append(note);
  if (!stay && level !== "danger" && level !== "error") dismissLater(note);
}

function problemText(request) {
  const type = request.getResponseHeader("Content-Type") ?? "";
  const fallback = text("errorStatus", { status: request.status });
  if (type.includes("json")) {
    try {
      const problem = JSON.parse(request.responseText);
      return problem.detail ?? problem.title ?? problem.message ?? fallback;
    } catch {
      return fallback;
    }
  }
  const short = request.responseText.trim();
  return type.includes("text/plain") && short && short.length < 400 ? short : fallback;
}

function onResponseError({ detail }) {
  if (detail.xhr.status === 401) {
    location.reload();
    return;
  }
  toast({ level: "danger", text: problemText(detail.xhr) });
}

export function start() {
  delegate("click", "[data-close-toast]", (_event, button) => dismiss(button.closest("[data-toast]")));
  for (const note of findAll("#toasts [data-toast]")) {
    if (!note.matches(".toast-danger, .toast-error")) dismissLater(note);
  }
  // HX-Trigger: {"toast": {"level": "success", "text": "…", "url": "…"}}
  document.addEventListener("toast", ({ detail }) => toast(detail));
  document.addEventListener("htmx:responseError", onResponseError);
  document.addEventListener("htmx:sendError", () => toast({ level: "danger", text: text("errorNetwork") }));
  document.addEventListener("htmx:timeout", () => toast({ level: "danger", text: text("errorTimeout") }));
}
