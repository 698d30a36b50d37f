/** Puts the page together: the code side, the output side, the run between them. */

import { fetchFiles, sessionInfo, type Catalogue } from "./api";
import { Console } from "./console";
import { ShareDialog } from "./dialogs";
import { byId, hasKeyboard } from "./dom";
import { describeLimits } from "./facts";
import type { Key } from "./key";
import { LeftFilesList } from "./left-files";
import { splitArguments } from "./lib/arguments";
import { changedFiles, type SentFile } from "./lib/files";
import { sessionRequest } from "./lib/request";
import { decodeShared, encodeShared } from "./lib/share";
import type { Limits, RunView } from "./lib/status";
import { asBoolean, type Store } from "./lib/storage";
import type { Notice } from "./notice";
import { Run, type Session } from "./run";
import { shortcuts } from "./shortcuts";
import { StatusLine } from "./status-line";
import type { Theme } from "./theme";
import { onWake } from "./wake";
import { isRecord, type SessionState } from "./wire";
import { Workbench } from "./workbench";

const isSentFile = (value: unknown): value is SentFile =>
  Array.isArray(value) && value.length === 2 && value.every((it) => typeof it === "string");

function asSession(value: unknown): Session | undefined {
  if (!isRecord(value)) return undefined;
  const { id, tty, sent } = value;
  if (typeof id !== "string" || typeof tty !== "boolean") return undefined;
  return { id, tty, sent: Array.isArray(sent) ? sent.filter(isSentFile) : [] };
}

export interface Stores {
  /** What stays in the browser. */
  readonly kept: Store;
  /** What belongs to this tab: a reload goes on with its session, another tab does not. */
  readonly tab: Store;
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
  readonly #share = new ShareDialog();
  readonly #runButton = byId("run", HTMLButtonElement);
  readonly #stopButton = byId("stop", HTMLButtonElement);
  readonly #ttySwitch = byId("tty", HTMLInputElement);
  readonly #args = byId("args", HTMLInputElement);
  readonly #argsProblem = byId("args-problem", HTMLElement);
  #limits: Limits = {};
  /** Absent until the server has said which languages there are. */
  readonly #codePane = byId("code-pane", HTMLElement);
  /** Whether somebody has done something to the code since the program was started. */
  #busyWithCode = false;
  #workbench: Workbench | undefined;

  constructor(stores: Stores, notice: Notice, theme: Theme, key: Key) {
    this.#stores = stores;
    this.#key = key;
    this.#notice = notice;
    const handleKey = shortcuts(
      [
        { element: document.getElementsByTagName("header")[0] ?? document.body, enter: () => this.#enterHeader() },
        { element: this.#codePane, enter: () => this.#enterCode() },
        { element: byId("output-pane", HTMLElement), enter: () => this.#enterOutput() },
      ],
      () => this.#start(),
    );
    document.addEventListener("keydown", handleKey);
    this.#output = new Console(theme.shade, {
      key: handleKey,
      cleared: () => this.#clearFiles(),
      send: (message) => {
        const sent = this.#run.send(message);
        if (!sent && message.type === "input") notice.showOfRun("This was not sent: the connection is down, and too much waits for it already.");
        return sent;
      },
    });
    theme.onChange = (shade) => void (this.#output.shade = shade);
    this.#status = new StatusLine(() => this.#run.retryNow());
    this.#run = new Run(() => this.#limits, {
      view: (view) => this.#show(view),
      output: (stream, text) => this.#output.output(stream, text),
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
    describeLimits(limits);
    this.#workbench = new Workbench(languages, this.#stores.kept, this.#notice);
    this.#workbench.onTerminalWanted = () => this.#setTty(true);
    this.#runButton.setAttribute("aria-disabled", "false");
    document.body.classList.add("ready");
    await this.#openFragment();
    await this.#resume();
  }

  #connect(): void {
    for (const view of ["code", "output"] as const) {
      byId(`view-${view}`, HTMLButtonElement).addEventListener("click", () => this.#showView(view));
    }
    this.#ttySwitch.addEventListener("change", () => {
      this.#setTty(this.#ttySwitch.checked);
      if (this.#run.active) this.#notice.showOfRun("The running program keeps what it has. The next one gets the new setting.");
    });
    this.#runButton.addEventListener("click", () => {
      this.#start();
      if (this.#run.active && hasKeyboard()) this.#output.focus();
    });
    this.#stopButton.addEventListener("click", () => this.#run.stop());
    this.#codePane.addEventListener("pointerdown", () => void (this.#busyWithCode = true));
    this.#codePane.addEventListener("keydown", ({ key, ctrlKey, metaKey }) => {
      if (!["Control", "Meta", "Shift", "Alt"].includes(key) && !(key === "Enter" && (ctrlKey || metaKey))) this.#busyWithCode = true;
    });
    byId("share", HTMLButtonElement).addEventListener("click", () => void this.#shareCode());
    this.#args.addEventListener("input", () => this.#blameArgs(undefined));
    window.addEventListener("hashchange", () => void this.#openFragment());
    onWake(() => this.#run.refresh());
  }

  #start(): void {
    if (!this.#workbench) return;
    const { language, project } = this.#workbench;
    const parsed = splitArguments(project.args);
    if ("problem" in parsed) {
      this.#showView("code");
      this.#blameArgs(parsed.problem);
      this.#args.focus();
      return;
    }
    this.#workbench.save();
    this.#busyWithCode = false;
    this.#notice.nextRun();
    this.#showView("output");
    const tty = this.#ttySwitch.checked;
    this.#clearFiles();
    this.#output.begin(tty);
    const terminal = tty ? this.#output.size : undefined;
    const { name, sourceFile } = language;
    const request = sessionRequest({ language: name, sourceFile, project, args: parsed.args, terminal });
    const sent = project.files.map(({ name, text }) => [name, text.toWellFormed()] as const);
    void this.#run.start({ request, tty, sent });
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
    this.#status.show(view);
    this.#stopButton.setAttribute("aria-disabled", String(!this.#run.active));
    const wanted = view.kind === "live" && view.inputWanted;
    this.#output.inputWanted = wanted;
    if (wanted) this.#takeAnswer();
    this.#remember(this.#run.session);
    if (!this.#run.active) this.#output.end(view.kind === "over");
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
    const info = await sessionInfo(session.id);
    if (info === null) this.#stores.tab.remove("session");
    // Asking took a while: whoever has started something in between wants to see that.
    if (!info || this.#run.active) return;
    this.#output.begin(session.tty);
    this.#run.follow(session);
  }

  async #shareCode(): Promise<void> {
    if (!this.#workbench) return;
    const { language, project } = this.#workbench;
    const link = new URL(document.baseURI);
    link.hash = await encodeShared({ language: language.name, tty: this.#ttySwitch.checked, project });
    this.#share.show(link.href);
  }

  async #openFragment(): Promise<void> {
    const shared = await decodeShared(location.hash.slice(1));
    if (shared === undefined || !this.#workbench) return;
    // Taken out of the address, so that a reload shows what has become of the code since.
    history.replaceState(null, "", location.pathname + location.search);
    if (shared === null) {
      this.#notice.show("This link is damaged, so its code can't be opened. It may have been cut when it was sent.");
    } else if (!this.#workbench.openShared(shared)) {
      this.#notice.show(`This link's code is in “${shared.language}”, which this server does not have.`);
    } else {
      this.#setTty(shared.tty);
    }
  }

  #setTty(tty: boolean): void {
    this.#ttySwitch.checked = tty;
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
