// People's ways through the pages: practice, touch, several tabs, no JavaScript, a second language, an organizer,
// somebody who proposes a sprint, and whether everybody can read and use what they see (axe-core).
// `node people.mjs http://127.0.0.1:PORT INVITATION`, behind journey.mjs, on the same server; the invitation is the secret in
// what `diptych users invite` prints.
import assert from "node:assert/strict";
import fs from "node:fs";
import { createRequire } from "node:module";
import { base, browser, counts, forgive, mine, newcomer, passed, shown, sources, visitor } from "./kit.mjs";

const axe = fs.readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/// No violation of what axe-core knows, in light and dark.
async function accessible(page, what) {
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    await page.waitForTimeout(50);
    // The page's policy allows no foreign script; the test's own runs beside it.
    await page.evaluate(axe);
    const { violations } = await page.evaluate(() => window.axe.run());
    const told = violations.map((one) => `${one.id}: ${one.nodes.map((node) => node.target.join(" ") + " " + (node.any[0]?.message ?? "")).join("; ")}`);
    assert.deepEqual(told, [], `${what}, ${colorScheme}`);
  }
}

const invitation = process.argv[3];
assert.ok(invitation, "an invitation is named");
const wide = { viewport: { width: 1280, height: 900 } };
const phone = { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true, deviceScaleFactor: 2 };

// What somebody sees who is not in yet, and pages that say one thing.
{
  const page = await (await browser.newContext(wide)).newPage();
  for (const [path, what] of [["/enter", "sign in"], ["/nothing", "not found"], ["/invite/0", "an invitation that is over"], ["/invite/" + invitation, "an invitation"], ["/s/demo/export/responses.csv", "a problem"]]) {
    await page.goto(base + path);
    await accessible(page, what);
  }
  await page.goto(base + "/enter?next=/s/demo");
  await page.fill("#name", "Somebody Who Reads");
  await page.click("form.enter button[type=submit]");
  await page.waitForSelector("button.main");
  await accessible(page, "terms");
  const privacy = await page.context().newPage();
  await privacy.goto(base + "/privacy");
  await accessible(privacy, "privacy");
  await privacy.close();
  await page.click("form.enter button.main");
  await page.goto(base + "/s/demo/plain");
  await accessible(page, "without JavaScript");
  await page.goto(base + "/s/demo/plain?last=%00&last=2");
  await accessible(page, "a problem without JavaScript");
  await page.goto(base + "/s/demo/organize");
  await accessible(page, "for organizers only");
  await page.context().close();
}

// By an invitation, under a name of one's own.
{
  const page = await (await browser.newContext(phone)).newPage();
  const complaints = [];
  page.on("console", (message) => { if (message.type() === "error") complaints.push(message.text()) });
  await page.goto(base + "/invite/" + invitation);
  await page.screenshot({ path: "invitation-phone.png" });
  await page.fill("#name", "Invited Person");
  await page.click("form.enter button");
  await page.waitForURL(base + "/s/demo");
  assert.match(await page.textContent("header"), /Invited Person/);
  assert.deepEqual(complaints, []);
  await page.context().close();
}

