/* The tabs of one browser: which of them asks the server, and how they tell each other. Knows nothing of the bell.

   The leader holds a lock of the browser (Web Locks): there is one at every moment, and when its tab closes the next in
   line has it. A tab that somebody looks at takes the lead; a leader that is hidden says so, and another that is seen
   takes it over. Without Web Locks (plain http on another host) every tab leads itself.

   bellTabs(name, { lead, hear }): `lead` is called when the lead comes or goes, `hear` with what another tab sends. */
window.bellTabs = (name, { lead, hear }) => {
  const locks = navigator.locks, channel = window.BroadcastChannel ? new BroadcastChannel(name) : null;
  let isLeader = false, request = null, isOut = true;

  const post = (kind, said = {}) => { if (channel && !isOut) channel.postMessage({ kind, said }); };
  const set = (value) => { if (isLeader !== value) { isLeader = value; lead(); } };

  // `steal`: now, from whoever has it; else when it is our turn. The newest request counts, older ones are void.
  const enter = (steal) => {
    leave();
    const mine = request = { line: new AbortController(), release: null };
    const held = () => {
      if (mine !== request) return undefined;
      set(true);
      if (document.hidden) post("tabs:hidden");
      return new Promise((done) => { mine.release = done; });
    };
    locks.request(name, steal ? { steal } : { signal: mine.line.signal }, held).catch((error) => {
      if (error.name !== "AbortError") throw error;
      // Stolen by a tab that is looked at: back into the line.
      if (mine === request) enter(false);
    });
  };
  const leave = () => {
    const old = request;
    request = null;
    set(false);
    old?.release?.();
    old?.line.abort();
  };
  const takePlace = () => { if (!isOut && locks && !isLeader) enter(!document.hidden); };

  channel?.addEventListener("message", ({ data: { kind, said } }) => {
    if (isOut) return;
    if (kind !== "tabs:hidden") hear(kind, said);
    else if (!document.hidden) takePlace();
  });
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) takePlace();
    else if (isLeader && locks) post("tabs:hidden");
  });

  const tabs = {
    get isLeader() { return isLeader; },
    send: post,
    start: () => {
      isOut = false;
      if (locks) takePlace(); else set(true);
    },
    stop: () => {
      leave();
      isOut = true;
    },
  };
  // A page kept for "back" must not hold the lead; when it comes back it takes its place again.
  let isAway = false;
  addEventListener("pagehide", () => { if (!isOut) { isAway = true; tabs.stop(); } });
  addEventListener("pageshow", (event) => { if (event.persisted && isAway) { isAway = false; tabs.start(); } });
  return tabs;
};
