/** The line below the output: what goes on in words, and in figures. */

import { byId, textElement } from "./dom";
import { seconds } from "./lib/format";
import type { Place, Problem } from "./lib/problems";
import { describe, describeProblem, figures, limitFigures, type Figure, type Limits, type RunView, type Tone } from "./lib/status";

const TICK = 100;

export interface StatusEvents {
  retry(): void;
  keepAlive(): void;
  goTo(place: Place): void;
  tone(tone: Tone): void;
}

export class StatusLine {
  readonly #bar = byId("status", HTMLElement);
  readonly #text = byId("status-text", HTMLElement);
  readonly #place = byId("status-place", HTMLButtonElement);
  readonly #figures = byId("figures", HTMLElement);
  readonly #retry = byId("retry", HTMLButtonElement);
  readonly #keepAlive = byId("keep-alive", HTMLButtonElement);
  readonly #output = byId("view-output", HTMLElement);
  readonly #events: StatusEvents;
  #ticker: ReturnType<typeof setInterval> | undefined;
  #started = 0;
  #quietSince = 0;
  #view: RunView = { kind: "idle" };
  #problem: Problem | undefined;
  #limits: Limits = {};

  constructor(events: StatusEvents) {
    this.#events = events;
    this.#retry.addEventListener("click", () => events.retry());
    this.#keepAlive.addEventListener("click", () => events.keepAlive());
    this.#place.addEventListener("click", () => {
      if (this.#problem) events.goTo(this.#problem);
    });
    this.show(this.#view);
  }

  set limits(limits: Limits) {
    this.#limits = limits;
    this.#showFigures();
  }

  /** When the program was started, in milliseconds of Date.now(), where that was not just now. */
  set startedAt(time: number) {
    this.#started = performance.now() - (Date.now() - time);
  }

  /** Something came out of the program. */
  noteOutput(): void {
    this.#quietSince = performance.now();
  }

  /** `problem` is what the program's output says of its failure, once it has ended. */
  show(view: RunView, problem?: Problem): void {
    const wasBusy = this.#view.kind === "starting" || this.#view.kind === "live";
    const busy = view.kind === "starting" || view.kind === "live";
    if (busy && (!wasBusy || view.kind === "starting")) this.#started = this.#quietSince = performance.now();
    this.#view = view;
    this.#problem = problem;
    this.#say();
    this.#retry.hidden = !(view.kind === "live" && view.phase.kind === "lost");
    this.#place.hidden = !problem;
    if (problem) this.#place.textContent = `${problem.file}, line ${problem.line}`;
    clearInterval(this.#ticker);
    if (busy) this.#ticker = setInterval(() => this.#tick(), TICK);
    this.#showFigures();
  }

  #tick(): void {
    this.#say();
    this.#showFigures();
  }

  #say(): void {
    const quiet = (performance.now() - this.#quietSince) / 1000;
    const { tone, text } = this.#problem ? describeProblem(this.#view, this.#problem.message) : describe(this.#view, quiet);
    this.#bar.dataset["tone"] = tone;
    this.#output.dataset["tone"] = tone;
    this.#events.tone(tone);
    // Only when it differs: a live region reads out whatever is put into it.
    if (this.#text.textContent !== text) this.#text.textContent = text;
    this.#keepAlive.hidden = this.#endsIn === undefined;
  }

  /** In seconds, while the server is about to end it for want of input and output. */
  get #endsIn(): number | undefined {
    if (this.#view.kind !== "live" || this.#view.idleUntil === undefined || this.#view.phase.kind !== "open") return undefined;
    return Math.max(0, Math.ceil((this.#view.idleUntil - Date.now()) / 1000));
  }

  #showFigures(): void {
    this.#figures.replaceChildren(...this.#currentFigures().map(({ label, value, valueFirst }) => {
      const group = document.createElement("div");
      if (valueFirst) group.className = "value-first";
      group.append(textElement("dt", label), textElement("dd", value));
      return group;
    }));
  }

  #currentFigures(): Figure[] {
    const view = this.#view;
    if (view.kind === "idle") return limitFigures(this.#limits);
    if (view.kind === "over") return figures(view.state);
    if (view.kind !== "live" && view.kind !== "starting") return [];
    if (view.kind === "live" && view.phase.kind === "lost") {
      const wait = Math.max(0, Math.ceil((view.phase.retryAt - Date.now()) / 1000));
      return [{ label: "next attempt in", value: `${wait} s` }];
    }
    const elapsed = (performance.now() - this.#started) / 1000;
    const waiting = view.kind === "live" && view.state?.state === "waiting";
    const time = { label: waiting ? "waited" : "time", value: elapsed < 60 ? `${elapsed.toFixed(1)} s` : seconds(elapsed) };
    const left = this.#endsIn;
    const others = view.kind === "live" ? (view.watchers ?? 0) - (view.watching ? 1 : 0) : 0;
    return [
      ...(others > 0 ? [{ label: others === 1 ? "is watching" : "are watching", value: String(others), valueFirst: true }] : []),
      ...(left === undefined ? [] : [{ label: "ends without input in", value: `${left} s` }]),
      time,
    ];
  }
}