await newcomer("New Person", wide, async (page) => {
  // Three practice pairs, of which nothing is sent.
  const sent = [];
  page.on("request", (request) => { if (request.method() === "PUT") sent.push(request.url()) });
  for (const [key, number] of [["1", 1], ["3", 2], ["4", 3]]) {
    await page.waitForFunction((number) => document.querySelector("#pictures img")?.src.includes(`practice-${number}`), number);
    await shown(page);
    assert.ok(await page.isVisible("#coach"), "practice is said to be practice");
    await accessible(page, `practice ${number}`);
    if (number === 1) await page.screenshot({ path: "practice-wide.png" });
    await page.keyboard.press(key);
  }
  await page.waitForFunction(() => document.getElementById("coach").hidden);
  await shown(page);
  assert.deepEqual(sent, []);
  assert.match(await page.textContent("#toast"), /your answers count/);
  await page.reload();
  await shown(page);
  assert.ok(await page.isHidden("#coach"), "once is enough");
  await accessible(page, "annotate");
  await page.keyboard.press("g");
  await accessible(page, "guidelines");
  await page.click("#practise");
  await page.waitForSelector("#coach:not([hidden])");
  await page.click("#coach button");
  await shown(page);
  // Ten answers from the keyboard, and a word of thanks.
  for (let answered = 1; answered <= 10; answered++) {
    const before = await sources(page);
    await page.keyboard.press(["1", "2", "3", "4"][answered % 4]);
    await counts(page, answered);
    if (answered < 10) await page.waitForFunction((old) => [...document.querySelectorAll("#pictures img")].map((one) => one.src).join() !== old, before);
  }
  await page.waitForFunction(() => /10 answers\. Thank you/.test(document.getElementById("toast").textContent));
  await page.reload();
  await page.waitForFunction(() => / of /.test(document.querySelector("[data-mine=place]").textContent), null, { timeout: 40_000 });
  assert.match(await page.textContent("[data-mine=total]"), /10 in all/);
});

await visitor("Touching Person", { ...phone, locale: "de-DE" }, async (page) => {
  assert.equal(await page.getAttribute("html", "lang"), "de", "the language that the browser likes");
  assert.ok(await page.isVisible("text=Oben ist besser"));
  await accessible(page, "annotate on a phone");
  const box = await page.locator("#pictures").boundingBox();
  const session = await page.context().newCDPSession(page);
  const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
  const touch = async (dx, dy) => {
    const points = (k) => [{ x: x + dx * k, y: y + dy * k }];
    await session.send("Input.dispatchTouchEvent", { type: "touchStart", touchPoints: points(0) });
    for (const k of [0.4, 0.8, 1]) await session.send("Input.dispatchTouchEvent", { type: "touchMove", touchPoints: points(k) });
    await session.send("Input.dispatchTouchEvent", { type: "touchEnd", touchPoints: [] });
  };
  let answered = 0;
  for (const [dx, dy, says] of [[0, -120, "oben"], [0, 120, "unten"], [120, 0, "beide gut"], [-120, 0, "beide schlecht"]]) {
    const before = await sources(page);
    await touch(dx, dy);
    await page.waitForFunction((says) => document.getElementById("toast").textContent.includes(says), says);
    await counts(page, ++answered);
    await page.waitForFunction((old) => [...document.querySelectorAll("#pictures img")].map((one) => one.src).join() !== old, before);
    await shown(page);
  }
  await touch(0, -30);
  await page.waitForTimeout(300);
  assert.equal(await mine(page), answered, "a small slip is no answer");
  await page.tap("#pictures img");
  assert.ok(await page.isVisible("#zoom"), "a tap enlarges");
  await accessible(page, "enlarged");
  await page.tap("#zoom button");
  const small = await page.$$eval("button, a.btn", (all) => all.filter((one) => one.offsetParent).map((one) => [one.textContent.trim(), one.getBoundingClientRect().height]).filter(([, height]) => height < 44));
  assert.deepEqual(small, [], "everything to press is a thumb high");
  // Another language, for good.
  await page.goto(base + "/language?to=en&next=/s/demo");
  await shown(page);
  assert.equal(await page.getAttribute("html", "lang"), "en");
});

// Two tabs of one person: what is answered in one is not asked again in the other, and counts once.
await visitor("Two Tabs", wide, async (page, context, complaints, listen) => {
  const other = await context.newPage();
  listen(other);
  await other.goto(base + "/s/demo");
  await shown(other);
  assert.equal(await sources(other), await sources(page), "both show what this person holds");
  const before = await sources(page);
  await page.bringToFront();
  await page.keyboard.press("1");
  for (const tab of [page, other]) {
    await tab.waitForFunction((old) => [...document.querySelectorAll("#pictures img")].map((one) => one.src).join() !== old, before);
    await shown(tab);
  }
  await counts(page, 1);
  await Promise.all([page.keyboard.press("2"), other.keyboard.press("2")]);
  await page.waitForTimeout(500);
  const answered = await mine(page);
  assert.ok(answered === 2 || answered === 3, `each pair counts once: ${answered}`);
  const left = await page.evaluate(() => Object.keys(localStorage).filter((key) => key.startsWith("diptych outbox")));
  assert.deepEqual(left, [], "nothing is left to send");
});

