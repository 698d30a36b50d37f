import { describe, expect, it } from "vitest";

import { ago } from "../src/lib/format";
import { advance, firstLine, freeProgramName, includes, parseProgram, programRecord, sameVersion, type Version } from "../src/lib/program";
import { ProgramStore } from "../src/lib/program-store";
import { Store } from "../src/lib/storage";
import { difference } from "../src/lib/text";

const project = (text: string) => ({ files: [{ name: "main.py", text }], args: "" });
const program = (id: string, text = id) => ({ id, name: id, language: "python", project: project(text), changed: 0, version: [] });

/** A browser's storage with room for so many characters. */
class FakeStorage {
  readonly entries = new Map<string, string>();
  room = Infinity;

  get length(): number {
    return this.entries.size;
  }

  key(i: number): string | null {
    return [...this.entries.keys()][i] ?? null;
  }

  getItem(key: string): string | null {
    return this.entries.get(key) ?? null;
  }

  setItem(key: string, value: string): void {
    if (value.length > this.room) throw new DOMException("full", "QuotaExceededError");
    this.entries.set(key, value);
  }

  removeItem(key: string): void {
    this.entries.delete(key);
  }

  clear(): void {
    this.entries.clear();
  }
}

describe("a version", () => {
  it("knows what it includes", () => {
    const first = advance([], "a");
    const second = advance(first, "b");
    const other = advance(first, "c");

    expect(includes(second, first)).toBe(true);
    expect(includes(first, second)).toBe(false);
    expect(includes(second, other)).toBe(false);
    expect(includes(advance(second, "a"), second)).toBe(true);
    expect(includes(first, [])).toBe(true);
    expect(sameVersion(first, [["a", 1]])).toBe(true);
    expect(sameVersion([], [])).toBe(false);
  });

  it("stays short", () => {
    let version: Version = [];
    for (let i = 0; i < 100; i++) version = advance(version, `page${i}`);

    expect(version).toHaveLength(16);
    expect(version[0]).toEqual(["page99", 1]);
  });
});

describe("parseProgram", () => {
  it("reads back what was kept", () => {
    const kept = { ...program("a"), example: "hello", changed: 5, version: [["x", 2]] as const };

    expect(parseProgram("a", JSON.parse(JSON.stringify(programRecord(kept))))).toEqual(kept);
  });

  it.each([null, {}, { ...project(""), name: 1, language: "x" }, { ...project(""), name: "a" }])("refuses %j", (value) => {
    expect(parseProgram("a", value)).toBeUndefined();
  });
});

describe("freeProgramName", () => {
  it("counts on from the names that are there", () => {
    expect(freeProgramName("A", [])).toBe("A");
    expect(freeProgramName("A", ["A"])).toBe("A 2");
    expect(freeProgramName("A 2", ["A", "A 2"])).toBe("A 3");
    expect(freeProgramName("7", ["7"])).toBe("7 2");
  });
});

describe("firstLine", () => {
  it("is the first one that tells programs apart", () => {
    expect(firstLine(project("\n\nimport os\n\nprint(1)\n"))).toBe("print(1)");
    expect(firstLine(project("import os"))).toBe("import os");
    expect(firstLine(project("{\n}"))).toBe("{");
    expect(firstLine(project(""))).toBe("");
    expect(firstLine(project("x".repeat(100)))).toHaveLength(61);
  });
});

describe("difference", () => {
  it.each<[string, string, object | undefined]>([
    ["same", "same", undefined],
    ["", "new", { from: 0, to: 0, insert: "new" }],
    ["a b c", "a x c", { from: 2, to: 3, insert: "x" }],
    ["aa", "aaa", { from: 2, to: 2, insert: "a" }],
    ["aaa", "aa", { from: 2, to: 3, insert: "" }],
    ["😀", "😁", { from: 0, to: 2, insert: "😁" }],
    ["😀", "🨀", { from: 0, to: 2, insert: "🨀" }],
  ])("makes %j into %j", (before, after, expected) => {
    const found = difference(before, after);

    expect(found).toEqual(expected);
    if (found) expect(before.slice(0, found.from) + found.insert + before.slice(found.to)).toBe(after);
  });
});

