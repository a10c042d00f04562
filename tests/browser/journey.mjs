// A visitor's way through the pages, in a real browser: `node journey.mjs http://127.0.0.1:PORT`.
// The server serves a demo sprint. Every claim is asserted; screenshots stay beside this file.
import assert from "node:assert/strict";
import { base, browser, counts, shown, sources, visitor } from "./kit.mjs";

await visitor("Wide Visitor", { viewport: { width: 1280, height: 900 }, colorScheme: "light" }, async (page) => {
  const sizes = await page.$$eval("#pictures img", (all) => all.map((one) => [one.complete, one.naturalWidth, one.naturalHeight]));
  assert.deepEqual(sizes[0], sizes[1], "both pictures have one canvas and are there at once");
  assert.ok(sizes[0][0] && sizes[0][1] > 0);
  await page.screenshot({ path: "annotate-wide.png" });
  let answered = 0;
  for (const key of ["1", "ArrowRight", "3", "ArrowDown"]) {
    const before = await sources(page);
    await page.keyboard.press(key);
    await page.waitForFunction((old) => [...document.querySelectorAll("#pictures img")].map((one) => one.src).join() !== old, before);
    await shown(page);
    answered += 1;
    await counts(page, answered);
  }
  const before = await sources(page);
  await page.keyboard.press("s");
  await page.waitForFunction((old) => [...document.querySelectorAll("#pictures img")].map((one) => one.src).join() !== old, before);
  await shown(page);
  await counts(page, answered);
  await page.keyboard.press("z");
  await page.waitForFunction((old) => [...document.querySelectorAll("#pictures img")].map((one) => one.src).join() === old, before);
  await shown(page);
  await page.keyboard.press("t");
  await shown(page);
  await counts(page, answered + 1);
  await page.keyboard.press("z");
  await counts(page, answered);
  await shown(page);
  // Taken back while it is on its way: the server hears of both, in their order.
  await page.route("**/response", async (route) => { await new Promise((resume) => setTimeout(resume, 700)); await route.continue() });
  await page.keyboard.press("1");
  await page.waitForTimeout(200);
  await page.keyboard.press("z");
  await page.waitForFunction(() => Object.keys(localStorage).every((key) => !key.startsWith("diptych outbox")), null, { timeout: 10_000 });
  await page.unroute("**/response");
  await counts(page, answered);
  await shown(page);
  const figure = async () => Number(await page.textContent("#today"));
  assert.equal(await figure(), answered, "skips and undone answers are not counted");
  await page.keyboard.press("e");
  assert.ok(await page.isVisible("#zoom"), "E enlarges");
  await page.keyboard.press("e");
  await page.keyboard.press("g");
  assert.ok(await page.isVisible("#guidelines"), "G shows the guidelines");
  await page.screenshot({ path: "guidelines.png" });
  await page.keyboard.press("g");
  await page.goto(base + "/");
  await page.screenshot({ path: "home-wide.png" });
  assert.match(await page.textContent("main"), /A rehearsal/);
  assert.match(await page.textContent("main"), /not screened/, "what was not screened is said");
  await page.goto(base + "/s/demo/results");
  assert.match(await page.textContent("main"), /Where each model wins/);
  await page.screenshot({ path: "results-wide.png", fullPage: true });
});

await visitor("Phone Visitor", { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true, deviceScaleFactor: 2, colorScheme: "dark" }, async (page, context, complaints) => {
  await page.screenshot({ path: "annotate-phone.png" });
  const boxes = await Promise.all((await page.$$("#pictures img")).map((one) => one.boundingBox()));
  assert.ok(boxes[1].y >= boxes[0].y + boxes[0].height, "one picture stands above the other");
  assert.ok(await page.isVisible("text=Upper"), "upper and lower, not left and right");
  const scrolls = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth || document.documentElement.scrollHeight > innerHeight + 1);
  assert.ok(!scrolls, "everything fits on the screen");
  await page.tap("[value=left]");
  await shown(page);
  await counts(page, 1);
  // A lost connection loses nothing, not even over a reload.
  await context.setOffline(true);
  await page.tap("[value=both_good]");
  await page.waitForTimeout(500);
  const kept = await page.evaluate(() => Object.keys(localStorage).filter((key) => key.startsWith("diptych outbox demo")).length);
  assert.equal(kept, 1, "the answer waits in the browser");
  await context.setOffline(false);
  await page.reload();
  await shown(page);
  await counts(page, 2);
  // The browser itself complains of requests that failed while it was offline.
  complaints.length = 0;
});

