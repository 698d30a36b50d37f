/**
 * Where programs lie: each under a key of its own in the browser's storage, so that no write can harm two.
 *
 * What is not there, because nobody has changed it yet or because the storage is full or forbidden, is held in this
 * tab: in memory, and in the tab's own storage for a reload.
 */

import { isRecord } from "../wire";
import { advance, isReplaceable, parseProgram, programRecord, randomId, type Program } from "./program";
import { parseProject, sameProject, type Project } from "./project";
import type { Store } from "./storage";

const PREFIX = "program:";
/** Programs that nobody has changed: a link or an example that was opened, and left for another. */
const MAX_UNCHANGED = 20;

export const programKey = (id: string): string => PREFIX + id;

interface Held {
  readonly program: Program;
  /** Whether it belongs into the browser's storage, and could not be put there. */
  readonly homeless: boolean;
}

function parseHeld(value: unknown): Held[] | undefined {
  if (!Array.isArray(value)) return undefined;
  return value.flatMap((it: unknown) => {
    if (!isRecord(it) || typeof it["id"] !== "string") return [];
    const program = parseProgram(it["id"], it);
    return program ? [{ program, homeless: it["homeless"] === true }] : [];
  });
}

export class ProgramStore {
  readonly #kept: Store;
  readonly #tab: Store;
  readonly #page: string;
  readonly #held: Map<string, Held>;

  /** `page` names this page among those that change a program. */
  constructor(kept: Store, tab: Store, page = randomId()) {
    this.#kept = kept;
    this.#tab = tab;
    this.#page = page;
    this.#held = new Map((tab.get("programs", parseHeld) ?? []).map((it) => [it.program.id, it]));
  }

  /** All programs, the last changed first. */
  list(): Program[] {
    const held = [...this.#held.values()].map(({ program }) => program);
    const all = [...held, ...this.#stored.filter(({ id }) => !this.#held.has(id))];
    return all.sort((one, other) => other.changed - one.changed);
  }

  get #stored(): Program[] {
    return this.#kept.names(PREFIX).flatMap((name) => this.stored(name.slice(PREFIX.length)) ?? []);
  }

  /** A program as this tab has it. */
  find(id: string): Program | undefined {
    return this.#held.get(id)?.program ?? this.stored(id);
  }

  /** A program as it is in the browser's storage now. */
  stored(id: string): Program | undefined {
    return this.#kept.get(programKey(id), (value) => parseProgram(id, value));
  }

  /** Whether something is stored as this program that is none. */
  isUnreadable(id: string): boolean {
    return this.#kept.names(programKey(id)).includes(programKey(id)) && !this.stored(id);
  }

  /** Whether changes of this program are in this tab only. */
  isHomeless(id: string): boolean {
    return this.#held.get(id)?.homeless === true;
  }

  get anyHomeless(): boolean {
    return [...this.#held.values()].some(({ homeless }) => homeless);
  }

  /** Holds a program that nobody has changed yet. */
  hold(program: Program): void {
    this.#held.set(program.id, { program, homeless: false });
    const unchanged = [...this.#held.values()].filter(({ homeless }) => !homeless);
    const [replaceable, others] = [true, false].map((kind) => unchanged.filter((it) => isReplaceable(it.program) === kind));
    const dispensable = [...(replaceable ?? []), ...(others ?? [])].filter((it) => it.program.id !== program.id);
    for (const old of dispensable.slice(0, Math.max(0, unchanged.length - MAX_UNCHANGED))) this.#held.delete(old.program.id);
    this.#writeHeld();
  }

  /** Stores a program that was changed, as a new version. Where that fails it is held in this tab, as the version it was. */
  put(program: Program, now = Date.now()): { readonly program: Program; readonly stored: boolean } {
    const next = { ...program, changed: now, version: advance(program.version, this.#page) };
    const stored = this.#kept.set(programKey(program.id), programRecord(next));
    if (stored) {
      if (this.#held.delete(program.id)) this.#writeHeld();
      return { program: next, stored };
    }
    const held = { ...program, changed: now };
    this.#held.set(program.id, { program: held, homeless: true });
    this.#writeHeld();
    return { program: held, stored };
  }

  /** Lets go of what this tab holds of a program, whose stored version is the better one. */
  release(id: string): void {
    if (this.#held.delete(id)) this.#writeHeld();
  }

  remove(id: string): void {
    this.#kept.remove(programKey(id));
    this.release(id);
  }

  /**
   * Takes over what earlier pages kept, one program and one put aside for each language. A key is removed only when
   * its program lies under a new one; after a crash in between the program is recognised.
   */
  takeOver(isWork: (language: string, project: Project) => boolean, nameFor: (language: string) => string, now = Date.now()): void {
    for (const key of this.#kept.names("")) {
      const [, kind, language] = /^(project|aside):(.+)$/.exec(key) ?? [];
      const project = this.#kept.get(key, parseProject);
      if (language === undefined || !project) continue;
      if (isWork(language, project)) {
        const there = this.#stored.find((it) => it.language === language && sameProject(it.project, project));
        const made = there ?? { id: randomId(), name: nameFor(language), language, project, changed: now, version: [] };
        const record = programRecord({ ...made, version: advance(made.version, this.#page) });
        if (!there && !this.#kept.set(programKey(made.id), record)) continue;
        if (kind === "project") this.#kept.set(`last:${language}`, made.id);
      }
      this.#kept.remove(key);
    }
  }

  #writeHeld(): void {
    const held = [...this.#held].map(([id, { program, homeless }]) => ({ id, homeless, ...programRecord(program) }));
    if (held.length === 0) this.#tab.remove("programs");
    // What has no room there either is in memory still.
    else this.#tab.set("programs", held);
  }
}
