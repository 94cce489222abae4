// <time data-age datetime="…"> counts by itself: "3 s ago". The clock is the server's, for a workstation's may be wrong.

import { findAll, hear, text } from "./dom.js";

const STEPS = [
  [60, 1, "secondsAgo"],
  [3600, 60, "minutesAgo"],
  [86400, 3600, "hoursAgo"],
  [Infinity, 86400, "daysAgo"],
];
// A clock which is a few seconds off is common; correcting less than that would only add the page's loading time.
const TOLERATED = 5000;
let offset = 0;

const now = () => Date.now() + offset;

function words(seconds) {
  if (seconds < 1) return text("justNow");
  const [, unit, name] = STEPS.find(([limit]) => seconds < limit);
  return text(name, { n: Math.floor(seconds / unit) });
}

function tell(element) {
  const seconds = Math.floor((now() - Date.parse(element.dateTime)) / 1000);
  if (Number.isNaN(seconds)) return;
  const said = words(seconds);
  if (element.textContent !== said) element.textContent = said;
  const limit = Number(element.dataset.ageOld);
  element.classList.toggle("is-old", Boolean(limit) && seconds > limit);
}

const tellAll = (root = document) => findAll("time[data-age]", root).forEach(tell);

export function start() {
  const server = Number(document.body.dataset.now) * 1000;
  const fromCache = performance.getEntriesByType("navigation")[0]?.type === "back_forward";
  const difference = server - Date.now();
  if (server && !fromCache && Math.abs(difference) > TOLERATED) offset = difference;
  tellAll();
  setInterval(() => document.hidden || tellAll(), 1000);
  document.addEventListener("visibilitychange", () => document.hidden || tellAll());
  hear("morphed", ({ root }) => tellAll(root ?? document));
}