describe("ago", () => {
  it.each([
    [5, "just now"],
    [-5, "just now"],
    [60, "1 minute ago"],
    [7300, "2 hours ago"],
    [86_400 * 3, "3 days ago"],
    [86_400 * 800, "2 years ago"],
  ])("%d seconds", (passed, words) => {
    expect(ago(1e12, 1e12 + passed * 1000)).toBe(words);
  });
});

describe("the store of programs", () => {
  const make = (kept = new FakeStorage(), tab = new FakeStorage()) => ({
    kept,
    tab,
    store: new ProgramStore(new Store(() => kept), new Store(() => tab), "page"),
  });

  it("puts each under a key of its own, the last changed first", () => {
    const { kept, store } = make();
    store.put(program("a"), 1);
    store.put(program("b"), 2);

    expect([...kept.entries.keys()]).toEqual(["trio-exec:program:a", "trio-exec:program:b"]);
    expect(store.list().map(({ id }) => id)).toEqual(["b", "a"]);
    expect(store.stored("a")).toMatchObject({ changed: 1, version: [["page", 1]] });
  });

  it("leaves out what is damaged, and does not touch it", () => {
    const { kept, store } = make();
    kept.setItem("trio-exec:program:x", "{");
    store.put(program("a"));

    expect(store.list().map(({ id }) => id)).toEqual(["a"]);
    expect(kept.getItem("trio-exec:program:x")).toBe("{");
  });

  it("holds what has no room in the tab, for a reload too", () => {
    const { kept, tab, store } = make();
    kept.room = 10;
    expect(store.put(program("a"), 1).stored).toBe(false);
    expect(store.put(program("a", "changed"), 2).stored).toBe(false);
    expect(store.anyHomeless).toBe(true);

    const after = make(kept, tab).store;
    expect(after.find("a")).toMatchObject({ project: project("changed"), version: [] });
    kept.room = Infinity;
    expect(after.put(program("a", "changed")).stored).toBe(true);
    expect(after.anyHomeless).toBe(false);
    expect(tab.entries.size).toBe(0);
  });

  it("holds unchanged programs up to a number, and all changed ones", () => {
    const { kept, store } = make();
    kept.room = 0;
    store.put(program("mine"));
    for (let i = 0; i < 30; i++) store.hold(program(`link${i}`));
    for (let i = 0; i < 30; i++) store.hold({ ...program(`example${i}`), example: "hello" });

    const ids = store.list().map(({ id }) => id);
    expect(ids).toHaveLength(21);
    expect(ids).toEqual(expect.arrayContaining(["mine", "link29", "link12", "example29"]));
  });

  it("works without any storage", () => {
    const forbidden = new Store(() => {
      throw new DOMException("forbidden", "SecurityError");
    });
    const store = new ProgramStore(forbidden, forbidden);
    store.put(program("a"));
    store.hold(program("b"));
    store.remove("b");

    expect(store.list().map(({ id }) => id)).toEqual(["a"]);
  });

  it("takes over what earlier pages kept, and removes only what is safe", () => {
    const { kept, store } = make();
    kept.setItem("trio-exec:project:python", JSON.stringify(project("mine")));
    kept.setItem("trio-exec:aside:python", JSON.stringify(project("mine")));
    kept.setItem("trio-exec:project:java", JSON.stringify(project("example")));
    kept.setItem("trio-exec:project:cpp", "damaged");
    const isWork = (_: string, { files }: ReturnType<typeof project>) => files[0]?.text !== "example";
    kept.room = 20;
    store.takeOver(isWork as never, (language) => language);
    expect(store.list()).toEqual([]);
    expect(kept.getItem("trio-exec:project:python")).not.toBeNull();
    kept.room = Infinity;
    store.takeOver(isWork as never, (language) => language);
    store.takeOver(isWork as never, (language) => language);

    expect(store.list().map((it) => [it.name, it.project.files[0]?.text])).toEqual([["python", "mine"]]);
    expect([...kept.entries.keys()].sort()).toEqual([
      "trio-exec:last:python",
      expect.stringMatching(/^trio-exec:program:/),
      "trio-exec:project:cpp",
    ]);
  });
});
