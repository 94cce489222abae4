// Live figures: the newest frame goes into every element which shows it.
//   <span data-figure="vm:UUID:cpu" data-format="percent">   text
//   <progress data-figure-meter="vm:UUID:cpu" max="100">     value (also <meter>, and an SVG rect's width in percent)

import { announce, findAll, hear } from "./dom.js";
import { format } from "./format.js";

const HIGH = 85; // percent of a bar from which it warns, as in templates/ui/_bar.html
const FULL = 95;
const latest = new Map(); // "vm:UUID" → its last frame

// "vm:UUID:cpu" → ["vm:UUID", "cpu"]
function split(key) {
  const at = key.lastIndexOf(":");
  return [key.slice(0, at), key.slice(at + 1)];
}

function valueOf(key) {
  const [subject, name] = split(key);
  return latest.get(subject)?.[name];
}

function write(element) {
  const value = valueOf(element.dataset.figure);
  if (value === undefined) return;
  const words = format(value, element.dataset.format);
  if (element.textContent !== words) element.textContent = words;
  element.dataset.figureAt = latest.get(split(element.dataset.figure)[0]).at ?? "";
}

function fill(element) {
  const value = valueOf(element.dataset.figureMeter);
  if (value === undefined) return;
  if (element instanceof SVGElement) {
    const of = Number(element.dataset.of ?? 100) || 100;
    const share = Math.max(0, Math.min(100, (value / of) * 100));
    element.setAttribute("width", String(share));
    element.ownerSVGElement?.classList.toggle("is-full", share >= FULL);
    element.ownerSVGElement?.classList.toggle("is-high", share >= HIGH && share < FULL);
  } else {
    element.value = value;
  }
}

export function show(root = document) {
  const own = root instanceof Element ? [root] : [];
  for (const element of [...own, ...findAll("[data-figure], [data-figure-meter]", root)]) {
    if (element.dataset.figure) write(element);
    if (element.dataset.figureMeter) fill(element);
  }
}

export function receive(frames) {
  for (const [subject, frame] of Object.entries(frames)) latest.set(subject, { ...latest.get(subject), ...frame });
  show();
  announce("figures", { frames });
}

// The watch keys of every figure and chart on the page.
export function watched() {
  const keys = new Set();
  for (const element of findAll("[data-figure]")) keys.add(split(element.dataset.figure)[0]);
  for (const element of findAll("[data-figure-meter]")) keys.add(split(element.dataset.figureMeter)[0]);
  for (const element of findAll("[data-chart]")) keys.add(element.dataset.chart);
  return [...keys].map((subject) => `figures:${subject}`);
}

export function start() {
  hear("morphed", ({ root }) => show(root ?? document));
}