// Somebody else signs in on the same browser while an answer is on its way: it is not lost, and not theirs.
await visitor("First Person", wide, async (page, context, complaints) => {
  await page.route("**/response", (route) => route.abort());
  await page.keyboard.press("1");
  await page.waitForSelector("#notice:not([hidden])");
  const other = await context.newPage();
  const waiting = () => other.evaluate(() => Object.keys(localStorage).filter((key) => key.startsWith("diptych outbox demo ")).length);
  const enter = async (tab, name) => {
    await tab.goto(base + "/enter?next=/s/demo");
    await tab.fill("#name", name);
    await tab.click("form.enter button[type=submit]");
  };
  await enter(other, "Second Person");
  await page.unroute("**/response");
  await page.waitForURL(/\/enter/, { timeout: 40_000 });
  assert.equal(await waiting(), 1);
  await enter(page, "First Person");
  await shown(page);
  await counts(page, 1);
  assert.equal(await waiting(), 0);
  forgive(complaints, "net::ERR_FAILED|.*404");
});

// An answer that was on its way when its page was left goes from whatever page comes next; and who is forgotten leaves
// nothing in the browser.
await visitor("Hasty Leaver", wide, async (page, context, complaints) => {
  const alts = await page.$$eval("#pictures img", (all) => all.map((one) => one.alt));
  assert.deepEqual(alts, ["First image", "Second image"]);
  // A server that takes nothing says why; one that is away cannot.
  const body = JSON.stringify({ type: "/problems/unavailable", title: "Unavailable", status: 503, detail: "The disk is full." });
  await page.route("**/response", (route) => route.fulfill({ status: 503, contentType: "application/problem+json", body }));
  await page.keyboard.press("1");
  await page.waitForSelector("#notice:not([hidden])");
  assert.match(await page.textContent("#notice"), /safe\. The server cannot do that at the moment\. They are sent/);
  await page.unroute("**/response");
  await page.route("**/response", (route) => route.abort());
  await page.waitForFunction(() => /cannot be reached/.test(document.getElementById("notice").textContent), null, { timeout: 20_000 });
  await page.goto(base + "/me");
  const kept = () => page.evaluate(() => [localStorage, sessionStorage].flatMap((one) => Object.keys(one)));
  const underWay = async () => (await kept()).filter((key) => key.startsWith("diptych outbox demo ")).length;
  assert.equal(await underWay(), 1);
  await page.unroute("**/response");
  await page.goto(base + "/s/demo/people");
  await counts(page, 1);
  await page.waitForFunction(() => !Object.keys(localStorage).some((key) => key.startsWith("diptych outbox")));
  const person = await page.getAttribute("body", "data-person");
  assert.ok((await kept()).some((key) => key.includes(person)), "what was practised, and what can be taken back");
  await page.goto(base + "/me");
  await page.fill("form[action='/me/leave'] #name", "Hasty Leaver");
  await page.click("form[action='/me/leave'] button");
  await page.waitForSelector("body[data-forgotten]");
  await page.waitForFunction((id) => ![localStorage, sessionStorage].some((one) => Object.keys(one).some((key) => key.includes(id))), person);
  forgive(complaints, "net::ERR_FAILED|.*503");
});

// A browser whose storage is full loses nothing as long as its page is there.
await visitor("Full Browser", wide, async (page, context, complaints) => {
  await page.evaluate(() => { Storage.prototype.setItem = () => { throw new DOMException("full", "QuotaExceededError") } });
  await page.route("**/response", (route) => route.abort());
  await page.keyboard.press("1");
  await page.waitForSelector("#notice:not([hidden])");
  await shown(page);
  await page.keyboard.press("2");
  // It asks before the page is left.
  let asked = "";
  page.once("dialog", (dialog) => { asked = dialog.type(); dialog.dismiss() });
  await page.goto(base + "/me").catch(() => {});
  assert.equal(asked, "beforeunload");
  await page.unroute("**/response");
  await counts(page, 2);
  await shown(page);
  await page.keyboard.press("z");
  await counts(page, 1);
  forgive(complaints, "net::ERR_FAILED");
});

