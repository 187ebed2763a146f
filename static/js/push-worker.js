/* Push on this device: shows what comes, opens what is clicked, and tells the server when the browser changes its address.
   The words come ready from the server, in the person's language, and name nobody. */
const here = (path) => new URL(path, self.location.href).href;

self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));

const said = (data) => {
  try { return data?.json() ?? {}; } catch { return {}; }
};
self.addEventListener("push", (event) => {
  const { title, body = "", url = "/", tag = "agdar", lang = "", dir = "auto" } = said(event.data);
  // Something must be shown for every message, or the browser shows words of its own.
  event.waitUntil(self.registration.showNotification(title || "Agdar", { body, tag, lang, dir, renotify: true, data: { url } }));
});

const open = async (address) => {
  const url = new URL(address, self.location.origin);
  if (url.origin !== self.location.origin) return;
  const tabs = await self.clients.matchAll({ type: "window", includeUncontrolled: true });
  // Only a tab that shows it already: another one may hold a half-filled form.
  const tab = tabs.find((one) => one.url === url.href);
  await (tab ? tab.focus() : self.clients.openWindow(url.href));
};
self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  event.waitUntil(open(event.notification.data?.url ?? "/"));
});

const post = (path, token, body) => fetch(here(path), {
  method: "POST", headers: { "Content-Type": "application/json", "X-CSRFToken": token }, body: JSON.stringify(body),
});
const renew = async ({ oldSubscription, newSubscription }) => {
  const key = oldSubscription?.options.applicationServerKey;
  const fresh = newSubscription ?? (key && await self.registration.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: key }));
  const answer = await fetch(here("token/"), { headers: { "HX-Request": "true" } });
  if (!answer.ok) return;    // signed out: nobody to tell
  const { token } = await answer.json();
  if (oldSubscription) await post("unsubscribe/", token, { endpoint: oldSubscription.endpoint });
  if (fresh) await post("subscribe/", token, fresh);
};
self.addEventListener("pushsubscriptionchange", (event) => event.waitUntil(renew(event)));
