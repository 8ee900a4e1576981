// What the page does beyond what it says: it is asked for anew every few seconds, what has
// changed is put into its place, and single queries are shown as they are answered. All of
// it can be done without, and nothing here makes HTML of a text.
"use strict";

// keep tells whether an element is left as it is: what somebody fills in, and what this
// script fills.
const keep = (e) => e.matches("form, textarea, [data-keep]");

// key is by what an element is found again among its neighbours.
const key = (n) => n.nodeType !== Node.ELEMENT_NODE ? "" :
  n.id || n.querySelector(":scope > th[scope=row], :scope > figcaption > strong")?.textContent || "";

// attributes gives an element those of another one. What somebody opened stays open.
function attributes(old, fresh) {
  const own = (name) => name === "open" || name === "tabindex" || name === "hidden" && keep(old);
  for (const { name, value } of fresh.attributes) {
    if (!own(name) && old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  for (const { name } of [...old.attributes]) {
    if (!own(name) && !fresh.hasAttribute(name)) old.removeAttribute(name);
  }
}

// renew makes what is shown equal to what has come, and leaves in place what is equal
// already, so that nobody loses where they are.
function renew(old, fresh) {
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.data !== fresh.data) old.data = fresh.data;
    return;
  }
  if (keep(old)) return;
  attributes(old, fresh);
  const known = new Map();
  for (const child of old.childNodes) {
    if (key(child) && !known.has(key(child))) known.set(key(child), child);
  }
  let at = old.firstChild;
  for (const next of [...fresh.childNodes]) {
    const again = known.get(key(next));
    const fits = (n) => n && n.nodeType === next.nodeType && n.nodeName === next.nodeName && key(n) === key(next);
    if (fits(again) && again.parentNode === old) {
      if (again !== at) old.insertBefore(again, at);
      else at = at.nextSibling;
      known.delete(key(next));
      renew(again, next);
    } else if (fits(at) && !key(next)) {
      const here = at;
      at = at.nextSibling;
      renew(here, next);
    } else {
      old.insertBefore(next, at);
    }
  }
  while (at) {
    const gone = at;
    at = at.nextSibling;
    gone.remove();
  }
}

// refreshing asks for the page anew for as long as somebody looks at it.
function refreshing(seconds) {
  const stale = document.getElementById("stale");
  const pause = document.getElementById("pause");
  let paused = false, asking = false, good = new Date();
  pause.hidden = false;
  pause.addEventListener("click", () => {
    paused = !paused;
    pause.setAttribute("aria-pressed", String(paused));
    pause.textContent = paused ? "Go on refreshing" : "Pause refreshing";
    document.dispatchEvent(new CustomEvent("paused", { detail: paused }));
    if (!paused) ask();
  });
  const selecting = () => {
    const chosen = getSelection();
    return chosen && !chosen.isCollapsed && document.getElementById("main").contains(chosen.anchorNode);
  };
  async function ask() {
    if (paused || asking || document.hidden || selecting()) return;
    asking = true;
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" }, cache: "no-store", signal: AbortSignal.timeout(10000) });
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (!fresh.getElementById("main")) throw new Error("no page");
      if (paused || selecting()) return;
      document.title = fresh.title;
      renew(document.body, fresh.body);
      good = new Date();
      stale.hidden = true;
    } catch {
      stale.textContent = `Not refreshed since ${good.toISOString().slice(0, 19).replace("T", " ")} UTC: the server does not answer.`;
      stale.hidden = false;
    } finally {
      asking = false;
    }
  }
  setInterval(ask, seconds * 1000);
  document.addEventListener("visibilitychange", ask);
}

// maxRows is how many queries are shown.
const maxRows = 500;

// explain is where the decision about a query is explained.
function explain(q) {
  const values = new URLSearchParams({ name: q.name ?? "", type: q.type ?? "", client: q.client ?? "" });
  const shown = { listener: q.listener, server_name: q.server_name, certificate: q.certificates?.join(","), path: q.path, link_id: q.link_id };
  for (const [name, value] of Object.entries(shown)) {
    if (value !== undefined && value !== "") values.set(name, value);
  }
  return "/explain?" + values;
}

