import { describe, expect, it } from "vitest";

import { MAX_OPENED, openFiles, textOf } from "../src/lib/opened";
import { isZip, makeZip, readZip } from "../src/lib/zip";

const LANGUAGES = [
  { name: "python", title: "Python", sourceFile: "main.py", extensions: ["py"] },
  { name: "java", title: "Java", sourceFile: "Main.java", extensions: ["java"] },
  { name: "cpp", title: "C++", sourceFile: "main.cpp", extensions: ["cpp", "C"] },
];
const encode = (text: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(text);
const entries = (...names: string[]) => names.map((name) => ({ name, content: encode(`of ${name}`) }));
const open = (names: string[], title?: string, preferred = "python") => openFiles(entries(...names), title, LANGUAGES, preferred);

describe("openFiles", () => {
  it.each<[string[], string | undefined, string, string, string[]]>([
    [["a.py"], undefined, "python", "a.py", ["a.py"]],
    [["A.JAVA"], undefined, "java", "A.JAVA", ["A.JAVA"]],
    [["x.C"], undefined, "cpp", "x.C", ["x.C"]],
    [["z.py", "data.txt", "main.py"], undefined, "python", "main.py", ["main.py", "data.txt", "z.py"]],
    [["p/util.py", "p/main.py", "p/lib/main.py"], "p", "python", "p", ["main.py", "lib/main.py", "util.py"]],
    [["p/Main.java", "__MACOSX/p/Main.java", "p/.DS_Store", "p/"], "p", "java", "p", ["Main.java"]],
    [["b.java", "a.py"], undefined, "python", "a.py", ["a.py", "b.java"]],
  ])("%j", (names, title, language, name, files) => {
    const opened = open(names, title);

    expect(opened).toMatchObject({ name, language, words: "" });
    expect("project" in opened && opened.project.files.map((it) => it.name)).toEqual(files);
  });

  it("prefers the language that is open", () => {
    expect(open(["b.java", "a.py"], undefined, "java")).toMatchObject({ language: "java" });
  });

  it("says when it does not know the language", () => {
    expect(open(["notes.txt"])).toMatchObject({ language: "python", words: expect.stringContaining("opened as Python") as string });
  });

  it("leaves out what is no text", () => {
    const picture = { name: "a.png", content: new Uint8Array([0x89, 0x50, 0, 1]) };

    expect(openFiles([...entries("a.py"), picture], undefined, LANGUAGES, "python")).toMatchObject({
      project: { files: [{ name: "a.py" }] },
      words: "Left out, since it is no text: “a.png”.",
    });
    expect(openFiles([picture], undefined, LANGUAGES, "python")).toHaveProperty("problem", expect.stringContaining("no text"));
  });

  it("reads what editors of old have written, and says so", () => {
    const old = { name: "a.py", content: new Uint8Array([0x23, 0xe9, 0x0d, 0x0a]) };

    expect(openFiles([old], undefined, LANGUAGES, "python")).toMatchObject({
      project: { files: [{ text: "#é\n" }] },
      words: "Not in UTF-8, and read as Western European text: “a.py”.",
    });
  });

  it.each([
    [entries(...Array.from({ length: 65 }, (_, i) => `${i}.py`)), "64 files at most"],
    [[{ name: "a.py", content: new Uint8Array(MAX_OPENED + 1).fill(65) }], "“a.py” is 1.0 MB"],
    [entries("a.py", "a\u0001.py"), "control characters"],
    [entries("../a.py", "b.py"), "dots"],
    [[], "no file"],
  ])("says what is wrong", (files, words) => {
    expect(openFiles(files, undefined, LANGUAGES, "python")).toHaveProperty("problem", expect.stringContaining(words));
  });
});

describe("textOf", () => {
  it("reads texts of all kinds, and only texts", () => {
    expect(textOf(encode("\ufeffa\r\nb\rč"))).toBe("a\nb\nč");
    expect(textOf(new Uint8Array([0xff, 0xfe, 0x61, 0, 0x0a, 0]))).toBe("a\n");
    expect(textOf(new Uint8Array([0x61, 0]))).toBeUndefined();
    expect(textOf(new Uint8Array([0xff]))).toBeUndefined();
  });
});

describe("a zip file", () => {
  const zip = makeZip(entries("a.py", "lib/b.py", "../../etc/passwd", "__proto__"));

  it("comes back as it was, inside of its folder", () => {
    expect(readZip(zip, 10, 1000)).toEqual([
      ...entries("a.py", "lib/b.py"),
      { name: "etc/passwd", content: encode("of ../../etc/passwd") },
      { name: "_proto_", content: encode("of __proto__") },
    ]);
    expect(isZip({ name: "x", content: zip })).toBe(true);
    expect(isZip({ name: "x.py", content: encode("PK") })).toBe(false);
  });

  it("is not unpacked when it is damaged, or too much", () => {
    expect(readZip(zip.subarray(0, 90), 10, 1000)).toBeUndefined();
    expect(readZip(encode("no zip"), 10, 1000)).toBeUndefined();
    expect(readZip(zip, 3, 1000)).toBeUndefined();
    expect(readZip(makeZip([{ name: "bomb", content: new Uint8Array(5_000_000) }]), 10, 1_000_000)).toBeUndefined();
  });
});
