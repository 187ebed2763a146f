/* The bell's panel: a disclosure. Esc closes and gives the focus back, a click or a step elsewhere closes.
   Without this file the bell is a link to the page. */
window.bellPanel = ({ onOpen }) => {
  const byId = (id) => document.getElementById(id);
  const bell = byId("bell"), panel = byId("bell-panel"), wrap = byId("bell-wrap");
  const load = () => htmx.trigger(byId("bell-list"), "bell:list");

  bell.setAttribute("role", "button");
  bell.setAttribute("aria-expanded", "false");
  bell.setAttribute("aria-controls", panel.id);
  const open = () => {
    panel.hidden = false;
    bell.setAttribute("aria-expanded", "true");
    load();
    onOpen();
    (panel.querySelector("form:not([hidden]) button") || byId("bell-list")).focus();
  };
  const close = (givesFocusBack) => {
    panel.hidden = true;
    bell.setAttribute("aria-expanded", "false");
    if (givesFocusBack) bell.focus();
  };
  bell.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;    // a new tab with the page, as links do
    event.preventDefault();
    if (panel.hidden) open(); else close(true);
  });
  bell.addEventListener("keydown", (event) => { if (event.key === " ") { event.preventDefault(); bell.click(); } });
  document.addEventListener("keydown", (event) => { if (event.key === "Escape" && !panel.hidden) close(true); });
  document.addEventListener("click", (event) => { if (!panel.hidden && event.target.isConnected && !wrap.contains(event.target)) close(false); });
  wrap.addEventListener("focusout", (event) => { if (event.relatedTarget && !wrap.contains(event.relatedTarget)) close(false); });
  // The button just pressed may be gone from the new list; the focus must not fall out of the panel.
  document.addEventListener("htmx:after:swap", () => {
    if (!panel.hidden && (document.activeElement === document.body || !document.activeElement.checkVisibility())) byId("bell-list").focus();
  });
  return { open, refresh: () => { if (!panel.hidden) load(); }, get isOpen() { return !panel.hidden; } };
};
