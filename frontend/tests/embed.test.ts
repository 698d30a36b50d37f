import { describe, expect, it } from "vitest";

import { parseCommand } from "../src/lib/commands";
import { embedHtml } from "../src/lib/embed-html";

describe("parseCommand", () => {
  it.each<[unknown, unknown]>([
    [{ type: "run" }, { type: "run" }],
    [{ type: "stop", more: 1 }, { type: "stop" }],
    [{ type: "hello" }, { type: "hello" }],
    [{ type: "set", code: "a\r\nb", language: "java" }, { type: "set", code: "a\nb", language: "java" }],
    [{ type: "set", files: [{ name: "a.py", text: "x", more: 1 }], args: "-v", stdin: "1" }, { type: "set", files: [{ name: "a.py", text: "x" }], args: "-v", stdin: "1" }],
    [{ type: "set" }, { type: "set" }],
  ])("takes %j", (data, command) => {
    expect(parseCommand(data)).toEqual(command);
  });

  it.each([null, "run", ["run"], {}, { type: 1 }, { type: "other" }, { type: "webpackOk" }])("leaves %j to others", (data) => {
    expect(parseCommand(data)).toBeUndefined();
  });

  it.each([
    [{ type: "set", code: 1 }, "“code” must be a string."],
    [{ type: "set", stdin: {} }, "“stdin” must be a string."],
    [{ type: "set", code: "x".repeat(1_000_001) }, "“code” can have"],
    [{ type: "set", code: "x", files: [] }, "not both"],
    [{ type: "set", files: [] }, "list of 1 to 64"],
    [{ type: "set", files: [{ name: "../a", text: "" }] }, "names that files can have"],
    [{ type: "set", files: "x" }, "list of 1 to 64"],
  ])("says what is wrong with %#", (data, words) => {
    expect(parseCommand(data)).toEqual({ problem: expect.stringContaining(words) as string });
  });
});

describe("embedHtml", () => {
  it("is HTML whatever the address holds", () => {
    expect(embedHtml("https://x.org/below/#code=abc", { theme: "dark", run: true, readOnly: true })).toContain(
      'src="https://x.org/below/embed#code=abc&amp;theme=dark&amp;run=1&amp;readonly=1"',
    );
    expect(embedHtml('https://x.org/#text="><script>', { theme: "", run: false, readOnly: false })).not.toContain("<script>");
  });
});
