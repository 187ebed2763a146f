/* The editor of templates: a chip puts its placeholder where the cursor was last. */
(() => {
  const form = document.querySelector("[data-template-editor]");
  if (!form) return;
  const fields = [...form.querySelectorAll("textarea, input[name^=subject_]")];
  let last = fields.find((field) => field.name === "body_en") || fields[0];
  for (const field of fields) field.addEventListener("focus", () => { last = field; });
  form.addEventListener("click", (event) => {
    const chip = event.target.closest("[data-insert]");
    if (!chip || !last) return;
    const before = last.value.slice(0, last.selectionStart), after = last.value.slice(last.selectionEnd);
    // A word before it needs a space, a bracket or a quotation mark does not.
    const space = before && /[\p{L}\p{N},،.:؛;!?؟}]$/u.test(before) ? " " : "";
    last.value = before + space + chip.dataset.insert + after;
    const at = before.length + space.length + chip.dataset.insert.length;
    last.focus();
    last.setSelectionRange(at, at);
    last.dispatchEvent(new Event("input", { bubbles: true }));
  });
})();
