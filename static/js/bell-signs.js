/* What the bell shows outside of itself: title, favicon, app badge, toast, sound, spoken sentence. No requests here.
   Words come from the server and are put in as text. */
window.bellSigns = (() => {
  const byId = (id) => document.getElementById(id);
  const short = (count) => (count > 99 ? "99+" : String(count));

  // --- the number, the same everywhere ------------------------------------------------------------------------------
  const title = document.title, icon = byId("favicon"), badge = byId("bell-count");
  const picture = new Image();
  let drawn = "", wanted = "";
  const setIcon = (href, type) => { icon.type = type; icon.href = href; };
  const draw = () => {
    if (!wanted || wanted === drawn) return;
    const size = 64, canvas = document.createElement("canvas"), pen = canvas.getContext("2d");
    if (!pen) return;                                          // the icon with the dot stays
    canvas.width = canvas.height = size;
    pen.drawImage(picture, 0, 0, size, size);
    // As large as it can be: the tab shows it a quarter of this size.
    const width = [40, 54, 64][wanted.length - 1], height = 40;
    pen.fillStyle = "#D92D20";
    pen.beginPath();
    pen.roundRect(size - width, size - height, width, height, 12);
    pen.fill();
    pen.fillStyle = "#fff";
    pen.font = `700 ${wanted.length > 2 ? 30 : 36}px system-ui, sans-serif`;
    pen.textAlign = "center";
    pen.textBaseline = "middle";
    pen.fillText(wanted, size - width / 2, size - height / 2 + 2);
    drawn = wanted;
    setIcon(canvas.toDataURL("image/png"), "image/png");
  };
  picture.addEventListener("load", draw);
  picture.src = icon.dataset.plain;

  const showOnIcon = (text) => {
    wanted = text;
    icon.dataset.shows = text;
    if (text === drawn) return;
    drawn = "";
    setIcon(text ? icon.dataset.dot : icon.dataset.plain, "image/svg+xml");
    if (picture.complete && picture.naturalWidth) draw();
  };

  const showOnBell = (text, name) => {
    const number = badge.querySelector(".bell-n"), words = badge.querySelector(".vh");
    if (!text) number?.remove();
    else if (number) { if (number.textContent !== text) number.textContent = text; }
    else {
      const made = document.createElement("span");
      made.className = "bell-n num";
      made.setAttribute("aria-hidden", "true");
      made.textContent = text;
      badge.prepend(made);
    }
    if (words.textContent !== name) words.textContent = name;
  };

  const show = (count, name) => {
    const text = count ? short(count) : "";
    document.title = count ? `(${text}) ${title}` : title;
    showOnIcon(text);
    showOnBell(text, name);
    document.querySelectorAll("[data-if-unread]").forEach((part) => { part.hidden = !count; });
    if (!count) document.querySelectorAll(".x-bell-toast").forEach((toast) => toast.remove());
    if (navigator.setAppBadge) (count ? navigator.setAppBadge(count) : navigator.clearAppBadge()).catch(() => {});
  };

  // --- in the corner: the kind of thing, never who. One a kind; shell.js lets the usual ones leave. -------------------
  const toast = ({ kind, text, critical }, onShow) => {
    const made = byId(critical ? "bell-toast-critical" : "bell-toast").content.cloneNode(true).firstElementChild;
    made.querySelectorAll("[data-kind]").forEach((part) => { part.textContent = text; });
    const goes = () => { if (made.contains(document.activeElement)) byId("bell").focus(); };
    made.querySelector("[data-close]").addEventListener("click", goes);
    made.querySelector("[data-show]").addEventListener("click", () => { made.remove(); onShow(); });
    made.dataset.of = kind;
    [...document.querySelectorAll(".x-bell-toast")]
      .filter((other) => other.dataset.of === kind && !other.contains(document.activeElement))
      .forEach((other) => other.remove());
    byId("toasts").append(made);
  };
  const closeUsual = () => document.querySelectorAll(".x-bell-toast[data-leaves]").forEach((one) => one.remove());

  // --- two short tones. A browser plays nothing on a page that nobody has touched, and says so in its log. -------------
  const sound = () => {
    if (!window.AudioContext || !navigator.userActivation?.hasBeenActive) return;
    const audio = new AudioContext();
    [[660, 0], [880, 0.14]].forEach(([pitch, start]) => {
      const tone = audio.createOscillator(), volume = audio.createGain(), from = audio.currentTime + start;
      tone.frequency.value = pitch;
      volume.gain.setValueAtTime(0, from);
      volume.gain.linearRampToValueAtTime(0.12, from + 0.02);
      volume.gain.linearRampToValueAtTime(0, from + 0.12);
      tone.connect(volume).connect(audio.destination);
      tone.start(from);
      tone.stop(from + 0.13);
      if (start) tone.addEventListener("ended", () => audio.close());
    });
  };

  const say = (sentence) => { byId("bell-live").textContent = sentence; };
  return { show, toast, closeUsual, sound, say };
})();
