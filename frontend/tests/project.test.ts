import { describe, expect, it } from "vitest";

import { splitArguments } from "../src/lib/arguments";
import { fileNameProblem, freeFileName, parseProject, sameProject, type Project } from "../src/lib/project";
import { sessionRequest } from "../src/lib/request";

const project = (...names: string[]): Project => ({ files: names.map((name) => ({ name, text: `of ${name}` })), args: "" });

describe("fileNameProblem", () => {
  it.each(["main.py", "lib/a.py", "a b.txt", "ümläut.py", ".hidden", "42"])("takes %s", (name) => {
    expect(fileNameProblem(name, [])).toBeUndefined();
  });

  it.each(["", "/a", "a/", "a//b", "../a", "a/./b", "a\nb", "a\u0000", "a\u202eb", "x".repeat(256), "é".repeat(128)])(
    "refuses %j",
    (name) => {
      expect(fileNameProblem(name, [])).toBeTypeOf("string");
    },
  );

  it.each(["main.py", "lib", "main.py/x"])("refuses %s beside other files", (name) => {
    expect(fileNameProblem(name, ["main.py", "lib/a.py"])).toBeTypeOf("string");
  });
});

describe("freeFileName", () => {
  it("follows the main file, and avoids what is there", () => {
    expect(freeFileName(project("main.py", "other.py"))).toBe("other2.py");
    expect(freeFileName(project("Main.java"))).toBe("Other.java");
    expect(freeFileName(project("Makefile"))).toBe("other.txt");
  });
});

describe("parseProject", () => {
  it("reads back what was kept", () => {
    const kept = { ...project("main.py", "__proto__"), args: "-v" };

    expect(parseProject(JSON.parse(JSON.stringify(kept)))).toEqual(kept);
  });

  it.each([null, 1, [], {}, { files: [], args: "" }, { files: [{ name: "a", text: 1 }], args: "" }, project("a", "a"), project("../a")])(
    "refuses %j",
    (value) => {
      expect(parseProject(value)).toBeUndefined();
    },
  );
});

describe("sameProject", () => {
  it("compares names, texts and arguments", () => {
    expect(sameProject(project("a"), project("a"))).toBe(true);
    expect(sameProject(project("a"), project("b"))).toBe(false);
    expect(sameProject(project("a"), project("a", "b"))).toBe(false);
    expect(sameProject(project("a"), { ...project("a"), args: "x" })).toBe(false);
  });
});

describe("sessionRequest", () => {
  const launch = { language: "python", sourceFile: "main.py", args: [], terminal: undefined };

  it("uses `code` for a main file of the usual name", () => {
    expect(JSON.parse(sessionRequest({ ...launch, project: project("main.py") }))).toEqual({
      language: "python",
      code: "of main.py",
      collect: ["**"],
    });
  });

  it("keeps the main file first, also before names that look like numbers", () => {
    const text = sessionRequest({ ...launch, project: project("z.py", "7", "__proto__") });

    expect(text).toContain('"files":{"z.py":"of z.py","7":"of 7","__proto__":"of __proto__"}');
    expect(text).not.toContain('"code"');
  });

  it("carries arguments and the terminal's size", () => {
    const text = sessionRequest({ ...launch, project: project("main.py"), args: ["a b"], terminal: { rows: 5, cols: 9 } });

    expect(JSON.parse(text)).toMatchObject({ args: ["a b"], tty: true, rows: 5, cols: 9 });
  });

  it("sends whole characters only", () => {
    const broken = { files: [{ name: "main.py", text: "a\ud800" }], args: "" };

    expect(sessionRequest({ ...launch, project: broken })).toContain('"code":"a\ufffd"');
  });
});

describe("splitArguments", () => {
  it.each<[string, string[]]>([
    ["", []],
    ["  ", []],
    ["a  b\tc", ["a", "b", "c"]],
    [`'a b' "c d"`, ["a b", "c d"]],
    [`a'b'"c"`, ["abc"]],
    [`''`, [""]],
    [`a\\ b`, ["a b"]],
    [`"a\\"b" "\\n" '\\'`, [`a"b`, "\\n", "\\"]],
  ])("%j", (line, args) => {
    expect(splitArguments(line)).toEqual({ args });
  });

  it.each([`'a`, `"a`, "a\\"])("says what is wrong with %j", (line) => {
    expect(splitArguments(line)).toHaveProperty("problem");
  });
});
