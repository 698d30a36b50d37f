/** The small page that other pages show in a frame: a program to change and to run, and what comes of it. */

import { ApiError, fetchCatalogue, useKey, type Catalogue, type Language } from "./api";
import { byId, hasKeyboard } from "./dom";
import { Editor } from "./editor";
import { findLanguage, parseAddress, resolveAddress } from "./lib/address";
import { splitArguments } from "./lib/arguments";
import type { Command } from "./lib/commands";
import type { Project } from "./lib/project";
import type { Place } from "./lib/problems";
import { sessionRequest } from "./lib/request";
import { encodeShared, type Shared } from "./lib/share";
import { describe, endWords, type Limits, type RunView } from "./lib/status";
import { asString, Store } from "./lib/storage";
import { Transcript } from "./lib/transcript";
import { LineInput } from "./line-input";
import { ParentPage } from "./parent-page";
import { Run } from "./run";
import { RunButton } from "./run-button";
import { Screen } from "./screen";
import { StatusLine } from "./status-line";
import { useConstructedStyles } from "./stylesheets";
import { Traces } from "./traces";

const PREFERRED = "python";
/** Milliseconds after the last change until others hear of it. */
const QUIET = 300;
const SMALL = 13;

class Embedded {
  readonly #languages: readonly Language[];
  readonly #limits: Limits;
  readonly #parent: ParentPage;
  readonly #title = byId("title", HTMLElement);
  readonly #file = byId("file", HTMLSelectElement);
  readonly #open = byId("open", HTMLAnchorElement);
  readonly #button = new RunButton(
    () => {
      if (this.start() && hasKeyboard()) this.#focusInput();
    },
    () => this.#run.stop(),
  );
  readonly #editor = new Editor(byId("editor", HTMLElement), () => this.#changed());
  readonly #screen: Screen;
  readonly #line: LineInput;
  readonly #status: StatusLine;
  readonly #run: Run;
  readonly #traces = new Traces((place) => this.#goTo(place));
  readonly #transcript = new Transcript();
  #language: Language;
  #args = "";
  #stdin: string | undefined;
  #tty = true;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #state = "";

  constructor(parent: ParentPage, { languages, limits }: Catalogue, language: Language) {
    this.#languages = languages;
    this.#limits = limits;
    this.#language = language;
    this.#parent = parent;
    this.#screen = new Screen(byId("screen", HTMLElement), { shade: "dark", size: SMALL, reader: true }, {
      input: (data) => void this.#run.send({ type: "input", data }),
      resize: (rows, cols) => {
        if (this.#tty && this.#run.active) this.#run.send({ type: "resize", rows, cols });
      },
      links: (line) => this.#traces.links(line),
      key: (event) => this.#handleKey(event),
    });
    this.#line = new LineInput({
      line: (text) => this.#sendLine(text),
      endOfInput: () => void this.#run.send({ type: "eof" }),
      interrupt: () => void this.#run.send({ type: "signal", signal: "SIGINT" }),
      typing: () => void this.#run.send({ type: "alive" }),
    });
    this.#status = new StatusLine({
      retry: () => this.#run.retryNow(),
      keepAlive: () => void this.#run.send({ type: "alive" }),
      goTo: (place) => this.#goTo(place),
      tone: () => undefined,
    });
    this.#status.limits = limits;
    this.#run = new Run(() => this.#limits, {
      view: (view) => this.#show(view),
      output: (stream, data) => {
        this.#transcript.add(data);
        this.#status.noteOutput();
        this.#screen.write(stream, data);
        this.#parent.report({ type: "output", stream, data });
      },
      size: () => this.#screen.size,
      rejected: (error) => this.#parent.report({ type: "error", error }),
      // A frame is no place to ask for a key: the whole page, which the link opens, does.
      keyWanted: () => undefined,
      over: () => undefined,
    });
    this.#file.addEventListener("change", () => this.#editor.select(this.#file.selectedIndex));
    document.addEventListener("keydown", (event) => this.#handleKey(event));
    this.#line.hidden = hasKeyboard();
  }

  /** From now on it can be used. */
  ready(): void {
    this.#button.enable();
    document.body.classList.add("ready");
    this.#editor.complete();
    void this.#screen.useGraphemes();
    this.#parent.report({ type: "ready" });
    this.#parent.listen((command) => this.#obey(command));
  }

  load({ language, project, tty }: Shared): void {
    this.#language = findLanguage(language, this.#languages) ?? this.#language;
    this.#args = project.args;
    if (tty !== undefined) this.#tty = tty;
    this.#title.textContent = this.#language.title;
    this.#file.replaceChildren(...project.files.map(({ name }) => new Option(name)));
    this.#file.hidden = project.files.length < 2;
    this.#editor.load(project.files);
    void this.#linkToPage();
  }

  set readOnly(readOnly: boolean) {
    this.#editor.readOnly = readOnly;
  }

  /** False when there was nothing that could be started. */
  start(): boolean {
    const parsed = splitArguments(this.#args);
    if ("problem" in parsed) {
      this.#parent.report({ type: "error", error: parsed.problem });
      return false;
    }
    const stdin = this.#stdin;
    const tty = this.#tty && stdin === undefined;
    this.#screen.begin(tty);
    this.#line.hidden = tty && hasKeyboard();
    this.#line.label = tty ? "Answer" : "Input";
    this.#line.begin(stdin !== undefined);
    const { name, sourceFile, errors } = this.#language;
    this.#transcript.clear();
    this.#editor.mark([]);
    this.#traces.follow(errors, this.#project.files.map(({ name }) => name));
    const terminal = tty ? this.#screen.size : undefined;
    const request = sessionRequest({ language: name, sourceFile, project: this.#project, args: parsed.args, stdin, terminal });
    void this.#run.start({ request, tty, sent: [] });
    return true;
  }

  get #project(): Project {
    return { files: this.#editor.files, args: this.#args };
  }

  #obey(command: Command): void {
    switch (command.type) {
      case "set":
        this.#set(command);
        break;
      case "run":
        this.start();
        break;
      case "stop":
        this.#run.stop();
        break;
      case "hello":
        this.#parent.report({ type: "ready" });
        break;
    }
  }

  #set({ language: wanted, code, files, args, stdin }: Extract<Command, { type: "set" }>): void {
    const language = wanted === undefined ? this.#language : findLanguage(wanted, this.#languages);
    if (!language) {
      const there = this.#languages.map(({ name }) => name).join(", ");
      this.#parent.report({ type: "error", error: `This server has no language “${wanted ?? ""}”; it has ${there}.` });
      return;
    }
    if (stdin !== undefined) this.#stdin = stdin === "" ? undefined : stdin;
    const given = files ?? (code === undefined ? undefined : [{ name: language.sourceFile, text: code }]);
    this.load({ language: language.name, project: { files: given ?? this.#editor.files, args: args ?? this.#args } });
  }

  #handleKey(event: KeyboardEvent): boolean {
    if (event.defaultPrevented || event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return false;
    event.preventDefault();
    if (!event.repeat) this.start();
    return true;
  }

  #sendLine(text: string): boolean {
    const tty = this.#run.tty;
    const line = `${text}\n`;
    if (!this.#run.send({ type: "input", data: tty ? `${text}\r` : line })) return false;
    if (!tty) this.#screen.write("echo", line);
    return true;
  }

  #focusInput(): void {
    if (this.#line.hidden) this.#screen.focus();
    else this.#line.focus();
  }

  #changed(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#parent.report({ type: "changed", language: this.#language.name, ...this.#project });
      void this.#linkToPage();
    }, QUIET);
  }

  /** Made beforehand: a browser opens no window for a link that is only known later. */
  async #linkToPage(): Promise<void> {
    const shared = { language: this.#language.name, tty: this.#tty, project: this.#project };
    this.#open.href = `./#${await encodeShared(shared)}`;
  }

  #show(view: RunView): void {
    const { active } = this.#run;
    const problems = this.#traces.problems(view, () => this.#transcript.text());
    if (problems.length > 0) this.#editor.mark(problems);
    this.#status.show(view, problems[0]);
    this.#button.show(active ? "stop" : "run");
    this.#line.wanted = view.kind === "live" && view.inputWanted;
    this.#report(view);
    if (active) return;
    this.#screen.end(view.kind === "over" ? endWords(view.state) : "");
    this.#line.end();
  }

  #goTo(place: Place): void {
    const index = this.#project.files.findIndex(({ name }) => name === place.file);
    if (index < 0) return;
    this.#file.selectedIndex = index;
    this.#editor.select(index);
    this.#editor.goTo(place);
  }

  #report(view: RunView): void {
    const { text } = describe(view);
    if (view.kind === "over") {
      const { state, stage, reason, exitCode, signal, wallTime, cpuTime, peakMemory, outputTruncated } = view.state;
      const facts = { state, stage, reason, exitCode, signal, wallTime, cpuTime, peakMemory, outputTruncated };
      const known = Object.entries(facts).filter(([, value]) => value !== undefined);
      this.#parent.report({ ...Object.fromEntries(known), type: "result", state, text });
    } else if (view.kind === "refused" || view.kind === "gone") {
      this.#parent.report({ type: "result", state: view.kind, text });
    } else if (view.kind === "starting" || view.kind === "live") {
      const state = view.kind === "starting" ? "starting" : (view.state?.state ?? "starting");
      const inputWanted = view.kind === "live" && view.inputWanted;
      // The view has more to it than parents are told; what they know already is not said again.
      const now = `${state} ${inputWanted}`;
      if (now !== this.#state) this.#parent.report({ type: "state", state, inputWanted });
      this.#state = now;
      return;
    }
    this.#state = "";
  }
}

