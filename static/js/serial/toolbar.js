// What the buttons over the terminal do.

import { find } from "../dom.js";
import { toast } from "../toast.js";
import { words } from "../console/status.js";
import { encoded } from "./wire.js";

// A serial line has no size that could be told to the guest: somebody has to type it there.
const sizeCommand = ({ rows, cols }) => `stty rows ${rows} cols ${cols}`;

async function copySelection(root, terminal) {
  const text = terminal.getSelection();
  if (!text) {
    toast({ level: "info", text: words(root, "nothingSelected") });
    return;
  }
  try {
    await navigator.clipboard.writeText(text);
    toast({ level: "success", text: words(root, "copied") });
  } catch {
    toast({ level: "warning", text: words(root, "noClipboard") });
  }
}

async function toggleFullScreen(root) {
  if (document.fullscreenElement) await document.exitFullscreen();
  else await root.requestFullscreen().catch(() => toast({ level: "warning", text: words(root, "noFullScreen") }));
}

const ACTIONS = {
  retry: ({ connection }) => (connection.state === "signedOut" ? location.reload() : connection.connect()),
  force: ({ connection }) => connection.ask("force"),
  take: ({ connection }) => connection.ask("take"),
  give: ({ connection }) => connection.ask("give"),
  all: ({ connection }) => connection.ask(connection.facts?.all ? "one" : "all"),
  break: ({ connection }) => connection.ask("break"),
  size: ({ connection, terminal }) => connection.send(encoded(`${sizeCommand(terminal)}\r`)),
  copy: ({ root, terminal }) => copySelection(root, terminal),
  clear: ({ terminal }) => terminal.clear(),
  "full-screen": ({ root }) => toggleFullScreen(root),
};
const BACK = ["take", "all", "break", "size", "clear", "full-screen", "force"];

function startPaste({ root, connection, terminal }) {
  const dialog = find("[data-serial-paste]", root);
  if (!dialog) return;
  const text = find("[data-serial-paste-text]", dialog);
  find("[data-serial-do=paste]", root).addEventListener("click", () => dialog.showModal());
  find("form", dialog).addEventListener("submit", (event) => {
    event.preventDefault();
    // By way of the terminal: it marks a paste where the guest asked for marks.
    if (connection.mayWrite) terminal.paste(text.value);
    dialog.close();
  });
  dialog.addEventListener("close", () => {
    text.value = "";
    terminal.focus();
  });
}

// The gateway counts what it did, so that the second break is news too.
function tellBreaks({ root, connection }) {
  let last = null;
  connection.addEventListener("facts", ({ detail }) => {
    if (last !== null && detail.said && detail.said !== last) {
      const done = detail.said.startsWith("break");
      toast({ level: done ? "success" : "warning", text: words(root, done ? "breakSent" : "breakNot") });
    }
    last = detail.said;
  });
}

export function startToolbar(root, connection, terminal) {
  const all = { root, connection, terminal };
  root.addEventListener("click", ({ target }) => {
    const button = target.closest("button");
    const action = button?.dataset.serialDo;
    if (!ACTIONS[action]) return;
    ACTIONS[action](all);
    if (BACK.includes(action)) terminal.focus();
  });
  const shown = find("[data-serial-size]", root);
  const show = () => {
    shown.textContent = `${terminal.cols}×${terminal.rows}`;
    const button = find("[data-serial-do=size]", root);
    if (button) button.title = words(root, "size", { command: sizeCommand(terminal) });
  };
  terminal.onResize(show);
  show();
  startPaste(all);
  tellBreaks(all);
}
