import { describe, expect, it } from "vitest";

import { parseAddress, resolveAddress } from "../src/lib/address";
import { encodeShared } from "../src/lib/share";

const LANGUAGES = [
  { name: "python", title: "Python", aliases: ["py"], sourceFile: "main.py", extensions: ["py"] },
  { name: "java", title: "Java", aliases: [], sourceFile: "Main.java", extensions: ["java"] },
];

async function resolved(fragment: string) {
  const address = await parseAddress(fragment);
  return address && resolveAddress(address, LANGUAGES, "python");
}

const program = (language: string, name: string, text: string) => ({
  shared: { language, project: { files: [{ name, text }], args: "" } },
  problems: [],
});

describe("an address", () => {
  it.each<[string, object | undefined]>([
    ["", undefined],
    ["help", undefined],
    ["other=1", undefined],
    ["lang=java", { language: "java", problems: [] }],
    ["lang=PY", { language: "python", problems: [] }],
    ["lang=java&text=a+b%20%2B%26%0Ac=d", program("java", "Main.java", "a+b +&\nc=d")],
    ["text=x", program("python", "main.py", "x")],
    ["text=x&file=A.java", program("java", "A.java", "x")],
    ["text=x&file=notes&lang=java", program("java", "notes", "x")],
    ["text=a%0D%0Ab", program("python", "main.py", "a\nb")],
  ])("%j", async (fragment, expected) => {
    expect(await resolved(fragment)).toEqual(expected);
  });

  it("carries a shared program beside other wishes", async () => {
    const shared = { language: "java", tty: false, project: { files: [{ name: "A.java", text: "x" }], args: "-v" } };
    const address = await parseAddress(`${await encodeShared(shared)}&theme=dark&run=1&readonly=1`);

    expect(address).toEqual({ code: shared, theme: "dark", run: true, readOnly: true, problems: [] });
    expect(address && resolveAddress(address, LANGUAGES, "python")).toEqual({ shared, problems: [] });
  });

  it.each([
    ["lang=cobol&text=x", "“cobol”, which this server does not have"],
    ["lang=java&theme=blue", "it can be light or dark"],
    ["lang=java&run=yes", "“run” is “yes”; it can be 1 or 0"],
    ["text=%zz", "“text” is damaged"],
    ["text=x&file=../etc/passwd", "can't be called “../etc/passwd”. A file name can't leave its folder"],
    ["code=AAAA", "This link is damaged"],
    [`text=${"x".repeat(1_000_001)}`, "longer than a program can be"],
    [`lang=${"x".repeat(500)}`, "xxx…”"],
  ])("%s is said", async (fragment, words) => {
    const found = await resolved(fragment);

    expect(found?.problems).toHaveLength(1);
    expect(found?.problems[0]).toContain(words);
    expect(found?.problems[0]?.length).toBeLessThan(160);
  });
});
