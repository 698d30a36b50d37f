/** Zip files, by a library that is loaded when the first one is needed. */

import { unzipSync, zipSync } from "fflate";

export interface Entry {
  readonly name: string;
  readonly content: Uint8Array<ArrayBuffer>;
}

/** A path that leads nowhere else, whatever a program has named its files. The library knows no name like the last. */
const inside = (name: string): string =>
  name.split(/[/\\]/).filter((part) => !["", ".", ".."].includes(part)).join("/").replace(/^__proto__$/, "_proto_");

export function makeZip(files: readonly Entry[]): Uint8Array<ArrayBuffer> {
  return new Uint8Array(zipSync(Object.fromEntries(files.map(({ name, content }) => [inside(name), content]))));
}

export const isZip = ({ name, content }: Entry): boolean =>
  /\.zip$/i.test(name) || (content[0] === 0x50 && content[1] === 0x4b && content[2] === 3 && content[3] === 4);

/** What is in a zip file; undefined when it is damaged, or unpacked more than `limit` bytes or `most` files. */
export function readZip(content: Uint8Array, most: number, limit: number): readonly Entry[] | undefined {
  const found = { count: 0, total: 0 };
  const fits = (): boolean => found.count <= most && found.total <= limit;
  try {
    const files = unzipSync(content, {
      filter: ({ name, originalSize }) => {
        if (name.endsWith("/")) return false;
        found.count += 1;
        found.total += originalSize;
        return fits();
      },
    });
    return fits() ? Object.entries(files).map(([name, data]) => ({ name, content: new Uint8Array(data) })) : undefined;
  } catch {
    return undefined;
  }
}
