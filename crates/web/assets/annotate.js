// The annotate page: shows a pair, takes an answer, fetches the next pairs ahead.
//
// An answer goes into an outbox in the browser's storage before anything else, and leaves it only
// when the server has said that it is on disk: a lost connection or a reload loses nothing.
"use strict";

const sprint = document.body.dataset.sprint;
const AHEAD = 3;
const $ = (id) => document.getElementById(id);
const buttons = [...document.querySelectorAll("[name=answer]")];
const button = (value) => buttons.find((one) => one.value === value);
const words = { left: "left is better", right: "right is better", both_good: "both good", both_bad: "both bad",
  toxic_content: "reported", skip: "skipped" };

let current = null; // the pair that is shown: { assignment, images, since }
let waiting = []; // pairs that are fetched, oldest first
let last = null; // what undo takes back
let done = new Set(); // assignments that were answered here
let fetching = false;
let finished = false;
let lost = false; // whether the last try to fetch pairs has failed
let timer = 0;

// ---- The outbox

// One a person: whoever signs in next on this browser does not send it in their own name.
const key = `diptych outbox ${sprint} ${document.body.dataset.person}`;
const outbox = () => JSON.parse(localStorage.getItem(key) || "[]");
const keep = (entries) => localStorage.setItem(key, JSON.stringify(entries));
let sending = null; // the number of the entry that is under way
let counted = new Set(); // assignments whose answer is in the count

function post(entry) {
  const entries = outbox();
  // An undo of something that was not sent yet only forgets it.
  const unsent = entries.find((one) => entry.undo && one.id === entry.id && !one.undo && one.number !== sending);
  if (unsent) return keep(entries.filter((one) => one !== unsent));
  keep([...entries, { ...entry, number: `${Date.now()} ${Math.random()}` }]);
  send();
}

async function send() {
  if (sending) return;
  let pause = 1000;
  for (let entries = outbox(); entries.length; entries = outbox()) {
    const entry = entries[0];
    sending = entry.number;
    let reply;
    try {
      reply = await fetch(`/api/v1/assignments/${entry.id}/response`, entry.undo ? { method: "DELETE" } : {
        method: "PUT",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ answer: entry.answer, duration_ms: entry.duration_ms }),
      });
    } catch { reply = null }
    if (reply === null || reply.status >= 500 || reply.status === 429) {
      say("The server cannot be reached. Your answers are safe in this browser and are sent as soon as it answers.");
      await new Promise((resume) => setTimeout(resume, pause));
      pause = Math.min(pause * 2, 30000);
      continue;
    }
    pause = 1000;
    if (reply.status === 401) return leave();
    keep(outbox().filter((one) => one.number !== entry.number));
    quiet();
    if (reply.status === 201 && entry.answer !== "skip") { counted.add(entry.id); count(1) }
    if (reply.status === 204 && counted.delete(entry.id)) count(-1);
    if (reply.status === 410) toast("Others had filled that pair already", false);
    else if (reply.status === 409) toast("Your first answer stands", false);
    else if (!reply.ok) await refused(reply);
  }
  sending = null;
}

/// The server will never take it: nobody should believe that it did.
async function refused(reply) {
  let detail = "";
  try { detail = (await reply.json()).detail } catch { /* the status says enough */ }
  say(`An answer was not saved (${reply.status}). ${detail}`);
}

function leave() { location.href = "/enter?next=" + encodeURIComponent(location.pathname) }

// ---- Pairs

async function picture(side) {
  const image = new Image(side.width, side.height);
  image.src = side.url;
  await image.decode();
  return image;
}

function prepare(assignment) {
  const pair = { assignment, images: Promise.all([picture(assignment.left), picture(assignment.right)]) };
  pair.images.catch(() => {}); // looked at when the pair is shown
  return pair;
}

async function fetchAhead() {
  if (fetching || waiting.length >= AHEAD - 1) return;
  fetching = true;
  clearTimeout(timer);
  timer = 0;
  try {
    const reply = await fetch(`/api/v1/sprints/${sprint}/assignments`, {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ count: AHEAD }),
    });
    if (reply.status === 401) return leave();
    if (!reply.ok) {
      const problem = await reply.json();
      // What one agrees to was changed: the page shows it.
      if (problem.type === "/problems/agree-first") return location.reload();
      throw new Error(problem.detail);
    }
    const { assignments, retry_after_s: retry } = await reply.json();
    if (lost) { lost = false; quiet() }
    const known = new Set(waiting.map((pair) => pair.assignment.id));
    if (current) known.add(current.assignment.id);
    const fresh = assignments.filter((one) => !known.has(one.id) && !done.has(one.id));
    waiting.push(...fresh.map(prepare));
    finished = assignments.length === 0 && retry === null;
    const again = fresh.length === 0 && !finished ? Math.min(Math.max(retry ?? 2, 2), 30) : 0;
    if (again && !current && waiting.length === 0) timer = setTimeout(fetchAhead, again * 1000);
    if (!current) next();
  } catch (error) {
    lost = true;
    say("New pairs cannot be fetched: " + error.message + ". Trying again.");
    if (!current) empty();
    timer = setTimeout(fetchAhead, 5000);
  } finally { fetching = false }
}

