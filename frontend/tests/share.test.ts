import { describe, expect, it } from "vitest";

import { decodeShared, encodeShared, type Shared } from "../src/lib/share";

const shared: Shared = {
  language: "python",
  tty: false,
  project: { files: [{ name: "main.py", text: "print('žluťoučký 😀')\n".repeat(50) }], args: "--x 'a b'" },
};

async function deflated(text: string): Promise<string> {
  const stream = new Blob([text]).stream().pipeThrough(new CompressionStream("deflate-raw"));
  const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
  const binary = Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
  return `code=${btoa(binary).replaceAll("+", "-").replaceAll("/", "_")}`;
}

describe("a shared link", () => {
  it("brings back what went in, compressed, in letters that links may hold", async () => {
    const fragment = await encodeShared(shared);

    expect(fragment).toMatch(/^code=[A-Za-z0-9_-]+$/);
    expect(fragment.length).toBeLessThan(250);
    expect(await decodeShared(fragment)).toEqual(shared);
  });

  it("is not everything behind a #", async () => {
    expect(await decodeShared("")).toBeUndefined();
    expect(await decodeShared("help")).toBeUndefined();
  });

  it("is damaged when it was cut, or is something else", async () => {
    const fragment = await encodeShared(shared);
    for (const broken of [
      fragment.slice(0, -9),
      "code=",
      "code=!!!",
      "code=AAAA",
      await deflated("[]"),
      await deflated('{"language":1,"files":[{"name":"a","text":"b"}],"args":""}'),
      await deflated('{"language":"python","files":[{"name":"../a","text":"b"}],"args":""}'),
    ]) {
      expect(await decodeShared(broken)).toBeNull();
    }
  });

  it("does not blow up", async () => {
    expect(await decodeShared(await deflated(" ".repeat(5_000_000)))).toBeNull();
  });
});
