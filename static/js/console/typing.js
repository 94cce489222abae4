// Type a text into the guest, key by key, by the layout which the guest uses.

import { find, recall, remember } from "../dom.js";
import { toast } from "../toast.js";
import { focusScreen } from "./focus.js";
import { sendStroke } from "./keys.js";
import { LAYOUTS, guess, normalized, strokesFor, untypable } from "./layouts.js";
import { words } from "./status.js";

// QEMU's PS/2 keyboard keeps sixteen bytes: faster than this and a busy guest loses keys.
const PAUSE = 18; // ms

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

export function chosenLayout() {
  const name = recall("console.layout", "");
  return LAYOUTS[name] ? name : guess();
}

function fillLayouts(select) {
  for (const [name, { label }] of Object.entries(LAYOUTS)) select.add(new Option(label, name));
  select.value = chosenLayout();
}

// Calls step(done, total) after each character; step returns false to stop.
export async function typeText(connection, text, layout, step) {
  const typable = [...normalized(text)].map((character) => strokesFor(character, layout)).filter(Boolean);
  const { rfb } = connection;
  for (const [index, strokes] of typable.entries()) {
    if (connection.rfb !== rfb || !connection.isOpen) return false;
    for (const stroke of strokes) sendStroke(rfb, stroke);
    if (!step(index + 1, typable.length)) return true;
    await pause(PAUSE);
  }
  return true;
}

class TypeDialog {
  constructor(root, connection) {
    Object.assign(this, { root, connection, running: false });
    this.dialog = find("[data-console-type]", root);
    this.text = find("[data-console-type-text]", root);
    this.layout = find("[data-console-layout]", root);
    this.go = find("[data-console-type-go]", root);
    fillLayouts(this.layout);
    this.text.addEventListener("input", () => this.check());
    this.layout.addEventListener("change", () => this.chooseLayout());
    this.dialog.addEventListener("close", () => this.closed());
    find("[data-console-type-stop]", root).addEventListener("click", () => this.dialog.close());
    find("form", this.dialog).addEventListener("submit", (event) => this.submit(event));
  }

  open() {
    this.layout.value = chosenLayout();
    this.check();
    this.dialog.showModal();
    this.text.focus();
  }

  chooseLayout() {
    remember("console.layout", this.layout.value);
    this.check();
  }

  check() {
    const missing = untypable(this.text.value, this.layout.value);
    const note = find("[data-console-untypable]", this.dialog);
    const list = missing.slice(0, 30).join(" ") + (missing.length > 30 ? " …" : "");
    note.textContent = missing.length ? words(this.root, "untypable", { characters: list }) : "";
    note.hidden = !missing.length;
    this.go.disabled = !this.text.value || this.running;
  }

  show(done, total) {
    find("[data-console-typing]", this.dialog).hidden = false;
    find("[data-console-typed]", this.dialog).value = done / total;
    find("[data-console-typed-text]", this.dialog).textContent = words(this.root, "typed", { done, total });
    return this.running;
  }

  async submit(event) {
    event.preventDefault();
    if (this.running || !this.text.value) return;
    this.running = true;
    this.check();
    const whole = await typeText(this.connection, this.text.value, this.layout.value, (...at) => this.show(...at));
    if (!whole) toast({ level: "warning", text: words(this.root, "typingStopped") });
    else if (this.running) toast({ level: "success", text: words(this.root, "typingDone") });
    this.dialog.close();
  }

  closed() {
    this.running = false;
    this.text.value = "";
    find("[data-console-typing]", this.dialog).hidden = true;
    focusScreen(this.connection);
  }
}

export function startTyping(root, connection) {
  const opener = find("[data-console-do=type]", root);
  if (!opener) return;
  const dialog = new TypeDialog(root, connection);
  opener.addEventListener("click", () => dialog.open());
}
