/**
 * What the status line says: every state in words, so that nothing ever just stops without a reason.
 *
 * Pure: a view of the run goes in, words come out.
 */

import type { SessionState } from "../wire";
import { binaryBytes, bytes, duration, seconds } from "./format";
import type { Phase } from "./link";

export interface Limits {
  readonly memoryBytes?: number;
  readonly outputBytes?: number;
  readonly idleTimeout?: number;
  readonly executionTimeout?: number;
  readonly compileTimeout?: number;
}

export type RunView =
  | { readonly kind: "idle" }
  | { readonly kind: "starting" }
  | { readonly kind: "refused"; readonly message: string }
  | {
      readonly kind: "live";
      readonly state: SessionState | undefined;
      readonly phase: Phase;
      readonly inputWanted: boolean;
      /** Whether it is known to do nothing, and not to wait for input either. */
      readonly sleeping?: boolean;
      /** When the server ends it for want of input and output, in milliseconds of Date.now(), once that is near. */
      readonly idleUntil?: number | undefined;
      readonly stopping: boolean;
      /** How many can see it, and nothing else. */
      readonly watchers?: number;
      /** Whether this page is one of them. */
      readonly watching?: boolean;
    }
  /** Tests run, of which some are done. */
  | { readonly kind: "testing"; readonly done: number; readonly count: number }
  | { readonly kind: "tested"; readonly passed: number; readonly count: number; readonly compiles: boolean; readonly message?: string }
  | { readonly kind: "over"; readonly state: SessionState; readonly limits: Limits }
  | { readonly kind: "gone" };

/** `idle` and `busy` are neutral, `input` asks for something, the rest say how it ended. */
export type Tone = "idle" | "busy" | "input" | "good" | "warning" | "bad";

export interface Status {
  readonly tone: Tone;
  readonly text: string;
}

const SIGNALS: Readonly<Record<string, string>> = {
  SIGABRT: "it aborted itself",
  SIGALRM: "its alarm went off",
  SIGBUS: "invalid memory access",
  SIGFPE: "an arithmetic error, such as a division by zero",
  SIGHUP: "its terminal went away",
  SIGILL: "an instruction that does not exist",
  SIGINT: "interrupted from the keyboard",
  SIGKILL: "killed",
  SIGPIPE: "it wrote to a pipe that nobody reads",
  SIGQUIT: "quit from the keyboard",
  SIGSEGV: "an access to memory that is not its own",
  SIGSYS: "a system call that is not allowed",
  SIGTERM: "asked to end",
  SIGTRAP: "a breakpoint without a debugger",
  SIGXCPU: "it used too much processor time",
  SIGXFSZ: "it wrote a file that is too large",
};

const HITS: Readonly<Record<string, string>> = {
  pids: "It ran into the limit of processes and threads.",
  workspace: "The workspace was full.",
  inodes: "The workspace had as many files as it may have.",
  shared_memory: "The shared memory was full.",
};

/** Which limits the program ran into, where it may be for them that it did not end well. */
function withHits(status: Status, state: SessionState): Status {
  if (state.exitCode === 0 || state.reason === "stopped") return status;
  const words = (state.hit ?? []).flatMap((hit) => HITS[hit] ?? []);
  return { ...status, text: [status.text, ...words].join(" ") };
}

function finished(state: SessionState): Status {
  const compile = state.stage === "compile";
  if (state.signal !== undefined) {
    const meaning = SIGNALS[state.signal];
    const what = compile ? "The compiler was" : "The program was";
    return {
      tone: state.signal === "SIGINT" ? "warning" : "bad",
      text: `${what} ended by ${state.signal}${meaning === undefined ? "" : `: ${meaning}`}.`,
    };
  }
  if (compile) {
    return { tone: "bad", text: "The program does not compile. The compiler's messages say why." };
  }
  return state.exitCode === undefined || state.exitCode === 0
    ? { tone: "good", text: "Finished." }
    : { tone: "warning", text: `Finished with exit code ${state.exitCode}.` };
}

function terminated(state: SessionState, limits: Limits): Status {
  const compile = state.stage === "compile";
  const bad = (text: string): Status => ({ tone: "bad", text });
  const of = (limit: number | undefined, words: (value: number) => string): string =>
    limit === undefined ? "" : ` of ${words(limit)}`;
  switch (state.reason) {
    case "stopped":
      return { tone: "warning", text: "Stopped." };
    case "idle_timeout":
      return bad(
        limits.idleTimeout === undefined
          ? "Ended by the server: no input and no output for too long."
          : `Ended by the server: no input and no output for ${duration(limits.idleTimeout)}.`,
      );
    case "execution_timeout":
      return compile
        ? bad(`Ended by the server: compiling took longer than the limit${of(limits.compileTimeout, duration)}.`)
        : bad(`Ended by the server: it ran longer than the limit${of(limits.executionTimeout, duration)}.`);
    case "output_limit":
      return bad(`Ended by the server: more output than the limit${of(limits.outputBytes, binaryBytes)}.`);
    case "memory_limit":
      return compile
        ? bad("Ended: the compiler needed more memory than the limit.")
        : bad(`Ended: it used more memory than the limit${of(limits.memoryBytes, binaryBytes)}.`);
    case "detached":
      return bad("Ended by the server: this page was away for too long.");
    case "queue_timeout":
      return bad("Not started: no slot became free in time. Try again in a moment.");
    case "revoked":
      return bad("Ended: the API key that it was started with was revoked.");
    case "shutdown":
      return bad("Ended: the server is shutting down. Your code is kept in this browser.");
    case "engine_error":
      return bad(`The server could not run it${state.message === undefined ? "." : `: ${state.message}`}`);
    default:
      return bad(state.message ?? `Ended by the server (${state.reason ?? "no reason given"}).`);
  }
}

