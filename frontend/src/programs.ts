/**
 * Which program is open, and that nobody's work is lost.
 *
 * A tab stores only what was changed in it. Where another tab has stored something else meanwhile, nothing is
 * overwritten: what was changed here becomes a program of its own. Examples and links open as programs of their own
 * too, which are stored when somebody changes them.
 */

import type { Example, Language } from "./api";
import type { EditorSession } from "./editor";
import {
  freeProgramName,
  includes,
  isEmpty,
  isReplaceable,
  randomId,
  sameContent,
  sameVersion,
  type Program,
} from "./lib/program";
import type { Opened } from "./lib/opened";
import { programKey, ProgramStore } from "./lib/program-store";
import { sameProject, type Project } from "./lib/project";
import type { Shared } from "./lib/share";
import { asString, nameOfKey, type Store } from "./lib/storage";
import type { Notice } from "./notice";

/** Long enough not to write at every key, short enough to lose nothing worth mentioning. */
const SAVE_DELAY = 300;
/** Of how many programs a tab remembers the cursors and histories. */
const MAX_SESSIONS = 20;
/** What newcomers see first, where the server has it: it is the language most of them read. */
const PREFERRED = "python";

/** Where the open program is worked on. */
export interface Desk {
  /** What is there now. */
  readonly project: Project;
  /** The editor's cursors and histories. */
  readonly session: EditorSession;
  /** Shows a program, with the cursors and histories that it had here. */
  show(program: Program, session: EditorSession | undefined): void;
  /** Changes what is shown, keeping cursors and histories. */
  update(project: Project, by: "this tab" | "another tab"): void;
  /** Hands somebody a program as a file. */
  download(program: Program): void;
}

const exampleProject = (language: Language, example: Example): Project => ({
  files: [{ name: language.sourceFile, text: example.code }],
  args: "",
});

export class Programs {
  readonly #languages: readonly Language[];
  readonly #kept: Store;
  readonly #tab: Store;
  readonly #store: ProgramStore;
  readonly #desk: Desk;
  readonly #notice: Notice;
  readonly #sessions = new Map<string, EditorSession>();
  /** Which program this tab had open last, by language. */
  readonly #last = new Map<string, string>();
  /** The open program as it was loaded or stored; what was changed since is on the desk. */
  #open: Program | undefined;
  /** Whether it was changed in this tab since. */
  #changed = false;
  #saving: ReturnType<typeof setTimeout> | undefined;
  /** Whether it was said already that nothing can be stored. */
  #complained = false;

  constructor(languages: readonly Language[], kept: Store, tab: Store, desk: Desk, notice: Notice) {
    this.#languages = languages;
    this.#kept = kept;
    this.#tab = tab;
    this.#store = new ProgramStore(kept, tab);
    this.#desk = desk;
    this.#notice = notice;
    window.addEventListener("pagehide", () => this.save());
    // Whoever turns to another window may go on there with what is shown in both.
    window.addEventListener("blur", () => this.save());
    window.addEventListener("pageshow", () => this.#look());
    window.addEventListener("storage", ({ key }) => {
      if (key === null || (this.#open && nameOfKey(key) === programKey(this.#open.id))) this.#look();
    });
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) this.save();
      else this.#look();
    });
  }

