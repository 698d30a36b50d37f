import { describe, expect, it } from "vitest";

import { MAX_TESTS, parseTests, parseTold, sameTests } from "../src/lib/cases";
import { parseProject, sameProject } from "../src/lib/project";
import { testRequest } from "../src/lib/request";

const TEST = { input: "2\n", expected: "4\n" };

describe("parseTests", () => {
  it("reads tests, and takes none for none", () => {
    expect(parseTests([TEST, { ...TEST, colour: "red" }])).toEqual([TEST, TEST]);
    expect(parseTests(undefined)).toEqual([]);
  });

  it.each(["none", [{ input: 1, expected: "" }], [null], Array.from({ length: MAX_TESTS + 1 }, () => TEST)])("refuses %j", (value) => {
    expect(parseTests(value)).toBeUndefined();
  });
});

describe("a project with tests", () => {
  const project = { files: [{ name: "main.py", text: "" }], args: "", tests: [TEST] };

  it("is read back with them", () => {
    expect(parseProject(project)).toEqual(project);
    expect(parseProject({ ...project, tests: "some" })).toBeUndefined();
    expect(parseProject({ ...project, tests: [] })).toEqual({ files: project.files, args: "" });
  });

  it("is another than one with other tests", () => {
    expect(sameProject(project, { ...project, tests: [{ ...TEST }] })).toBe(true);
    expect(sameProject(project, { ...project, tests: [{ ...TEST, expected: "5\n" }] })).toBe(false);
    expect(sameTests(undefined, [])).toBe(true);
    expect(sameTests(undefined, [TEST])).toBe(false);
  });
});

describe("parseTold", () => {
  it("reads what came of a case", () => {
    const line = '{"type":"case","index":1,"matches":false,"passed":false,"state":"finished","exitCode":0,"stdout":"9\\n","stderr":"","wallTime":0.02}';

    expect(parseTold(line)).toEqual({
      type: "case",
      index: 1,
      matches: false,
      passed: false,
      stdout: "9\n",
      stderr: "",
      state: { state: "finished", exitCode: 0, wallTime: 0.02 },
    });
  });

  it("reads the verdict, the compiler's part, and a refusal", () => {
    expect(parseTold('{"type":"batch","state":"terminated","reason":"shutdown","passed":1,"failed":0,"skipped":2}')).toEqual({
      type: "batch",
      passed: 1,
      failed: 0,
      skipped: 2,
      state: { state: "terminated", reason: "shutdown" },
    });
    expect(parseTold('{"type":"compile","exitCode":1,"stdout":"","stderr":"no"}')).toEqual({
      type: "compile",
      state: { state: "finished", exitCode: 1 },
      output: "no",
    });
    expect(parseTold('{"error":"no","code":"draining"}')).toEqual({ type: "refused", body: { error: "no", code: "draining" } });
  });

  it.each(["", "   ", "null", '{"type":"of tomorrow"}', '{"type":"case","state":"dreaming"}'])("passes over %j", (line) => {
    expect(parseTold(line)).toBeUndefined();
  });
});

describe("testRequest", () => {
  it("asks for every test, line by line", () => {
    const project = { files: [{ name: "main.py", text: "x" }], args: "" };
    const request: unknown = JSON.parse(testRequest({ language: "python", sourceFile: "main.py", project, args: ["-v"] }, [TEST]));

    expect(request).toEqual({
      language: "python",
      code: "x",
      args: ["-v"],
      stream: true,
      compare: "trimmed",
      runs: [{ stdin: "2\n", expected: "4\n" }],
    });
  });
});
