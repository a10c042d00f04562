// What every page does, whatever it shows.
"use strict";

import { isSignedIn, openOutbox } from "./outbox.js";

// Progress as the style sheet wants it: the strict policy allows no style attribute.
for (const part of document.querySelectorAll("[data-done]")) part.style.setProperty("--done", part.dataset.done + "%");

const { person, forgotten, sprint } = document.body.dataset;

// Who has left leaves nothing in the browser either.
if (forgotten) {
  for (const storage of [localStorage, sessionStorage]) {
    for (const key of Object.keys(storage)) if (key.includes(forgotten)) storage.removeItem(key);
  }
}

// Answers that were still on their way when their page was left: they go from any other. Those of the sprint that is
// answered on this page go from there.
if (person) {
  const names = Object.keys(localStorage).map((key) => /^diptych outbox \S+ \S+/.exec(key)?.[0]).filter((name) => name?.endsWith(` ${person}`) && name !== `diptych outbox ${sprint} ${person}`);
  for (const name of new Set(names)) openOutbox(name, () => isSignedIn(person)).send();
}
