// The cluster's own figures, added up in the page from those of its hosts: nobody has to push them again.

import { hear, findAll } from "./dom.js";
import { receive } from "./figures.js";

const hosts = new Map(); // "host:1" → its last frame
const QUIET = 60; // a host that said nothing for so long does not count

function weighted(frames) {
  const known = frames.filter(([, frame]) => typeof frame.cpu === "number");
  const weights = known.map(([subject]) => cpusOf(subject));
  const all = weights.reduce((sum, weight) => sum + weight, 0);
  if (!all) return null;
  return known.reduce((sum, [, frame], index) => sum + frame.cpu * weights[index], 0) / all;
}

function cpusOf(subject) {
  return Number(findAll(`[data-cpus-of="${CSS.escape(subject)}"]`)[0]?.dataset.cpus) || 1;
}

hear("figures", ({ frames }) => {
  const news = Object.entries(frames).filter(([subject]) => subject.startsWith("host:"));
  if (!news.length) return;
  for (const [subject, frame] of news) hosts.set(subject, frame);
  const newest = Math.max(...[...hosts.values()].map((frame) => frame.at ?? 0));
  const fresh = [...hosts].filter(([, frame]) => newest - (frame.at ?? 0) < QUIET);
  // Until every host has told its figures, a sum of some would look like a fall.
  if (fresh.length < findAll("[data-cpus-of]").filter((place) => !place.closest(".is-unseen")).length) return;
  const measured = fresh.map(([, frame]) => frame.mem_used).filter((bytes) => typeof bytes === "number");
  const used = measured.length ? measured.reduce((sum, bytes) => sum + bytes, 0) : null;
  receive({ "cluster:all": { cpu: weighted(fresh), mem_used: used, at: newest } });
});
