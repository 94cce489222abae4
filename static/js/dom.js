// Small helpers which every module needs.

export const find = (selector, root = document) => root.querySelector(selector);
export const findAll = (selector, root = document) => [...root.querySelectorAll(selector)];

// One listener on the document serves elements which come and go with every push.
export function delegate(type, selector, handler, options) {
  document.addEventListener(
    type,
    (event) => {
      const target = event.target instanceof Element ? event.target.closest(selector) : null;
      if (target) handler(event, target);
    },
    options,
  );
}

export function debounce(milliseconds, action) {
  let timer = 0;
  return (...parameters) => {
    clearTimeout(timer);
    timer = setTimeout(() => action(...parameters), milliseconds);
  };
}

// A translated string of shell/_strings.html, with {placeholders} filled in.
export function text(name, values = {}) {
  const source = document.getElementById("strings")?.dataset[name] ?? name;
  return source.replace(/\{(\w+)\}/g, (whole, key) => (key in values ? String(values[key]) : whole));
}

export function announce(name, detail = {}) {
  document.dispatchEvent(new CustomEvent(`kvmdash:${name}`, { detail }));
}

export function hear(name, handler) {
  document.addEventListener(`kvmdash:${name}`, (event) => handler(event.detail));
}

// localStorage can be forbidden; then nothing is remembered and nothing breaks.
export function remember(key, value) {
  try {
    localStorage.setItem(`kvmdash.${key}`, value);
  } catch {
    /* a private window */
  }
}

export function recall(key, fallback = null) {
  try {
    return localStorage.getItem(`kvmdash.${key}`) ?? fallback;
  } catch {
    return fallback;
  }
}

export function isTyping(target) {
  if (!(target instanceof HTMLElement)) return false;
  if (target.isContentEditable || target.closest("[data-keys=own]")) return true;
  if (target instanceof HTMLInputElement) return !["checkbox", "radio", "button", "submit"].includes(target.type);
  return target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement;
}

export const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

// An icon from the sprite, as {% icon %} draws it.
export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `${document.body.dataset.icons}#${name}`);
  svg.append(use);
  return svg;
}
