// The annotate page: shows a pair, takes an answer, fetches the next pairs ahead.
"use strict";

import { isSignedIn, openOutbox, put } from "./outbox.js";
import { practicePairs } from "./practice.js";

const { sprint, person, folder } = document.body.dataset;
const AHEAD = 3;
const KEPT = 20; // answers that a tab remembers, to take them back
const SECOND_THOUGHTS = 10 * 60 * 1000; // ms for which the server lets one take an answer back
const MARKS = [10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000];
const $ = (id) => document.getElementById(id);
const buttons = [...document.querySelectorAll("[name=answer]")];
const button = (value) => buttons.find((one) => one.value === value);
const texts = JSON.parse($("texts").textContent);
const say = (key, values = {}) => texts[key].replace(/\{(\w+)\}/g, (_, name) => values[name]);
/// A problem of the server's, in the reader's language; its details are for programs.
const because = (problem) => texts["because_" + String(problem.type).split("/").pop()] ?? problem.detail ?? "";

let current = null; // the pair that is asked: { assignment, images, since, at, practice? }
let shown = null; // the pair whose pictures hang there
let waiting = []; // pairs that are fetched, oldest first
const pastKey = `diptych past ${sprint} ${person}`;
let past = JSON.parse(sessionStorage.getItem(pastKey) ?? "[]"); // what undo takes back, the newest last
const done = new Set(); // assignments that were answered on this browser
let fetching = false;
let nothing = false; // whether the server had no pair when it was last asked
let finished = false; // and will have none
let lost = false; // whether the last try to fetch pairs has failed
let state = document.body.dataset.state;
let total = Number(document.body.dataset.total);
let timer = 0;

// ---- Answers on their way

const counted = new Set(); // assignments whose answer is in the count
let counts = 0; // how often the count has changed
const outbox = openOutbox(`diptych outbox ${sprint} ${person}`, () => isSignedIn(person), {
  unreachable: () => notice(say("unreachable")),
  busy: (problem) => notice(say("not_taken_yet", { reason: because(problem) })),
  reachable() {
    quiet();
    // It gives what it can by what it knows now.
    if (!current && timer) fetchAhead();
  },
  signIn: leave,
  saved: (entry) => { if (entry.answer !== "skip") { counted.add(entry.id); count(1) } },
  // What was counted before this page was loaded only the server knows.
  takenBack: (entry) => { if (counted.delete(entry.id)) count(-1); else look() },
  filled(entry) { forget(entry.id); toast(say("filled"), false) },
  stands: () => toast(say("stands"), false),
  /// Too late, or others have filled the pair meanwhile.
  kept(entry) { keep(entry.id); tabs.postMessage({ kept: entry.id }) },
  /// The server will never take it: nobody should believe that it did.
  refused: (status, problem) => notice(say("not_saved", { status, reason: because(problem) })),
});

// What is answered in one tab is done in the others.
const tabs = new BroadcastChannel(`diptych ${sprint} ${person}`);
tabs.onmessage = ({ data: { answered, open, kept } }) => {
  if (answered) return drop(answered);
  if (kept) return keep(kept);
  // It is taken back there, so not here as well.
  done.delete(open);
  forget(open);
};

/// Nobody is to answer it here any more.
function drop(id) {
  done.add(id);
  waiting = waiting.filter((pair) => pair.assignment.id !== id);
  if (current?.assignment.id === id) { current = null; next() }
}

function leave() { location.href = "/enter?next=" + encodeURIComponent(location.pathname) }

// ---- Pairs

/// Both of a pair are asked for in the same size: the smallest that fills a panel.
async function picture(side, practice) {
  const image = new Image(side.width, side.height);
  const panel = $("pictures").firstElementChild?.getBoundingClientRect().width || innerWidth / 2;
  if (!practice) {
    const smaller = [480, 768].filter((width) => width < side.width).map((width) => `${side.url}?w=${width} ${width}w`);
    image.sizes = `${Math.ceil(panel)}px`;
    image.srcset = [...smaller, `${side.url} ${side.width}w`].join(", ");
  }
  image.src = side.url;
  await image.decode();
  return image;
}

