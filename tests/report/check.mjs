// Opens HTML reports in headless Chromium and checks what a reader relies on: no console error, no request, no horizontal scroll of
// the page and no overlapping labels from 380 to 1,600 px in both colour schemes, the same words without scripts, print, axe-core.
//
//   node check.mjs [--screenshots FOLDER] REPORT.html...
//
// Needs the npm packages puppeteer-core and axe-core (in NODE_PATH or ./node_modules) and a Chromium in $CHROMIUM (default: chromium).
import { createRequire } from "node:module";
import { readFileSync, mkdirSync, statSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

const require = createRequire(join(process.env.KVCAST_NODE_MODULES || process.cwd(), "x.js"));
const puppeteer = require("puppeteer-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

const widths = [380, 640, 1000, 1600];
const args = process.argv.slice(2);
let folder = "";
if (args[0] === "--screenshots") folder = args.splice(0, 2)[1];
if (folder) mkdirSync(folder, { recursive: true });
let faults = 0;
const fault = (where, what) => {
  faults += 1;
  console.log(`${where}: ${what}`);
};

// Labels of one drawing that lie on each other, and text that leaves the page.
const layoutFaults = () => {
  const found = [];
  const root = document.documentElement;
  if (root.scrollWidth > root.clientWidth) found.push(`the page is ${root.scrollWidth} px wide in a window of ${root.clientWidth}`);
  for (const svg of document.querySelectorAll("svg.chart")) {
    const frame = svg.closest(".frame");
    if (frame && getComputedStyle(frame).position === "absolute") continue; // uPlot stands in its place
    const texts = [...svg.querySelectorAll("text")].filter((t) => getComputedStyle(t).display !== "none");
    const boxes = texts.map((t) => t.getBoundingClientRect());
    boxes.forEach((a, i) => {
      if (a.right > root.clientWidth + 1 || a.left < -1) found.push(`"${texts[i].textContent}" leaves the page`);
      boxes.forEach((b, k) => {
        if (k <= i) return;
        const x = Math.min(a.right, b.right) - Math.max(a.left, b.left);
        const y = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
        if (x > 1 && y > 3) found.push(`"${texts[i].textContent}" lies on "${texts[k].textContent}"`);
      });
    });
  }
  return found;
};

const openTimes = () => {
  const load = performance.getEntriesByType("navigation")[0].loadEventEnd;
  const paint = performance.getEntriesByType("paint").find((entry) => entry.name === "first-contentful-paint");
  return { load: Math.round(load), paint: Math.round(paint ? paint.startTime : 0) };
};

const browser = await puppeteer.launch({
  executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
});
for (const file of args) {
  const url = pathToFileURL(resolve(file)).href;
  const name = basename(file, ".html");
  let slowest = 0;
  const size = statSync(file).size;
  if (size > 1e6) fault(name, `is ${size} bytes large`);
  for (const scripts of [true, false]) {
    const page = await browser.newPage();
    await page.setJavaScriptEnabled(scripts);
    page.on("console", (m) => { if (["error", "warning"].includes(m.type())) fault(name, `console: ${m.text()}`); });
    page.on("pageerror", (e) => fault(name, `script: ${e.message}`));
    page.on("request", (r) => { if (r.url() !== url) fault(name, `asks for ${r.url().slice(0, 100)}`); });
    for (const scheme of ["light", "dark"]) {
      await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
      for (const width of widths) {
        const where = `${name} ${scheme} ${width} px${scripts ? "" : ", scripts off"}`;
        await page.setViewport({ width, height: 900 });
        await page.goto(url, { waitUntil: "load" });
        // From the navigation to the end of the load event, and the first paint, as the browser itself counts.
        const took = scripts ? await page.evaluate(openTimes) : { load: 0, paint: 0 };
        slowest = Math.max(slowest, took.load, took.paint);
        if (Math.max(took.load, took.paint) > 1000 * Number(process.env.KVCAST_TIMEOUT_SCALE || 1))
          fault(where, `opens in ${took.load} ms, paints in ${took.paint} ms`);
        for (const found of await page.evaluate(layoutFaults)) fault(where, found);
        if (folder && (scripts || width === 1000))
          await page.screenshot({ path: join(folder, `${name}-${scheme}-${width}${scripts ? "" : "-static"}.png`), fullPage: true });
        if (!scripts || (width !== 380 && width !== 1000)) continue;
        await page.evaluate(axe);
        const result = await page.evaluate(() => axe.run(document, { resultTypes: ["violations"] }));
        for (const violation of result.violations)
          fault(where, `axe ${violation.id}: ${violation.help}: ${violation.nodes[0].html.slice(0, 160)} (${violation.nodes.length})`);
      }
    }
    if (scripts) {
      const hint = await page.evaluate(() => {
        const term = document.querySelector(".term");
        if (!term) return "none";
        term.focus();
        return getComputedStyle(term, "::after").content;
      });
      if (hint === "none") fault(name, "no definition shows where a term is focused");
    }
    const pdf = await page.pdf({ format: "A4" });
    if (pdf.length < 5000) fault(name, "prints nothing");
    await page.close();
  }
  console.log(`${name}: ${Math.round(size / 1000)} KB, opens in at most ${slowest} ms`);
}
await browser.close();
console.log(faults === 0 ? `${args.length} reports, no fault` : `${faults} faults`);
process.exit(faults === 0 ? 0 : 1);
