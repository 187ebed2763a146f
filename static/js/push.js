/* The card “Push on this device”: says how things stand here, turns push on and off. Works on #push-devices and its
   data attributes (data-key: the server's public key). The list of devices works without scripts. */
(() => {
  const card = () => document.getElementById("push-devices");
  if (!card()?.dataset.key) return;
  const isSupported = "serviceWorker" in navigator && "PushManager" in window && "Notification" in window;

  const show = (state) => card().querySelectorAll("[data-push-state]").forEach((part) => { part.hidden = part.dataset.pushState !== state; });
  const complain = (words) => {
    const place = card().querySelector("[data-push-error]");
    place.textContent = words;
    place.hidden = !words;
  };
  const current = async () => {
    const registration = await navigator.serviceWorker.getRegistration("/");
    return registration?.pushManager.getSubscription();
  };
  // The list holds each address's hash: the address itself is a secret.
  const rowOf = async (subscription) => {
    const hash = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(subscription.endpoint));
    const mark = [...new Uint8Array(hash)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    return card().querySelector(`[data-push-mark="${mark}"]`);
  };
  const look = async () => {
    if (!isSupported) return show("unsupported");
    if (Notification.permission === "denied") return show("blocked");
    const subscription = await current();
    const row = subscription && await rowOf(subscription);
    row?.querySelectorAll("[data-push-this]").forEach((part) => { part.hidden = false; });
    show(row ? "on" : "off");
  };

  const post = async (address, body) => {
    const token = card().querySelector("[name=csrfmiddlewaretoken]").value;
    const answer = await fetch(address, {
      method: "POST", headers: { "Content-Type": "application/json", "X-CSRFToken": token }, body: JSON.stringify(body),
    });
    if (answer.status === 422) throw new Error((await answer.json()).error);
    if (!answer.ok) throw new Error(card().dataset.failed);
  };
  const sameKey = (subscription, key) => {
    const raw = String.fromCharCode(...new Uint8Array(subscription.options.applicationServerKey ?? new ArrayBuffer(0)));
    return btoa(raw).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "") === key;
  };
  const turnOn = async () => {
    const { key, worker, subscribe } = card().dataset;
    if (await Notification.requestPermission() !== "granted") return look();
    await navigator.serviceWorker.register(worker, { scope: "/" });
    const { pushManager } = await navigator.serviceWorker.ready;
    let subscription = await pushManager.getSubscription();
    if (subscription && !sameKey(subscription, key)) {
      await subscription.unsubscribe();
      subscription = null;
    }
    subscription ??= await pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: key });
    await post(subscribe, subscription);
    await refresh();
  };
  const turnOff = async () => {
    const subscription = await current();
    if (subscription) {
      await post(card().dataset.unsubscribe, { endpoint: subscription.endpoint });
      await subscription.unsubscribe();
    }
    await refresh();
  };
  const refresh = async () => {
    await htmx.ajax("GET", card().dataset.refresh, { target: "#push-devices", swap: "outerHTML" });
    await look();
    card().querySelector("[data-push-state]:not([hidden]) button")?.focus();
  };

  let isBusy = false;
  const act = async (work) => {
    if (isBusy) return;
    isBusy = true;
    complain("");
    // The browser's own words for its refusals are for developers.
    try { await work(); } catch (error) { complain(error instanceof DOMException ? card().dataset.failed : error.message); }
    isBusy = false;
  };
  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("[data-push-on], [data-push-off]");
    if (button) act(button.matches("[data-push-on]") ? turnOn : turnOff);
  });
  act(look);
})();
