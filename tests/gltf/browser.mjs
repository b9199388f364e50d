// Opens a page from the disk in Chromium and uses it: `node browser.mjs REQUEST` prints what happened as JSON.
//
// REQUEST is a JSON file: {"page": file, "folder": for screenshots, "steps": [...], and optionally "width", "height",
// "scheme" (of colours), "without3d"}. Steps: {"click": selector}, {"drag": [dx, dy]}, {"set": [selector, value]},
// {"keys": [...]}, {"wait": milliseconds}, {"shot": name}, {"read": selector}.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import chromium from "@sparticuz/chromium";
import puppeteer from "puppeteer-core";

const { page: file, folder, steps, width = 1000, height = 640, scheme = "light", without3d = false } = JSON.parse(
  readFileSync(process.argv[2]));
// Drawn by the CPU, so that pictures do not depend on the computer.
const drawing = without3d ? ["--disable-gpu", "--disable-3d-apis"]
  : ["--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist"];
const browser = await puppeteer.launch({
  executablePath: process.env.UVATAR_CHROMIUM ?? (await chromium.executablePath()),
  args: ["--no-sandbox", ...drawing],
  headless: "shell",
}).catch((error) => {
  console.error(`Chromium does not start, so no page is opened: it may need libnss3 and other libraries. ${error.message}`);
  process.exit(3);  // as tests/viewer/conftest.py knows
});
const answer = { requests: [], complaints: [], read: {} };
try {
  const page = await browser.newPage();
  await page.setViewport({ width, height });
  await page.emulateMediaFeatures([
    { name: "prefers-color-scheme", value: scheme }, { name: "prefers-reduced-motion", value: "reduce" },
  ]);
  page.on("request", (request) => answer.requests.push(request.url().slice(0, 100)));
  page.on("console", (message) => answer.complaints.push(`${message.type()}: ${message.text()}`));
  page.on("pageerror", (error) => answer.complaints.push(`error: ${error.message}`));
  await page.goto(pathToFileURL(file).href);
  await page.waitForSelector(without3d ? "html.without-3d" : "html.ready", { timeout: 90_000 });
  const drawn = () => page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
  for (const step of steps) {
    const [kind, value] = Object.entries(step)[0];
    if (kind === "click") await page.click(value);
    if (kind === "drag") await drag(page, ...value);
    if (kind === "set") await page.$eval(value[0], (input, to) => {
      input.value = to;
      input.dispatchEvent(new Event("input", { bubbles: true }));
    }, value[1]);
    if (kind === "keys") for (const key of value) await page.keyboard.press(key);
    if (kind === "wait") await new Promise((done) => setTimeout(done, value));
    if (kind === "read") answer.read[value] = await page.$eval(value, (node) => node.innerText);
    await drawn();
    if (kind === "shot") await page.screenshot({ path: join(folder, `${value}.png`) });
  }
} finally {
  await browser.close();
}
console.log(JSON.stringify(answer));

async function drag(page, right, down) {
  const { x, y, width: across, height: along } = await (await page.$("#canvas")).boundingBox();
  await page.mouse.move(x + across / 2, y + along / 2);
  await page.mouse.down();
  await page.mouse.move(x + across / 2 + right, y + along / 2 + down, { steps: 5 });
  await page.mouse.up();
}
