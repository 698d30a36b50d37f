// Fails when what a browser is sent for its first load is more than we allow ourselves.
import { existsSync, readFileSync } from "node:fs";

const BUDGET = 260_000;
const root = new URL("../../trio_exec/static/", import.meta.url);
const read = (name) => readFileSync(new URL(name, root));
const sent = (name) => read(existsSync(new URL(`${name}.br`, root)) ? `${name}.br` : name);

const page = read("index.html").toString();
const linked = [...page.matchAll(/<(?:script|link)[^>]*(?:src|href)="\.\/([^"]+)"/g)].map(([, name]) => name);
// Fonts are asked for by style sheets, as soon as there is text in them.
const styles = linked.filter((name) => name.endsWith(".css")).map((name) => read(name).toString());
const fonts = styles.flatMap((text) => [...text.matchAll(/url\(["']?\.\/([^"')]+\.woff2)/g)].map(([, name]) => `assets/${name}`));
const files = ["index.html", ...new Set([...linked, ...fonts])];
const sizes = files.map((name) => ({ name, size: sent(name).length }));
const total = sizes.reduce((sum, { size }) => sum + size, 0);

for (const { name, size } of sizes) console.log(`${String(size).padStart(8)}  ${name}`);
console.log(`${String(total).padStart(8)}  first load, compressed as it is sent, of ${BUDGET}`);
if (total > BUDGET) {
  console.error("The first load is over its budget.");
  process.exit(1);
}
