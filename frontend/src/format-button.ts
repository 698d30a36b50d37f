/** Formats the program: one undo takes it back, and what can't be read is marked where the formatter stopped. */

import { ApiError, formatProgram, KeyNeededError, UnformattableError, type Language } from "./api";
import { byId } from "./dom";
import type { Place, Problem } from "./lib/problems";
import { sameProject, type Project } from "./lib/project";
import { formatRequest } from "./lib/request";
import type { Notice } from "./notice";

export interface Formattable {
  readonly language: Language;
  readonly project: Project;
  update(project: Project, by: "this tab"): void;
  save(): void;
  mark(problems: readonly Problem[]): void;
  goTo(place: Place): void;
}

export interface FormatEvents {
  /** Asks for a key; whether there is one now. */
  keyWanted(words: string): Promise<boolean>;
}

export class FormatButton {
  readonly #button = byId("format", HTMLButtonElement);
  readonly #notice: Notice;
  readonly #events: FormatEvents;
  #bench: Formattable | undefined;
  #busy = false;

  constructor(notice: Notice, events: FormatEvents) {
    this.#notice = notice;
    this.#events = events;
    this.#button.addEventListener("click", () => void this.format());
  }

  /** Whose program it is for, and again when that has another language. */
  show(bench: Formattable): void {
    this.#bench = bench;
    this.#button.hidden = !bench.language.formats;
  }

  async format(): Promise<void> {
    const bench = this.#bench;
    if (!bench?.language.formats || this.#busy) return;
    this.#set(true);
    const { language, project } = bench;
    try {
      const texts = await formatProgram(formatRequest(language.name, project));
      // Who has gone on writing, or opened something else, keeps what is there now.
      if (bench.language !== language || !sameProject(bench.project, project)) {
        this.#notice.show("Not formatted: the program has changed meanwhile.", { label: "Format it now", run: () => void this.format() });
        return;
      }
      bench.update({ ...project, files: project.files.map(({ name, text }) => ({ name, text: texts.get(name) ?? text })) }, "this tab");
      bench.save();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (error instanceof KeyNeededError) this.#set(false);
      if (error instanceof KeyNeededError && (await this.#events.keyWanted(error.message))) await this.format();
      else this.#refused(bench, error);
    } finally {
      this.#set(false);
    }
  }

  #set(busy: boolean): void {
    this.#busy = busy;
    this.#button.setAttribute("aria-disabled", String(busy));
    this.#button.textContent = busy ? "Formatting…" : "Format";
  }

  #refused(bench: Formattable, error: ApiError): void {
    const place = error instanceof UnformattableError ? error.place : undefined;
    if (!place) {
      this.#notice.show(error instanceof UnformattableError ? `It can't be formatted: ${error.message}` : error.message);
      return;
    }
    bench.mark([{ ...place, message: error.message, severity: "error" }]);
    this.#notice.show(`It can't be formatted: ${error.message}`, { label: "Go there", run: () => bench.goTo(place) });
  }
}
