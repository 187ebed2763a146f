/* Before the first paint, so that nothing flashes: the theme (the system's until somebody chose one) and the class "js". */
(() => {
  const root = document.documentElement, system = matchMedia("(prefers-color-scheme: dark)");
  const chosen = () => { try { return localStorage.getItem("theme"); } catch { return null; } };
  const show = () => root.setAttribute("data-bs-theme", chosen() || (system.matches ? "dark" : "light"));
  root.classList.add("js");
  show();
  system.addEventListener("change", show);
  addEventListener("storage", (event) => { if (event.key === "theme") show(); });
})();
