// A visitor's way through the pages, in a real browser: `node journey.mjs http://127.0.0.1:PORT`.
// The server serves a demo sprint. Every claim is asserted; screenshots stay beside this file.
import assert from "node:assert/strict";
import { base, browser, counts, forgive, mine, newcomer, passed, shown, sources, visitor } from "./kit.mjs";

const showing = (page, wanted) => page.waitForFunction((wanted) => [...document.querySelectorAll("#pictures img")].map((one) => one.src).join() === wanted
  && !document.querySelector("[value=left]").disabled, wanted, { timeout: 20_000 });
const gone = (page, old) => page.waitForFunction((old) => [...document.querySelectorAll("#pictures img")].map((one) => one.src).join() !== old
  && !document.querySelector("[value=left]").disabled, old, { timeout: 20_000 });
const boxes = (page, what) => page.$$eval(what, (all) => all.map((one) => {
  const { x, y, width, height } = one.getBoundingClientRect();
  return { x: Math.round(x), y: Math.round(y), width: Math.round(width), height: Math.round(height) };
}));

await visitor("Wide Visitor", { viewport: { width: 1280, height: 900 }, colorScheme: "light" }, async (page, context, complaints) => {
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
  assert.equal(await page.textContent("#asked"), await page.textContent("#prompt"), "the prompt is there too");
  await page.waitForFunction(() => [...document.querySelectorAll("#enlarged img")].every((one) => one.complete && !one.srcset));
  await page.screenshot({ path: "enlarged-wide.png" });
  const large = await boxes(page, "#enlarged img");
  assert.deepEqual([large[0].width, large[0].height, large[0].y], [large[1].width, large[1].height, large[1].y], "both are treated alike");
  const [said, back] = await boxes(page, "#asked, #zoom button");
  assert.ok(said.y + said.height <= large[0].y && back.y >= large[0].y + large[0].height, "nothing lies over them");
  for (let tabs = 0; tabs < 3; tabs++) await page.keyboard.press("Tab");
  assert.ok(await page.evaluate(() => document.activeElement === document.body || document.activeElement.closest("#zoom")), "the keyboard stays with them");
  await page.keyboard.press("Escape");
  assert.ok(await page.isHidden("#zoom"), "Escape closes");
  await page.keyboard.press("e");
  await page.keyboard.press("e");
  assert.ok(await page.isHidden("#zoom"), "and E");
  // What is enlarged is answered in another tab: here the next pair is asked.
  const asked = await sources(page);
  await page.keyboard.press("e");
  const tab = await context.newPage();
  await tab.goto(base + "/s/demo");
  await shown(tab);
  assert.equal(await sources(tab), asked);
  await tab.keyboard.press("1");
  await gone(page, asked);
  assert.ok(await page.isHidden("#zoom"));
  await counts(page, answered += 1);
  await tab.close();
  // Several steps back, over a reload.
  const steps = [];
  for (const key of ["1", "s", "t"]) {
    steps.push(await sources(page));
    await page.keyboard.press(key);
    await gone(page, steps.at(-1));
  }
  await counts(page, answered + 2);
  await page.reload();
  await shown(page);
  for (const step of steps.reverse()) {
    await page.keyboard.press("z");
    await showing(page, step);
  }
  await counts(page, answered);
  await page.waitForFunction((answered) => Number(document.getElementById("today").textContent) === answered, answered, { timeout: 5000 });
  // What the server does not take back counts, and the page goes on.
  const kept = await sources(page);
  await page.keyboard.press("1");
  await gone(page, kept);
  await counts(page, answered += 1);
  const following = await sources(page);
  for (const [status, type] of [[409, "settled"], [410, "gone"]]) {
    const late = (route) => route.request().method() !== "DELETE" ? route.continue()
      : route.fulfill({ status, contentType: "application/problem+json", body: JSON.stringify({ type: `/problems/${type}`, title: "", status, detail: "" }) });
    await page.route("**/response", late);
    await page.keyboard.press("z");
    await page.waitForFunction(() => /no longer be taken back/.test(document.getElementById("toast").textContent));
    await showing(page, following);
    await page.unroute("**/response", late);
    assert.equal(await mine(page), answered);
  }
  forgive(complaints, ".*(409|410)");
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
  const [upper, lower] = await boxes(page, "#pictures img");
  assert.ok(lower.y >= upper.y + upper.height, "one picture stands above the other");
  assert.ok(await page.isVisible("text=Upper"), "upper and lower, not left and right");
  const scrolls = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth || document.documentElement.scrollHeight > innerHeight + 1);
  assert.ok(!scrolls, "everything fits on the screen");
  // Enlarged, there are plainly two, and it begins with the one that was tapped.
  for (const tapped of [0, 1]) {
    await page.locator("#pictures img").nth(tapped).tap();
    const large = await boxes(page, "#enlarged img");
    assert.deepEqual([large[0].width, large[0].height, large[0].x], [large[1].width, large[1].height, large[1].x]);
    assert.ok(large[0].width > upper.width * 1.2, "they are larger");
    const [said, back] = await boxes(page, "#asked, #zoom button");
    const [top, bottom] = [said.y + said.height, back.y];
    assert.ok(said.y >= 0 && back.y + back.height <= 844, "the prompt and the way back are there");
    assert.ok(large[tapped].y >= top - 1 && large[tapped].y + large[tapped].height <= bottom + 1, "all of the one that was tapped");
    const seen = Math.min(bottom, large[1 - tapped].y + large[1 - tapped].height) - Math.max(top, large[1 - tapped].y);
    assert.ok(seen > large[0].height / 2, "and most of the other");
    await page.screenshot({ path: `enlarged-phone-${tapped}.png` });
    await page.locator("#enlarged img").nth(tapped).tap();
    assert.ok(await page.isHidden("#zoom"), "a tap closes");
  }
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
  forgive(complaints, "net::ERR_INTERNET_DISCONNECTED");
});

