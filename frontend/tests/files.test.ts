import { describe, expect, it } from "vitest";

import { changedFiles, decodeFiles, filesTitle, imageType, omittedWords, type LeftFile } from "../src/lib/files";

const file = (name: string, content: string): LeftFile => ({
  name,
  content: Uint8Array.from(content, (byte) => byte.charCodeAt(0)),
});

describe("decodeFiles", () => {
  it("reads contents of any bytes", () => {
    const body = { files: [{ name: "a", size: 3, data: "AP+A" }], filesOmitted: [{ name: "b", reason: "too_large" }] };

    expect(decodeFiles(body)).toEqual({ files: [file("a", "\0\xff\x80")], omitted: [{ name: "b", reason: "too_large" }] });
  });

  it.each([undefined, null, {}, { files: 7, filesOmitted: {} }, { files: [{ name: "a", data: "%" }, null, { name: 1 }] }])(
    "leaves out what is not as it should be: %j",
    (body) => {
      expect(decodeFiles(body)).toEqual({ files: [], omitted: [] });
    },
  );
});

describe("changedFiles", () => {
  it("leaves out the program itself, as long as it is as it was sent", () => {
    const sent = [
      ["main.py", "é"],
      ["util.py", "x"],
    ] as const;
    const same = file("main.py", "\xc3\xa9");
    const changed = file("util.py", "y");
    const other = file("out/main.py", "\xc3\xa9");

    expect(changedFiles([same, changed, other], sent)).toEqual([changed, other]);
  });
});

describe("imageType", () => {
  it.each([
    ["\x89PNG\r\n\x1a\n....", "image/png"],
    ["\xff\xd8\xff\xe0", "image/jpeg"],
    ["GIF89a", "image/gif"],
    ["GIF87a", "image/gif"],
    ["RIFF....WEBPVP8 ", "image/webp"],
    ["RIFF....WAVEfmt ", undefined],
    ["<html>", undefined],
    ["", undefined],
  ])("knows %j by its bytes", (content, type) => {
    expect(imageType(file("a.html", content))).toBe(type);
  });

  it("knows SVG by its name", () => {
    expect(imageType(file("a.SVG", "<svg/>"))).toBe("image/svg+xml");
    expect(imageType(file("a.svg", ""))).toBeUndefined();
    expect(imageType(file("a.svg.txt", "<svg/>"))).toBeUndefined();
  });
});

describe("words", () => {
  it("count files", () => {
    expect([0, 1, 2].map(filesTitle)).toEqual(["", "The program left a file", "The program left 2 files"]);
  });

  it("say what was not kept, and why", () => {
    expect(omittedWords([])).toBe("");
    expect(omittedWords([{ name: "a", reason: "too_large" }, { name: "b", reason: "new_reason" }])).toBe(
      "Not kept: a (too large), b (new_reason).",
    );
    const many = Array.from({ length: 8 }, (_, i) => ({ name: `f${i}`, reason: "too_many" }));
    expect(omittedWords(many)).toMatch(/, f4 \(too many files\), 3 more\.$/);
  });
});
