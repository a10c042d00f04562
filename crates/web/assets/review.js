// The review page: a grid of what waits for people, decided from the keyboard.
//
// Tiles are made as they come near, in groups of whole rows; the browser lays out only the groups that are near
// the window, so thousands of tiles cost what a few screenfuls do. A decision is shown at once and sent; where it
// cannot be sent, it is taken back and said.
"use strict";

const $ = (id) => document.getElementById(id);
const sprint = $("review").dataset.sprint;
const texts = JSON.parse($("texts").textContent);
const t = (key, values = {}) => texts[key].replace(/\{(\w+)\}/g, (_, name) => values[name]);
// A problem in words: those of its kind, with what the server says of it, or that nobody answers.
const because = (problem) => problem.type ? `${texts["because_" + problem.type.split("/").pop()] ?? ""} ${problem.detail}` : t("review_no_server");
const ROWS = 8; // of a group
const MOST = 500; // items of one decision

let items = []; // what is shown, in order
let tiles = []; // the tiles that were made, in order
let columns = 1; // tiles in a row
let chosen = new Set(); // places that are selected
let at = 0; // the place that has the focus
let anchor = 0; // where a range begins
let revealed = false;
let past = []; // decisions that can be taken back: { kind, contents }, also of lists that were shown before
let line = Promise.resolve(); // decisions on their way

const tile = (place) => tiles[place];

// ---- The list

let asked = new AbortController(); // the list that is being fetched
async function load() {
  // Only the last list that was asked for is shown, with what was decided before.
  asked.abort();
  const mine = asked = new AbortController();
  quiet();
  const before = line;
  await before;
  const form = new FormData($("filters"));
  const [least, most] = (form.get("band") || "-").split("-");
  form.delete("band");
  if (least) { form.set("least", least); form.set("most", most) }
  const query = new URLSearchParams([...form].filter(([, value]) => value));
  let list;
  try {
    const reply = await fetch(`/api/v1/sprints/${sprint}/review?${query}`, { signal: mine.signal });
    list = await reply.json();
    if (!reply.ok) throw list;
  } catch (problem) { return mine.signal.aborted ? undefined : say(t("review_unfetched", { reason: because(problem) })) }
  if (mine.signal.aborted) return;
  if (line !== before) return load(); // something was decided meanwhile
  const { items: fresh, total, counts, reasons: why } = list;
  items = fresh;
  [tiles, at, anchor, chosen] = [[], 0, 0, new Set()];
  const picked = form.get("reason") || "";
  if (picked && !(picked in why)) why[picked] = 0;
  $("filters").elements.reason.replaceChildren(new Option(t("review_all"), ""),
    ...Object.entries(why).map(([word, count]) => new Option(`${says(word)} (${count})`, word, false, word === picked)));
  $("tiles").replaceChildren();
  columns = across();
  $("empty").hidden = items.length > 0;
  const parts = [t("review_counts", { images: counts.images_waiting, texts: counts.texts_waiting, reviewed: counts.images_reviewed,
    all: counts.images, reports: counts.reports, today: counts.done_today })];
  if (counts.disputed) parts.push(t("review_counts_disputed", { count: counts.disputed }));
  if (counts.others_here) parts.push(t("review_counts_others", { count: counts.others_here }));
  if (total > items.length) parts.push(t("review_counts_shown", { shown: items.length, total }));
  $("counts").textContent = parts.join(" · ");
  grow();
  again();
  bar();
}

function grow() {
  const [first, end] = [tiles.length, Math.min(items.length, tiles.length + ROWS * columns)];
  for (let place = first; place < end; place++) tiles.push(make(place));
  if (first < end) $("tiles").append(group(tiles.slice(first, end)));
}

function group(some) {
  const list = document.createElement("ul");
  list.className = "tiles";
  list.append(...some);
  return list;
}

// How many tiles stand in a row: a grid without any says so, wherever the page is scrolled to.
const across = () => Math.max(1, getComputedStyle($("probe")).gridTemplateColumns.split(" ").length);

// Groups are of whole rows: another width wants other groups.
addEventListener("resize", () => {
  if (across() === columns) return;
  columns = across();
  const groups = [];
  for (let first = 0; first < tiles.length; first += ROWS * columns) {
    groups.push(group(tiles.slice(first, first + ROWS * columns)));
  }
  $("tiles").replaceChildren(...groups);
});

