// Live updates: the server sends the page's main part whenever it changed, and the differences are taken over.
// What stays the same is left alone, so that focus, selection and a screen reader's place stay where they are.
"use strict";

const main = document.querySelector("main");
const state = document.getElementById("live-state");
const pause = document.getElementById("live-pause");
const summary = document.getElementById("summary");
let paused = false;
let latest = null;

function sameKind(old, fresh) {
  return old.nodeType === fresh.nodeType && old.nodeName === fresh.nodeName && (old.id || "") === (fresh.id || "");
}

function takeOver(old, fresh) {
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.data !== fresh.data) old.data = fresh.data;
    return;
  }
  if (old.isEqualNode(fresh)) return;
  for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name)) old.removeAttribute(name);
  for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  const byId = new Map([...old.children].filter((child) => child.id).map((child) => [child.id, child]));
  let next = old.firstChild;
  for (const child of [...fresh.childNodes]) {
    const known = child.id && byId.get(child.id);
    if (known && known !== next) old.insertBefore(known, next);
    if (known) {
      takeOver(known, child);
      next = known.nextSibling;
    } else if (next && sameKind(next, child)) {
      takeOver(next, child);
      next = next.nextSibling;
    } else {
      old.insertBefore(child, next);
    }
  }
  while (next) {
    const gone = next;
    next = next.nextSibling;
    gone.remove();
  }
}

function show(update) {
  const focused = document.activeElement && document.activeElement.id;
  const fresh = new DOMParser().parseFromString(`<main>${update.main}</main>`, "text/html");
  takeOver(document.getElementById("content"), fresh.getElementById("content"));
  if (summary.textContent !== update.summary) summary.textContent = update.summary;
  if (focused && (!document.activeElement || document.activeElement.id !== focused)) {
    const again = document.getElementById(focused);
    if (again) again.focus({ preventScroll: true });
  }
}

function tell(text, kind) {
  if (state.textContent !== text) state.textContent = text;
  state.className = `chip ${kind}`;
}

function told() {
  if (lostAt) tell(`Not live since ${lostAt} UTC, trying again`, "bad");
  else if (paused) tell("Paused", "warn");
  else tell("Live", "good");
}

pause.addEventListener("click", () => {
  paused = !paused;
  pause.textContent = paused ? "Resume updates" : "Pause updates";
  told();
  if (!paused && latest) show(latest);
});

// The server speaks at least every 15 s. A stream that says nothing for longer is dead, though the browser may not know:
// the machine slept, or the network went. A page that looks live and is not would be worse than none.
const SILENT_MS = 40000;
// The server ends a stream now and then, and the browser opens the next one: that is no loss.
const LOST_MS = 4000;
const AGAIN_MS = 5000;
let events = null;
let askedAt = 0;
let heardAt = Date.now();
let failedAt = null;
let lostAt = null;

function heard() {
  heardAt = Date.now();
  failedAt = lostAt = null;
  told();
}

function connect() {
  if (events) events.close();
  askedAt = Date.now();
  events = new EventSource(main.dataset.live);
  events.addEventListener("open", heard);
  events.addEventListener("beat", heard);
  events.addEventListener("page", (event) => {
    heard();
    latest = JSON.parse(event.data);
    if (!paused) show(latest);
  });
  events.addEventListener("error", () => (failedAt ??= Date.now()));
}

setInterval(() => {
  if (document.hidden) return;
  const now = Date.now();
  const silent = now - Math.max(heardAt, askedAt) > SILENT_MS;
  if (silent || (failedAt && now - failedAt > LOST_MS)) {
    lostAt ??= new Date(heardAt).toISOString().slice(11, 19);
    told();
  }
  // A browser does not ask again by itself where a server refused it, or where it takes the stream for alive.
  if (silent || (events.readyState === EventSource.CLOSED && now - askedAt > AGAIN_MS)) connect();
}, 1000);

// A browser opens six connections to a server, and no page in a seventh tab would load beside six streams. A tab that
// nobody sees needs none.
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) connect();
  else if (events) events.close();
});

if (!document.hidden) connect();
pause.hidden = false;
