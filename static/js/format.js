// Figures in words, the same way as the template filters in kvmdash/templatetags/ui.py.

const BINARY = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
const DECIMAL = ["bit/s", "kbit/s", "Mbit/s", "Gbit/s", "Tbit/s"];
const NOTHING = "–";
const writers = new Map();

function writer(decimals) {
  if (!writers.has(decimals)) {
    const options = { minimumFractionDigits: decimals, maximumFractionDigits: decimals, useGrouping: false };
    writers.set(decimals, new Intl.NumberFormat(document.documentElement.lang || "en", options));
  }
  return writers.get(decimals);
}

function plain(number) {
  const size = Math.abs(number);
  const decimals = size >= 100 || Number.isInteger(number) ? 0 : size >= 10 ? 1 : 2;
  return writer(decimals).format(number);
}

function scaled(number, units, step) {
  let index = 0;
  let value = number;
  while (Math.abs(value) >= step && index < units.length - 1) {
    value /= step;
    index += 1;
  }
  return `${plain(value)} ${units[index]}`;
}

const FORMATS = {
  bytes: (number) => scaled(number, BINARY, 1024),
  kib: (number) => scaled(number * 1024, BINARY, 1024),
  rate: (number) => `${scaled(number, BINARY, 1024)}/s`,
  bits: (number) => scaled(number * 8, DECIMAL, 1000),
  // One fixed decimal: a figure which changes its width every two seconds is hard to read.
  percent: (number) => `${writer(1).format(number)} %`,
  number: plain,
};

export function format(value, unit = "number") {
  if (value === null || value === undefined || value === "" || Number.isNaN(Number(value))) return NOTHING;
  return (FORMATS[unit] ?? plain)(Number(value));
}
