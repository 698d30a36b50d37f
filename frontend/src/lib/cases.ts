/** Tests of a program: what it reads, what it should print, and what came of them. */

import { isRecord, parseState, type SessionState } from "../wire";

export interface Test {
  readonly input: string;
  /** What standard output should be; white space at the ends of lines makes no difference. */
  readonly expected: string;
}

/** The server's own bound, unless its operator has set another. */
export const MAX_TESTS = 256;

export interface Case {
  readonly index: number;
  readonly passed: boolean;
  /** Whether it printed what it should. */
  readonly matches: boolean;
  readonly stdout: string;
  readonly stderr: string;
  readonly state: SessionState;
}

export interface Verdict {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  readonly state: SessionState;
}

/** What a line of the answer tells; undefined for what is of no interest, or of tomorrow. */
export type Told =
  | { readonly type: "compile"; readonly state: SessionState; readonly output: string }
  | ({ readonly type: "case" } & Case)
  | ({ readonly type: "batch" } & Verdict)
  | { readonly type: "refused"; readonly body: Record<string, unknown> };

/** Reads tests from outside; undefined unless every part is usable. None are []. */
export function parseTests(value: unknown): Test[] | undefined {
  if (value === undefined) return [];
  if (!Array.isArray(value) || value.length > MAX_TESTS) return undefined;
  const tests: Test[] = [];
  for (const test of value as unknown[]) {
    if (!isRecord(test) || typeof test["input"] !== "string" || typeof test["expected"] !== "string") return undefined;
    tests.push({ input: test["input"], expected: test["expected"] });
  }
  return tests;
}

export const sameTests = (one: readonly Test[] = [], other: readonly Test[] = []): boolean =>
  one.length === other.length && one.every((test, i) => test.input === other[i]?.input && test.expected === other[i].expected);

const text = (value: unknown): string => (typeof value === "string" ? value : "");
const count = (value: unknown): number => (typeof value === "number" ? value : 0);

/** One line of what `POST /run` with `runs` answers line by line. */
export function parseTold(line: string): Told | undefined {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return undefined;
  }
  if (!isRecord(value)) return undefined;
  const { type } = value;
  if (type === undefined && typeof value["error"] === "string") return { type: "refused", body: value };
  const state = parseState({ state: "finished", ...value });
  if (!state) return undefined;
  switch (type) {
    case "compile":
      return { type, state, output: text(value["stdout"]) + text(value["stderr"]) };
    case "case":
      return {
        type,
        index: count(value["index"]),
        passed: value["passed"] === true,
        matches: value["matches"] !== false,
        stdout: text(value["stdout"]),
        stderr: text(value["stderr"]),
        state,
      };
    case "batch":
      return { type, passed: count(value["passed"]), failed: count(value["failed"]), skipped: count(value["skipped"]), state };
    default:
      return undefined;
  }
}
