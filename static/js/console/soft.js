// The on-screen keyboard of a phone: it writes into a field out of sight, and what changes there is typed into the guest.

import { find } from "../dom.js";
import { sendCombination, sendLetter, sendStroke } from "./keys.js";
import { strokesFor } from "./layouts.js";
import { chosenLayout } from "./typing.js";

// Something to delete, or Backspace on an empty field would tell nothing.
const FILLING = "\u00a0".repeat(64);
const LONGEST = 512;

function commonLength(before, after) {
  let length = 0;
  while (length < before.length && before[length] === after[length]) length += 1;
  return length;
}

function typeLetter(rfb, letter) {
  const strokes = strokesFor(letter, chosenLayout());
  if (strokes) strokes.forEach((stroke) => sendStroke(rfb, stroke));
  else sendLetter(rfb, letter);
}

export function startSoftKeyboard(root, connection) {
  const button = find("[data-console-do=soft-keyboard]", root);
  const field = find("[data-console-soft]", root);
  if (!button) return;
  let before = "";
  let composing = false;

  const reset = () => {
    field.value = FILLING;
    before = FILLING;
    field.setSelectionRange(FILLING.length, FILLING.length);
  };
  const onInput = () => {
    const after = field.value;
    const same = commonLength(before, after);
    const { rfb } = connection;
    if (connection.isOpen) {
      [...before.slice(same)].forEach(() => sendCombination(rfb, "Backspace"));
      [...after.slice(same)].forEach((letter) => typeLetter(rfb, letter));
    }
    before = after;
    if (!composing && (after.length < 8 || after.length > LONGEST)) reset();
  };

  // The button must not take the focus, or the keyboard would vanish before the click comes.
  button.addEventListener("pointerdown", (event) => event.preventDefault());
  button.addEventListener("click", () => {
    if (document.activeElement === field) field.blur();
    else field.focus({ preventScroll: true });
  });
  field.addEventListener("focus", () => {
    reset();
    button.setAttribute("aria-pressed", "true");
  });
  field.addEventListener("blur", () => button.setAttribute("aria-pressed", "false"));
  field.addEventListener("compositionstart", () => {
    composing = true;
  });
  field.addEventListener("compositionend", () => {
    composing = false;
  });
  field.addEventListener("input", onInput);
}
