// The guest's clipboard, both ways, where the display has one.

import { find } from "../dom.js";
import { toast } from "../toast.js";
import { focusScreen } from "./focus.js";
import { words } from "./status.js";

async function copyOut(out) {
  try {
    await navigator.clipboard.writeText(out.value);
  } catch {
    // Without HTTPS the browser gives no clipboard; a selected text can be copied by hand.
    out.select();
  }
}

function receive(root, out, { text }) {
  out.value = text;
  find("[data-console-clipboard-copy]", root).disabled = !text;
  if (text && !out.closest("dialog").open) toast({ level: "info", text: words(root, "clipboardCame") });
}

function hand(event, root, connection, input) {
  event.preventDefault();
  if (!connection.isOpen) return;
  connection.rfb.clipboardPasteFrom(input.value);
  toast({ level: "success", text: words(root, "clipboardSent") });
  input.closest("dialog").close();
}

export function startClipboard(root, connection) {
  const dialog = find("[data-console-clipboard]", root);
  if (!dialog) return;
  const input = find("[data-console-clipboard-in]", dialog);
  const out = find("[data-console-clipboard-out]", dialog);
  find("[data-console-do=clipboard]", root).addEventListener("click", () => dialog.showModal());
  find("[data-console-clipboard-copy]", dialog).addEventListener("click", () => copyOut(out));
  find("form", dialog).addEventListener("submit", (event) => hand(event, root, connection, input));
  dialog.addEventListener("close", () => {
    input.value = "";
    focusScreen(connection);
  });
  connection.addEventListener("clipboard", ({ detail }) => receive(root, out, detail));
}