function make(place) {
  const item = items[place];
  const li = document.createElement("li");
  li.className = "tile" + (revealed ? " shown" : "");
  li.tabIndex = place === at ? 0 : -1;
  li.dataset.place = place;
  const picture = document.createElement("span");
  picture.className = "pic";
  if (item.kind === "image") {
    const image = new Image();
    image.loading = "lazy";
    image.decoding = "async";
    image.alt = "";
    image.src = `/s/${sprint}/review/images/${item.content}`;
    picture.append(image);
  } else {
    const words = document.createElement("p");
    words.textContent = item.text;
    picture.append(words);
  }
  const why = document.createElement("span");
  why.className = "why";
  const label = document.createElement("span");
  label.textContent = reason(item);
  const number = document.createElement("span");
  number.className = "num";
  number.textContent = place + 1;
  why.append(label, number);
  const peek = document.createElement("button");
  peek.className = "peek";
  peek.type = "button";
  peek.tabIndex = -1;
  peek.textContent = t(revealed ? "review_blur" : "review_reveal");
  li.append(picture, why, peek);
  li.setAttribute("aria-label", t(item.kind === "image" ? "review_image" : "review_text", { place: place + 1, reason: reason(item) }));
  if (item.kind === "image") li.title = item.text;
  return li;
}

/// A person's name; whoever had their data removed has one that nobody gave.
const name = (who) => (who === "Somebody who left" ? t("somebody_who_left") : who);

/// A reason in words; a classifier's name stays as it is.
const says = (word) => texts["reason_" + word] ?? word;

function reason(item) {
  if (item.reported) return t(item.skipped ? "review_skipped" : "review_was_reported");
  if (item.words.length) {
    const word = (one) => t(one.verdict === "approve" ? "review_says_approve" : "review_says_reject", { who: name(one.who), reason: says(one.reason) });
    return t("review_disputed_by", { words: item.words.map(word).join(", ") });
  }
  // What a classifier could not say comes before what another one has said.
  if (item.decision === "needs_review" && / (failed|missing|misconfigured)$/.test(item.reason)) return item.reason;
  const highest = Object.entries(item.scores).sort((a, b) => b[1] - a[1])[0];
  const score = highest ? `${highest[0]} ${highest[1].toFixed(2).replace(/^0/, "")}` : "";
  if (item.reason === "every_image") return says(item.reason);
  // A person's reason says more than a classifier's score.
  if (item.reason && !(item.reason in item.scores)) return says(item.reason);
  return score || t("decision_" + item.decision);
}

new IntersectionObserver((seen) => { if (seen.some((one) => one.isIntersecting) && tiles.length < items.length) { grow(); again() } },
  { rootMargin: "1200px" }).observe($("more"));
// A fast scroll may leave the sentinel in view: it is looked at until it is not.
function again() {
  requestAnimationFrame(() => {
    if (tiles.length < items.length && $("more").getBoundingClientRect().top < innerHeight + 1200) { grow(); again() }
  });
}

// ---- Choosing

function select(place, on) {
  if (!tile(place)) return;
  if (on) chosen.add(place); else chosen.delete(place);
  tile(place).classList.toggle("chosen", on);
  tile(place).setAttribute("aria-selected", on);
}

function clear() {
  for (const place of [...chosen]) select(place, false);
  bar();
}

function go(place, range) {
  if (!items.length) return;
  place = Math.max(0, Math.min(items.length - 1, place));
  while (tiles.length <= place) grow();
  if (tile(at)) tile(at).tabIndex = -1;
  at = place;
  tile(at).tabIndex = 0;
  tile(at).focus();
  if (range) {
    for (const one of [...chosen]) select(one, false);
    for (let one = Math.min(anchor, at); one <= Math.max(anchor, at); one++) select(one, true);
  } else anchor = at;
  bar();
}

function bar() {
  $("decide").hidden = items.length === 0;
  document.querySelector("#decide [value=clear]").hidden = chosen.size === 0;
  const places = [...chosen].sort((a, b) => a - b);
  $("chosen").textContent = places.length > 1 ? t("review_selected", { count: places.length }) : t("review_place", { place: (places[0] ?? at) + 1, all: items.length });
}

function reveal(place, on = !tile(place).classList.contains("shown")) {
  tile(place).classList.toggle("shown", on);
  tile(place).querySelector(".peek").textContent = t(on ? "review_blur" : "review_reveal");
}

function revealAll() {
  revealed = !revealed;
  $("reveal").setAttribute("aria-pressed", revealed);
  for (let place = 0; place < tiles.length; place++) reveal(place, revealed);
}

// ---- Deciding

const reasons = [...document.querySelectorAll("#reasons [name=reason]")];
function asking(on) {
  $("reasons").hidden = !on;
  document.querySelector("#decide [value=reject]").setAttribute("aria-pressed", on);
}

async function decide(verdict, why = "") {
  asking(false);
  const places = chosen.size ? [...chosen].sort((a, b) => a - b) : [at];
  if (!items.length) return;
  const [kind, contents] = [items[places[0]].kind, places.map((place) => items[place].content)];
  mark(contents, verdict, why);
  const done = { kind, contents, verdict, why };
  past.push(done);
  clear();
  const next = places[places.length - 1] + 1;
  if (next < items.length) go(next);
  await send(kind, contents, verdict, why, (left) => {
    mark(left, "", "");
    done.contents = contents.slice(0, contents.length - left.length);
    if (!done.contents.length) past = past.filter((one) => one !== done);
  });
}

