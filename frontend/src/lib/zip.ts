/** Zip files, by a library that is loaded when the first one is needed. */

import { zipSync, type Zippable } from "fflate";

interface Entry {
  readonly name: string;
  readonly content: Uint8Array<ArrayBuffer>;
}

export function makeZip(files: readonly Entry[]): Uint8Array<ArrayBuffer> {
  // Without a prototype, so that any name is one.
  const entries: Zippable = Object.assign(Object.create(null) as Zippable, Object.fromEntries(files.map((it) => [it.name, it.content])));
  return new Uint8Array(zipSync(entries));
}
