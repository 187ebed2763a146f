/* The preferences: hear the bell's sound before choosing it. Where no sound can be made, the button stays hidden. */
(() => {
  const button = document.querySelector("[data-play-sound]");
  if (!button || !window.AudioContext || !window.bellSigns) return;
  button.hidden = false;
  button.addEventListener("click", () => bellSigns.sound());
})();