// At their own size, side by side, at the same place of both.
await visitor("Close Looker", { viewport: { width: 820, height: 600 } }, async (page) => {
  await page.keyboard.press("e");
  await page.waitForFunction(() => [...document.querySelectorAll("#enlarged img")].every((one) => one.complete && !one.srcset));
  const fit = () => page.$$eval("#enlarged img", (all) => all.map((one) => [getComputedStyle(one).objectFit, getComputedStyle(one).objectPosition]));
  assert.deepEqual((await fit()).map(([how]) => how), ["contain", "contain"]);
  const [first] = await page.$$("#enlarged img");
  const box = await first.boundingBox();
  await page.mouse.click(box.x + box.width / 4, box.y + box.height / 2);
  assert.deepEqual((await fit()).map(([how]) => how), ["none", "none"]);
  await page.mouse.move(box.x + box.width - 1, box.y + 1);
  const [one, other] = await fit();
  assert.deepEqual(one, other, "both show the same place");
  assert.ok(parseFloat(one[1]) > 99, one[1]);
  await page.screenshot({ path: "enlarged-whole.png" });
  await page.mouse.click(box.x + box.width / 2, box.y + box.height / 2);
  assert.deepEqual((await fit()).map(([how]) => how), ["contain", "contain"]);
  await page.keyboard.press("Escape");
  assert.ok(await page.isHidden("#zoom"));
});

// Pictures that cannot be fetched are no skip: the page says so, waits, and goes on.
await visitor("Person On A Bad Line", phone, async (page, context, complaints) => {
  await page.waitForTimeout(500);
  let skips = 0;
  page.on("request", (request) => { if (request.method() === "PUT" && request.postData().includes("skip")) skips += 1 });
  await page.route("**/pictures/**", (route) => route.abort());
  let answered = await mine(page);
  // Those that are fetched already are answered; then there is none.
  for (let tries = 0; tries < 50 && await page.isHidden("#notice"); tries++) {
    await page.evaluate(() => { const one = document.querySelector("[value=both_good]"); if (!one.disabled) one.click() });
    await page.waitForTimeout(200);
  }
  await page.waitForSelector("#notice:not([hidden])");
  // The notice lies over nothing that is to be pressed.
  const covered = await page.$$eval("#answers button", (all) => all.filter((one) => {
    const box = one.getBoundingClientRect();
    return !one.contains(document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2));
  }).length);
  assert.equal(covered, 0);
  await page.waitForTimeout(2500);
  assert.equal(skips, 0, "nobody has skipped anything");
  await page.unroute("**/pictures/**");
  await shown(page);
  await page.waitForFunction(() => document.getElementById("notice").hidden);
  assert.ok(await mine(page) >= answered);
  forgive(complaints, "net::ERR_FAILED");
});

