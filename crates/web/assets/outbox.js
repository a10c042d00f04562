// Answers on their way: each is in the browser's storage before anything else, and leaves it only when the server
// has said that it is on disk. A lost connection or a reload loses nothing, and several tabs send nothing twice.
"use strict";

/// One a person: whoever signs in next on this browser does not send it in their own name.
/// `heard` is told what became of each: saved, takenBack, filled, stands, refused, unreachable, reachable, signIn.
export function openOutbox(key, heard) {
  const read = () => JSON.parse(localStorage.getItem(key) || "[]");
  const keep = (entries) => localStorage.setItem(key, JSON.stringify(entries));
  // One tab sends at a time, where the browser can tell tabs apart; what another has sent is gone when it is our turn.
  const alone = (work) => (navigator.locks ? navigator.locks.request(key, work) : work());
  let sending = false;

  function post(entry) {
    const entries = read();
    // An undo of something that was not sent yet only forgets it.
    const unsent = entry.undo && entries.find((one) => one.id === entry.id && !one.undo && !one.under_way);
    if (unsent) return keep(entries.filter((one) => one.number !== unsent.number));
    keep([...entries, { ...entry, number: `${Date.now()} ${Math.random()}` }]);
    send();
  }

  async function send() {
    if (sending) return;
    sending = true;
    try { await alone(sendAll) } finally { sending = false }
  }

  async function sendAll() {
    let pause = 1000;
    for (let entries = read(); entries.length; entries = read()) {
      const entry = entries[0];
      keep(entries.map((one) => (one.number === entry.number ? { ...one, under_way: true } : one)));
      let reply = null;
      try {
        reply = await fetch(`/api/v1/assignments/${entry.id}/response`, entry.undo ? { method: "DELETE" } : {
          method: "PUT",
          headers: { "Content-Type": "application/json" },
          body: JSON.stringify({ answer: entry.answer, duration_ms: entry.duration_ms }),
        });
      } catch { /* there is no reply */ }
      if (reply === null || reply.status >= 500 || reply.status === 429) {
        heard.unreachable();
        await new Promise((resume) => setTimeout(resume, pause));
        pause = Math.min(pause * 2, 30000);
        continue;
      }
      pause = 1000;
      if (reply.status === 401) return heard.signIn();
      keep(read().filter((one) => one.number !== entry.number));
      heard.reachable();
      if (reply.status === 201) heard.saved(entry);
      else if (reply.status === 204) heard.takenBack(entry);
      else if (reply.status === 410) heard.filled();
      else if (reply.status === 409) heard.stands();
      else if (!reply.ok) await heard.refused(reply);
    }
  }

  return { post, send, isEmpty: () => read().length === 0 };
}
