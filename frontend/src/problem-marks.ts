/** Marks of errors in the editor: the line tinted, a bar at its side, the message behind it; gone at the next edit. */

import { StateEffect, StateField, type Extension, type Range } from "@codemirror/state";
import { Decoration, EditorView, WidgetType, type DecorationSet } from "@codemirror/view";

import type { Problem } from "./lib/problems";

/** Sets the problems of one file, in place of those that it had. */
export const setProblems = StateEffect.define<readonly Problem[]>();

class Message extends WidgetType {
  constructor(
    readonly text: string,
    readonly severity: Problem["severity"],
  ) {
    super();
  }

  override eq(other: Message): boolean {
    return other.text === this.text && other.severity === this.severity;
  }

  override toDOM(): HTMLElement {
    const element = document.createElement("span");
    element.className = `cm-problem-message cm-problem-${this.severity}`;
    element.textContent = this.text;
    return element;
  }

  override get estimatedHeight(): number {
    return -1;
  }
}

function decorate(problems: readonly Problem[], lines: number, at: (line: number) => { from: number; to: number }): DecorationSet {
  const byLine = new Map<number, Problem>();
  for (const problem of problems) {
    const line = Math.min(problem.line, lines);
    const known = byLine.get(line);
    // One message a line: the first, and an error before a warning.
    if (!known || (known.severity === "warning" && problem.severity === "error")) byLine.set(line, problem);
  }
  const ranges: Range<Decoration>[] = [];
  for (const [line, { severity, message }] of [...byLine].sort(([one], [other]) => one - other)) {
    const { from, to } = at(line);
    ranges.push(Decoration.line({ class: `cm-problem-line cm-problem-${severity}` }).range(from));
    ranges.push(Decoration.widget({ widget: new Message(message, severity), side: 1 }).range(to));
  }
  return Decoration.set(ranges);
}

const field = StateField.define<DecorationSet>({
  create: () => Decoration.none,
  update(marks, transaction) {
    for (const effect of transaction.effects) {
      if (effect.is(setProblems)) {
        const { doc } = transaction.state;
        return decorate(effect.value, doc.lines, (line) => doc.line(line));
      }
    }
    return transaction.docChanged ? Decoration.none : marks;
  },
  provide: (it) => EditorView.decorations.from(it),
});

const looks = EditorView.theme({
  ".cm-problem-line": { boxShadow: "inset 3px 0 0 var(--bad)", backgroundColor: "var(--bad-soft)" },
  ".cm-problem-line.cm-problem-warning": { boxShadow: "inset 3px 0 0 var(--warning)", backgroundColor: "var(--warning-soft)" },
  ".cm-problem-message": {
    paddingLeft: "3ch",
    color: "var(--bad)",
    fontFamily: "var(--sans)",
    fontSize: "0.93em",
    whiteSpace: "pre-wrap",
    cursor: "default",
  },
  ".cm-problem-message.cm-problem-warning": { color: "var(--warning)" },
});

export const problemMarks: Extension = [field, looks];
