// Starts what every page has. Charts are read only by pages which have one.

import * as age from "./age.js";
import * as confirm from "./confirm.js";
import * as copy from "./copy.js";
import * as dialog from "./dialog.js";
import { find, hear } from "./dom.js";
import * as figures from "./figures.js";
import * as focus from "./focus.js";
import * as live from "./live.js";
import * as menu from "./menu.js";
import { registerWithHtmx } from "./morph.js";
import * as palette from "./palette.js";
import * as refresh from "./refresh.js";
import * as shell from "./shell.js";
import * as table from "./table.js";
import * as toast from "./toast.js";

let chartsAsked = false;

async function startCharts() {
  if (chartsAsked || !find("[data-chart]")) return;
  chartsAsked = true;
  const charts = await import("./charts.js");
  charts.start();
}

registerWithHtmx();
// confirm comes first: it must see a click before anything acts on it.
for (const part of [confirm, age, toast, menu, palette, shell, table, dialog, copy, figures, refresh, live, focus]) part.start();
startCharts();
hear("morphed", startCharts);
