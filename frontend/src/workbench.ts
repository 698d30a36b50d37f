/** The code side of the page: the open program's files and arguments, and the menus that open others. */

import type { Example, Language } from "./api";
import { NameDialog } from "./dialogs";
import { byId, hasKeyboard } from "./dom";
import { Editor, type EditorPreferences, type EditorSession } from "./editor";
import { ExamplesMenu } from "./examples";
import { programNameProblem, type Program } from "./lib/program";
import {
  addFile,
  fileNameProblem,
  freeFileName,
  MAX_FILES,
  moveFile,
  removeFile,
  renameFile,
  type Project,
} from "./lib/project";
import type { Test } from "./lib/cases";
import type { Place, Problem } from "./lib/problems";
import type { Shared } from "./lib/share";
import { LocalFiles } from "./local-files";
import type { Notice } from "./notice";
import { Programs, type Desk } from "./programs";
import { ProgramsMenu } from "./programs-menu";
import { saveProgram } from "./save";
import type { Stores } from "./stores";
import { fileEnding } from "./syntax";
import { Tabs } from "./tabs";

/** What a main file of that name would come to; undefined where it is what the language's tools expect. */
function mainFileHint(name: string, { sourceFile, title }: Language): string | undefined {
  const ending = fileEnding(sourceFile);
  if (fileEnding(name) === ending) return undefined;
  return `The main file is run as ${title}: its tools may not take it without “.${ending}” at its end.`;
}

export class Workbench implements Desk {
  readonly #notice: Notice;
  readonly #languages: readonly Language[];
  readonly #select = byId("language", HTMLSelectElement);
  readonly #args = byId("args", HTMLInputElement);
  readonly #editor = new Editor(byId("editor", HTMLElement), () => this.#changed());
  readonly #names = new NameDialog();
  readonly #tabs: Tabs;
  readonly #examples: ExamplesMenu;
  readonly #programs: Programs;
  readonly #files: LocalFiles;
  /** Which program is to be read, not changed. */
  #readOnly: string | undefined;
  #active = 0;
  /** Names and arguments; the texts are the editor's. */
  #project: Project = { files: [], args: "" };
  /** Called with the main file's name. */
  onShown: (name: string) => void = () => undefined;
  /** Called for an example that needs a terminal. */
  onTerminalWanted: () => void = () => undefined;

