// Writes the licences of what the built page contains beside it, as they ask for. What builds it is an optional
// dependency, and what checks it one of development: neither becomes part of it.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";

const root = new URL("../", import.meta.url);
const lock = JSON.parse(readFileSync(new URL("package-lock.json", root), "utf8"));
const parts = [];

for (const [path, { version, license, dev, optional, devOptional }] of Object.entries(lock.packages)) {
  if (path === "" || dev || optional || devOptional) continue;
  const folder = new URL(`${path}/`, root);
  const file = readdirSync(folder).find((name) => /^licen[cs]e/i.test(name));
  if (!file) throw new Error(`${path} comes without its licence`);
  const name = path.replace(/^.*node_modules\//, "");
  parts.push(`${name} ${version} (${license})\n\n${readFileSync(new URL(file, folder), "utf8").trim()}\n`);
}
writeFileSync(new URL("../trio_exec/static/licences.txt", root), parts.join(`\n${"-".repeat(78)}\n\n`));
