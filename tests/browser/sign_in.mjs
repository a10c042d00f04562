// Signing in through a real OpenID provider, in a real browser:
// `node sign_in.mjs http://127.0.0.1:PORT PROVIDER_PORT`. The server knows the provider as `ours`.
import assert from "node:assert/strict";
import { createHash, generateKeyPairSync, sign } from "node:crypto";
import Provider from "oidc-provider";
import { chromium } from "playwright-core";

const [base, port] = process.argv.slice(2);
const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [{ client_id: "diptych", client_secret: "a secret of the tests", redirect_uris: [`${base}/enter/with/ours/back`] }],
  claims: { openid: ["sub"], profile: ["preferred_username", "name"] },
  jwks: { keys: [{ ...privateKey.export({ format: "jwk" }), kid: "of the tests", use: "sig", alg: "RS256" }] },
  pkce: { required: () => true },
  cookies: { keys: ["of the tests"] },
  findAccount: (_, id) => ({
    accountId: id,
    // One who has no name, one whose name is long and odd, and the others.
    claims: () => ({ sub: id, ...(id === "nameless" ? {} : { preferred_username: id === "odd" ? "\u202e<b>Ö</b>\u200b" + "ö".repeat(200) : id }) }),
  }),
});
let tamper = (body) => body; // what becomes of what the provider says to the server
let held = null; // called with the address that the browser is sent back to, in place of sending it
let leaving = () => {}; // called when the browser is sent back
provider.use(async (ctx, next) => {
  await next();
  const back = ctx.response.get("location");
  if (back?.startsWith(base)) {
    leaving();
    if (held) { held(back); ctx.status = 200; ctx.response.remove("location"); ctx.body = "held" }
  }
  if (ctx.path === "/token" && ctx.body?.id_token) ctx.body = tamper(ctx.body);
});
let server = provider.listen(Number(port), "127.0.0.1");

const flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync"];
const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: flags });
const complaints = [];
const fresh = async () => {
  const page = await (await browser.newContext({ viewport: { width: 1000, height: 700 } })).newPage();
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("console", (message) => {
    const { url } = message.location();
    // Pages that refuse say so in their status, too, and of the provider's own pages nothing is asked here.
    const refuses = url.startsWith(base + "/enter") && /status of (400|401|403|502|503) /.test(message.text());
    if (message.type() === "error" && url.startsWith(base) && !refuses) complaints.push(`${url}: ${message.text()}`);
  });
  return page;
};
const heading = (page) => page.textContent("h1");

/// At the provider: who one is, and that it may say so.
async function login(page, name, ends = base + "/**") {
  await page.goto(base + "/enter?next=/s/demo");
  await page.click("text=Sign in with Ours");
  await page.fill("input[name=login]", name);
  await page.fill("input[name=password]", "any");
  await page.click("button[type=submit]");
  await page.click("button[type=submit]"); // consent
  await page.waitForURL(ends);
}

// In, with the terms first, then the pictures, then out.
const ada = await fresh();
await ada.goto(base + "/enter?next=/s/demo");
await ada.screenshot({ path: "enter.png" });
await login(ada, "ada");
assert.equal(ada.url(), base + "/s/demo");
assert.match(await ada.textContent("main"), /You give your answers under Apache-2.0/);
await ada.screenshot({ path: "terms.png" });
const cookies = await ada.context().cookies(base);
assert.deepEqual(cookies.filter((one) => one.name.startsWith("diptych")).map((one) => [one.name, one.httpOnly, one.sameSite]), [["diptych_session", true, "Lax"]]);
await ada.click("text=I agree");
await ada.waitForSelector("#pictures img");
await ada.goto(base + "/");
assert.match(await ada.textContent("header"), /ada: sign out/);
await ada.click("text=sign out");
await ada.waitForSelector("text=Sign in");
assert.equal((await ada.context().cookies(base)).filter((one) => one.name === "diptych_session").length, 0);

// The same person again is the same person: the terms are not asked for again.
const again = await fresh();
await login(again, "ada");
await again.waitForSelector("#pictures img");

