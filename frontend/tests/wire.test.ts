import { describe, expect, it } from "vitest";

import { parseServerMessage } from "../src/wire";

describe("parseServerMessage", () => {
  it("reads which files there are, and leaves out what is none", () => {
    const state = { type: "state", state: "finished", seq: 9, files: [{ name: "a", size: 1 }], filesOmitted: [{ name: "b", reason: "too_large" }] };

    expect(parseServerMessage(JSON.stringify(state))).toEqual(state);
    const odd = { ...state, files: [{ name: "a" }, 7, null], filesOmitted: "none" };
    expect(parseServerMessage(JSON.stringify(odd))).toEqual({ type: "state", state: "finished", seq: 9, files: [] });
  });

  it("reads output", () => {
    expect(parseServerMessage('{"type":"stdout","data":"a","seq":3}')).toEqual({ type: "stdout", data: "a", seq: 3 });
  });

  it("reads a final state, and leaves out what it does not know", () => {
    const text = '{"type":"state","state":"finished","seq":9,"exitCode":0,"wallTime":1.5,"colour":"red"}';

    expect(parseServerMessage(text)).toEqual({ type: "state", state: "finished", seq: 9, exitCode: 0, wallTime: 1.5 });
  });

  it.each([
    { type: "input_wait", waiting: true },
    { type: "activity", sleeping: false },
    { type: "idle", endsIn: 12.5 },
    { type: "idle", endsIn: null },
    { type: "watchers", count: 3 },
  ])("reads what tells how things stand: %j", (message) => {
    expect(parseServerMessage(JSON.stringify(message))).toEqual(message);
  });

  it.each([
    "",
    "null",
    "[]",
    '{"type":"stdout","data":1,"seq":1}',
    '{"type":"stdout","data":"a"}',
    '{"type":"state","state":"dreaming","seq":1}',
    '{"type":"input_wait","waiting":"yes"}',
    '{"type":"idle"}',
    '{"type":"activity","sleeping":1}',
    '{"type":"watchers","count":"many"}',
    '{"type":"error"}',
    '{"type":"of tomorrow"}',
  ])("passes over %s", (text) => {
    expect(parseServerMessage(text)).toBeUndefined();
  });
});
