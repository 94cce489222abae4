// The XML editor: line numbers beside the text, Tab as two spaces (Esc first, and Tab leaves as everywhere), going to a line.

import { delegate, find, findAll } from "./dom.js";

const INDENT = "  ";

function number(area, gutter) {
  const count = area.value.split("\n").length;
  if (gutter.childElementCount === 0 && gutter.dataset.count === String(count)) return;
  gutter.dataset.count = String(count);
  gutter.textContent = Array.from({ length: count }, (_, index) => index + 1).join("\n");
}

// execCommand keeps the browser's own undo, which setting the value would forget.
function insert(area, text) {
  if (!document.execCommand("insertText", false, text)) area.setRangeText(text, area.selectionStart, area.selectionEnd, "end");
}

function indent(area, back) {
  const { value, selectionStart, selectionEnd } = area;
  if (selectionStart === selectionEnd && !back) {
    insert(area, INDENT);
    return;
  }
  const from = value.lastIndexOf("\n", selectionStart - 1) + 1;
  const lines = value.slice(from, selectionEnd).split("\n");
  const moved = lines.map((line) => (back ? line.replace(/^ {1,2}|^\t/, "") : INDENT + line)).join("\n");
  area.setSelectionRange(from, selectionEnd);
  insert(area, moved);
  area.setSelectionRange(from, from + moved.length);
}

function edit(editor) {
  const area = find("textarea", editor);
  const gutter = document.createElement("pre");
  gutter.className = "editor-lines";
  gutter.setAttribute("aria-hidden", "true");
  editor.prepend(gutter);
  number(area, gutter);
  let leaving = false;
  area.addEventListener("input", () => number(area, gutter));
  area.addEventListener("scroll", () => {
    gutter.scrollTop = area.scrollTop;
  });
  area.addEventListener("blur", () => {
    leaving = false;
  });
  area.addEventListener("keydown", (event) => {
    if (event.key === "Escape") leaving = true;
    if (event.key !== "Tab" || leaving || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    indent(area, event.shiftKey);
  });
}

function goTo(button) {
  const area = find("[data-editor] textarea");
  const [line, column] = [Number(button.dataset.goToLine), Math.max(1, Number(button.dataset.goToColumn))];
  const lines = area.value.split("\n");
  const start = lines.slice(0, line - 1).reduce((sum, text) => sum + text.length + 1, 0);
  const end = start + (lines[line - 1]?.length ?? 0);
  area.focus();
  area.setSelectionRange(Math.min(start + column - 1, end), end);
  area.scrollTop = Math.max(0, (line - 5) * (area.scrollHeight / lines.length));
  area.scrollIntoView({ block: "nearest" });
}

for (const editor of findAll("[data-editor]")) edit(editor);
delegate("click", "[data-go-to-line]", (_event, button) => goTo(button));
