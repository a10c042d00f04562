// The organizers' page: figures of this moment, as the server sends them.
"use strict";

const live = document.getElementById("live");
const lost = document.getElementById("lost");
const source = new EventSource(live.dataset.from);
source.onmessage = (event) => {
  const figures = JSON.parse(event.data);
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
source.onerror = () => { lost.hidden = false };
source.addEventListener("problem", () => { lost.hidden = false });
