// uPlot charts. <div data-chart="vm:UUID" data-series="rd,wr" data-labels="Read,Written" data-format="rate"
// data-history-url="…" data-range="1h" data-max="100"> reads {"t": […], "series": {"rd": […], …}} and then lives on
// the figures which are pushed. Charts of one page share the time axis and the cursor.

import uPlot from "../vendor/uplot/uPlot.esm.js";
import { delegate, find, findAll, hear, text } from "./dom.js";
import { format } from "./format.js";

const UNITS = { m: 60, h: 3600, d: 86400 };
const COLOURS = ["--kd-chart-1", "--kd-chart-2", "--kd-chart-3", "--kd-chart-4"];
const POINTS = 900; // more than a screen has pixels for helps nobody
const charts = new Map(); // element → Chart

// A token may be light-dark(…): only a used colour is one which a canvas understands.
function token(name) {
  const probe = document.createElement("i");
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const colour = getComputedStyle(probe).color;
  probe.remove();
  return colour;
}

const CLOCK = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
const DAY = { day: "2-digit", month: "2-digit" };

function timeWords(ticks, step) {
  const parts = step >= 86400 ? DAY : step < 60 ? { ...CLOCK, second: "2-digit" } : CLOCK;
  const words = new Intl.DateTimeFormat(document.documentElement.lang, parts);
  const days = new Intl.DateTimeFormat(document.documentElement.lang, DAY);
  const isMidnight = (date) => step < 86400 && date.getHours() === 0 && date.getMinutes() === 0;
  return ticks.map((tick) => {
    const date = new Date(tick * 1000);
    return (isMidnight(date) ? days : words).format(date);
  });
}

// Round figures of bytes are powers of two; uPlot would choose powers of ten.
const POWERS = Array.from({ length: 50 }, (_, power) => 2 ** power);
const STEPS = { bytes: POWERS, kib: POWERS, rate: POWERS };
// What is drawn high at least: an idle guest is a flat line, not a mountain range of single bytes.
const LEAST = { bytes: 1024, kib: 1, rate: 1024, bits: 125, percent: 1 };
const tickWords = (tick, unit) => (unit === "percent" ? `${format(tick)} %` : format(tick, unit));

function moment(time) {
  const parts = { ...DAY, ...CLOCK, second: "2-digit" };
  return time ? new Intl.DateTimeFormat(document.documentElement.lang, parts).format(time * 1000) : "–";
}

function rangeSeconds(range) {
  const [, count, unit] = /^(\d+)([mhd])$/.exec(range ?? "1h") ?? [null, "1", "h"];
  return Number(count) * UNITS[unit];
}

class Chart {
  constructor(element) {
    this.element = element;
    this.subject = element.dataset.chart;
    this.names = element.dataset.series.split(",");
    this.labels = (element.dataset.labels ?? element.dataset.series).split(",");
    this.data = [[], ...this.names.map(() => [])];
    this.plot = null;
    this.sizes = new ResizeObserver(() => this.resize());
    this.sizes.observe(element);
  }

  get seconds() {
    return rangeSeconds(this.element.dataset.range);
  }

  axes(unit) {
    const grid = { stroke: token("--kd-chart-grid"), width: 1 };
    const font = `11px ${getComputedStyle(document.body).fontFamily}`;
    const look = { stroke: token("--kd-chart-text"), font, grid, ticks: grid };
    return [
      { ...look, size: 26, values: (_plot, ticks, _axis, _space, step) => timeWords(ticks, step) },
      { ...look, size: 68, incrs: STEPS[unit], values: (_plot, ticks) => ticks.map((tick) => tickWords(tick, unit)) },
    ];
  }

  options() {
    const unit = this.element.dataset.format ?? "number";
    const limit = Number(this.element.dataset.max) || null;
    return {
      width: this.element.clientWidth,
      height: this.height(),
      cursor: { sync: { key: "page" }, drag: { x: false, y: false }, points: { size: 6 } },
      legend: { live: true },
      scales: {
        x: { time: true, range: () => this.window() },
        y: { range: (_plot, low, high) => [0, limit ?? Math.max((high || 0) * 1.1, LEAST[unit] ?? 1e-9)] },
      },
      axes: this.axes(unit),
      series: [
        { label: text("time"), value: (_plot, time) => moment(time) },
        ...this.names.map((_name, index) => this.series(index, unit)),
      ],
    };
  }

