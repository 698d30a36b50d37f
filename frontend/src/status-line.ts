/** The line at the foot of the page: what goes on in words, and in figures. */

import { byId, textElement } from "./dom";
import { seconds } from "./lib/format";
import { describe, figures, type Figure, type RunView } from "./lib/status";

const TICK = 100;

export class StatusLine {
  readonly #bar = byId("status", HTMLElement);
  readonly #text = byId("status-text", HTMLElement);
  readonly #figures = byId("figures", HTMLElement);
  readonly #retry = byId("retry", HTMLButtonElement);
  #ticker: ReturnType<typeof setInterval> | undefined;
  #started = 0;
  #view: RunView = { kind: "idle" };

  constructor(retry: () => void) {
    this.#retry.addEventListener("click", retry);
    this.show(this.#view);
  }

  show(view: RunView): void {
    const wasBusy = this.#view.kind === "starting" || this.#view.kind === "live";
    const busy = view.kind === "starting" || view.kind === "live";
    if (busy && (!wasBusy || view.kind === "starting")) this.#started = performance.now();
    this.#view = view;
    const { tone, text } = describe(view);
    this.#bar.dataset["tone"] = tone;
    // Only when it differs: a live region reads out whatever is put into it.
    if (this.#text.textContent !== text) this.#text.textContent = text;
    this.#retry.hidden = !(view.kind === "live" && view.phase.kind === "lost");
    clearInterval(this.#ticker);
    if (busy) this.#ticker = setInterval(() => this.#showFigures(), TICK);
    this.#showFigures();
  }

  #showFigures(): void {
    this.#figures.replaceChildren(...this.#currentFigures().map(({ label, value }) => {
      const group = document.createElement("div");
      group.append(textElement("dt", label), textElement("dd", value));
      return group;
    }));
  }

  #currentFigures(): Figure[] {
    if (this.#view.kind === "over") return figures(this.#view.state);
    if (this.#view.kind !== "live" && this.#view.kind !== "starting") return [];
    if (this.#view.kind === "live" && this.#view.phase.kind === "lost") {
      const wait = Math.max(0, Math.ceil((this.#view.phase.retryAt - Date.now()) / 1000));
      return [{ label: "next attempt in", value: `${wait} s` }];
    }
    const elapsed = (performance.now() - this.#started) / 1000;
    return [{ label: "time", value: elapsed < 60 ? `${elapsed.toFixed(1)} s` : seconds(elapsed) }];
  }
}