async function begin(): Promise<void> {
  const parent = new ParentPage();
  const kept = new Store(() => localStorage);
  useKey(kept.get("key", asString));
  const catalogue = await fetchCatalogue();
  const { languages } = catalogue;
  const address = await parseAddress(location.hash.slice(1));
  const first = languages.find(({ name }) => name === PREFERRED) ?? languages[0];
  if (!first) throw new ApiError("The server offers no languages.");
  const { theme } = address ?? {};
  if (theme) document.documentElement.dataset["theme"] = theme;
  const embedded = new Embedded(parent, catalogue, first);
  const found = address && resolveAddress(address, languages, first.name);
  const language = languages.find(({ name }) => name === found?.language) ?? first;
  const [example] = language.examples;
  const project = { files: [{ name: language.sourceFile, text: example?.code ?? "" }], args: "" };
  embedded.load(found?.shared ?? { language: language.name, project });
  embedded.readOnly = address?.readOnly === true;
  embedded.ready();
  if (found && found.problems.length > 0) say(found.problems.join(" "));
  else if (address?.run) embedded.start();
}

function say(words: string): void {
  byId("status-text", HTMLElement).textContent = words;
}

// The page around it asks for something else.
window.addEventListener("hashchange", () => location.reload());
// Before anything makes an editor or a terminal.
useConstructedStyles(document);
begin().catch((error: unknown) => {
  if (!(error instanceof ApiError)) throw error;
  say(error.message);
});
