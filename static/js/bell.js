/* The bell: polls, and tells what came of it to this page and to the other tabs. No eval: it runs under script-src 'self'.

   #bell-feed asks (its data-… are in ms); the server answers 304, or the count with the event "bell:count". Any answer
   to a form may carry that event too, or HX-Trigger: bell:refresh. Of all tabs of the browser one asks (bell-tabs.js);
   the others hear from it. Other files: bell-signs.js shows, bell-panel.js opens. */
(() => {
  const feed = document.getElementById("bell-feed");
  if (!feed || !window.htmx) return;
  const ms = (name) => Number(feed.dataset[name]);
  const owner = feed.getAttribute("hx-ptag").split(".")[0];
  const born = Date.now();

  // What this page knows. tag: "whose.version.count"; since: when the server read it.
  const known = {
    tag: feed.getAttribute("hx-ptag"),
    since: feed.dataset.since,
    n: Number(feed.dataset.unread),
    name: document.querySelector("#bell-count .vh").textContent,
  };
  const version = (tag) => Number(tag.split(".")[1]);

  // --- when to ask --------------------------------------------------------------------------------------------------
  let wait = ms("every"), answeredAt = Date.now(), askedAt = 0, timer = 0, isBusy = false, isStopped = false;
  const plan = (pause) => {
    clearTimeout(timer);
    if (tabs.isLeader && !isStopped && navigator.onLine) timer = setTimeout(ask, pause);
  };
  // From the last answer that any tab got. ±10 % spreads the browsers of a clinic that opens at eight.
  const next = () => {
    const pace = Math.max(wait, document.hidden ? ms("everyHidden") : ms("every")) * (0.9 + Math.random() * 0.2);
    plan(Math.min(pace, Math.max(0, pace - (Date.now() - answeredAt))));
  };
  const ask = () => {
    if (!tabs.isLeader) { tabs.send("refresh"); return; }
    if (isBusy || isStopped || !navigator.onLine) return;
    isBusy = true;
    askedAt = Date.now();
    htmx.trigger(feed, "bell:poll");
  };
  const answered = (nextWait) => { wait = nextWait; answeredAt = Date.now(); };
  const stop = () => {
    isStopped = true;
    clearTimeout(timer);
    tabs.stop();
    document.getElementById("session-bar").hidden = false;
  };
  const sessionEnded = (at) => { tabs.send("ended", { at }); stop(); };

  // What the page knows, not what it was loaded with: another tab may have asked since.
  document.addEventListener("htmx:config:request", ({ detail: { ctx } }) => {
    if (ctx.sourceElement !== feed) return;
    ctx.request.headers["HX-PTag"] = known.tag;
    ctx.request.headers["Bell-Since"] = known.since;
  });
  document.addEventListener("htmx:finally:request", ({ detail: { ctx } }) => {
    const status = ctx.response?.status ?? 0, isPoll = ctx.sourceElement === feed;
    if (isPoll) isBusy = false;
    if (isStopped) return;
    if (status === 401 || (isPoll && status === 403)) { sessionEnded(isPoll ? askedAt : Date.now()); return; }
    if (!isPoll) return;
    // No answer or a broken server: twice as long each time, what is on the page stays.
    answered(status >= 200 && status < 400 ? ms("every") : Math.min(wait * 2, ms("max")));
    tabs.send("answered", { wait });
    next();
  });
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && isStale) { isStale = false; refreshLists(); }
    if (!document.hidden) tellMissed();
    next();
  });
  // Back on the net all browsers of the house are back at once: each waits a little, and asks once.
  addEventListener("offline", () => clearTimeout(timer));
  addEventListener("online", () => { wait = ms("every"); plan(Math.random() * ms("reconnect")); });
  document.body.addEventListener("bell:refresh", () => { wait = ms("every"); ask(); });

  // --- what came of it ----------------------------------------------------------------------------------------------
  let isStale = false, takenAt = 0;
  const panel = bellPanel({ onOpen: bellSigns.closeUsual });
  const refreshLists = () => {
    htmx.trigger(document.body, "bell:changed");
    panel.refresh();
  };
  const take = ({ tag, since, n, name }) => {
    const isOther = tag !== known.tag || n !== known.n;
    takenAt = Date.now();
    Object.assign(known, { tag, n, name }, since && { since });
    feed.setAttribute("hx-ptag", tag);
    bellSigns.show(n, name);
    if (!n) missed = [];
    // A page that nobody sees fetches its lists when somebody does.
    if (isOther && document.hidden) isStale = true;
    else if (isOther) refreshLists();
  };
  const present = ({ sentence, toasts, sound }) => {
    bellSigns.say(sentence);
    if (sound) bellSigns.sound();
    toasts.filter((toast) => toast.critical || !panel.isOpen).forEach((toast) => bellSigns.toast(toast, panel.open));
  };
  // What is critical and came while nobody looked waits for the first tab that is seen.
  let missed = [];
  const tellOrKeep = (said, isToldElsewhere) => {
    if (isToldElsewhere) return;
    if (!document.hidden) { present(said); tabs.send("told"); }
    else missed = [...missed, ...said.toasts.filter((toast) => toast.critical)];
  };
  const tellMissed = () => {
    missed.forEach((toast) => bellSigns.toast(toast, panel.open));
    if (missed.length) { missed = []; tabs.send("told"); }
  };
  // An act changes the bell by one step. By more: something else came with it, and the next poll shall tell of that.
  const isOneStep = (tag) => version(tag) <= version(known.tag) + 1;
  const takeAct = (said) => {
    if (isOneStep(said.tag)) take(said);
    else { take({ ...said, tag: known.tag }); ask(); }
  };

  document.body.addEventListener("bell:count", ({ detail }) => {
    if (isStopped || detail.tag.split(".")[0] !== owner) return;
    if (!detail.since) { tabs.send("act", detail); takeAct(detail); return; }
    // An act was answered while this was on its way.
    if (version(detail.tag) < version(known.tag) && takenAt > askedAt) return;
    const isNews = detail.new && detail.tag !== known.tag;
    take(detail);
    tabs.send("count", { ...detail, isTold: !document.hidden });
    if (isNews) tellOrKeep(detail, false);
  });

  const HEARD = {
    // The answer to another tab's poll. If that tab is not seen and this one is, this one tells of it.
    count: (said) => {
      if (version(said.tag) < version(known.tag)) return;
      const isNews = said.new && said.tag !== known.tag;
      take(said);
      if (isNews) tellOrKeep(said, said.isTold);
    },
    told: () => { missed = []; },
    act: (said) => { if (version(said.tag) >= version(known.tag)) takeAct(said); },
    // A page that was just loaded has fresh numbers, or wants them.
    hello: (said) => {
      if (version(said.tag) >= version(known.tag)) take(said);
      else if (tabs.isLeader) tabs.send("count", known);
    },
    answered: (said) => { answered(said.wait); },
    refresh: () => { if (tabs.isLeader) { wait = ms("every"); ask(); } },
    // Of pages that were loaded before that request; a later one has a session of its own.
    ended: ({ at }) => { if (born < at) stop(); },
  };
  const tabs = bellTabs(`bell:${owner}`, { lead: () => next(), hear: (kind, said) => HEARD[kind](said) });

  bellSigns.show(known.n, known.name);
  tabs.start();
  tabs.send("hello", known);
})();
