/** Puts the page together: the code side, the output side, the run between them. */

import { fetchFiles, sessionInfo, type Catalogue, type SessionInfo } from "./api";
import { Console } from "./console";
import { ShareDialog } from "./dialogs";
import { byId, hasKeyboard } from "./dom";
import { describeLimits } from "./facts";
import { FormatButton } from "./format-button";
import type { Judge } from "./judge";
import type { Key } from "./key";
import { LeftFilesList } from "./left-files";
import { splitArguments } from "./lib/arguments";
import { changedFiles, type SentFile } from "./lib/files";
import { sessionRequest } from "./lib/request";
import { parseAddress, resolveAddress } from "./lib/address";
import { encodeShared } from "./lib/share";
import type { Place } from "./lib/problems";
import { describe, describeProblem, endWords, type Limits, type RunView } from "./lib/status";
import { asBoolean } from "./lib/storage";
import type { Notice } from "./notice";
import { Presence } from "./presence";
import { Run, type Session } from "./run";
import { RunButton } from "./run-button";
import type { ScreenOptions } from "./screen";
import type { Settings } from "./settings";
import { shortcuts } from "./shortcuts";
import { StatusLine } from "./status-line";
import type { Stores } from "./stores";
import { Traces } from "./traces";
import { Twins } from "./twins";
import { onWake } from "./wake";
import { isRecord, type SessionState } from "./wire";
import { Workbench } from "./workbench";

const isSentFile = (value: unknown): value is SentFile =>
  Array.isArray(value) && value.length === 2 && value.every((it) => typeof it === "string");

function asSession(value: unknown): Session | undefined {
  if (!isRecord(value)) return undefined;
  const { id, tty, sent, watchId, watching } = value;
  if (typeof id !== "string" || typeof tty !== "boolean") return undefined;
  return {
    id,
    tty,
    sent: Array.isArray(sent) ? sent.filter(isSentFile) : [],
    ...(typeof watchId === "string" && { watchId }),
    ...(watching === true && { watching }),
  };
}


export class Page {
  readonly #stores: Stores;
  readonly #notice: Notice;
  readonly #key: Key;
  readonly #run: Run;
  readonly #output: Console;
  readonly #status: StatusLine;
  readonly #left = new LeftFilesList();
  /** Which run's files may be shown. */
  #leftTurn = 0;
  /** What a reload would go on with. */
  #remembered: Session | undefined;
  readonly #twins = new Twins(() => this.#remembered?.id);
  readonly #share = new ShareDialog();
  readonly #runButton = new RunButton(
    () => {
      if (this.#start() && hasKeyboard()) this.#output.focus();
    },
    () => this.#stop(),
  );
  readonly #asTerminal = byId("as-terminal", HTMLInputElement);
  readonly #asPlain = byId("as-plain", HTMLInputElement);
  readonly #asTests = byId("as-tests", HTMLInputElement);
  readonly #outputPane = byId("output-pane", HTMLElement);
  /** Loaded when tests are first looked at. */
  #judge: Judge | undefined;
  readonly #presence = new Presence();
  readonly #settings: Settings;
  readonly #format: FormatButton;
  readonly #args = byId("args", HTMLInputElement);
  readonly #argsProblem = byId("args-problem", HTMLElement);
  #limits: Limits = {};
  #languages: Catalogue["languages"] = [];
  readonly #codePane = byId("code-pane", HTMLElement);
  /** Whether somebody has done something to the code since the program was started. */
  #busyWithCode = false;
  /** Absent until the server has said which languages there are. */
  #workbench: Workbench | undefined;
  readonly #traces = new Traces((place) => this.#goTo(place));