/** Seconds without output after which a program is not simply said to run: whether it sleeps is not always known. */
const QUIET = 3;

function live(view: Extract<RunView, { kind: "live" }>, quiet: number): Status {
  if (view.phase.kind === "lost") {
    return { tone: "warning", text: "The connection is lost. The program may go on, and so does this page as soon as it can." };
  }
  if (view.stopping) return { tone: "busy", text: "Stopping…" };
  if (view.state === undefined) return { tone: "busy", text: "Starting…" };
  if (view.phase.kind === "connecting") return { tone: "warning", text: "Connecting again…" };
  switch (view.state.state) {
    case "waiting":
      return view.state.position === undefined
        ? { tone: "busy", text: "Starting…" }
        : { tone: "busy", text: `Queued at position ${view.state.position}: the server is busy.` };
    case "compiling":
      return { tone: "busy", text: "Compiling…" };
    default:
      if (view.inputWanted) return view.watching ? { tone: "busy", text: "It waits for input." } : { tone: "input", text: "Waiting for your input." };
      if (view.sleeping) return { tone: "busy", text: "Idle: it sleeps, or waits for something other than input." };
      return { tone: "busy", text: quiet < QUIET ? "Running…" : "Running, and prints nothing." };
  }
}

/** The same, where it is known what went wrong: the words for that are the program's, or its compiler's. */
export function describeProblem(view: RunView, message: string): Status {
  const compile = view.kind === "over" && view.state.stage === "compile";
  return { tone: "bad", text: compile ? `The program does not compile: ${message}` : message };
}

function tested({ passed, count, compiles, message }: Extract<RunView, { kind: "tested" }>): Status {
  if (!compiles) return { tone: "bad", text: "The program does not compile, so no test was run." };
  if (message !== undefined) return { tone: "bad", text: message };
  if (passed === count) return { tone: "good", text: count === 1 ? "The test passed." : `All ${count} tests passed.` };
  return { tone: "bad", text: `${count - passed} of ${count} ${count === 1 ? "test" : "tests"} failed.` };
}

/** `quiet` is for how many seconds a program that runs has printed nothing. */
export function describe(view: RunView, quiet = 0): Status {
  switch (view.kind) {
    case "idle":
      return { tone: "idle", text: "Ready." };
    case "starting":
      return { tone: "busy", text: "Starting…" };
    case "refused":
      return { tone: "bad", text: view.message };
    case "live":
      return live(view, quiet);
    case "over":
      return withHits(view.state.state === "finished" ? finished(view.state) : terminated(view.state, view.limits), view.state);
    case "testing":
      return { tone: "busy", text: `Testing… ${view.done} of ${view.count}` };
    case "tested":
      return tested(view);
    case "gone":
      return {
        tone: "bad",
        text: "The session is gone: the server was restarted, or gave up waiting. Your code is kept in this browser.",
      };
  }
}

/** The limits that matter before anything runs. */
export function limitFigures({ executionTimeout, memoryBytes }: Limits): Figure[] {
  return [
    ...(executionTimeout === undefined ? [] : [{ label: "up to", value: duration(executionTimeout) }]),
    ...(memoryBytes === undefined ? [] : [{ label: "memory", value: binaryBytes(memoryBytes) }]),
  ];
}

/** The end in a few words, for the last line of the screen: copies and pictures of it then carry it. */
export function endWords(state: SessionState): string {
  const { wallTime, exitCode, signal, reason, stage } = state;
  const time = wallTime === undefined ? "" : seconds(wallTime);
  const after = time && `, after ${time}`;
  if (state.state === "terminated") return (reason === undefined ? "ended by the server" : `ended: ${reason.replaceAll("_", " ")}`) + after;
  if (signal !== undefined) return `ended by ${signal}${after}`;
  if (stage === "compile") return `does not compile${after}`;
  return `finished${exitCode === undefined ? "" : ` with exit code ${exitCode}`}${time && ` in ${time}`}`;
}

export interface Figure {
  readonly label: string;
  readonly value: string;
  /** Whether it reads the other way round: “3 are watching”. */
  readonly valueFirst?: boolean;
}

/** What a final state says in numbers. */
export function figures(state: SessionState): Figure[] {
  const result: Figure[] = [];
  const add = (label: string, value: string | undefined): void => {
    if (value !== undefined) result.push({ label, value });
  };
  add("exit code", state.exitCode?.toString());
  add("time", state.wallTime === undefined ? undefined : seconds(state.wallTime));
  add("CPU", state.cpuTime === undefined ? undefined : seconds(state.cpuTime));
  add("memory", state.peakMemory === undefined ? undefined : bytes(state.peakMemory));
  return result;
}
