// "Try it out" on /docs in a headless Chromium: authorize, open createPayment, execute it, and execute it once more.
// Usage: CHROMIUM=chromium KEY=gw_… node browser.mjs http://…/docs …
import assert from "node:assert/strict";
import { chromium } from "playwright-core";

const { CHROMIUM, KEY } = process.env;

async function tryOut(browser, url) {
  const page = await browser.newPage();
  const complaints = [];
  page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
  page.on("pageerror", (error) => complaints.push(String(error)));
  await page.goto(url);
  await page.click(".btn.authorize");
  await page.fill(".modal-ux input", KEY);
  await page.click(".modal-ux .btn.authorize");
  await page.click(".modal-ux .btn-done");
  const operation = page.locator("#operations-Payments-createPayment");
  await operation.locator(".opblock-summary-control").click();
  await operation.locator(".try-out__btn").click();
  const first = await execute(page, operation);
  const again = await execute(page, operation);
  assert.equal(first.id, again.id);
  assert.deepEqual(complaints, []);
  await page.close();
  console.log(`Browser: ${url} created ${first.id}, and answered it again`);
  return first.id;
}

async function execute(page, operation) {
  const answered = page.waitForResponse((answer) => answer.request().method() === "POST");
  await operation.locator(".btn.execute").click();
  const answer = await answered;
  assert.equal(answer.status(), 201, await answer.text());
  await operation.locator(".live-responses-table .response-col_status", { hasText: "201" }).waitFor();
  return answer.json();
}

const browser = await chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox"] });
try {
  const made = [];
  for (const url of process.argv.slice(2)) made.push(await tryOut(browser, url));
  assert.equal(new Set(made).size, made.length);
} finally {
  await browser.close();
}
