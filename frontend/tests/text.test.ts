import { describe, expect, it } from "vitest";

import { backoff } from "../src/lib/backoff";
import { Chunks } from "../src/lib/chunks";
import { binaryBytes, withReadableSizes, bytes, duration, seconds } from "../src/lib/format";
import { LineHistory } from "../src/lib/line-history";
import { safeLink } from "../src/lib/links";
import { asString, Store } from "../src/lib/storage";
import { Transcript } from "../src/lib/transcript";

describe("Chunks", () => {
  it("joins neighbours of one kind, and keeps the order", () => {
    const chunks = new Chunks<string>();
    chunks.add("out", "a");
    chunks.add("out", "b");
    chunks.add("err", "c");
    chunks.add("err", "");
    chunks.add("out", "d");
    const taken = [chunks.take(100), chunks.take(100), chunks.take(100), chunks.take(100)];

    expect(taken.map((chunk) => chunk?.text)).toEqual(["ab", "c", "d", undefined]);
    expect(chunks.empty).toBe(true);
  });

  it("takes a flood apart without losing any of it", () => {
    const chunks = new Chunks<string>();
    const flood = "0123456789😀".repeat(20_000);
    chunks.add("out", flood);
    chunks.add("out", "end");
    const parts: string[] = [];
    for (let chunk = chunks.take(50_000); chunk; chunk = chunks.take(50_000)) parts.push(chunk.text);

    expect(parts.join("")).toBe(`${flood}end`);
    expect(parts.length).toBeGreaterThan(3);
    expect(parts.every((part) => part.length < 70_000 && part.isWellFormed())).toBe(true);
  });
});

describe("Transcript", () => {
  it("is plain text", () => {
    const transcript = new Transcript();
    transcript.add("\u001b[1;31mred\u001b[0m\r\n");
    transcript.add("\u001b]8;;http://a\u0007link\u001b]8;;\u001b\\\u001b(B\n");

    expect(transcript.text()).toBe("red\nlink\n");
    transcript.clear();
    expect(transcript.empty).toBe(true);
  });

  it("finds a sequence that came in two messages", () => {
    const transcript = new Transcript();
    transcript.add("\u001b[3");
    transcript.add("1mred");

    expect(transcript.text()).toBe("red");
  });
});

describe("safeLink", () => {
  it("opens the web", () => {
    expect(safeLink("https://example.org/a?b")).toBe("https://example.org/a?b");
  });

  it.each(["javascript:alert(1)", " javascript:alert(1)", "data:text/html,x", "file:///etc/passwd", "//x", "x"])(
    "and not %s",
    (address) => {
      expect(safeLink(address)).toBeUndefined();
    },
  );
});

describe("figures for people", () => {
  it("fit their size", () => {
    expect([0.004, 0.0996, 1.234, 12.34, 59.96, 125].map(seconds)).toEqual([
      "4 ms",
      "0.10 s",
      "1.23 s",
      "12.3 s",
      "1 min 0 s",
      "2 min 5 s",
    ]);
    expect([12, 9437, 9_437_184, 209_715_200, 2e9].map(bytes)).toEqual(["12 B", "9 kB", "9.4 MB", "210 MB", "2.00 GB"]);
    expect([2 ** 30, 200 * 2 ** 20, 512 * 2 ** 10, 1000].map(binaryBytes)).toEqual(["1 GiB", "200 MiB", "512 KiB", "1 kB"]);
    expect([1, 30, 90, 120, 600].map(duration)).toEqual(["1 second", "30 seconds", "90 seconds", "2 minutes", "10 minutes"]);
  });
});

describe("backoff", () => {
  it("doubles up to a ceiling, within its upper half", () => {
    expect([0, 1, 2, 9, 99].map((attempt) => backoff(attempt, () => 1))).toEqual([500, 1000, 2000, 10_000, 10_000]);
    expect(backoff(1, () => 0)).toBe(500);
  });
});

describe("LineHistory", () => {
  it("goes back and forth, and keeps what is being typed", () => {
    const history = new LineHistory();
    for (const line of ["a", "b", "b", ""]) history.add(line);

    expect([history.older("draft"), history.older("b"), history.older("a")]).toEqual(["b", "a", undefined]);
    expect([history.newer(), history.newer(), history.newer()]).toEqual(["b", "draft", undefined]);
  });
});

describe("Store", () => {
  it("survives a browser without storage", () => {
    const store = new Store(() => {
      throw new DOMException("forbidden", "SecurityError");
    });

    expect(store.set("a", "b")).toBe(false);
    expect(store.get("a", asString)).toBeUndefined();
    expect(() => store.remove("a")).not.toThrow();
  });

  it("reads back what is of the right kind", () => {
    const values = new Map([["trio-exec:a", '"b"'], ["trio-exec:c", "1"], ["trio-exec:d", "{"]]);
    const storage = { getItem: (name: string) => values.get(name) ?? null } as Storage;
    const store = new Store(() => storage);

    expect(["a", "c", "d", "e"].map((name) => store.get(name, asString))).toEqual(["b", undefined, undefined, undefined]);
  });
});

describe("withReadableSizes", () => {
  it.each([
    ["this server takes 1048576 bytes at most", "this server takes 1 MiB at most"],
    ["16384 bytes at most", "16 KiB at most"],
    ["a name of 255 bytes", "a name of 255 bytes"],
    ["12345 files", "12345 files"],
  ])("%s", (sentence, readable) => {
    expect(withReadableSizes(sentence)).toBe(readable);
  });
});
