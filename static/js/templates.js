/* The editor of templates: a chip puts its placeholder where the cursor was last, and an email is shown on the clinic's paper. */
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

  // The paper is a page of its own in a frame, with the policy of mails. What is typed goes there by POST, so that it
  // stands in no address; each time into a new frame, because a frame that is sent on fills the browser's history.
  const paper = form.querySelector("[data-letter-preview]");
  if (!paper) return;
  const place = paper.querySelector("[data-letter-place]");
  paper.hidden = false;
  let timer = 0, number = 0;
  const show = () => {
    if (!paper.offsetParent) return;
    const frame = document.createElement("iframe");
    frame.name = `letter-${++number}`;
    frame.title = paper.dataset.letterTitle;
    frame.className = "x-letter-frame";
    frame.setAttribute("sandbox", "allow-same-origin");
    const before = place.querySelectorAll("iframe");
    // The old one stays until the new one is there: no flicker.
    frame.addEventListener("load", () => before.forEach((old) => old.remove()));
    if (before.length) frame.classList.add("vh");
    frame.addEventListener("load", () => frame.classList.remove("vh"));
    place.append(frame);
    const post = document.createElement("form");
    post.method = "post";
    post.action = paper.dataset.letterPreview;
    post.target = frame.name;
    post.hidden = true;
    for (const [name, value] of new FormData(form)) {
      const field = document.createElement("input");
      field.type = "hidden";
      field.name = name;
      field.value = value;
      post.append(field);
    }
    document.body.append(post);
    post.submit();
    post.remove();
  };
  form.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(show, 500); });
  show();
})();