  constructor(stores: Stores, notice: Notice, settings: Settings, key: Key) {
    this.#settings = settings;
    this.#stores = stores;
    this.#key = key;
    this.#notice = notice;
    this.#format = new FormatButton(notice, { keyWanted: (words) => key.ask(words) });
    const handleKey = shortcuts(
      [
        { element: document.getElementsByTagName("header")[0] ?? document.body, enter: () => this.#enterHeader() },
        { element: this.#codePane, enter: () => this.#enterCode() },
        { element: byId("output-pane", HTMLElement), enter: () => this.#enterOutput() },
      ],
      {
        run: () => void this.#start(),
        open: () => this.#workbench?.openLocalFiles(),
        save: () => this.#workbench?.saveToFile(),
        format: () => void this.#format.format(),
      },
    );
    document.addEventListener("keydown", handleKey);
    this.#output = new Console(this.#screenOptions, {
      key: handleKey,
      links: (line) => this.#traces.links(line),
      cleared: () => this.#clearFiles(),
      send: (message) => {
        const sent = this.#run.send(message);
        if (!sent && message.type === "input") notice.showOfRun("This was not sent: the connection is down, and too much waits for it already.");
        return sent;
      },
    });
    settings.onChange(() => {
      this.#output.configure(this.#screenOptions);
      this.#workbench?.configure(settings.now);
    });
    this.#status = new StatusLine({
      retry: () => this.#run.retryNow(),
      keepAlive: () => void this.#run.send({ type: "alive" }),
      goTo: (place) => this.#goTo(place),
      tone: (tone) => void (this.#presence.tone = tone),
    });
    this.#run = new Run(() => this.#limits, {
      view: (view) => this.#show(view),
      output: (stream, text) => {
        this.#status.noteOutput();
        this.#output.output(stream === "stderr" && this.#compiling ? "compiler" : stream, text);
      },
      size: () => this.#output.size,
      rejected: (words) => notice.showOfRun(`The server could not use what was sent: ${words}`),
      keyWanted: (words) => void this.#askForKey(words),
      over: (session, state) => void this.#showFiles(session, state),
    });
    this.#setTty(stores.kept.get("tty", asBoolean) ?? true);
    this.#connect();
  }

  /** The server has answered: fills in what it offers, then opens what the link or the last load left. */
  async open({ languages, limits }: Catalogue): Promise<void> {
    this.#limits = limits;
    this.#languages = languages;
    describeLimits(limits);
    this.#status.limits = limits;
    this.#workbench = new Workbench(languages, this.#stores, this.#notice);
    this.#workbench.onTerminalWanted = () => this.#setTty(true);
    this.#workbench.onShown = (name) => this.#codeShown(name);
    this.#codeShown(this.#workbench.project.files[0]?.name ?? "");
    this.#workbench.configure(this.#settings.now);
    this.#runButton.enable();
    document.body.classList.add("ready");
    performance.mark("usable");
    this.#workbench.complete();
    this.#output.complete();
    // First, so that a link that asks to run its program finds the one that runs already.
    await this.#resume();
    await this.#openFragment();
  }

  #codeShown(mainFile: string): void {
    this.#presence.name = mainFile;
    if (!this.#workbench) return;
    this.#format.show(this.#workbench);
    if (this.#judge) this.#judge.tests = this.#workbench.tests;
  }

  #connect(): void {
    for (const view of ["code", "output"] as const) {
      byId(`view-${view}`, HTMLButtonElement).addEventListener("click", () => this.#showView(view));
    }
    this.#asTests.addEventListener("change", () => void this.#showTests());
    for (const choice of [this.#asTerminal, this.#asPlain]) {
      choice.addEventListener("change", () => {
        this.#setTty(this.#asTerminal.checked);
        this.#judge?.stop();
        if (this.#run.active) this.#notice.showOfRun("The running program keeps what it has. The next one gets the new setting.");
      });
    }
    this.#codePane.addEventListener("pointerdown", () => void (this.#busyWithCode = true));
    this.#codePane.addEventListener("keydown", ({ key, ctrlKey, metaKey }) => {
      if (!["Control", "Meta", "Shift", "Alt"].includes(key) && !(key === "Enter" && (ctrlKey || metaKey))) this.#busyWithCode = true;
    });
    byId("share", HTMLButtonElement).addEventListener("click", () => void this.#shareCode());
    this.#args.addEventListener("input", () => this.#blameArgs(undefined));
    window.addEventListener("hashchange", () => void this.#openFragment());
    onWake(() => this.#run.refresh());
  }

  #stop(): void {
    if (this.#judge?.active) this.#judge.stop();
    else this.#run.stop();
  }

  /** False when there was nothing that could be started. */
  #start(): boolean {
    if (!this.#workbench) return false;
    const { language, project } = this.#workbench;
    const parsed = splitArguments(project.args);
    if ("problem" in parsed) {
      this.#showView("code");
      this.#blameArgs(parsed.problem);
      this.#args.focus();
      return false;
    }
    this.#workbench.save();
    this.#busyWithCode = false;
    this.#notice.nextRun();
    this.#showView("output");
    if (this.#asTests.checked && this.#judge) {
      this.#startTests(this.#judge, parsed.args);
      return true;
    }
    this.#judge?.stop();
    this.#traces.follow(language.errors, project.files.map(({ name }) => name));
    this.#workbench.mark([]);
    const tty = this.#asTerminal.checked;
    const { stdin } = this.#output;
    this.#clearFiles();
    this.#output.begin({ tty, inputGiven: stdin !== undefined });
    const terminal = tty ? this.#output.size : undefined;
    const { name, sourceFile } = language;
    const request = sessionRequest({ language: name, sourceFile, project, args: parsed.args, stdin, terminal });
    const sent = project.files.map(({ name, text }) => [name, text.toWellFormed()] as const);
    void this.#run.start({ request, tty, sent });
    return true;
  }

  #startTests(judge: Judge, args: readonly string[]): void {
    if (!this.#workbench) return;
    const { language, project } = this.#workbench;
    this.#run.abandon();
    this.#clearFiles();
    this.#workbench.mark([]);
    void judge.run({ language: language.name, sourceFile: language.sourceFile, project, args });
  }

  /** The tests in the place of the screen, for as long as they are chosen. */
  async #showTests(): Promise<void> {
    this.#judge ??= await this.#loadJudge();
    if (!this.#asTests.checked) return;
    this.#outputPane.dataset["mode"] = "tests";
    if (this.#workbench) this.#judge.tests = this.#workbench.tests;
  }

  async #loadJudge(): Promise<Judge> {
    const { Judge } = await import("./judge");
    return (
      this.#judge ??
      new Judge({
        view: (view) => this.#show(view),
        changed: (tests) => {
          if (this.#workbench) this.#workbench.tests = tests;
        },
        compiled: (state, output) => this.#markCompiled(state, output),
        keyWanted: (words) => void this.#askForKey(words),
      })
    );
  }

  #markCompiled(state: SessionState, output: string): void {
    const bench = this.#workbench;
    if (!bench) return;
    this.#traces.follow(bench.language.errors, bench.project.files.map(({ name }) => name));
    const stage = { ...state, stage: "compile" };
    bench.mark(this.#traces.problems({ kind: "over", state: stage, limits: this.#limits }, () => output));
  }

  get #active(): boolean {
    return this.#run.active || this.#judge?.active === true;
  }

  /** Goes on where the want of a key has stopped. */
  async #askForKey(words: string): Promise<void> {
    if (await this.#key.ask(words)) this.#start();
  }

  #clearFiles(): void {
    this.#leftTurn += 1;
    this.#left.clear();
  }

  async #showFiles(session: Session, { files = [], filesOmitted = [] }: SessionState): Promise<void> {
    if (files.length === 0 && filesOmitted.length === 0) return;
    const turn = ++this.#leftTurn;
    const left = await fetchFiles(session.id);
    if (turn !== this.#leftTurn) return;
    if (left) {
      this.#left.show({ ...left, files: changedFiles(left.files, session.sent) });
    } else {
      const again = { label: "Try again", run: () => void this.#showFiles(session, { state: "finished", files, filesOmitted }) };
      this.#notice.showOfRun("The files that the program left could not be loaded.", again);
    }
  }

  #show(view: RunView): void {
    const active = this.#active;
    const problems = this.#traces.problems(view, () => this.#output.text);
    if (problems.length > 0) this.#workbench?.mark(problems);
    const [problem] = problems;
    this.#status.show(view, problem);
    if (view.kind === "live" && view.watching) this.#runButton.show("stop", "Leave", "Watch no longer");
    else this.#runButton.show(active ? "stop" : "run");
    const wanted = view.kind === "live" && view.inputWanted;
    this.#output.inputWanted = wanted;
    if (wanted) this.#takeAnswer();
    this.#remember(this.#run.session);
    if (active) return;
    const { text } = problem ? describeProblem(view, problem.message) : describe(view);
    this.#output.end({
      ran: view.kind === "over",
      words: view.kind === "over" ? endWords(view.state) : "",
      why: text,
      fromTop: view.kind === "over" && view.state.stage === "compile",
    });
  }

  get #compiling(): boolean {
    const { view } = this.#run;
    return view.kind === "live" && view.state?.state === "compiling";
  }

  get #screenOptions(): ScreenOptions {
    const { now, screenShade } = this.#settings;
    return { shade: screenShade, size: now.size, reader: now.reader };
  }

  #goTo(place: Place): void {
    this.#showView("code");
    this.#workbench?.goTo(place);
  }

  /** Whoever has run the program from its text, and done nothing there since, would type the answer into it. */
  #takeAnswer(): void {
    if (!this.#busyWithCode && this.#codePane.contains(document.activeElement) && hasKeyboard()) this.#output.focus();
  }

  #remember(session: Session | undefined): void {
    if (!session || session === this.#remembered) return;
    this.#remembered = session;
    // Where the code takes too much room, a reload shows it among the files that the program left.
    if (!this.#stores.tab.set("session", session)) this.#stores.tab.set("session", { ...session, sent: [] });
  }

  /** Goes on with the session that this tab had before it was loaded again. */
  async #resume(): Promise<void> {
    const session = this.#stores.tab.get("session", asSession);
    if (!session) return;
    const [info, elsewhere] = await Promise.all([sessionInfo(session.id), this.#twins.has(session.id)]);
    // Asking took a while: whoever has started something in between wants to see that.
    if (this.#remembered) return;
    if (info === null || elsewhere) this.#stores.tab.remove("session");
    if (!info || elsewhere || this.#run.active) return;
    this.#follow(session, info);
  }

  /** Shows a session that was there before this page came to it. */
  #follow(session: Session, { startedAt }: SessionInfo): void {
    if (this.#workbench) this.#traces.follow(this.#workbench.language.errors, session.sent.map(([name]) => name));
    this.#output.begin({ tty: session.tty, inputGiven: false, watching: session.watching === true });
    this.#run.follow(session);
    if (startedAt !== undefined) this.#status.startedAt = startedAt;
  }

  async #shareCode(): Promise<void> {
    if (!this.#workbench) return;
    const { language, project } = this.#workbench;
    const code = await encodeShared({ language: language.name, tty: this.#asTerminal.checked, project });
    const link = (fragment: string): string => {
      const url = new URL(document.baseURI);
      url.hash = fragment;
      return url.href;
    };
    const watchId = this.#run.session?.watchId;
    this.#share.show(link(code), watchId === undefined ? undefined : link(`watch=${watchId}&${code}`));
  }

  /** Follows what somebody else runs. */
  async #watch(id: string): Promise<void> {
    const info = await sessionInfo(id);
    if (!info) {
      this.#notice.show(
        info === null
          ? "What this link lets you watch is over, and not kept any more."
          : "The server can't be asked for what this link lets you watch. Open it again in a moment.",
      );
      return;
    }
    const project = this.#workbench?.project;
    const sent = (project?.files ?? []).map(({ name, text }) => [name, text] as const);
    this.#clearFiles();
    this.#showView("output");
    this.#follow({ id, tty: info.tty, watching: true, sent }, info);
    this.#notice.showOfRun("You watch a program that somebody else runs. Its code is here as a copy.");
  }

  async #openFragment(): Promise<void> {
    const address = await parseAddress(location.hash.slice(1));
    const workbench = this.#workbench;
    if (address === undefined || !workbench) return;
    // Taken out of the address, so that a reload shows what has become of the code since.
    history.replaceState(null, "", location.pathname + location.search);
    const { shared, language, problems } = resolveAddress(address, this.#languages, workbench.language.name);
    if (address.theme) this.#settings.useTheme(address.theme);
    if (shared) {
      workbench.openShared(shared, address.readOnly);
      if (shared.tty !== undefined) this.#setTty(shared.tty);
      if (shared.project.tests) {
        this.#asTests.checked = true;
        await this.#showTests();
      }
    } else if (language !== undefined) {
      workbench.chooseLanguage(language);
    }
    if (problems.length > 0) this.#notice.show(problems.join(" "));
    else if (address.watch !== undefined) await this.#watch(address.watch);
    else if (address.run && shared) this.#runFromLink();
  }

  /** Anybody may have made the link: it starts a program, and ends none. */
  #runFromLink(): void {
    if (this.#run.active) this.#notice.show("The link asks to run its program, and another one is running. Press Run when that has ended.");
    else this.#start();
  }

  #setTty(tty: boolean): void {
    this.#asTerminal.checked = tty;
    this.#asPlain.checked = !tty;
    delete this.#outputPane.dataset["mode"];
    this.#stores.kept.set("tty", tty);
    if (!this.#run.active) this.#output.tty = tty;
  }

  #blameArgs(problem: string | undefined): void {
    this.#argsProblem.textContent = problem ?? "";
    this.#args.setAttribute("aria-invalid", String(problem !== undefined));
  }

  /** Which of the two panes a narrow window shows; a wide one has room for both. */
  #showView(view: "code" | "output"): void {
    document.body.dataset["view"] = view;
    for (const name of ["code", "output"]) {
      byId(`view-${name}`, HTMLButtonElement).setAttribute("aria-pressed", String(name === view));
    }
  }

  #enterHeader(): void {
    byId("language", HTMLSelectElement).focus();
  }

  #enterCode(): void {
    this.#showView("code");
    this.#workbench?.focus();
  }

  #enterOutput(): void {
    this.#showView("output");
    this.#output.focus();
  }
}