/// Whether one of the pictures was withdrawn: then the pair is nobody's any more. Whatever else is wrong passes.
async function withdrawn({ left, right }) {
  // The server knows, wherever its pictures are fetched.
  const gone = async (side) => {
    try { return [404, 410].includes((await fetch(new URL(side.url, location).pathname, { method: "HEAD" })).status) } catch { return false }
  };
  return (await gone(left)) || (await gone(right));
}

function prepare(pair) {
  const { left, right } = pair.assignment;
  pair.images = Promise.all([left, right].map((side) => picture(side, pair.practice)));
  pair.images.catch(() => {}); // looked at when the pair is shown
  return pair;
}

/// What this person holds, and as many more as make so many.
const take = (count) => fetch(`/api/v1/sprints/${sprint}/assignments`, {
  method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ count }),
});

async function fetchAhead() {
  if (fetching || waiting.length >= AHEAD - 1) return;
  fetching = true;
  clearTimeout(timer);
  timer = 0;
  // What waits for the connection goes first: a pair that is answered is not given again.
  if (lost) await outbox.sent();
  try {
    const reply = await take(AHEAD);
    if (reply.status === 401) return leave();
    if (!reply.ok) {
      const problem = await reply.json();
      // What one agrees to was changed: the page shows it.
      if (problem.type === "/problems/agree-first") return location.reload();
      throw problem;
    }
    const { assignments, retry_after_s: retry } = await reply.json();
    if (lost) { lost = false; quiet() }
    const none = assignments.length === 0;
    // Why there is none may be news.
    if (none && !current) await progress();
    nothing = none;
    const known = new Set(waiting.map((pair) => pair.assignment.id));
    if (current) known.add(current.assignment.id);
    const fresh = assignments.filter((one) => !known.has(one.id) && !done.has(one.id));
    waiting.push(...fresh.map((assignment) => prepare({ assignment })));
    finished = none && retry === null;
    const again = fresh.length === 0 && !finished ? Math.min(Math.max(retry ?? 2, 2), 30) : 0;
    if (again && !current && waiting.length === 0) timer = setTimeout(fetchAhead, again * 1000);
    if (!current) waiting.length ? next() : empty();
  } catch (error) {
    lost = true;
    // Whatever is no problem of the server's came from somewhere on the way to it.
    notice(error.type ? say("no_new_pairs", { reason: because(error) }) : say("unreachable"));
    if (!current) empty();
    timer = setTimeout(fetchAhead, 5000);
  } finally { fetching = false }
}

async function next() {
  // What is enlarged is not asked any more.
  $("zoom").close();
  const pair = waiting.shift();
  if (!pair) {
    current = null;
    // What the server said before may be over.
    nothing = finished = false;
    fetchAhead();
    return empty();
  }
  current = pair;
  enable(false);
  let images = null;
  for (let pause = 1000; !images; pause = Math.min(2 * pause, 30000)) {
    try { images = await pair.images } catch {
      if (current !== pair) return;
      // An undo that is on its way may bring them back.
      const settled = outbox.isEmpty();
      if (settled && await withdrawn(pair.assignment)) {
        done.add(pair.assignment.id);
        quiet();
        return next();
      }
      // A connection or a host that is away for a while is no skip.
      if (settled) notice(say("no_pictures"));
      await new Promise((resume) => { setTimeout(resume, pause); addEventListener("online", resume, { once: true }) });
      if (current !== pair) return;
      prepare(pair);
      if (!pair.practice) pair.images.then(quiet, () => {});
    }
  }
  if (current !== pair) return;
  const { assignment, practice } = pair;
  images[0].alt = say("first_image");
  images[1].alt = say("second_image");
  // Both in the same frame, decoded.
  requestAnimationFrame(() => {
    if (current !== pair) return;
    shown = pair;
    $("pictures").replaceChildren(...images);
    $("prompt").textContent = assignment.prompt;
    $("prompt").classList.toggle("long", assignment.prompt.length > 160);
    reachPrompt();
    $("category").textContent = assignment.category;
    $("category").hidden = !assignment.category;
    $("coach").hidden = !practice;
    $("coach").firstElementChild.textContent = practice?.coach ?? "";
    pair.since = performance.now();
    enable(true);
  });
  fetchAhead();
}

