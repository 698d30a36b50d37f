// Cuts the bundled font down to what programs mostly print: Latin, punctuation, arrows, blocks and lines for drawing.
// The outcome lies where neither git nor the build takes it for a source.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import subsetFont from "subset-font";

const RANGES = [
  [0x20, 0x7e],
  [0xa0, 0xff],
  [0x2010, 0x2027],
  [0x2030, 0x203a],
  [0x2190, 0x21ff],
  [0x2260, 0x2265],
  [0x2500, 0x25ff],
];
const ALSO = "€™−≈✓✗";

const root = new URL("../", import.meta.url);
const characters = RANGES.flatMap(([first, last]) => Array.from({ length: last - first + 1 }, (_, i) => first + i));
const text = String.fromCodePoint(...characters) + ALSO;
const whole = readFileSync(new URL("node_modules/jetbrains-mono/fonts/webfonts/JetBrainsMono-Regular.woff2", root));
mkdirSync(new URL("node_modules/.generated/", root), { recursive: true });
// Ligatures are not wanted in code, and would be most of it.
writeFileSync(new URL("node_modules/.generated/code.woff2", root), await subsetFont(whole, text, { targetFormat: "woff2", noLayoutClosure: true }));
