/** The panel of tests: what the program reads, what it should print, and of each run which it got right. */

import { ApiError, KeyNeededError, runTests } from "./api";
import { byId, textElement } from "./dom";
import { MAX_TESTS, type Case, type Test, type Verdict } from "./lib/cases";
import { seconds } from "./lib/format";
import { testRequest, type Launch } from "./lib/request";
import { describe, type RunView } from "./lib/status";
import type { SessionState } from "./wire";

export interface JudgeEvents {
  view(view: RunView): void;
  /** Somebody has changed the tests. */
  changed(tests: readonly Test[]): void;
  /** What the compiler had to say, where that ended it. */
  compiled(state: SessionState, output: string): void;
  keyWanted(words: string): void;
}

/** As much of what went wrong as is read. */
const SHOWN = 4000;

function field(label: string, value: string, changed: (value: string) => void): HTMLElement {
  const wrapper = document.createElement("label");
  const area = document.createElement("textarea");
  area.className = "field mono";
  area.rows = 3;
  area.spellcheck = false;
  area.value = value;
  area.addEventListener("input", () => changed(area.value));
  wrapper.append(textElement("span", label), area);
  return wrapper;
}

/** Line by line what is missing and what is too much; the library for that is loaded for the first that fails. */
async function difference(expected: string, actual: string): Promise<HTMLElement> {
  const { diffLines } = await import("diff");
  const trimmed = (text: string): string => `${text.replace(/[^\S\n]+$/gm, "").replace(/\n+$/, "")}\n`;
  const list = document.createElement("pre");
  list.className = "difference";
  for (const { value, added, removed } of diffLines(trimmed(expected), trimmed(actual))) {
    const [sign, kind, spoken] = added ? ["+", "extra", "too much: "] : removed ? ["-", "missing", "missing: "] : [" ", "", ""];
    for (const line of value.replace(/\n$/, "").slice(0, SHOWN).split("\n")) {
      const element = document.createElement(kind === "extra" ? "ins" : kind === "missing" ? "del" : "span");
      if (spoken) element.append(textElement("span", spoken, "visually-hidden"));
      element.append(`${sign} ${line}\n`);
      list.append(element);
    }
  }
  return list;
}

export class Judge {
  readonly #events: JudgeEvents;
  readonly #list = byId("tests-list", HTMLElement);
  readonly #add = byId("tests-add", HTMLButtonElement);
  #tests: readonly Test[] = [];
  #results = new Map<number, Case>();
  #abort: AbortController | undefined;
  #turn = 0;