function mark(contents, verdict, why) {
  const these = new Set(contents);
  for (let place = 0; place < tiles.length; place++) {
    const li = tile(place);
    if (!these.has(items[place].content)) continue;
    li.classList.toggle("done", verdict !== "");
    const label = li.querySelector(".why span");
    label.className = verdict === "approve" ? "state pass" : verdict === "reject" ? "state fail" : "";
    label.textContent = verdict === "approve" ? t("review_approved") : verdict === "reject" ? says(why) : reason(items[place]);
  }
}

async function undo() {
  const last = past.pop();
  if (!last) return say(t("review_nothing_back"));
  mark(last.contents, "", "");
  const place = items.findIndex((item) => item.content === last.contents[0]);
  if (place >= 0) go(place);
  // What could not be taken back stands, and can be taken back again.
  await send(last.kind, last.contents, "undo", "", (left) => {
    // Of what was never recorded nothing stands.
    const contents = left.filter((one) => last.contents.includes(one));
    mark(contents, last.verdict, last.why);
    if (contents.length) past.push({ ...last, contents });
  });
}

// One after the other, so that an undo follows what it takes back; many at once go in several parts.
function send(kind, contents, verdict, why, failed) {
  line = line.then(async () => {
    for (let first = 0; first < contents.length; first += MOST) {
      const body = { kind, items: contents.slice(first, first + MOST), verdict, reason: why };
      try {
        const reply = await fetch(`/api/v1/sprints/${sprint}/review`, {
          method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
        });
        if (!reply.ok) throw await reply.json();
        quiet();
      } catch (problem) {
        failed(contents.slice(first));
        return say(t("review_unsaved", { count: contents.length - first, all: contents.length, reason: because(problem) }));
      }
    }
  });
  return line;
}

// ---- Looking closely

function enlarge() {
  const item = items[at];
  if (!item) return;
  let shown;
  if (item.kind === "image") {
    shown = new Image();
    shown.alt = t("review_large");
    shown.src = `/s/${sprint}/review/images/${item.content}?large`;
  } else {
    shown = document.createElement("p");
    shown.className = "words";
    shown.textContent = item.text;
  }
  $("closely").replaceChildren(shown);
  const scores = Object.entries(item.scores).map(([name, score]) => `${name} ${score.toFixed(2)}`);
  const errors = Object.entries(item.errors).map(([name, error]) => t("review_failed", { name, error }));
  $("about").textContent = [reason(item), item.category, item.model, ...scores, ...errors, item.kind === "image" ? item.text : ""].filter(Boolean).join(" · ");
  $("said").href = `/s/${sprint}/review/log?content=${item.content}`;
  $("close").showPopover();
}

function say(text) { $("notice").textContent = text; $("notice").hidden = false }
function quiet() { $("notice").hidden = true }

// ---- Hands

$("filters").addEventListener("change", load);
$("filters").addEventListener("submit", (event) => event.preventDefault());
$("reveal").addEventListener("click", revealAll);
$("tiles").addEventListener("click", (event) => {
  const li = event.target.closest(".tile");
  if (!li) return;
  const place = Number(li.dataset.place);
  if (event.target.closest(".peek")) return reveal(place);
  if (event.shiftKey) return go(place, true);
  select(place, !chosen.has(place));
  anchor = place;
  go(place);
});
$("decide").addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  if (button.name === "reason") return decide("reject", button.value);
  ({ undo, clear, enlarge, approve: () => decide("approve"), reject: () => asking($("reasons").hidden) })[button.value]();
});

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("select, input")) return;
  const open = $("close").matches(":popover-open");
  if (open && event.key.toLowerCase() === "e") return $("close").hidePopover();
  if (open && event.key !== "Escape" && !["a", "r", "z"].includes(event.key.toLowerCase())) return;
  if (open) $("close").hidePopover();
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const moves = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns };
  if (key in moves) { event.preventDefault(); return go(at + moves[key], event.shiftKey) }
  if (key === "Home" || key === "End") { event.preventDefault(); return go(key === "Home" ? 0 : items.length - 1, event.shiftKey) }
  if (!$("reasons").hidden && reasons[Number(key) - 1]) return decide("reject", reasons[Number(key) - 1].value);
  const does = {
    a: () => decide("approve"), r: () => asking($("reasons").hidden), z: undo,
    Escape: () => ($("reasons").hidden ? clear() : asking(false)),
    e: enlarge,
    x: () => { select(at, !chosen.has(at)); bar() },
    " ": revealAll, Enter: () => tile(at) && reveal(at),
  }[key];
  if (!does || (event.target.closest("button, a") && (key === "Enter" || key === " "))) return;
  event.preventDefault();
  does();
});

load();
