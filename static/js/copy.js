// <button data-copy>: copies data-copy="text", or the [data-copy-text] beside it.

import { delegate, find, text } from "./dom.js";
import { toast } from "./toast.js";

const SHOWN = 1500;

const wanted = (button) =>
  button.dataset.copy || find("[data-copy-text]", button.parentElement)?.textContent.trim() || "";

async function copy(button) {
  try {
    await navigator.clipboard.writeText(wanted(button));
    button.classList.add("is-copied");
    setTimeout(() => button.classList.remove("is-copied"), SHOWN);
    toast({ level: "success", text: text("copied") });
  } catch {
    toast({ level: "warning", text: text("notCopied") });
  }
}

export function start() {
  delegate("click", "[data-copy]", (_event, button) => copy(button));
}