function empty() {
  enable(false);
  if ($("pictures").querySelector("img")) $("pictures").replaceChildren(document.createElement("i"), document.createElement("i"));
  $("category").hidden = $("coach").hidden = true;
  const over = state === "closed" || state === "archived";
  const why = lost ? say("empty_lost") : !nothing ? "\u00a0" : say(over ? "empty_closed" : state === "paused" ? "empty_paused"
    : !document.body.dataset.pairs ? "empty_none" : finished ? "empty_finished" : "empty_waiting");
  if ($("prompt").textContent !== why) $("prompt").textContent = why;
  if (!finished && !fetching && !timer) fetchAhead();
}

/// A prompt that is longer than its place is scrolled by keyboard, too.
function reachPrompt() {
  const prompt = $("prompt");
  prompt.scrollTop = 0;
  prompt.scrollHeight > prompt.clientHeight ? prompt.setAttribute("tabindex", "0") : prompt.removeAttribute("tabindex");
}
addEventListener("resize", reachPrompt);

let focused = null; // the button that had the focus when all were switched off
function enable(on) {
  if (!on && buttons.includes(document.activeElement)) focused = document.activeElement;
  // Of practice nothing is sent, so there is nothing to report or to take back.
  const practice = Boolean(current?.practice);
  for (const one of buttons) {
    const idle = practice && ["undo", "toxic_content"].includes(one.value);
    one.disabled = idle || (one.value === "undo" ? past.length === 0 : !on);
  }
  $("enlarge").disabled = !on;
  if (!on) return;
  if (document.activeElement === document.body) focused?.focus({ preventScroll: true });
  focused = null;
}

// ---- Answers

function answer(value) {
  if (value === "undo") return undo();
  if (!current || button(value).disabled) return;
  const { assignment, since, practice } = current;
  if (practice) {
    const ends = !waiting[0]?.practice;
    toast(say(ends ? "practice_end" : value === "skip" ? "practice_skipped" : value === practice.answer ? "practice_yes" : "practice_other"), false);
    if (ends) practised();
  } else {
    done.add(assignment.id);
    current.at = Date.now();
    remember([...past, current]);
    outbox.post({ id: assignment.id, answer: value, duration_ms: Math.round(performance.now() - since) });
    tabs.postMessage({ answered: assignment.id });
    toast(say("saved_" + side(value)), true);
  }
  current = null;
  next();
}

function undo() {
  const pair = past.at(-1);
  if (!pair || current?.practice) return;
  const { id } = pair.assignment;
  // What came before is older still.
  if (Date.now() - pair.at > SECOND_THOUGHTS && outbox.isEmpty()) {
    remember([]);
    return toast(say("kept"), false);
  }
  forget(id);
  done.delete(id);
  outbox.post({ id, undo: true });
  tabs.postMessage({ open: id });
  if (current) waiting.unshift(current);
  waiting.unshift(pair.images ? pair : prepare(pair));
  current = null;
  toast(say("taken_back"), false);
  next();
}

/// It stays with this tab over a reload.
function remember(pairs) {
  past = pairs.slice(-KEPT);
  const text = JSON.stringify(past.map(({ assignment, at }) => ({ assignment, at })));
  // Rather none than an older one.
  if (!put(sessionStorage, pastKey, text)) sessionStorage.removeItem(pastKey);
  button("undo").disabled = past.length === 0 || Boolean(current?.practice);
}
function forget(id) { remember(past.filter((pair) => pair.assignment.id !== id)) }

/// The server does not take that answer back: it counts as it is.
function keep(id) {
  forget(id);
  drop(id);
  toast(say("kept"), false);
}

/// On a phone held upright one picture stands above the other.
const isUpright = () => matchMedia("(max-width: 40rem) and (orientation: portrait)").matches;
const side = (value) => (isUpright() ? { left: "upper", right: "lower" }[value] ?? value : value);