// Without JavaScript one can still answer.
{
  const context = await browser.newContext({ ...wide, javaScriptEnabled: false });
  const page = await context.newPage();
  await page.goto(base + "/s/demo");
  await page.fill("#name", "Plain Person");
  await page.click("form.enter button[type=submit]");
  await page.click("form.enter button.main");
  await page.waitForURL(/\/plain$/);
  const prompt = await page.textContent(".prompt");
  await page.screenshot({ path: "plain-wide.png", fullPage: true });
  await page.click("button[value=left]");
  await page.waitForURL(/last=/);
  assert.notEqual(await page.textContent(".prompt"), prompt);
  const responses = async () => (await (await page.request.get(base + "/api/v1/sprints/demo/progress")).json()).mine.responses;
  assert.equal(await responses(), 1);
  await page.click("button[value=undo]");
  assert.equal(await responses(), 0);
  assert.equal(await page.textContent(".prompt"), prompt, "it is there again");
  // Several steps, also where a form is sent twice.
  const form = async () => Object.fromEntries(await page.$$eval("form.after input", (all) => all.map((one) => [one.name, one.value])));
  const send = (form, headers = {}) => page.request.post(base + "/s/demo/plain", { form, headers: { "sec-fetch-site": "same-origin", ...headers } });
  const first = await form();
  for (const answer of ["left", "skip"]) {
    await page.click(`button[value=${answer}]`);
    await page.waitForURL(/last=/);
  }
  const twice = await send({ ...first, answer: "left" });
  assert.match(twice.url(), new RegExp(`last=${first.assignment}$`));
  assert.match(await twice.text(), /value="undo"/, "what was sent twice can be taken back");
  assert.equal(await responses(), 1);
  for (const left of [1, 0]) {
    await page.click("button[value=undo]");
    assert.equal(await responses(), left);
  }
  assert.equal(await page.locator("button[value=undo]").count(), 0);
  // Problems are pages, in words.
  for (const [wrong, status, says] of [
    [{ assignment: "nobody's", answer: "left" }, 404, /Dieses Paar ist nicht deins/],
    [{ assignment: first.assignment, answer: "best" }, 422, /nicht zu gebrauchen/],
    [{ assignment: first.assignment, shown_at: "noon" }, 400, /nicht zu gebrauchen/],
  ]) {
    const reply = await send(wrong, { "accept-language": "de" });
    assert.equal(reply.status(), status);
    assert.match(reply.headers()["content-type"], /text\/html/);
    const html = await reply.text();
    assert.match(html, says);
    assert.match(html, /href="\/s\/demo\/plain/, "with the way on");
  }
  await page.goto(base + "/s/demo/plain?last=%00&last=2");
  assert.match(await page.textContent(".notice"), /cannot be used/);
  await page.screenshot({ path: "plain-problem.png" });
  await page.click("a.main");
  assert.equal(await page.textContent(".prompt"), prompt);
  await context.clearCookies();
  await page.click("button[value=left]");
  assert.match(await page.textContent(".notice"), /no longer signed in/);
  await context.close();
}

// Somebody proposes a sprint, the organizer tells people something and looks at who stands out.
await visitor("Proposing Person", wide, async (page) => {
  await page.goto(base + "/propose");
  await accessible(page, "propose");
  await page.fill("#title", "Boats at night");
  await page.fill("#slug", "boats");
  await page.setInputFiles("#prompts", { name: "prompts.txt", mimeType: "text/plain", buffer: Buffer.from("a boat at night\na ship in a storm\n") });
  for (const box of await page.$$("[name=model]")) await box.check();
  await page.click("button.main");
  await page.waitForURL(/#mine/);
  assert.match(await page.textContent("main"), /Boats at night.*waits/s);
  for (const [path, what] of [["/", "home"], ["/s/demo/people", "people"], ["/me", "what is kept"]]) {
    await page.goto(base + path);
    await accessible(page, what);
  }
  await page.click(".top form button");
  assert.ok(await page.isVisible("text=Sign in"), "signed out");
  await page.goto(base + "/enter");
  await accessible(page, "sign in");
});

{
  const page = await (await browser.newContext(wide)).newPage();
  const complaints = [];
  page.on("console", (message) => { if (message.type() === "error") complaints.push(message.text()) });
  page.on("pageerror", (error) => complaints.push(error.message));
  await page.goto(base + "/enter?next=/s/demo/organize");
  await page.fill("#name", "Moderator");
  await page.click("form.enter button[type=submit]");
  await page.waitForFunction(() => document.querySelector("[data-of=percent]").textContent !== "");
  await accessible(page, "organize");
  await page.fill("#text", "Half way there.");
  await page.click("form[action$=announce] button");
  await page.screenshot({ path: "organize-wide.png", fullPage: true });
  await page.goto(base + "/propose");
  await accessible(page, "proposals");
  await page.click("button[value=accept]");
  await page.goto(base + "/");
  assert.match(await page.textContent("main"), /Coming.*Boats at night/s);
  for (const [path, what] of [["/s/demo/results", "results"], ["/s/demo/review", "review"], ["/s/demo/review/log", "log"], ["/s/demo/safety", "safety"]]) {
    await page.goto(base + path);
    await page.waitForTimeout(300);
    await accessible(page, what);
  }
  // In the other language too, with all that their scripts say.
  for (const [path, says] of [["organize", /Der Sprint ist offen.*Wer auffällt/s], ["review", /Prüfen.*Anzusehen: \d+ Bilder/s], ["review/log", /Wer was entschied.*Zeilen: /s], ["safety", /Wie gut die Klassifikatoren sind/]]) {
    await page.goto(base + "/language?to=de&next=/s/demo/" + path);
    await page.waitForFunction((says) => new RegExp(says, "s").test(document.querySelector("main").textContent), says.source);
    assert.equal(await page.getAttribute("html", "lang"), "de");
    await accessible(page, path + " in German");
  }
  await page.goto(base + "/language?to=en&next=/s/demo");
  // What was announced stands there until it is closed.
  await page.goto(base + "/s/demo");
  if (await page.isVisible("text=I agree")) await page.click("text=I agree");
  await page.waitForSelector("#told:not([hidden])");
  assert.match(await page.textContent("#told"), /Half way there/);
  await page.click("#told button");
  await page.reload();
  await shown(page);
  await page.waitForTimeout(300);
  assert.ok(await page.isHidden("#told"));
  // What a moderator rejects leaves the pages that hold it, by itself; it may be the last that there is for them.
  if (await page.isVisible("#coach")) await page.click("#coach button");
  await page.waitForFunction(() => document.getElementById("coach").hidden);
  await shown(page);
  const prompt = await page.textContent("#prompt");
  const texts = await (await page.request.get(base + "/api/v1/sprints/demo/review?kind=text&decision=all")).json();
  const items = texts.items.filter((one) => one.text === prompt).map((one) => one.content);
  assert.ok(items.length > 0, `${prompt} is among the texts`);
  const review = async (verdict) => {
    const data = { kind: "text", items, verdict, reason: verdict === "reject" ? "violence" : "" };
    const said = await page.request.post(base + "/api/v1/sprints/demo/review", { data, headers: { "sec-fetch-site": "same-origin" } });
    assert.ok(said.ok(), await said.text());
  };
  await review("reject");
  await page.waitForFunction((prompt) => document.getElementById("prompt").textContent !== prompt, prompt, { timeout: 30_000 });
  await review("undo");
  await shown(page);
  forgive(complaints, "the server responded with a status of 410");
  // Paused and open again, without a reload.
  const set = (state) => page.request.post(base + "/s/demo/organize/state", { form: { state }, headers: { "sec-fetch-site": "same-origin" } });
  await page.evaluate(() => {
    window.said = [];
    new MutationObserver(() => window.said.push(document.getElementById("prompt").textContent)).observe(document.getElementById("prompt"), { childList: true });
  });
  assert.ok((await set("paused")).ok());
  // Those that are held already are answered; then the page knows at once why there are no more.
  for (let tries = 0; tries < 100 && !/paused/.test(await page.textContent("#prompt")); tries++) {
    if (await page.isEnabled("[value=skip]")) await page.keyboard.press("s");
    await page.waitForTimeout(50);
  }
  assert.match(await page.textContent("#prompt"), /paused/);
  await accessible(page, "paused");
  const said = await page.evaluate(() => window.said);
  assert.ok(!said.some((text) => /with other people|every pair/.test(text)), `and says nothing else: ${said.join("; ")}`);
  await page.reload();
  await page.waitForFunction(() => /paused/.test(document.getElementById("prompt").textContent));
  assert.ok((await set("open")).ok());
  await page.waitForFunction(() => document.querySelectorAll("#pictures img").length === 2, null, { timeout: 40_000 });
  assert.deepEqual(complaints, [], "the organizer's console is clean");
}

await browser.close();
passed();
