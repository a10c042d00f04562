// What the journeys share: a browser, visitors whose console must stay clean, and waiting for a pair.
import assert from "node:assert/strict";
import { chromium } from "playwright-core";

export const base = process.argv[2];
const flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync"];
export const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: flags });
const models = ["noto", "fluent", "rehearsal/", "\"dev\"", "\"sd\""];

/// Somebody who comes to the demo for the first time, agrees, and sees a practice pair.
export async function newcomer(name, options, steps) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  const complaints = [];
  const listen = (one) => {
    one.on("console", (message) => { if (message.type() === "error") complaints.push(message.text()) });
    one.on("pageerror", (error) => complaints.push(error.message));
  };
  listen(page);
  const loaded = [];
  // What comes over the wire, headers and all, without the pictures.
  const wire = await context.newCDPSession(page);
  await wire.send("Network.enable");
  const pictures = new Set();
  let weight = 0;
  wire.on("Network.responseReceived", ({ requestId, response }) => {
    if (response.url.includes("/pictures/")) pictures.add(requestId);
  });
  wire.on("Network.loadingFinished", ({ requestId, encodedDataLength }) => {
    if (!pictures.has(requestId)) weight += encodedDataLength;
  });
  page.on("response", async (response) => {
    const kind = response.headers()["content-type"] ?? "";
    if (kind.startsWith("image/") && !kind.startsWith("image/svg")) return;
    const body = await response.body().catch(() => null);
    if (body) loaded.push({ url: response.url(), text: body.toString() });
  });
  await page.goto(base + "/s/demo");
  assert.match(page.url(), /\/enter/, "a stranger is asked to sign in");
  await page.fill("#name", name);
  await wire.send("Network.clearBrowserCache");
  weight = 0;
  await page.click("form.enter button[type=submit]");
  await page.click("form.enter button.main");
  await shown(page);
  assert.ok(weight > 5_000 && weight < 60_000, `the first load weighs ${weight} bytes on the wire, without the pictures`);
  // The results page may name models; the annotate page, and all that it loads, may not.
  for (const { url, text } of loaded) {
    for (const model of models) assert.ok(!text.includes(model), `${url} tells a model: ${model}`);
  }
  await steps(page, context, complaints, listen);
  assert.deepEqual(complaints, [], `${name}: the console is clean`);
  await context.close();
  through += 1;
}

let through = 0;
/// Says how many came through.
export const passed = () => console.log(`browser: ${through} visitors passed`);

/// The same, without the practice.
export const visitor = (name, options, steps) => newcomer(name, options, async (page, ...more) => {
  await page.click("#coach button");
  await page.waitForFunction(() => document.getElementById("coach").hidden);
  await shown(page);
  await steps(page, ...more);
});

/// Takes out of what a console has said what the browser itself says of requests that the test has had fail, and no more.
export function forgive(complaints, because) {
  const failed = new RegExp(`^Failed to load resource: (${because})`);
  complaints.splice(0, complaints.length, ...complaints.filter((one) => !failed.test(one)));
}

export const shown = (page) => page.waitForFunction(() =>
  document.querySelectorAll("#pictures img").length === 2 && !document.querySelector("[value=left]").disabled, null, { timeout: 20_000 });
export const mine = async (page) => (await (await page.request.get(base + "/api/v1/sprints/demo/progress")).json()).mine.responses;
export async function counts(page, wanted) {
  for (let tries = 0; tries < 50; tries++) {
    if (await mine(page) === wanted) return;
    await page.waitForTimeout(100);
  }
  assert.equal(await mine(page), wanted);
}
export const sources = (page) => page.$$eval("#pictures img", (all) => all.map((one) => one.src).join());