  constructor(events: JudgeEvents) {
    this.#events = events;
    this.#add.addEventListener("click", () => {
      this.#change([...this.#tests, { input: "", expected: "" }]);
      this.#list.lastElementChild?.querySelector("textarea")?.focus();
    });
    this.#show();
  }

  get active(): boolean {
    return this.#abort !== undefined;
  }

  /** The tests of the program that is open now. */
  set tests(tests: readonly Test[]) {
    if (tests === this.#tests) return;
    this.#tests = tests;
    this.#results.clear();
    this.#show();
  }

  async run(launch: Omit<Launch, "stdin" | "terminal">): Promise<void> {
    this.stop();
    const tests = this.#tests;
    if (tests.length === 0) {
      this.#events.view({ kind: "refused", message: "There are no tests yet: add one." });
      return;
    }
    const turn = ++this.#turn;
    const abort = new AbortController();
    this.#abort = abort;
    this.#results.clear();
    this.#show();
    const view = (next: RunView): void => {
      if (turn === this.#turn) this.#events.view(next);
    };
    view({ kind: "testing", done: 0, count: tests.length });
    let verdict: Verdict | undefined;
    let compiles = true;
    try {
      for await (const told of runTests(testRequest(launch, tests), abort.signal)) {
        if (turn !== this.#turn) return;
        if (told.type === "compile") {
          compiles = told.state.exitCode === 0 && told.state.state === "finished";
          if (!compiles) this.#events.compiled(told.state, told.output);
        } else if (told.type === "case") {
          this.#results.set(told.index, told);
          this.#show();
          view({ kind: "testing", done: this.#results.size, count: tests.length });
        } else if (told.type === "batch") {
          verdict = told;
        }
      }
      this.#abort = turn === this.#turn ? undefined : this.#abort;
      view(this.#verdict(verdict, compiles, tests.length));
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (turn !== this.#turn) return;
      this.#abort = undefined;
      view({ kind: "refused", message: error.message });
      if (error instanceof KeyNeededError) this.#events.keyWanted(error.message);
    }
  }

  /** Ends the tests that run, if any. */
  stop(): void {
    if (!this.#abort) return;
    this.#turn += 1;
    this.#abort.abort();
    this.#abort = undefined;
    this.#events.view({ kind: "refused", message: "Stopped." });
  }

  #verdict(verdict: Verdict | undefined, compiles: boolean, count: number): RunView {
    if (!verdict) return { kind: "refused", message: "The connection was lost before all tests had run." };
    const { state, passed } = verdict;
    const cut = state.state === "terminated" ? describe({ kind: "over", state, limits: {} }).text : undefined;
    return { kind: "tested", passed, count, compiles, ...(cut !== undefined && { message: cut }) };
  }

  #change(tests: readonly Test[]): void {
    this.#tests = tests;
    this.#results.clear();
    this.#events.changed(tests);
    this.#show();
  }

  /** While somebody types in a test, its fields stay as they are. */
  #edit(index: number, change: Partial<Test>): void {
    this.#tests = this.#tests.map((test, i) => (i === index ? { ...test, ...change } : test));
    this.#events.changed(this.#tests);
  }

  #show(): void {
    const failed = [...this.#results.values()].filter(({ passed }) => !passed).map(({ index }) => index);
    const first = failed.length === 0 ? -1 : Math.min(...failed);
    this.#list.replaceChildren(...this.#tests.map((test, i) => this.#item(test, i, i === first)));
    this.#add.hidden = this.#tests.length >= MAX_TESTS;
  }

  #item(test: Test, index: number, explained: boolean): HTMLElement {
    const item = document.createElement("li");
    const result = this.#results.get(index);
    const head = document.createElement("div");
    head.className = "test-head";
    head.append(textElement("h2", `Test ${index + 1}`));
    if (result) head.append(textElement("span", ...badge(result)));
    const remove = textElement("button", "Remove", "control quiet small");
    remove.type = "button";
    remove.setAttribute("aria-label", `Remove test ${index + 1}`);
    remove.addEventListener("click", () => {
      this.#change(this.#tests.filter((_, i) => i !== index));
      this.#add.focus();
    });
    head.append(remove);
    const fields = document.createElement("div");
    fields.className = "test-fields";
    fields.append(
      field("Input", test.input, (input) => this.#edit(index, { input })),
      field("Expected output", test.expected, (expected) => this.#edit(index, { expected })),
    );
    item.append(head, fields);
    if (result && !result.passed && explained) void this.#explain(item, test, result);
    return item;
  }

  async #explain(item: HTMLElement, test: Test, { matches, stdout, stderr, state }: Case): Promise<void> {
    const { tone, text } = describe({ kind: "over", state, limits: {} });
    if (tone !== "good") item.append(textElement("p", text, "test-words"));
    if (stderr !== "") item.append(textElement("pre", stderr.slice(-SHOWN), "test-errors"));
    if (!matches) item.append(await difference(test.expected, stdout));
  }
}

function badge({ passed, state }: Case): [text: string, className: string] {
  const time = state.wallTime === undefined ? "" : ` in ${seconds(state.wallTime)}`;
  return passed ? [`✓ passed${time}`, "verdict passed"] : [`✗ failed${time}`, "verdict failed"];
}
