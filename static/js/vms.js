// Pages of guests: addresses without empty filters, facts that each frame of their host verifies again, long texts copied.

import { delegate, findAll, find, hear, text } from "./dom.js";
import { toast } from "./toast.js";

// A connected host tells every change: what it told last holds for as long as it answers.
function verify(frames) {
  for (const place of findAll("[data-verified-by]")) {
    const at = frames[place.dataset.verifiedBy]?.at;
    const age = find("time", place);
    if (at && age) age.dateTime = new Date(at * 1000).toISOString();
  }
}

async function copyFrom(button) {
  try {
    await navigator.clipboard.writeText(find(button.dataset.copyFrom).textContent);
    toast({ level: "success", text: text("copied") });
  } catch {
    toast({ level: "warning", text: text("notCopied") });
  }
}

// What is not asked for does not belong in an address that people send each other.
function dropEmpty({ detail }) {
  if (detail.elt.id !== "vm-filters") return;
  for (const [name, value] of [...detail.formData.entries()]) if (!value) detail.formData.delete(name);
}

// A page about the rows that are marked; its address names them, so that it can be kept.
function openChosen(button) {
  const table = `[data-table=${button.closest("[data-bulk-bar]").dataset.bulkBar}]`;
  const chosen = findAll(`${table} [data-select]:checked`).map(({ value }) => ["ids", value]);
  location.assign(`${button.dataset.openChosen}?${new URLSearchParams(chosen)}`);
}

document.addEventListener("htmx:configRequest", dropEmpty);
hear("figures", ({ frames }) => verify(frames));
delegate("click", "[data-open-chosen]", (_event, button) => openChosen(button));
delegate("click", "[data-copy-from]", (_event, button) => copyFrom(button));
