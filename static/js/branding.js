/* The brand's page: the letters follow what is typed, and a colour that cannot be read is told of at once. */
(() => {
  const form = document.querySelector("[data-brand]");
  if (!form) return;
  const frames = [...form.querySelectorAll("iframe[data-letter]")];
  const light = document.getElementById("brand-light");
  let waiting;

  // WCAG 2.2, as notifications/branding.py counts it.
  const luminance = (colour) => {
    const part = (at) => {
      const value = parseInt(colour.slice(at, at + 2), 16) / 255;
      return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
    };
    return 0.2126 * part(1) + 0.7152 * part(3) + 0.0722 * part(5);
  };

  const show = () => {
    for (const frame of frames) {
      const address = new URL(frame.src);
      for (const name of ["colour", "footer_en", "footer_ar"]) address.searchParams.set(name, form.elements[name].value);
      // Replaced, so that the way back does not lead through every letter.
      if (address.href !== frame.src) frame.contentWindow.location.replace(address.href);
      frame.dataset.shown = address.href;
    }
  };

  form.addEventListener("input", (event) => {
    if (!["colour", "footer_en", "footer_ar"].includes(event.target.name)) return;
    if (event.target.name === "colour") light.hidden = 1.05 / (luminance(event.target.value) + 0.05) >= 4.5;
    clearTimeout(waiting);
    waiting = setTimeout(show, 300);
  });
})();