  /** Opens what this tab had open, or what was open last. */
  begin(): void {
    this.#store.takeOver(
      (language, project) => !isEmpty(project) && !this.#isExample(language, project),
      (language) => this.#freeName(`My ${this.title(language)} program`, language),
    );
    const id = this.#tab.get("program", asString);
    const program = id === undefined ? undefined : this.#store.find(id);
    const language = this.#kept.get("language", asString);
    const names = [language, PREFERRED, this.#languages[0]?.name];
    const first = names.find((name) => this.#languages.some((it) => it.name === name));
    if (program && this.#find(program.language)) this.#show(program);
    else if (first !== undefined) this.openLanguage(first);
  }

  /** The open program as it is now. */
  get current(): Program {
    if (!this.#open) throw new RangeError("no program is open");
    return { ...this.#open, project: this.#desk.project };
  }

  /** What the menu lists: programs that were changed, links that were opened, and the open one. */
  get list(): Program[] {
    const all = this.#store.list().filter((it) => it.id === this.#open?.id || !isReplaceable(it));
    return [...all.filter(({ changed }) => changed === 0).reverse(), ...all.filter(({ changed }) => changed > 0)];
  }

  /** A language's title; its name where this server does not have it. */
  title(language: string): string {
    return this.#find(language)?.title ?? language;
  }

  /** The example that the open program began as, if it was changed since. */
  get example(): Example | undefined {
    if (this.#open?.changed === 0) return undefined;
    return this.#find(this.#open?.language)?.examples.find(({ name }) => name === this.#open?.example);
  }

  /** To be called after each change in this tab. */
  changed(): void {
    this.#changed = true;
    this.#saving ??= setTimeout(() => this.save(), SAVE_DELAY);
  }

  /** Makes the open program's project another one. */
  change(project: Project): void {
    this.#desk.update(project, "this tab");
    this.changed();
    this.save();
  }

  /** Stores what was changed in this tab. */
  save(): void {
    clearTimeout(this.#saving);
    this.#saving = undefined;
    if (this.#open && this.#changed) this.#write(this.current);
  }

  open(id: string): void {
    this.save();
    const program = this.#store.find(id);
    if (!program || id === this.#open?.id) return;
    this.#notice.hide();
    if (this.#find(program.language)) this.#show(program);
    else this.#notice.show(`“${program.name}” is in “${program.language}”, which this server does not have.`);
  }

  /** Opens what this tab, or the one before it, had open in this language. */
  openLanguage(name: string): void {
    this.save();
    const language = this.#find(name);
    if (!language) return;
    const candidates = [this.#last.get(name), this.#kept.get(`last:${name}`, asString)];
    const found = candidates.flatMap((id) => (id === undefined ? [] : (this.#store.find(id) ?? [])));
    const [example] = language.examples;
    this.#show(
      [...found, ...this.list].find((it) => it.language === name) ??
        (example ? this.#fromExample(language, example) : this.#make(language, "Untitled")),
    );
  }

  openExample(example: Example): void {
    const language = this.#find(this.#open?.language);
    if (!language) return;
    this.#replace(this.#fromExample(language, example), `This is the example “${example.title}”.`);
  }

  /** Opens what a link carries, in a language that this server has. */
  openShared({ language: name, project }: Shared): void {
    const language = this.#find(name);
    if (language) this.#replace({ ...this.#make(language, "From a link"), project }, "This is the code from the link.");
  }

  /** Opens local files. */
  openFiles({ name, language: of, project, words }: Opened): void {
    const language = this.#find(of);
    if (!language) return;
    this.#replace({ ...this.#make(language, name), project }, `“${name}” is open. ${words}`.trim(), words !== "");
  }

  /** Opens an empty program in the open one's language. */
  create(): void {
    const language = this.#find(this.#open?.language);
    this.save();
    this.#notice.hide();
    if (language) this.#show(this.#make(language, "Untitled"));
  }

  duplicate(): void {
    this.save();
    const { current } = this;
    this.#notice.hide();
    this.#show(this.#put({ ...current, id: randomId(), name: this.#freeName(current.name, current.language), version: [] }));
  }

  rename(id: string, name: string): void {
    this.save();
    const program = id === this.#open?.id ? this.current : this.#store.find(id);
    if (!program) return;
    if (id === this.#open?.id) this.#write({ ...program, name });
    else this.#put({ ...program, name });
  }

  remove(id: string): void {
    this.save();
    const wasOpen = id === this.#open?.id;
    const program = wasOpen ? this.#open : this.#store.find(id);
    if (!program) return;
    this.#store.remove(id);
    if (wasOpen) {
      this.#last.delete(program.language);
      this.openLanguage(program.language);
    }
    this.#notice.show(`“${program.name}” was removed.`, {
      label: "Bring it back",
      run: () => {
        if (program.changed === 0) this.#store.hold(program);
        else this.#put(program, program.changed);
        if (wasOpen) this.open(id);
      },
    });
  }

  /** Makes the example of it again that the open program began as. */
  reset(): void {
    const { current, example } = this;
    const language = this.#find(current.language);
    if (!example || !language) return;
    this.change(exampleProject(language, example));
    this.#notice.show(`“${current.name}” is the example again.`, {
      label: "Bring yours back",
      run: () => {
        this.open(current.id);
        if (this.#open?.id === current.id) this.change(current.project);
      },
    });
  }

  #find(name: string | undefined): Language | undefined {
    return this.#languages.find((it) => it.name === name);
  }

  #isExample(name: string, project: Project): boolean {
    const language = this.#find(name);
    return language?.examples.some((it) => sameProject(exampleProject(language, it), project)) ?? false;
  }

  /** A name that no other program of this language has, for a new one or the one with this id. */
  #freeName(wanted: string, language: string, id?: string): string {
    const others = this.list.filter((it) => it.language === language && it.id !== id && !isReplaceable(it));
    return freeProgramName(wanted, others.map(({ name }) => name));
  }

  #make(language: Language, name: string): Program {
    const project = { files: [{ name: language.sourceFile, text: "" }], args: "" };
    return { id: randomId(), name: this.#freeName(name, language.name), language: language.name, project, changed: 0, version: [] };
  }

  #fromExample(language: Language, example: Example): Program {
    return { ...this.#make(language, example.title), project: exampleProject(language, example), example: example.name };
  }

  /** Opens a program that takes the place of the open one without anybody having asked for that one to be left. */
  #replace(program: Program, words: string, important = false): void {
    this.save();
    const before = this.#open;
    if (before && sameProject(before.project, program.project) && before.language === program.language) return;
    this.#show(program);
    if (!before || isReplaceable(before)) {
      if (before?.language === program.language) this.#store.remove(before.id);
      if (important) this.#notice.show(words);
      else this.#notice.hide();
    } else {
      const back = { label: "Go back", run: () => this.open(before.id) };
      this.#notice.show(`${words} “${before.name}” is kept under Programs.`, back);
    }
  }

  #show(program: Program): void {
    this.save();
    if (this.#open) this.#keepSession(this.#open.id);
    this.#open = program;
    this.#changed = this.#store.isHomeless(program.id);
    if (program.changed === 0) this.#store.hold(program);
    const session = this.#sessions.get(program.id);
    this.#sessions.delete(program.id);
    this.#desk.show(program, session);
    this.#remember();
  }

  #keepSession(id: string): void {
    this.#sessions.set(id, this.#desk.session);
    const [oldest] = this.#sessions.keys();
    if (this.#sessions.size > MAX_SESSIONS && oldest !== undefined) this.#sessions.delete(oldest);
  }

  /** What a reload of this tab opens, and, once it is stored, a new tab. */
  #remember(): void {
    if (!this.#open) return;
    const { id, language, changed } = this.#open;
    this.#last.set(language, id);
    this.#tab.set("program", id);
    this.#kept.set("language", language);
    if (changed > 0) this.#kept.set(`last:${language}`, id);
  }

  /** Stores the open program, unless another tab has stored something else of it. */
  #write(mine: Program): void {
    this.#changed = false;
    if (this.#open && sameContent(mine, this.#open) && !this.#store.isHomeless(mine.id)) return;
    const stored = this.#store.stored(mine.id);
    if (stored && !sameVersion(stored.version, mine.version)) {
      if (sameContent(mine, stored)) {
        this.#open = stored;
        this.#store.release(mine.id);
      } else if (this.#open && sameProject(stored.project, this.#open.project)) {
        // It was only renamed there.
        const renamedHere = mine.name !== this.#open.name;
        this.#open = this.#put({ ...mine, name: renamedHere ? mine.name : stored.name, version: stored.version });
        this.#changed = this.#store.isHomeless(mine.id);
      } else {
        this.#part(mine, stored.id);
      }
      return;
    }
    if (!stored && this.#store.isUnreadable(mine.id)) {
      // Of a later page, perhaps: it is not ours to replace.
      this.#part(mine, undefined);
      return;
    }
    const name = mine.changed === 0 && mine.name === this.#open?.name ? this.#freeName(mine.name, mine.language, mine.id) : mine.name;
    this.#open = this.#put({ ...mine, name });
    this.#changed = this.#store.isHomeless(mine.id);
    this.#remember();
  }

  #put(program: Program, now?: number): Program {
    const result = this.#store.put(program, now);
    if (result.stored) this.#complained = false;
    else this.#complain(result.program);
    // Only while there is need: browsers keep pages with this listener out of their fast way back.
    window.onbeforeunload = this.#store.anyHomeless ? (event) => this.#askBeforeLeaving(event) : null;
    return result.program;
  }

  #askBeforeLeaving(event: BeforeUnloadEvent): void {
    if (this.#store.anyHomeless) event.preventDefault();
  }

  #complain(program: Program): void {
    if (this.#complained) return;
    this.#complained = true;
    this.#notice.show(
      this.#kept.usable
        ? "This browser's storage for the page is full: your last changes are in this tab only."
        : "This browser does not let the page keep anything: your changes are in this tab only.",
      { label: "Save to a file", run: () => this.#desk.download(this.#open?.id === program.id ? this.current : program) },
    );
  }

  /** Another tab has stored something else of this program: what was made here goes on as one of its own. */
  #part(mine: Program, theirs: string | undefined): void {
    const copy = { ...mine, id: randomId(), name: this.#freeName(mine.name, mine.language), version: [] };
    this.#store.release(mine.id);
    this.#open = this.#put(copy);
    this.#changed = this.#store.isHomeless(copy.id);
    this.#remember();
    const words = `This program was changed in another tab. Yours is kept as “${copy.name}”.`;
    const keep = { label: "Keep mine", run: () => undefined };
    if (theirs === undefined) this.#notice.show(words);
    else this.#notice.show(words, { label: "Load that", run: () => this.#loadTheirs(copy.id, theirs) }, keep);
  }

  #loadTheirs(copy: string, theirs: string): void {
    this.open(theirs);
    if (this.#open?.id === theirs) this.remove(copy);
  }

  /** Looks whether another tab has changed the open program. */
  #look(): void {
    if (!this.#open) return;
    const open = this.#open;
    const stored = this.#store.stored(open.id);
    if (!stored) {
      if (open.version.length > 0 && !this.#store.isUnreadable(open.id)) this.#wasRemoved();
    } else if (!sameVersion(stored.version, open.version)) {
      if (this.#changed) this.save();
      // Two tabs that stored at the same moment: what this one had stored is not in there.
      else if (!includes(stored.version, open.version)) this.#part(this.current, stored.id);
      else this.#take(stored);
    }
  }

  #take(stored: Program): void {
    this.#open = stored;
    this.#store.release(stored.id);
    this.#desk.update(stored.project, "another tab");
  }

  #wasRemoved(): void {
    if (this.#changed) {
      this.save();
      return;
    }
    // From now on it is nobody's example, which could be had again.
    const { id, name, language, project } = this.current;
    const program: Program = { id, name, language, project, changed: 0, version: [] };
    this.#open = program;
    this.#store.hold(program);
    this.#notice.show("This program was removed in another tab. It is still open in this one.", {
      label: "Keep it",
      run: () => {
        this.open(program.id);
        if (this.#open?.id === program.id) this.#open = this.#put(this.current);
      },
    });
  }
}
