// Answers on their way: each is in the browser's storage before anything else (where that is full, in the page, which asks
// before it is left), and leaves it only when the server has said that it is on disk. A lost connection or a reload loses
// nothing, and several tabs send nothing twice.
"use strict";

const HOLD = 10000; // ms for which a tab sends, where the browser has no locks; it asks for more in time

/// Keeps it in the browser's storage; whether it does, which it does not where it is full.
export function put(storage, key, value) {
  try { storage.setItem(key, value); return true } catch { return false }
}

/// Whether this person is signed in still on this browser: not who has signed in on another tab. Null where nobody says.
export async function isSignedIn(person) {
  try {
    const reply = await fetch("/");
    const named = reply.ok ? /<body data-person="([^"]*)"/.exec(await reply.text()) : null;
    return named ? named[1] === person : null;
  } catch { return null }
}

/// One a person: whoever signs in next on this browser does not send it in their own name.
/// `isMe` says whether that is who is signed in, or null where nobody knows; `heard` is told what became of each: saved, takenBack, kept, filled, stands, refused, busy, unreachable, reachable, signIn.
/// Without `heard`, nobody sees what becomes of them: what the server does not take waits for a page that says so.
export function openOutbox(name, isMe, heard) {
  // A key an entry, so that no tab writes what another has written; they sort as they were posted, also where the clock
  // was set back meanwhile.
  const loose = new Map(); // what the storage has no room for waits with its page
  const keys = () => [...Object.keys(localStorage), ...loose.keys()].filter((key) => key.startsWith(name + " ")).sort();
  const read = (key) => JSON.parse(loose.get(key) ?? localStorage.getItem(key));
  const remove = (key) => loose.delete(key) || localStorage.removeItem(key);
  addEventListener("beforeunload", (event) => { if (loose.size) event.preventDefault() });
  let wake = () => {};
  let sending = false;

  function post(entry) {
    const last = Number(keys().at(-1)?.slice(name.length).split(" ")[1] ?? 0);
    const when = `${Math.max(Date.now(), last + 1)}`.padStart(15, "0");
    const [key, text] = [`${name} ${when} ${Math.random()}`, JSON.stringify(entry)];
    if (!put(localStorage, key, text)) loose.set(key, text);
    send();
  }

  async function send() {
    wake();
    if (sending) return;
    sending = true;
    let goesOn = false;
    try {
      // One tab sends at a time; what another has sent is gone when it is our turn.
      goesOn = await (navigator.locks ? navigator.locks.request(name, sendAll) : holding(sendAll));
    } finally { sending = false }
    if (goesOn && keys().length) send();
  }

  // Pages that came over plain HTTP have no locks: the sender says in the storage until when it is one.
  async function holding(work) {
    const [place, me] = [`sender of ${name}`, `${Math.random()}`];
    const sender = () => JSON.parse(localStorage.getItem(place) || "null");
    const claim = () => put(localStorage, place, JSON.stringify({ me, until: Date.now() + HOLD }));
    for (;;) {
      const other = sender();
      if (!other || other.until < Date.now()) {
        // Where there is no room to say so, two tabs may send: the server takes the same answer once.
        if (!claim()) break;
        await sleep(50);
        if (sender()?.me === me) break;
      }
      await sleep(200);
    }
    const more = setInterval(claim, HOLD / 3);
    try { return await work() } finally { clearInterval(more); if (sender()?.me === me) localStorage.removeItem(place) }
  }

  const sleep = (ms) => new Promise((resume) => { setTimeout(resume, ms); wake = resume });

  /// Whether whatever comes next may go, too.
  async function sendAll() {
    let pause = 1000;
    for (let [key] = keys(); key; [key] = keys()) {
      const entry = read(key);
      const reply = await ask(entry);
      // Somebody else who has signed in on this browser holds no such pair; it waits for who gave the answer.
      const mine = reply?.status === 404 ? await isMe() : true;
      if (reply === null || mine === null || reply.busy) {
        reply?.busy ? heard?.busy(reply.busy) : heard?.unreachable();
        await sleep(pause);
        pause = Math.min(pause * 2, 30000);
        continue;
      }
      pause = 1000;
      const { status, body } = reply;
      if (status === 401 || !mine) {
        heard?.signIn();
        return false;
      }
      if (!heard) {
        if (status >= 300) return false;
        remove(key);
        continue;
      }
      remove(key);
      heard.reachable();
      if (status === 201) heard.saved(entry);
      else if (status === 204) heard.takenBack(entry);
      else if (entry.undo) heard.kept(entry);
      else if (status === 410) heard.filled(entry);
      else if (status === 409) heard.stands();
      else if (status >= 400) heard.refused(status, body);
    }
    return true;
  }

  /// What our server says of it, or that it takes nothing now; null where nobody answers, or somebody else in its place,
  /// such as a hotel's page.
  async function ask(entry) {
    try {
      const reply = await fetch(`/api/v1/assignments/${entry.id}/response`, entry.undo ? { method: "DELETE" } : {
        method: "PUT",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ answer: entry.answer, duration_ms: entry.duration_ms }),
        // Also where the page is left at this moment.
        keepalive: true,
      });
      const body = reply.status === 204 ? {} : await reply.json();
      const ours = reply.status === 204 || body.saved || String(body.type).startsWith("/problems/");
      if (!ours) return null;
      return reply.status >= 500 || reply.status === 429 ? { busy: body } : { status: reply.status, body };
    } catch { return null }
  }

  /// Tries once more at once, and waits until all is sent or nobody answers.
  async function sent() {
    wake();
    send();
    for (let tries = 0; tries < 20 && keys().length; tries++) await new Promise((resume) => setTimeout(resume, 50));
  }

  addEventListener("online", send);
  /// What is not sent yet, the oldest first.
  const entries = () => keys().map(read).filter(Boolean);
  return { post, send, sent, entries, isEmpty: () => keys().length === 0 };
}
