/* <section data-refresh-ms="2000" hx-trigger="refresh:tick">: ticks while the tab is seen, until the element that comes
   back no longer asks for it. No evaluation, no filter in the trigger: the timer is ours. */
(() => {
  const MOST_WAIT = 60000;
  let timer = 0;
  let failures = 0;
  const next = () => {
    clearTimeout(timer);
    const element = document.querySelector("[data-refresh-ms]");
    if (!element || document.hidden) return;
    const every = Number(element.dataset.refreshMs) * 2 ** failures;
    timer = setTimeout(() => {
      const current = document.querySelector("[data-refresh-ms]");
      if (current) current.dispatchEvent(new CustomEvent("refresh:tick"));
      next();
    }, Math.min(every, MOST_WAIT));
  };
  const ours = (event) => event.target.matches?.("[data-refresh-ms]") || event.detail?.ctx?.sourceElement?.matches?.("[data-refresh-ms]");
  // A server in trouble is asked less and less often; the first answer brings the pace back.
  document.addEventListener("htmx:after:request", (event) => {
    if (!ours(event)) return;
    const status = event.detail?.ctx?.response?.status ?? 0;
    failures = status >= 500 || status === 0 ? Math.min(failures + 1, 5) : 0;
    if (status === 401 || status === 403) { clearTimeout(timer); document.querySelector("[data-refresh-ms]")?.removeAttribute("data-refresh-ms"); }
  });
  document.addEventListener("htmx:error", (event) => { if (ours(event)) failures = Math.min(failures + 1, 5); });
  document.addEventListener("visibilitychange", () => { if (!document.hidden) next(); else clearTimeout(timer); });
  next();
})();