// Another one, whose name is of no use.
for (const [id, name] of [["nameless", /Someone/], ["odd", /<b>Ö<\/b>ö{20,}/]]) {
  const page = await fresh();
  await login(page, id);
  assert.match(await page.textContent("header"), name);
  await page.context().close();
}

// A name does not become a provider's person.
const thief = await fresh();
await thief.goto(base + "/enter");
await thief.fill("#name", "ADA");
await thief.click("form.enter button[type=submit]");
assert.match(await thief.textContent("main"), /signs in another way/);

// Who says no is not signed in, and reads why.
const no = await fresh();
await no.goto(base + "/enter/with/ours?next=/");
await no.click("text=Cancel");
await no.waitForURL(base + "/**");
assert.equal(await heading(no), "You are not signed in");
await no.screenshot({ path: "denied.png" });

// A code is for the browser that has begun, once.
const begun = await fresh();
let stolen;
held = (back) => { stolen = back };
await login(begun, "eve", "**/auth/**");
held = null;
assert.match(stolen, /code=/);
const other = await fresh();
await other.goto(stolen);
assert.equal(await heading(other), "You are not signed in", "a code from another browser");
await begun.goto(stolen.replace(/state=\w+/, "state=" + "0".repeat(64)));
assert.equal(await heading(begun), "You are not signed in", "a forged state");
const replay = await fresh();
let used;
replay.on("request", (request) => { if (request.url().includes("/back?")) used = request.url() });
await login(replay, "fay");
await replay.goto(used);
assert.equal(await heading(replay), "You are not signed in", "a replay");

// What somebody in between has changed is not believed; nor what the provider itself has signed for somebody else, for
// another sign-in, or for a time that is over.
for (const [what, change, signed, says = "You are not signed in"] of [
  ["another subject", (claims) => ({ ...claims, sub: "organizer" }), false],
  ["another audience", (claims) => ({ ...claims, aud: "somebody" }), true],
  ["another nonce", (claims) => ({ ...claims, nonce: "0" }), true],
  ["another issuer", (claims) => ({ ...claims, iss: "https://example.org" }), true],
  // It has just been signed: whose clock is wrong nobody knows, and it is no refusal.
  ["a time that is over", (claims) => ({ ...claims, exp: 1_000_000_000 }), true, "Signing in does not work right now"],
]) {
  tamper = (body) => {
    const [head, claims, signature] = body.id_token.split(".");
    const changed = Buffer.from(JSON.stringify(change(JSON.parse(Buffer.from(claims, "base64url"))))).toString("base64url");
    const again = sign("sha256", Buffer.from(`${head}.${changed}`), privateKey).toString("base64url");
    return { ...body, id_token: [head, changed, signed ? again : signature].join(".") };
  };
  const page = await fresh();
  await login(page, "mallory" + createHash("sha256").update(what).digest("hex").slice(0, 6));
  assert.equal(await heading(page), says, what);
  await page.context().close();
}
tamper = (body) => { const { id_token: _, ...rest } = body; return rest };
const bare = await fresh();
await login(bare, "gil");
assert.equal(await heading(bare), "Signing in does not work right now", "no ID token is the provider's fault");
tamper = (body) => body;

// An outage in the midst of it is no refusal, and what comes after it works.
const unlucky = await fresh();
leaving = () => {
  // Its answer still goes out; nobody is there for the one that the server will want.
  server.close();
  setTimeout(() => server.closeIdleConnections(), 50);
};
await login(unlucky, "hal");
assert.equal(await heading(unlucky), "Signing in does not work right now");
await unlucky.screenshot({ path: "outage.png" });
leaving = () => {};
server.closeAllConnections();
server = provider.listen(Number(port), "127.0.0.1");
// The provider knows the browser by now and asks nothing.
await unlucky.goto(base + "/enter/with/ours?next=/s/demo");
assert.equal(unlucky.url(), base + "/s/demo");
const metrics = await (await unlucky.request.get(base + "/metrics")).text();
assert.match(metrics, /gate="sign_in",said="unknown"} 3\n/);

assert.deepEqual(complaints, [], "the console is clean");
await browser.close();
server.closeAllConnections();
server.close();
console.log("browser: signed in through a provider");
