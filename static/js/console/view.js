// How the screen is shown: size, quality, full screen, a picture of it.

import { find, findAll, recall, remember } from "../dom.js";
import { toast } from "../toast.js";
import { words } from "./status.js";

const LEVELS = { quality: 6, compression: 2 };
const SCALES = ["fit", "actual", "remote"];

function wantedScale(root) {
  const wanted = recall("console.scale", "fit");
  return SCALES.includes(wanted) && find(`[data-console-scale=${wanted}]`, root) ? wanted : "fit";
}

function applyScale(root, rfb) {
  const scale = wantedScale(root);
  for (const button of findAll("[data-console-scale]", root)) {
    button.setAttribute("aria-pressed", String(button.dataset.consoleScale === scale));
  }
  if (!rfb) return;
  rfb.scaleViewport = scale !== "actual";
  rfb.clipViewport = false;
  rfb.resizeSession = scale === "remote" && !rfb.viewOnly;
}

function level(name) {
  const value = Number.parseInt(recall(`console.${name}`, ""), 10);
  return value >= 0 && value <= 9 ? value : LEVELS[name];
}

function applyLevels(root, rfb) {
  for (const input of findAll("[data-console-level]", root)) {
    const name = input.dataset.consoleLevel;
    input.value = level(name);
    find(`[data-console-shown=${name}]`, root).value = level(name);
  }
  if (!rfb) return;
  rfb.qualityLevel = level("quality");
  rfb.compressionLevel = level("compression");
}

function stamp() {
  const two = (number) => String(number).padStart(2, "0");
  const now = new Date();
  const day = [now.getFullYear(), two(now.getMonth() + 1), two(now.getDate())].join("");
  return `${day}-${[now.getHours(), now.getMinutes(), now.getSeconds()].map(two).join("")}`;
}

export function saveScreenshot(root, connection) {
  if (!connection.isOpen) {
    toast({ level: "warning", text: words(root, "noScreen") });
    return;
  }
  connection.rfb.toBlob((blob) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = `${root.dataset.name.replace(/[^\w.-]+/g, "_")}-${stamp()}.png`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }, "image/png");
}

export async function toggleFullScreen(root) {
  if (document.fullscreenElement) {
    await document.exitFullscreen();
    return;
  }
  try {
    await root.requestFullscreen();
    // Where the browser can, even Alt-Tab goes to the guest then; holding Esc leaves.
    await navigator.keyboard?.lock?.();
  } catch {
    if (!document.fullscreenElement) toast({ level: "warning", text: words(root, "noFullScreen") });
  }
}

export function startView(root, connection) {
  const apply = () => {
    applyScale(root, connection.rfb);
    applyLevels(root, connection.rfb);
  };
  root.addEventListener("click", ({ target }) => {
    const choice = target.closest("[data-console-scale]")?.dataset.consoleScale;
    if (!choice) return;
    remember("console.scale", choice);
    apply();
  });
  root.addEventListener("input", ({ target }) => {
    const name = target.dataset.consoleLevel;
    if (!name) return;
    remember(`console.${name}`, target.value);
    apply();
  });
  connection.addEventListener("prepare", apply);
  connection.addEventListener("open", apply);
  apply();
}
