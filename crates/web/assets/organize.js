// The organizers' page: figures of this moment, as the server sends them.
"use strict";

const live = document.getElementById("live");
const lost = document.getElementById("lost");
const source = new EventSource(live.dataset.from);
let late = 0;
// A stream ends now and then, and begins again by itself.
function waits() {
  late = late || setTimeout(() => { lost.hidden = false }, 10000);
}
source.onmessage = (event) => {
  const figures = JSON.parse(event.data);
  clearTimeout(late);
  late = 0;
  lost.hidden = true;
  for (const part of live.querySelectorAll("[data-of]")) part.textContent = figures[part.dataset.of];
  const alerts = figures.alerts.map((text) => {
    const line = document.createElement("p");
    line.className = "notice after";
    line.textContent = text;
    return line;
  });
  const box = document.getElementById("alerts");
  if (box.textContent !== figures.alerts.join("")) {
    box.setAttribute("role", "alert");
    box.replaceChildren(...alerts);
  }
};
source.onerror = waits;
source.addEventListener("problem", waits);
