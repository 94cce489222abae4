// data-confirm="…" on a button, link or form asks first. With data-confirm-type="web-01" the name must be typed.
// data-confirm-title, data-confirm-do (the button's word), data-confirm-danger and data-virsh are optional;
// "{n}" in a text becomes the number of selected rows when the element is in a bulk bar.

import { delegate, find, findAll, text } from "./dom.js";

const allowed = new WeakSet(); // elements which have been confirmed and may act once

const selectedCount = (element) => {
  const table = element.closest("[data-bulk-bar]")?.dataset.bulkBar;
  return table ? findAll(`[data-table="${CSS.escape(table)}"] [data-select]:checked`).length : 0;
};

const filled = (element, words) => (words ?? "").replaceAll("{n}", String(selectedCount(element)));

function fillTexts(dialog, element) {
  const { dataset } = element;
  find("[data-confirm-title]", dialog).textContent = filled(element, dataset.confirmTitle) || text("confirmTitle");
  find("[data-confirm-text]", dialog).textContent = filled(element, dataset.confirm);
  find("[data-confirm-virsh]", dialog).textContent = dataset.virsh ?? "";
  find("[data-confirm-virsh-row]", dialog).hidden = !dataset.virsh;
  const act = find("[data-confirm-do]", dialog);
  const own = element instanceof HTMLFormElement ? "" : element.textContent.trim().replace(/…$/, "");
  act.textContent = dataset.confirmDo || own || text("confirmDo");
  const danger = "confirmDanger" in dataset || "confirmType" in dataset;
  act.classList.toggle("btn-danger", danger);
  act.classList.toggle("btn-primary", !danger);
}

function askForName(dialog, name) {
  const input = find("#confirm-name", dialog);
  const act = find("[data-confirm-do]", dialog);
  find("[data-confirm-type-row]", dialog).hidden = !name;
  find("[data-confirm-name]", dialog).textContent = name ?? "";
  input.value = "";
  act.disabled = Boolean(name);
  input.oninput = () => {
    act.disabled = Boolean(name) && input.value.trim() !== name;
  };
}

function ask(element, act) {
  const dialog = find("#confirm");
  fillTexts(dialog, element);
  askForName(dialog, element.dataset.confirmType);
  dialog.returnValue = "";
  find("[data-confirm-form]", dialog).onsubmit = (event) => {
    event.preventDefault();
    dialog.close();
    act();
  };
  document.querySelectorAll("[popover]:popover-open").forEach((menu) => menu.hidePopover());
  dialog.showModal();
  const first = element.dataset.confirmType ? find("#confirm-name", dialog) : find("[data-confirm-do]", dialog);
  first.focus();
}

function guard(event, element, act) {
  if (allowed.delete(element)) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  ask(element, () => {
    allowed.add(element);
    act();
  });
}

export function start() {
  // In the capture phase, so that neither htmx nor the browser has acted yet.
  delegate("click", "[data-confirm]:not(form)", (event, element) => guard(event, element, () => element.click()), true);
  delegate(
    "submit",
    "form[data-confirm]",
    (event, form) => guard(event, form, () => form.requestSubmit(event.submitter)),
    true,
  );
}
