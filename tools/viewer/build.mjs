// Builds backend/uvatar/viewer/viewer.js of src/ and three.js: `npm ci && npm run build`, or `make viewer`.
import { createHash } from "node:crypto";
import { readFileSync, readdirSync } from "node:fs";
import { build } from "esbuild";

const three = JSON.parse(readFileSync("node_modules/three/package.json"));
// tests/viewer/test_page.py computes the same, so that a change of the sources without a build is noticed.
const sources = createHash("sha256");
for (const name of readdirSync("src").sort()) sources.update(readFileSync(`src/${name}`, "utf8").replaceAll("\r\n", "\n"));

const licence = readFileSync("node_modules/three/LICENSE", "utf8").trim();
await build({
  entryPoints: ["src/main.js"],
  outfile: "../../backend/uvatar/viewer/viewer.js",
  bundle: true,
  minify: true,
  format: "iife",
  target: ["chrome107", "firefox115", "safari16.4"],
  legalComments: "none",
  banner: {
    js: `/*! Uvatar's viewer, sources ${sources.digest("hex").slice(0, 16)}, with three.js ${three.version}:\n\n${licence}\n*/`,
  },
});
