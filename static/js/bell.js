/* The bell: polls, counts, opens. No eval, so it runs under script-src 'self'.
   #bell-feed asks (data-every, data-max in ms); the server answers 304, or the count with the event "bell:count". */
(() => {
  const byId = (id) => document.getElementById(id);
  const feed = byId("bell-feed"), bell = byId("bell"), panel = byId("bell-panel"), wrap = byId("bell-wrap");
  if (!feed || !window.htmx) return;

  // --- the poll ---------------------------------------------------------------------------------------------------
  const every = Number(feed.dataset.every), longest = Number(feed.dataset.max);
  let wait = every, timer = 0, isStopped = false, isBusy = false;
  // ±10 % spreads the tabs of a clinic that opens at eight.
  const plan = (ms) => { clearTimeout(timer); if (!isStopped && !document.hidden) timer = setTimeout(ask, ms * (0.9 + Math.random() * 0.2)); };
  const ask = () => {
    if (isBusy || isStopped || document.hidden) return;
    isBusy = true;
    htmx.trigger(feed, "bell:poll");
  };
  // The extension learns the page's tag a moment after the page is there; a poll in that moment must carry it too.
  document.addEventListener("htmx:config:request", (event) => {
    const { ctx } = event.detail;
    if (ctx.sourceElement === feed) ctx.request.headers["HX-PTag"] ||= feed.getAttribute("hx-ptag");
  });
  const sessionEnded = () => {
    isStopped = true;
    clearTimeout(timer);
    byId("session-bar").hidden = false;
  };
  document.addEventListener("htmx:finally:request", (event) => {
    const { ctx } = event.detail, status = ctx.response?.status ?? 0;
    if (status === 401) sessionEnded();
    if (ctx.sourceElement !== feed) return;
    isBusy = false;
    if (status === 403) sessionEnded();
    // No answer or a broken server: twice as long each time, what is on the page stays.
    wait = status >= 200 && status < 400 ? every : Math.min(wait * 2, longest);
    plan(wait);
  });
  document.addEventListener("visibilitychange", () => {
    clearTimeout(timer);
    if (!document.hidden) { wait = every; ask(); }
  });
  // Any answer may say HX-Trigger: bell:refresh.
  document.body.addEventListener("bell:refresh", () => { wait = every; ask(); });

  // --- the count --------------------------------------------------------------------------------------------------
  const title = document.title, icon = byId("favicon");
  let shown = 0;
  const show = (count) => {
    shown = count;
    document.title = count ? `(${count > 99 ? "99+" : count}) ${title}` : title;
    icon.href = count ? icon.dataset.dot : icon.dataset.plain;
    document.querySelectorAll("[data-if-unread]").forEach((part) => { part.hidden = !count; });
    if (navigator.setAppBadge) (count ? navigator.setAppBadge(count) : navigator.clearAppBadge()).catch(() => {});
  };
  document.body.addEventListener("bell:count", (event) => {
    const { n, new: isNew, sentence } = event.detail;
    // The page's own number decides too: an answer to a poll that carried no tag is no news.
    if (isNew && n > shown) byId("bell-live").textContent = sentence;
    show(n);
    htmx.trigger(document.body, "bell:changed");
    if (!panel.hidden) htmx.trigger(byId("bell-list"), "bell:list");
  });
  show(Number(feed.dataset.unread));

  // --- the panel: a disclosure. Esc closes and gives the focus back, a click or a step elsewhere closes. -------------
  bell.setAttribute("role", "button");
  bell.setAttribute("aria-expanded", "false");
  bell.setAttribute("aria-controls", panel.id);
  const open = () => {
    panel.hidden = false;
    bell.setAttribute("aria-expanded", "true");
    htmx.trigger(byId("bell-list"), "bell:list");
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

  plan(every);
})();