// fill makes a row of a query, of the template of the page.
function fill(template, q) {
  const row = template.content.firstElementChild.cloneNode(true);
  const slot = (name) => row.querySelector(`[data-slot="${name}"]`);
  const put = (name, text) => { if (text) slot(name).textContent = text; else slot(name).remove(); };
  slot("time").textContent = q.time.slice(11, 23).padEnd(12, "0");
  slot("time").dateTime = q.time;
  put("client", q.client);
  put("client-name", q.client_name);
  put("shown", [q.link_id !== undefined && `link id ${q.link_id}`, ...(q.certificates ?? []).map((c) => `certificate ${c}`),
    q.path && `path /dns-query/${q.path}`, q.server_name && `server name ${q.server_name}`].filter(Boolean).join(", "));
  put("listener", q.listener);
  put("transport", q.transport);
  put("network", q.network);
  if (q.network) slot("stranger").remove();
  const link = slot("name");
  link.textContent = q.name ?? "?";
  link.closest("a").href = explain(q);
  put("type", q.type);
  const plain = q.rcode === "NXDOMAIN" || q.rcode === "NOERROR";
  const answers = q.answer ?? [];
  put("rcode", q.rcode !== "NOERROR" ? q.rcode : answers.length ? "" : "no data");
  slot("rcode")?.classList.add(plain ? "plain" : "bad");
  put("why", [q.refusal, ...(q.ede ?? []).map((e) => e.text || `extended error ${e.code}`)].filter(Boolean).join("; "));
  const answer = slot("answer");
  for (const text of answers) {
    const line = document.createElement("code");
    line.className = "line";
    line.textContent = text;
    answer.parentNode.insertBefore(line, answer);
  }
  answer.remove();
  slot("source").textContent = q.source;
  put("again", q.remembered ? "given again" : "");
  put("upstream", q.upstream);
  const ms = q.duration_ms;
  slot("took").textContent = ms < 1 ? `${Math.round(ms * 1000)}µs` : ms < 1000 ? `${ms.toFixed(1)}ms` : `${(ms / 1000).toFixed(2)}s`;
  return row;
}

// following shows single queries as they are answered, the newest first.
function following(table) {
  const says = document.getElementById("stream");
  const rows = table.querySelector("tbody");
  const template = document.getElementById("row");
  const events = new EventSource(table.dataset.stream);
  let paused = false, missed = 0, lost = 0, shown = 0, waiting = [];
  const say = (text) => { says.textContent = text; says.hidden = false; };
  const tell = () => say((paused ? `Paused: ${missed} further ones are not shown.` : "Queries are shown as they are answered.") +
    (lost ? ` ${lost} were left out, because there were too many.` : ""));
  document.addEventListener("paused", (e) => { paused = e.detail; missed = 0; tell(); });
  function show() {
    const fresh = document.createDocumentFragment();
    for (const q of waiting.slice(-maxRows).reverse()) fresh.append(fill(template, q));
    waiting = [];
    if (!shown++) rows.querySelector("[data-empty]")?.remove();
    rows.prepend(fresh);
    while (rows.children.length > maxRows) rows.lastElementChild.remove();
  }
  events.addEventListener("begin", tell);
  events.addEventListener("lost", (e) => { lost += JSON.parse(e.data).lost; tell(); });
  events.addEventListener("end", (e) => { events.close(); say(`No further queries are shown: ${JSON.parse(e.data).reason}.`); });
  events.addEventListener("error", () => say(events.readyState === EventSource.CLOSED ?
    "Queries are not shown as they are answered: load the page anew." : "The server is gone for the moment: what is asked meanwhile is not shown."));
  events.addEventListener("message", (e) => {
    if (paused) { missed++; tell(); return; }
    if (waiting.push(JSON.parse(e.data)) === 1) requestAnimationFrame(show);
  });
}

// copying gives texts that are there to be copied a button for that.
function copying(text) {
  const button = document.createElement("button");
  button.type = "button";
  button.dataset.keep = "";
  button.textContent = "Copy";
  button.addEventListener("click", async () => {
    text.select();
    try {
      await navigator.clipboard.writeText(text.value);
      button.textContent = "Copied";
    } catch { // only over HTTPS, and at localhost
      button.textContent = document.execCommand("copy") ? "Copied" : "Selected: press Ctrl and C";
    }
  });
  text.after(button);
}

document.querySelector("header [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
const seconds = Number(document.body.dataset.refresh ?? 0);
if (seconds > 0) refreshing(seconds);
const table = document.querySelector("[data-stream]");
if (table) following(table);
document.querySelectorAll("textarea[data-copy]").forEach(copying);
