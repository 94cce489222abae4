// Sending keys: combinations by name, and the strokes of a layout.

import KeyTable from "../../vendor/novnc/core/input/keysym.js";
import keysyms from "../../vendor/novnc/core/input/keysymdef.js";

const NAMED = {
  Control: [KeyTable.XK_Control_L, "ControlLeft"],
  Alt: [KeyTable.XK_Alt_L, "AltLeft"],
  AltGr: [KeyTable.XK_ISO_Level3_Shift, "AltRight"],
  Shift: [KeyTable.XK_Shift_L, "ShiftLeft"],
  Super: [KeyTable.XK_Super_L, "MetaLeft"],
  Escape: [KeyTable.XK_Escape, "Escape"],
  Tab: [KeyTable.XK_Tab, "Tab"],
  Enter: [KeyTable.XK_Return, "Enter"],
  Print: [KeyTable.XK_Print, "PrintScreen"],
  Delete: [KeyTable.XK_Delete, "Delete"],
  Backspace: [KeyTable.XK_BackSpace, "Backspace"],
  c: [0x63, "KeyC"],
};

function keyOf(name) {
  if (/^F\d+$/.test(name)) return [KeyTable[`XK_${name}`], name];
  return NAMED[name];
}

// "Control Alt Delete": pressed in this order, released in the other.
export function sendCombination(rfb, names) {
  const keys = names.split(" ").map(keyOf);
  for (const [keysym, code] of keys) rfb.sendKey(keysym, code, true);
  for (const [keysym, code] of keys.reverse()) rfb.sendKey(keysym, code, false);
}

export function hold(rfb, name, down) {
  rfb.sendKey(...keyOf(name), down);
}

const SPECIAL = { Enter: KeyTable.XK_Return, Tab: KeyTable.XK_Tab };

export function sendStroke(rfb, { code, shift, altgr, character }) {
  const modifiers = [shift && "Shift", altgr && "AltGr"].filter(Boolean);
  for (const name of modifiers) hold(rfb, name, true);
  rfb.sendKey(SPECIAL[code] ?? keysyms.lookup(character.codePointAt(0)), code);
  for (const name of modifiers.reverse()) hold(rfb, name, false);
}

// For letters which no key of the layout makes: the display may still know them.
export function sendLetter(rfb, character) {
  rfb.sendKey(keysyms.lookup(character.codePointAt(0)), undefined);
}