function count(by) {
  counts += 1;
  total += by;
  $("today").textContent = Math.max(0, Number($("today").textContent) + by);
  showTotal();
  if (by > 0 && MARKS.includes(total)) toast(say("thanks", { count: total }), past.length > 0);
}

function showTotal() { showMine("total", say("in_all", { count: total })) }
/// At the top where there is room, and among the guidelines.
function showMine(what, text) { for (const box of document.querySelectorAll(`[data-mine=${what}]`)) box.textContent = text }

let toastTimer = 0;
function toast(text, undoable) {
  const box = $("toast");
  box.firstElementChild.textContent = text;
  box.lastElementChild.hidden = !undoable;
  box.hidden = false;
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => { box.hidden = true }, 4000);
}

function notice(text) { $("notice").firstElementChild.textContent = text; $("notice").hidden = false }
function quiet() { $("notice").hidden = true }

// ---- How the sprint goes

/// Whether pairs may have come, or come back, for who has none: somebody's answers were left out, say.
async function progress() {
  const before = counts;
  try {
    const reply = await fetch(`/api/v1/sprints/${sprint}/progress`);
    if (!reply.ok) return;
    const now = await reply.json();
    const opened = state !== "open" && now.state === "open";
    state = now.state;
    if (now.pairs) document.body.dataset.pairs = now.pairs;
    // What is on its way is not in the server's figure yet.
    if (now.mine && outbox.isEmpty() && counts === before) {
      $("today").textContent = now.mine.today;
      total = now.mine.responses;
      showTotal();
      showMine("place", now.mine.place ? say("place", { place: now.mine.place, people: now.mine.people }) : "");
    }
    const percent = now.wanted ? Math.floor(now.responses * 100 / now.wanted) : 0;
    $("percent").textContent = percent;
    $("opening").setAttribute("aria-valuenow", percent);
    $("opening").style.setProperty("--done", percent + "%");
    announce(now.announcement);
    if (line !== undefined && line !== now.line) lookAgain();
    line = now.line;
    return now.pairs && (opened || (!current && now.state === "open"));
  } catch { /* a figure that is late harms nobody */ }
}

let line; // of which the server says when pairs have left it, or come
/// Drops what is no longer asked: a picture was withdrawn, say.
async function lookAgain() {
  const mine = [...waiting, current].filter((pair) => pair && !pair.practice);
  if (!mine.length) return;
  try {
    const { assignments } = await (await take(mine.length)).json();
    for (const { assignment } of mine) {
      if (assignments.some((one) => one.id === assignment.id) || !await withdrawn(assignment)) continue;
      if (current?.assignment === assignment) toast(say("filled"), false);
      drop(assignment.id);
    }
  } catch { line = null /* and looks again with the next figures */ }
}

async function look() {
  if (await progress()) fetchAhead();
  if (!current) empty();
}

function announce(announcement) {
  const closed = localStorage.getItem(`diptych told ${sprint}`);
  $("told").hidden = !announcement || announcement.id === closed;
  if ($("told").hidden || $("told").dataset.id === announcement.id) return;
  $("told").dataset.id = announcement.id;
  $("told").firstElementChild.textContent = announcement.text;
}
$("told").lastElementChild.addEventListener("click", () => {
  put(localStorage, `diptych told ${sprint}`, $("told").dataset.id);
  $("told").hidden = true;
});

// ---- Practice

