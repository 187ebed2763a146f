/* What every page needs: theme button, side bar drawer, menus, messages that leave, small helps in forms.
   Everything here works on data attributes; a page needs no script of its own for it. */
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];

  // The theme stays where it was put; until then it follows the system (theme.js).
  all("[data-theme-toggle]").forEach((button) => {
    const root = document.documentElement;
    const tell = () => button.setAttribute("aria-pressed", root.getAttribute("data-bs-theme") === "dark");
    tell();
    new MutationObserver(tell).observe(root, { attributeFilter: ["data-bs-theme"] });
    button.addEventListener("click", () => {
      const next = root.getAttribute("data-bs-theme") === "dark" ? "light" : "dark";
      root.setAttribute("data-bs-theme", next);
      try { localStorage.setItem("theme", next); } catch { /* a private window: the choice lasts for the page */ }
    });
  });

  // Drawer: a modal <dialog>, which keeps the focus, closes with Esc and gives the focus back. It shows a copy of the side
  // bar, made when it is opened first.
  const fill = (drawer) => {
    if (drawer.querySelector(".side")) return;
    const copy = document.createElement("div");
    copy.className = "side";
    copy.append(...document.querySelector("aside.side").cloneNode(true).childNodes);
    drawer.append(copy);
  };
  all("[data-drawer]").forEach((button) => {
    const drawer = document.getElementById(button.getAttribute("aria-controls"));
    button.addEventListener("click", () => { fill(drawer); drawer.showModal(); button.setAttribute("aria-expanded", "true"); });
    drawer.addEventListener("close", () => { button.setAttribute("aria-expanded", "false"); button.focus(); });
    drawer.addEventListener("click", (event) => {
      if (event.target === drawer || event.target.closest("[data-drawer-close]")) drawer.close();
    });
    matchMedia("(min-width: 901px)").addEventListener("change", (event) => { if (event.matches && drawer.open) drawer.close(); });
  });

  // Menus: <details class="x-menu">. Esc closes and gives the focus back, a click elsewhere closes.
  const menus = () => all("details.x-menu[open]");
  document.addEventListener("click", (event) => menus().forEach((menu) => { if (!menu.contains(event.target)) menu.open = false; }));
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    menus().forEach((menu) => { menu.open = false; menu.querySelector("summary").focus(); });
  });

  // "/" goes to the search, as the hint in the field says.
  document.addEventListener("keydown", (event) => {
    const field = document.querySelector("[data-search]");
    if (!field || event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input, textarea, select, [contenteditable], dialog")) return;
    event.preventDefault();
    field.focus();
  });

  // Messages: good news leaves after 6 s unless somebody is reading it; an error stays until it is closed.
  const LEAVES_AFTER = 6000, LEAVES_AT_LAST = 30000;
  const arm = (toast) => {
    if (toast.dataset.armed) return;
    toast.dataset.armed = "yes";
    toast.querySelector("[data-close]")?.addEventListener("click", () => toast.remove());
    if (!toast.hasAttribute("data-leaves")) return;
    let timer = 0;
    // What may be undone says how long; it goes for good before the server has forgotten it, whoever rests on it.
    const after = Number(toast.dataset.leaves) || LEAVES_AFTER;
    if (toast.dataset.leaves) setTimeout(() => toast.remove(), Math.max(after, LEAVES_AT_LAST));
    const start = () => { clearTimeout(timer); timer = setTimeout(() => toast.remove(), after); };
    const stop = () => clearTimeout(timer);
    toast.addEventListener("pointerenter", stop); toast.addEventListener("pointerleave", start);
    toast.addEventListener("focusin", stop); toast.addEventListener("focusout", start);
    start();
  };
  const toasts = document.getElementById("toasts");
  if (toasts) {
    all(".toast-x", toasts).forEach(arm);
    new MutationObserver(() => {
      const shown = all(".toast-x", toasts);
      shown.slice(0, -3).forEach((toast) => { if (toast.hasAttribute("data-leaves")) toast.remove(); });
      shown.forEach(arm);
    }).observe(toasts, { childList: true });
  }

  // A click that htmx could not carry out: say so, where every message is said. The bell's own poll keeps quiet.
  const failed = (event) => {
    const words = document.getElementById("toast-failed"), { ctx } = event.detail, status = ctx?.response?.status ?? 0;
    if (!words || !toasts || status === 401 || status === 422 || (ctx?.request?.method ?? "GET") === "GET") return;
    toasts.append(words.content.cloneNode(true));
  };
  document.addEventListener("htmx:response:error", failed);
  document.addEventListener("htmx:error", failed);

  // A refused form: go to the summary of what is wrong.
  document.querySelector("[data-error-summary]")?.focus();

  // Show or hide a password.
  all("[data-show-password]").forEach((button) => button.addEventListener("click", () => {
    const field = document.getElementById(button.getAttribute("aria-controls"));
    const isShown = field.type === "password";
    field.type = isShown ? "text" : "password";
    button.setAttribute("aria-pressed", String(isShown));
    field.focus();
  }));

  // Fill the sign-in form with a demo account.
  all("[data-fill]").forEach((button) => button.addEventListener("click", () => {
    Object.entries(JSON.parse(button.dataset.fill)).forEach(([id, value]) => { document.getElementById(id).value = value; });
    document.getElementById(button.dataset.then).focus();
  }));

  // <select data-submit>, <input data-submit>: a filter that applies itself.
  document.addEventListener("change", (event) => { if (event.target.matches?.("[data-submit]")) event.target.form.requestSubmit(); });

  // <form data-once>: a double click is one request. The server has its own key; this only spares people the wait.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!form.matches?.("[data-once]") || event.defaultPrevented) return;
    if (form.dataset.sent) { event.preventDefault(); return; }
    form.dataset.sent = "yes";
    all("button[type=submit], button:not([type])", form).forEach((button) => button.setAttribute("aria-disabled", "true"));
  });
  addEventListener("pageshow", () => all("form[data-sent]").forEach((form) => {
    delete form.dataset.sent;
    all("[aria-disabled]", form).forEach((button) => button.removeAttribute("aria-disabled"));
  }));

  // <form data-confirm="…">: ask first. Without scripts the page's own confirmation page stands in.
  document.addEventListener("submit", (event) => {
    const words = event.target.dataset?.confirm;
    if (words && !window.confirm(words)) { event.preventDefault(); event.stopImmediatePropagation(); }
  }, true);
})();
