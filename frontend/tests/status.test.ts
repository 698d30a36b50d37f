import { describe as group, expect, it } from "vitest";

import { describe, describeProblem, endWords, figures, limitFigures, type RunView } from "../src/lib/status";
import type { SessionState } from "../src/wire";

const LIMITS = {
  memoryBytes: 209_715_200,
  outputBytes: 1_048_576,
  idleTimeout: 30,
  executionTimeout: 120,
  compileTimeout: 30,
};

const over = (state: SessionState): RunView => ({ kind: "over", state, limits: LIMITS });

function live(state: SessionState | undefined, inputWanted = false, phase: "open" | "lost" = "open"): RunView {
  return {
    kind: "live",
    state,
    inputWanted,
    stopping: false,
    phase: phase === "open" ? { kind: "open" } : { kind: "lost", retryAt: 0 },
  };
}

group("describe", () => {
  it.each<[RunView, string, string]>([
    [{ kind: "idle" }, "idle", "Ready."],
    [{ kind: "starting" }, "busy", "Starting…"],
    [live(undefined), "busy", "Starting…"],
    [live({ state: "waiting" }), "busy", "Starting…"],
    [live({ state: "waiting", position: 3 }), "busy", "Queued at position 3: the server is busy."],
    [live({ state: "compiling" }), "busy", "Compiling…"],
    [live({ state: "running" }), "busy", "Running…"],
    [live({ state: "running" }, true), "input", "Waiting for your input."],
    [
      live({ state: "running" }, true, "lost"),
      "warning",
      "The connection is lost. The program may go on, and so does this page as soon as it can.",
    ],
    [over({ state: "finished", stage: "run", exitCode: 0 }), "good", "Finished."],
    [over({ state: "finished", stage: "run", exitCode: 3 }), "warning", "Finished with exit code 3."],
    [over({ state: "finished", stage: "run", exitCode: 0, hit: ["pids"] }), "good", "Finished."],
    [
      over({ state: "finished", stage: "run", exitCode: 1, hit: ["pids", "something new"] }),
      "warning",
      "Finished with exit code 1. It ran into the limit of processes and threads.",
    ],
    [
      over({ state: "terminated", stage: "run", reason: "idle_timeout", hit: ["pids"] }),
      "bad",
      "Ended by the server: no input and no output for 30 seconds. It ran into the limit of processes and threads.",
    ],
    [over({ state: "terminated", stage: "run", reason: "stopped", hit: ["pids"] }), "warning", "Stopped."],
    [
      over({ state: "finished", stage: "compile", exitCode: 1 }),
      "bad",
      "The program does not compile. The compiler's messages say why.",
    ],
    [
      over({ state: "finished", stage: "run", signal: "SIGSEGV" }),
      "bad",
      "The program was ended by SIGSEGV: an access to memory that is not its own.",
    ],
    [over({ state: "finished", stage: "run", signal: "SIGRTMIN+3" }), "bad", "The program was ended by SIGRTMIN+3."],
    [over({ state: "terminated", reason: "stopped" }), "warning", "Stopped."],
    [
      over({ state: "terminated", reason: "idle_timeout" }),
      "bad",
      "Ended by the server: no input and no output for 30 seconds.",
    ],
    [
      over({ state: "terminated", reason: "execution_timeout", stage: "run" }),
      "bad",
      "Ended by the server: it ran longer than the limit of 2 minutes.",
    ],
    [
      over({ state: "terminated", reason: "execution_timeout", stage: "compile" }),
      "bad",
      "Ended by the server: compiling took longer than the limit of 30 seconds.",
    ],
    [
      over({ state: "terminated", reason: "output_limit" }),
      "bad",
      "Ended by the server: more output than the limit of 1 MiB.",
    ],
    [
      over({ state: "terminated", reason: "memory_limit", stage: "run" }),
      "bad",
      "Ended: it used more memory than the limit of 200 MiB.",
    ],
    [
      over({ state: "terminated", reason: "engine_error", message: "no such image" }),
      "bad",
      "The server could not run it: no such image",
    ],
    [over({ state: "terminated", reason: "of tomorrow" }), "bad", "Ended by the server (of tomorrow)."],
  ])("%j", (view, tone, text) => {
    expect(describe(view)).toEqual({ tone, text });
  });

  it.each(["detached", "queue_timeout", "shutdown"])("has words for %s", (reason) => {
    expect(describe(over({ state: "terminated", reason })).text).not.toContain(reason);
  });

  it("does without limits that the server did not tell", () => {
    const state: SessionState = { state: "terminated", reason: "idle_timeout" };

    expect(describe({ kind: "over", state, limits: {} }).text).toBe(
      "Ended by the server: no input and no output for too long.",
    );
  });
});

group("figures", () => {
  it("shows what there is", () => {
    const state: SessionState = { state: "finished", exitCode: 0, wallTime: 3.41, cpuTime: 0.02, peakMemory: 9_437_184 };

    expect(figures(state).map(({ value }) => value)).toEqual(["0", "3.41 s", "20 ms", "9.4 MB"]);
    expect(figures({ state: "terminated" })).toEqual([]);
  });
});

group("of a program that runs", () => {
  it("a quiet one is not simply said to run, and one that sleeps is said to", () => {
    const running = live({ state: "running" });

    expect(describe(running, 2.9).text).toBe("Running…");
    expect(describe(running, 3).text).toBe("Running, and prints nothing.");
    expect(describe({ ...running, sleeping: true } as RunView, 0).text).toBe("Idle: it sleeps, or waits for something other than input.");
  });

  it("who watches is not asked for input", () => {
    expect(describe({ ...live({ state: "running" }, true), watching: true } as RunView)).toEqual({
      tone: "busy",
      text: "It waits for input.",
    });
  });
});

group("describeProblem", () => {
  it("says whether there was a program at all", () => {
    expect(describeProblem(over({ state: "finished", stage: "run", exitCode: 1 }), "KeyError: 1").text).toBe("KeyError: 1");
    expect(describeProblem(over({ state: "finished", stage: "compile", exitCode: 1 }), "';' expected").text).toBe(
      "The program does not compile: ';' expected",
    );
  });
});

group("endWords", () => {
  it.each<[SessionState, string]>([
    [{ state: "finished", stage: "run", exitCode: 0, wallTime: 0.005 }, "finished with exit code 0 in 5 ms"],
    [{ state: "finished", stage: "run", signal: "SIGSEGV" }, "ended by SIGSEGV"],
    [{ state: "finished", stage: "compile", exitCode: 1, wallTime: 2 }, "does not compile, after 2.00 s"],
    [{ state: "terminated", stage: "run", reason: "idle_timeout", wallTime: 30 }, "ended: idle timeout, after 30.0 s"],
    [{ state: "terminated" }, "ended by the server"],
  ])("%j", (state, words) => {
    expect(endWords(state)).toBe(words);
  });
});

group("limitFigures", () => {
  it("says what there is to know before anything runs", () => {
    expect(limitFigures(LIMITS)).toEqual([
      { label: "up to", value: "2 minutes" },
      { label: "memory", value: "200 MiB" },
    ]);
    expect(limitFigures({})).toEqual([]);
  });
});