// A phone on its side, and a small one: everything is there without scrolling, and nothing is wider than the screen.
for (const [width, height] of [[844, 390], [640, 360], [320, 640]]) {
  for (const locale of ["en-US", "de-DE"]) {
    const options = { viewport: { width, height }, isMobile: true, hasTouch: true, deviceScaleFactor: 2, locale };
    await newcomer(`${locale} ${width}`, options, async (page, context, complaints) => {
      const fits = async (what) => assert.ok(await page.evaluate(([width, height]) => document.scrollingElement.scrollWidth <= width && document.scrollingElement.scrollHeight <= height, [width, height]), `${locale} ${width}: ${what} fits`);
      await fits("practice");
      await page.click("#coach button");
      await page.waitForFunction(() => document.getElementById("coach").hidden);
      await shown(page);
      await fits("a pair");
      await page.screenshot({ path: `annotate-${width}-${locale}.png` });
      const pictures = await boxes(page, "#pictures img");
      assert.deepEqual([pictures[0].width, pictures[0].height], [pictures[1].width, pictures[1].height]);
      for (const box of await boxes(page, "#answers button")) {
        assert.ok(box.height >= 44 && box.width >= 44 && box.x >= 0 && box.x + box.width <= width && box.y + box.height <= height, "a thumb can press it");
        for (const one of pictures) {
          const apart = box.x >= one.x + one.width || box.x + box.width <= one.x || box.y >= one.y + one.height || box.y + box.height <= one.y;
          assert.ok(apart, "it lies over no picture");
        }
      }
      await page.tap("[value=both_good]");
      await shown(page);
      await fits("what was saved");
      await page.tap("#enlarge");
      assert.ok(await page.evaluate(() => document.getElementById("zoom").scrollWidth) <= width, "nor are they when enlarged");
      await fits("enlarged");
      await page.tap("#zoom button");
      await page.evaluate(() => document.getElementById("guidelines").showPopover());
      assert.ok(await page.evaluate(() => document.getElementById("guidelines").scrollWidth) <= width, "nor the guidelines");
      const [guide] = await boxes(page, "#guidelines");
      assert.ok(guide.y >= 0 && guide.y + guide.height <= height, "which begin and end on the screen");
      await page.evaluate(() => document.getElementById("guidelines").hidePopover());
      // As wide as words get: what is announced, and a server that is away.
      await page.route("**/response", (route) => route.fulfill({ status: 503 }));
      await page.tap("[value=both_bad]");
      await page.waitForSelector("#notice:not([hidden])");
      assert.ok(await page.evaluate(() => document.scrollingElement.scrollWidth) <= width, "nor a notice");
      await page.screenshot({ path: `notice-${width}-${locale}.png` });
      await page.unroute("**/response");
      await counts(page, 2);
      forgive(complaints, ".*503");
    });
  }
}

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
    assert.match(await page.textContent("main"), /Items that would be decided otherwise/);
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
passed();