  constructor(languages: readonly Language[], { kept, tab }: Stores, notice: Notice) {
    this.#languages = languages;
    this.#notice = notice;
    this.#tabs = new Tabs({
      select: (index) => this.#selectFile(index),
      rename: (index) => this.#renameFile(index),
      remove: (index) => this.#removeFile(index),
      move: (from, to) => this.#moveFile(from, to),
    });
    this.#examples = new ExamplesMenu((example) => this.#openExample(example));
    this.#select.replaceChildren(
      ...languages.map(({ name, title, version }) => new Option(`${title} ${version}`.trim(), name)),
    );
    this.#select.disabled = false;
    this.#select.addEventListener("change", () => this.chooseLanguage(this.#select.value));
    this.#args.addEventListener("input", () => this.#changed());
    byId("file-add", HTMLButtonElement).addEventListener("click", () => this.#addFile());
    byId("code-keys", HTMLElement).addEventListener("click", ({ target }) => this.#pressKey(target));
    this.#programs = new Programs(languages, kept, tab, this, notice);
    new ProgramsMenu({
      list: () => {
        this.#programs.save();
        const { list, current, example } = this.#programs;
        return { programs: list, open: current.id, hasExample: example !== undefined };
      },
      open: (id) => this.#programs.open(id),
      create: () => this.#programs.create(),
      duplicate: () => this.#programs.duplicate(),
      rename: (id) => this.#renameProgram(id),
      remove: (id) => this.#programs.remove(id),
      reset: () => this.#programs.reset(),
      openFiles: () => this.openLocalFiles(),
      saveToFile: () => this.saveToFile(),
      title: (language) => this.#programs.title(language),
    });
    this.#files = new LocalFiles(
      { languages, language: () => this.language.name, opened: (opened) => this.#programs.openFiles(opened) },
      notice,
    );
    this.#programs.begin();
  }

  get language(): Language {
    const { language } = this.#programs.current;
    const found = this.#languages.find(({ name }) => name === language);
    if (!found) throw new RangeError(`there is no language ${language}`);
    return found;
  }

  get project(): Project {
    const { tests = [] } = this.#project;
    return { files: this.#editor.files, args: this.#args.value, ...(tests.length > 0 && { tests }) };
  }

  get tests(): readonly Test[] {
    return this.#project.tests ?? [];
  }

  set tests(tests: readonly Test[]) {
    this.#project = { ...this.#project, tests };
    this.#changed();
  }

  focus(): void {
    this.#editor.focus();
  }

  /** Loads what it can do without at first. */
  complete(): void {
    this.#editor.complete();
  }

  configure(preferences: EditorPreferences): void {
    void this.#editor.configure(preferences);
  }

  /** Marks what a run has shown to be wrong, until the next edit. */
  mark(problems: readonly Problem[]): void {
    this.#editor.mark(problems);
  }

  /** Opens the file, and puts the cursor there. Nothing happens where the file is gone by now. */
  goTo(place: Place): void {
    const index = this.#fileNames.indexOf(place.file);
    if (index < 0) return;
    this.#selectFile(index);
    this.#editor.goTo(place);
  }

  chooseLanguage(name: string): void {
    this.#notice.hide();
    this.#programs.openLanguage(name);
  }

  /** Opens what a link carries, to be changed or only to be read. */
  openShared(shared: Shared, readOnly: boolean): void {
    this.#programs.openShared(shared);
    const { id } = this.#programs.current;
    this.#readOnly = readOnly ? id : undefined;
    this.#showReadOnly(id);
    if (!readOnly) return;
    this.#notice.show("This program is shown to be read.", {
      label: "Change it",
      run: () => {
        this.#readOnly = undefined;
        this.#showReadOnly(this.#programs.current.id);
        this.focus();
      },
    });
  }

  #showReadOnly(shown: string): void {
    const readOnly = this.#readOnly === shown;
    this.#editor.readOnly = readOnly;
    this.#args.readOnly = readOnly;
    byId("file-add", HTMLButtonElement).hidden = readOnly;
  }

  save(): void {
    this.#programs.save();
  }

  /** Asks for local files, and opens them as a program of their own. */
  openLocalFiles(): void {
    this.#files.choose();
  }

  /** Saves the open program: one file as it is, several as a zip file. */
  saveToFile(): void {
    this.download(this.#programs.current);
  }

  get session(): EditorSession {
    return this.#editor.session;
  }

  show({ id, language: name, project }: Program, session: EditorSession | undefined): void {
    this.#project = project;
    this.#select.value = name;
    this.#args.value = project.args;
    if (session) {
      this.#editor.restore(session);
      this.#editor.update(project.files, "another tab");
    } else {
      this.#editor.load(project.files);
    }
    this.#active = this.#editor.active;
    this.#showReadOnly(id);
    this.#showTabs();
    this.#examples.show(this.#languages.find((language) => language.name === name)?.examples ?? []);
  }

  update(project: Project, by: "this tab" | "another tab"): void {
    this.#project = project;
    if (this.#args.value !== project.args) this.#args.value = project.args;
    this.#editor.update(project.files, by);
    this.#active = this.#editor.active;
    this.#showTabs();
  }

  download(program: Program): void {
    void saveProgram(program);
  }

  #openExample(example: Example): void {
    if (example.tty) this.onTerminalWanted();
    this.#programs.openExample(example);
    if (hasKeyboard()) this.focus();
  }

  #renameProgram(id: string): void {
    const program = this.#programs.list.find((it) => it.id === id);
    if (!program) return;
    this.#names.ask({
      title: `Rename “${program.name}”`,
      label: "Name of the program",
      name: program.name,
      verb: "Rename",
      check: programNameProblem,
      done: (name) => this.#programs.rename(id, name),
    });
  }

  #pressKey(target: EventTarget | null): void {
    if (!(target instanceof HTMLElement)) return;
    const { key, text, after } = target.dataset;
    if (key === "undo") this.#editor.undo();
    else if (key === "indent") this.#editor.indent();
    else if (text !== undefined) this.#editor.insert(text, after);
  }

  #changed(): void {
    this.#programs.changed();
  }

  #showTabs(): void {
    const names = this.#fileNames;
    this.#tabs.show(names, this.#active);
    this.onShown(names[0] ?? "");
  }

  get #fileNames(): string[] {
    return this.#project.files.map(({ name }) => name);
  }

  #selectFile(index: number): void {
    if (index === this.#active) return;
    this.#active = index;
    this.#editor.select(index);
    this.#showTabs();
  }

  #addFile(): void {
    if (this.#editor.readOnly) return;
    if (this.#project.files.length >= MAX_FILES) {
      this.#notice.show(`A program can have ${MAX_FILES} files at most.`);
      return;
    }
    this.#names.ask({
      title: "Add a file",
      label: "File name",
      name: freeFileName(this.#project),
      verb: "Add",
      check: (name) => fileNameProblem(name, this.#fileNames),
      done: (name) => {
        this.#project = addFile(this.#project, name);
        this.#active = this.#project.files.length - 1;
        this.#editor.add({ name, text: "" });
        this.#showTabs();
        this.#changed();
        this.focus();
      },
    });
  }

  #renameFile(index: number): void {
    if (this.#editor.readOnly) return;
    const old = this.#fileNames[index] ?? "";
    const others = this.#fileNames.filter((_, i) => i !== index);
    this.#names.ask({
      title: `Rename ${old}`,
      label: "File name",
      name: old,
      verb: "Rename",
      check: (name) => fileNameProblem(name, others),
      hint: (name) => (index === 0 ? mainFileHint(name, this.language) : undefined),
      done: (name) => {
        this.#project = renameFile(this.#project, index, name);
        this.#editor.rename(index, name);
        this.#showTabs();
        this.#changed();
      },
      ...(index > 0 && { makeMain: () => this.#moveFile(index, 0) }),
    });
  }

  #moveFile(from: number, to: number): void {
    if (this.#editor.readOnly) return;
    this.#project = moveFile(this.#project, from, to);
    this.#editor.move(from, to);
    this.#active = to;
    this.#showTabs();
    this.#changed();
  }

  #removeFile(index: number): void {
    if (this.#editor.readOnly) return;
    const before = this.project;
    const { id } = this.#programs.current;
    const file = before.files[index];
    if (before.files.length === 1 || !file) return;
    this.#project = removeFile(this.#project, index);
    this.#selectAfterRemoval(index);
    this.#changed();
    if (file.text.trim() === "") return;
    this.#notice.show(`“${file.name}” was removed.`, {
      label: "Bring it back",
      run: () => {
        this.#programs.open(id);
        if (this.#programs.current.id === id) this.#programs.change(before);
      },
    });
  }

  #selectAfterRemoval(index: number): void {
    if (this.#active !== index) this.#editor.select(index);
    this.#editor.remove(index);
    this.#active = Math.min(index, this.#project.files.length - 1);
    this.#showTabs();
  }
}
