// Dialogs: <button data-dialog="/url/"> reads a fragment into the page's dialog; a form in it is sent with htmx into
// #dialog-body (422 shows it again with its errors) and the view closes the dialog with HX-Trigger: dialog-close.
// A form is htmx's only once it has settled: base.html has that happen at once, or a quick Enter would send it past htmx.

import { delegate, find, findAll } from "./dom.js";

const body = () => find("#dialog-body");
// What is wrong is what a person goes on with, wherever it stands.
const FIRST = [".is-invalid", "[autofocus]", "input:not([type=hidden], :disabled), select:enabled, textarea:enabled"];

async function open(address) {
  findAll("[popover]:popover-open").forEach((menu) => menu.hidePopover());
  await window.htmx.ajax("GET", address, { target: "#dialog-body", swap: "innerHTML" });
}

function showWhenFilled({ detail }) {
  if (detail.target !== body() || !body().children.length) return;
  const dialog = find("#dialog");
  const title = find("h1, h2", body());
  if (title && !title.id) title.id = "dialog-title";
  if (!dialog.open) dialog.showModal();
  FIRST.map((which) => find(which, body())).find(Boolean)?.focus();
}

function close(dialog) {
  dialog.close();
}

// A click on the veil closes what can be read again; a half filled form is not thrown away by a slip of the hand.
function closeByVeil(event) {
  const dialog = event.target;
  if (dialog instanceof HTMLDialogElement && dialog.open && !find("form", dialog)) close(dialog);
}

export function start() {
  delegate("click", "[data-dialog]", (event, opener) => {
    event.preventDefault();
    open(opener.dataset.dialog);
  });
  delegate("click", "[data-close-dialog]", (_event, button) => close(button.closest("dialog")));
  document.addEventListener("click", closeByVeil);
  // Before that, what was there under the same id lends its attributes to what is new.
  document.addEventListener("htmx:afterSettle", showWhenFilled);
  document.addEventListener("dialog-close", () => close(find("#dialog")));
  find("#dialog")?.addEventListener("close", () => body().replaceChildren());
}