  series(index, unit) {
    const colour = token(COLOURS[index % COLOURS.length]);
    return {
      label: this.labels[index],
      stroke: colour,
      width: 1.5,
      fill: this.names.length === 1 ? `color-mix(in srgb, ${colour} 14%, transparent)` : undefined,
      points: { show: false },
      value: (_plot, value) => format(value, unit),
    };
  }

  height() {
    return Number(this.element.dataset.height) || 180;
  }

  window() {
    const end = Math.max(Date.now() / 1000, this.data[0].at(-1) ?? 0);
    return [end - this.seconds, end];
  }

  draw() {
    this.plot?.destroy();
    this.plot = null;
    this.element.replaceChildren();
    this.element.classList.toggle("is-empty", this.data[0].length === 0);
    if (!this.data[0].length) {
      this.element.textContent = text("noFigures");
      return;
    }
    if (this.element.clientWidth) this.plot = new uPlot(this.options(), this.data, this.element);
  }

  resize() {
    if (!this.plot) {
      if (this.data[0].length) this.draw();
      return;
    }
    const width = this.element.clientWidth;
    if (width && this.plot.width !== width) this.plot.setSize({ width, height: this.height() });
  }

  async read() {
    const { historyUrl, range } = this.element.dataset;
    if (!historyUrl) return this.draw();
    const address = new URL(historyUrl, location.href);
    if (range) address.searchParams.set("range", range);
    try {
      const response = await fetch(address, { headers: { Accept: "application/json" } });
      if (!response.ok) throw new Error(String(response.status));
      const { t, series } = await response.json();
      this.data = [t, ...this.names.map((name) => series[name] ?? t.map(() => null))];
    } catch {
      if (!this.data[0].length) this.data = [[], ...this.names.map(() => [])];
    }
    return this.draw();
  }

  // A long range is drawn in coarse steps: the newest figure replaces the last point until a step is over.
  append(frame) {
    const at = frame.at ?? Date.now() / 1000;
    const [times] = this.data;
    const step = this.seconds / POINTS;
    const replace = times.length > 1 && at - times.at(-2) < step;
    if (times.length && at <= times.at(-1)) return;
    const values = [at, ...this.names.map((name) => frame[name] ?? null)];
    this.data.forEach((column, index) => {
      if (replace) column[column.length - 1] = values[index];
      else column.push(values[index]);
    });
    this.forget();
    if (this.plot) this.plot.setData(this.data);
    else this.draw();
  }

  forget() {
    const [times] = this.data;
    const from = Date.now() / 1000 - this.seconds - this.seconds / POINTS;
    const old = times.findIndex((time) => time >= from);
    if (old > 60) this.data.forEach((column) => column.splice(0, old));
  }

  stop() {
    this.sizes.disconnect();
    this.plot?.destroy();
  }
}

function collect() {
  for (const [element, chart] of charts) {
    if (element.isConnected) continue;
    chart.stop();
    charts.delete(element);
  }
  for (const element of findAll("[data-chart]")) {
    if (charts.has(element)) continue;
    const chart = new Chart(element);
    charts.set(element, chart);
    chart.read();
  }
}

function choose(_event, button) {
  const scope = button.closest("[data-range-picker]");
  for (const other of findAll("[data-range-choice]", scope)) other.setAttribute("aria-pressed", String(other === button));
  const inside = scope.dataset.rangePicker ? find(scope.dataset.rangePicker) : document;
  for (const [element, chart] of charts) {
    if (!inside.contains(element)) continue;
    element.dataset.range = button.dataset.rangeChoice;
    chart.read();
  }
}

export function start() {
  collect();
  delegate("click", "[data-range-choice]", choose);
  hear("morphed", collect);
  hear("figures", ({ frames }) => {
    for (const chart of charts.values()) if (frames[chart.subject]) chart.append(frames[chart.subject]);
  });
  hear("refreshed", () => charts.forEach((chart) => chart.read()));
  hear("theme", () => charts.forEach((chart) => chart.draw()));
}