// The one who reviews: the demo's report, from the keyboard.
await visitor("Moderator", { viewport: { width: 1280, height: 900 }, colorScheme: "light" }, async (page) => {
  await page.goto(base + "/s/demo/review");
  await page.waitForSelector("#tiles .tile");
  assert.equal(await page.locator("#tiles .tile").count(), 2, "both pictures of the reported pair");
  const blurred = await page.$eval("#tiles .pic img", (image) => getComputedStyle(image).filter);
  assert.match(blurred, /blur/, "blurred until somebody asks");
  await page.screenshot({ path: "review-wide.png" });
  // Looking closely, and back.
  await page.keyboard.press("e");
  await page.waitForFunction(() => document.querySelector("#closely img")?.naturalWidth > 0);
  assert.match(await page.textContent("#about"), /reported/);
  await page.screenshot({ path: "review-close.png" });
  await page.keyboard.press("e");
  assert.ok(await page.isHidden("#close"));
  const progress = async () => (await (await page.request.get(base + "/api/v1/sprints/demo/progress")).json()).pairs;
  const before = await progress();
  const saved = () => page.waitForResponse((reply) => reply.url().endsWith("/review") && reply.request().method() === "POST");
  await page.keyboard.press("ArrowLeft");
  await page.keyboard.press("Shift+ArrowRight");
  assert.equal(await page.locator("#tiles .chosen").count(), 2);
  await page.keyboard.press("Enter");
  assert.equal(await page.locator("#tiles .shown").count(), 1);
  let [reply] = await Promise.all([saved(), page.keyboard.press("a")]);
  assert.equal(reply.status(), 204);
  assert.equal(await progress(), before + 1, "approved, the pair goes on");
  [reply] = await Promise.all([saved(), page.keyboard.press("z")]);
  assert.equal(reply.status(), 204);
  assert.equal(await progress(), before, "taken back, it waits again");
  await page.keyboard.press("r");
  assert.ok(await page.isVisible("#reasons"), "a rejection asks for its reason");
  [reply] = await Promise.all([saved(), page.keyboard.press("2")]);
  assert.equal(reply.status(), 204);
  await page.selectOption("[name=decision]", "removed");
  await page.waitForFunction(() => document.querySelectorAll("#tiles .tile").length > 0);
  // By reason, and who said so.
  await page.selectOption("[name=decision]", "removed");
  await page.waitForSelector("[name=reason] option[value=violence]", { state: "attached" });
  await page.selectOption("[name=reason]", "violence");
  await page.waitForFunction(() => document.querySelectorAll("#tiles .tile").length === 1);
  await page.click('a[href="/s/demo/review/log"]');
  assert.match(await page.textContent("main"), /Moderator.*rejected/s);
  await page.screenshot({ path: "review-log.png" });
  await page.goto(base + "/s/demo/safety");
  assert.match(await page.textContent("main"), /How well the classifiers do/);
  // Another threshold: what it would change, then applied, then put back.
  const shown = await progress();
  for (const [threshold, pairs] of [["0", 0], ["0.5", shown]]) {
    await page.selectOption("[name=classifier]", "lexicon");
    await page.fill("input[name=threshold][type=number]", threshold);
    await page.click("form[method=get] button");
    assert.match(await page.textContent("main"), /items would be decided otherwise/);
    await page.screenshot({ path: `safety-${threshold}.png`, fullPage: true });
    await page.click("form[method=post] button.main");
    await page.waitForURL(base + "/s/demo/safety");
    assert.equal(await progress(), pairs, `what a threshold of ${threshold} leaves`);
  }
  await page.setViewportSize({ width: 390, height: 844 });
  await page.screenshot({ path: "safety-phone.png", fullPage: true });
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "nothing is wider than a phone");
  // The first list comes late: it is not shown over the one that was asked for after it.
  const late = (url) => url.pathname.endsWith("/review") && url.searchParams.get("decision") === "waiting";
  await page.route(late, async (route) => { await page.waitForTimeout(500); await route.continue().catch(() => {}) });
  await page.goto(base + "/s/demo/review");
  await page.selectOption("[name=decision]", "all");
  await page.waitForTimeout(1500);
  await page.unroute(late);
  assert.ok(await page.evaluate(() => document.querySelectorAll("#tiles .tile").length > 10), "the list asked for last");
  assert.ok(await page.isHidden("#empty"));
  await page.screenshot({ path: "review-phone.png" });
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "nor is the grid");
});

await browser.close();
console.log("browser: 3 visitors passed");
