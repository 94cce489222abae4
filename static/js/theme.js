// Loaded before the first paint, and no module for that reason: the wrong theme must not flash, the drawer and the
// sidebar must not jump. Everything else about them is in shell.js.
(() => {
  "use strict";
  const root = document.documentElement;
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const read = (key, fallback) => {
    try {
      return localStorage.getItem(`kvmdash.${key}`) ?? fallback;
    } catch {
      return fallback;
    }
  };
  const apply = () => {
    const choice = read("theme", "auto");
    const theme = choice === "auto" ? (dark.matches ? "dark" : "light") : choice;
    const changed = root.dataset.bsTheme !== theme;
    root.dataset.themeChoice = choice;
    root.dataset.bsTheme = theme;
    if (changed) document.dispatchEvent(new CustomEvent("kvmdash:theme", { detail: { theme } }));
  };
  apply();
  root.dataset.sidebar = read("sidebar", "open");
  root.dataset.drawer = read("drawer", "closed");
  dark.addEventListener("change", apply);
  // Another tab of ours chose a theme, or this one did.
  window.addEventListener("storage", apply);
  document.addEventListener("kvmdash:choose-theme", apply);
})();