const practiceKey = `diptych practised ${person}`;
function practised() { put(localStorage, practiceKey, "yes") }
function practise() {
  if (current && !current.practice) waiting.unshift(current);
  waiting = [...practicePairs(folder, say).map(prepare), ...waiting.filter((pair) => !pair.practice)];
  current = null;
  next();
}
function endPractice() {
  practised();
  waiting = waiting.filter((pair) => !pair.practice);
  if (current?.practice) current = null;
  if (!current) next();
}
$("coach").lastElementChild.addEventListener("click", endPractice);
$("practise").addEventListener("click", () => { $("guidelines").hidePopover(); practise() });

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
  if (pressed === "e") return $("zoom").open ? $("zoom").close() : enlarge();
  // While the pictures are enlarged the arrows scroll them, as they do a long prompt.
  if ($("zoom").open || document.activeElement === $("prompt") && ["ArrowUp", "ArrowDown"].includes(pressed)) return;
  if (pressed === "g") return $("guidelines").togglePopover();
  if (!keys[pressed] || document.querySelector(":popover-open")) return;
  event.preventDefault();
  answer(keys[pressed]);
});

/// Shows both over the whole screen; where only one of them fits, from the one that was tapped.
async function enlarge(tapped = 0) {
  if (!current || current !== shown) return;
  const { prompt, left, right } = current.assignment;
  const zoom = $("zoom");
  $("asked").textContent = prompt;
  $("enlarged").classList.remove("whole");
  // Those that are there already, until both are there in full size.
  $("enlarged").replaceChildren(...[...$("pictures").children].map((image) => image.cloneNode()));
  zoom.showModal();
  zoom.scrollTop = tapped * zoom.scrollHeight;
  const pair = current;
  const images = [left, right].map((side, place) => {
    const image = new Image(side.width, side.height);
    image.alt = $("pictures").children[place].alt;
    image.src = side.url;
    return image;
  });
  try { await Promise.all(images.map((image) => image.decode())) } catch { return }
  if (zoom.open && current === pair) $("enlarged").replaceChildren(...images);
}
$("zoom").addEventListener("click", (event) => {
  // With a mouse a click shows both at their own size, where that is larger, and fitted to the window again.
  const { target, pointerType } = event;
  const larger = target.naturalWidth > target.clientWidth || target.naturalHeight > target.clientHeight;
  if (pointerType !== "mouse" || !larger) return $("zoom").close();
  $("enlarged").classList.toggle("whole");
  place(event);
});
$("enlarged").addEventListener("pointermove", place);
/// Shows the same place of both: the one under the pointer.
function place({ target, clientX, clientY }) {
  if (target.tagName !== "IMG") return;
  const { x, y, width, height } = target.getBoundingClientRect();
  const share = (at, shown, whole) => `${whole > shown ? 100 * at / shown : 50}%`;
  $("enlarged").style.setProperty("--x", share(clientX - x, width, target.naturalWidth));
  $("enlarged").style.setProperty("--y", share(clientY - y, height, target.naturalHeight));
}
$("enlarge").addEventListener("click", () => enlarge());

// A swipe over the pictures answers, a tap or a click enlarges them.
const SWIPE = 60; // pixels
let touch = null;
$("pictures").addEventListener("pointerdown", (event) => {
  touch = event.isPrimary && event.pointerType !== "mouse" ? { x: event.clientX, y: event.clientY } : null;
});
$("pictures").addEventListener("pointercancel", () => { touch = null });
$("pictures").addEventListener("pointerup", (event) => {
  if (!touch || !event.isPrimary) return;
  const [x, y] = [event.clientX - touch.x, event.clientY - touch.y];
  touch = null;
  if (Math.max(Math.abs(x), Math.abs(y)) < SWIPE) return;
  const way = Math.abs(x) > Math.abs(y) ? (x < 0 ? "left" : "right") : y < 0 ? "up" : "down";
  answer(isUpright()
    ? { up: "left", down: "right", right: "both_good", left: "both_bad" }[way]
    : { left: "left", right: "right", up: "both_good", down: "both_bad" }[way]);
});
$("pictures").addEventListener("click", ({ target }) => enlarge([...$("pictures").children].indexOf(target) === 1 ? 1 : 0));

showTotal();
// The server does not know of these yet.
for (const { id, undo } of outbox.entries()) undo ? done.delete(id) : done.add(id);
outbox.send();
// Who has answered before needs no practice.
if (total === 0 && document.body.dataset.pairs && state === "open" && !localStorage.getItem(practiceKey)) practise();
fetchAhead();
look();
setInterval(look, 15000);