async function next() {
  const pair = waiting.shift();
  if (!pair) {
    current = null;
    return empty();
  }
  current = pair;
  enable(false);
  let images;
  try { images = await pair.images } catch {
    // One more try, then the pair is left to somebody else.
    try { images = await (pair.images = prepare(pair.assignment).images) } catch {
      done.add(pair.assignment.id);
      post({ id: pair.assignment.id, answer: "skip", duration_ms: 0 });
      return next();
    }
  }
  if (current !== pair) return;
  const { assignment } = pair;
  images[0].alt = "First image";
  images[1].alt = "Second image";
  // Both in the same frame, decoded.
  requestAnimationFrame(() => {
    $("pictures").replaceChildren(...images);
    $("prompt").textContent = assignment.prompt;
    $("prompt").classList.toggle("long", assignment.prompt.length > 160);
    $("category").textContent = assignment.category;
    $("category").hidden = !assignment.category;
    const zoom = $("zoom").querySelectorAll("img");
    zoom[0].src = images[0].src;
    zoom[1].src = images[1].src;
    pair.since = performance.now();
    enable(true);
  });
  fetchAhead();
}

function empty() {
  enable(false);
  $("pictures").replaceChildren(document.createElement("i"), document.createElement("i"));
  $("category").hidden = true;
  $("prompt").textContent = lost ? "The next pair comes as soon as the server answers."
    : !document.body.dataset.pairs ? "This sprint has no pairs yet. This page looks by itself."
    : finished ? "You have compared every pair that there is for you. Thank you."
    : "The last pairs are with other people; one may come back to you. This page looks by itself.";
  if (!finished && !fetching && !timer) fetchAhead();
}

function enable(on) {
  for (const one of buttons) one.disabled = one.value === "undo" ? !last : !on;
}

// ---- Answers

function answer(value) {
  if (value === "undo") return undo();
  if (!current || button(value).disabled) return;
  const { assignment, since } = current;
  done.add(assignment.id);
  last = { pair: current, value };
  post({ id: assignment.id, answer: value, duration_ms: Math.round(performance.now() - since) });
  toast((value === "skip" ? "Skipped" : value === "toxic_content" ? "Reported" : "Saved: " + side(words[value])), true);
  current = null;
  next();
}

function undo() {
  if (!last) return;
  const { pair, value } = last;
  last = null;
  done.delete(pair.assignment.id);
  post({ id: pair.assignment.id, undo: true });
  if (current) waiting.unshift(current);
  waiting.unshift(pair);
  current = null;
  finished = false;
  toast("Taken back", false);
  next();
}

/// On a phone held upright one picture stands above the other.
function side(text) {
  const upright = matchMedia("(max-width: 40rem) and (orientation: portrait)").matches;
  return upright ? text.replace("left", "upper").replace("right", "lower") : text;
}

function count(by) { $("today").textContent = Math.max(0, Number($("today").textContent) + by) }

let toastTimer = 0;
function toast(text, undoable) {
  const box = $("toast");
  box.firstElementChild.textContent = text;
  box.lastElementChild.hidden = !undoable;
  box.hidden = false;
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => { box.hidden = true }, 4000);
}

function say(text) { $("notice").firstElementChild.textContent = text; $("notice").hidden = false }
function quiet() { $("notice").hidden = true }

async function progress() {
  try {
    const { pairs, responses, wanted, mine } = await (await fetch(`/api/v1/sprints/${sprint}/progress`)).json();
    if (pairs && !document.body.dataset.pairs) {
      document.body.dataset.pairs = pairs;
      finished = false;
      fetchAhead();
    }
    // What is on its way is not in the server's figure yet.
    if (mine && outbox().length === 0) $("today").textContent = mine.today;
    const percent = wanted ? Math.floor(responses * 100 / wanted) : 0;
    $("percent").textContent = percent;
    $("opening").setAttribute("aria-valuenow", percent);
    $("opening").style.setProperty("--done", percent + "%");
  } catch { /* a figure that is late harms nobody */ }
}

// ---- Hands

$("answers").addEventListener("submit", (event) => {
  event.preventDefault();
  if (event.submitter) answer(event.submitter.value);
});
$("toast").lastElementChild.addEventListener("click", undo);

const keys = { 1: "left", ArrowLeft: "left", 2: "right", ArrowRight: "right", 3: "both_good", ArrowUp: "both_good",
  4: "both_bad", ArrowDown: "both_bad", t: "toxic_content", s: "skip", z: "undo" };
addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  const pressed = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (pressed === "e") return $("zoom").togglePopover();
  if (pressed === "g") return $("guidelines").togglePopover();
  // While the pictures are enlarged the arrows scroll them.
  if (!keys[pressed] || document.querySelector(":popover-open")) return;
  event.preventDefault();
  answer(keys[pressed]);
});
addEventListener("online", send);

$("opening").style.setProperty("--done", $("opening").dataset.done + "%");
send();
fetchAhead();
setInterval(progress, 15000);
