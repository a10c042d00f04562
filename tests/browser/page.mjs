// How fast the annotate page is at the speed of 4G: `node page.mjs http://127.0.0.1:PORT`, on a demo. One JSON line.
// First load: from the address to both pictures painted, nothing cached, for who has agreed. Next pair: from the key
// press to both pictures painted, one answer every 1.5 seconds.
import { base, browser } from "./kit.mjs";

// As Chromium's own "Fast 4G": 9 Mbit/s down, 1.5 up, 165 ms there and back.
const FAST_4G = { offline: false, downloadThroughput: 9e6 / 8, uploadThroughput: 1.5e6 / 8, latency: 165 };
const percentile = (values, share) => values.sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * share))];

const context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
await context.addInitScript(() => {
  window.painted = [];
  let pressed = null;
  addEventListener("keydown", () => { pressed = performance.now() }, true);
  addEventListener("DOMContentLoaded", () => {
    const pictures = document.getElementById("pictures");
    if (!pictures) return;
    new MutationObserver(() => {
      if (pictures.querySelectorAll("img").length !== 2) return;
      const since = pressed ?? 0;
      // Behind the frame that shows it.
      requestAnimationFrame(() => setTimeout(() => window.painted.push(performance.now() - since)));
    }).observe(pictures, { childList: true });
  });
});
const page = await context.newPage();
await page.goto(base + "/enter?next=/s/demo");
await page.fill("#name", "Fast Person");
await page.click("form.enter button[type=submit]");
await page.click("form.enter button.main");
await page.waitForSelector("#pictures img");
await page.click("#coach button");
await page.waitForTimeout(500);

const wire = await context.newCDPSession(page);
await wire.send("Network.enable");
const loads = [];
for (let time = 0; time < 5; time++) {
  await wire.send("Network.clearBrowserCache");
  await page.goto("about:blank");
  await wire.send("Network.emulateNetworkConditions", FAST_4G);
  await page.goto(base + "/s/demo");
  await page.waitForFunction(() => window.painted.length > 0, null, { timeout: 30_000 });
  loads.push(await page.evaluate(() => window.painted[0]));
}
await page.waitForTimeout(2000);
await page.evaluate(() => { window.painted.length = 0 });
for (let answers = 1; answers <= 15; answers++) {
  await page.keyboard.press(["1", "2", "3", "4"][answers % 4]);
  await page.waitForFunction((answers) => window.painted.length >= answers, answers, { timeout: 30_000 }).catch(() => {});
  await page.waitForTimeout(1500);
}
const nexts = await page.evaluate(() => window.painted);
console.log(JSON.stringify({
  bench: "page", network: "9 Mbit/s, 165 ms", first_load_ms: { p50: percentile(loads, 0.5), most: Math.max(...loads) },
  next_pair_ms: { p50: percentile(nexts, 0.5), p99: percentile(nexts, 0.99), pairs: nexts.length },
}));
await browser.close();
