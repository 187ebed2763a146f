/* The notification page: keys, dialogs, and where the focus goes when a row leaves. Rows are [data-row]; each offers
   [data-open] and its acts as [data-act]. The page works without any of this. */
(() => {
  const byId = (id) => document.getElementById(id);
  const list = () => byId("inbox-list");
  const rows = () => [...document.querySelectorAll("#inbox-list [data-row]")];
  if (!list()) return;

  // --- the keys ---------------------------------------------------------------------------------------------------
  // Whoever speaks to the computer, or types with one finger, may switch them off.
  const box = byId("keys-on");
  try { box.checked = localStorage.getItem("inbox-keys") !== "off"; } catch { /* a private window: on */ }
  box.addEventListener("change", () => {
    try { localStorage.setItem("inbox-keys", box.checked ? "on" : "off"); } catch { /* it lasts for the page */ }
  });

  const here = () => document.activeElement?.closest?.("#inbox-list [data-row]");
  const go = (step) => {
    const all = rows(), at = all.indexOf(here());
    const next = at < 0 ? all[0] : all[at + step];
    if (next) next.querySelector("[data-open]").focus();
    else if (at >= 0) document.querySelector(`#inbox-pages [rel=${step > 0 ? "next" : "prev"}]`)?.focus();
  };
  const act = (name) => here()?.querySelector(`[data-act=${name}]`)?.click();
  const keys = {
    j: () => go(1),
    k: () => go(-1),
    e: () => act("archive"),
    u: () => act("read"),
    s: () => act("snooze"),
    a: () => act("acknowledge"),
    z: () => [...document.querySelectorAll("#toasts [data-undo]")].pop()?.click(),
    "?": () => open(byId("keys-dialog")),
  };
  // An Arabic keyboard has other letters on the same keys.
  const keyOf = (event) => {
    if (event.key === "؟" || event.key === "?") return "?";
    return /^[a-z]$/i.test(event.key) ? event.key.toLowerCase() : event.code.replace(/^Key/, "").toLowerCase();
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || event.defaultPrevented) return;
    if (event.target.closest("input, textarea, select, [contenteditable], dialog, #bell-panel")) return;
    const key = keyOf(event), deed = Object.hasOwn(keys, key) ? keys[key] : null;
    if (!deed || (!box.checked && key !== "?")) return;
    event.preventDefault();
    deed();
  });

  // --- the dialogs: the browser keeps the focus in, closes with Esc and gives the focus back --------------------------
  const open = (dialog) => { if (!dialog.open) dialog.showModal(); };
  document.querySelectorAll("dialog.x-dialog").forEach((dialog) => dialog.addEventListener("click", (event) => {
    if (event.target === dialog || event.target.closest("[data-dialog-close]")) dialog.close();
  }));
  document.querySelectorAll("[data-keys]").forEach((button) => {
    button.hidden = false;
    button.addEventListener("click", () => open(byId("keys-dialog")));
  });

  const snooze = byId("snooze-dialog"), body = byId("snooze-body");
  document.addEventListener("htmx:after:swap", () => {
    if (body.childElementCount && body.dataset.shown !== "yes") {
      body.dataset.shown = "yes";
      open(snooze);
      body.querySelector(".x-choice")?.focus();
    }
    body.querySelector("[data-error-summary]")?.focus();
  });
  document.addEventListener("htmx:finally:request", (event) => {
    const { ctx } = event.detail;
    if (ctx.sourceElement?.id === "snooze-form" && ctx.response?.status === 200) snooze.close();
  });
  snooze.addEventListener("close", () => { delete body.dataset.shown; body.replaceChildren(); });

  // --- the focus: on the row that takes the place of the one that left ------------------------------------------------
  let place = null;
  document.addEventListener("focusin", (event) => {
    const row = here(), all = rows();
    if (row) place = { id: row.id, order: all.map((one) => one.id), act: event.target.dataset.act };
    else if (!event.target.closest("dialog")) place = null;
  });
  document.addEventListener("pointerdown", (event) => { if (!event.target.closest("#inbox-list, dialog, #toasts")) place = null; });
  document.addEventListener("htmx:after:swap", () => {
    if (!place || document.querySelector("dialog[open]")) return;
    const focus = document.activeElement;
    if (focus && focus !== document.body && focus.checkVisibility()) return;
    const same = byId(place.id);
    if (same) {
      ((place.act && same.querySelector(`[data-act=${place.act}]`)) || same.querySelector("[data-open]")).focus();
      return;
    }
    const at = place.order.indexOf(place.id);
    const next = [...place.order.slice(at + 1), ...place.order.slice(0, at).reverse()].map(byId).find(Boolean);
    (next ? next.querySelector("[data-open]") : byId("inbox-empty"))?.focus();
  });
})();
