'use strict';

// A Node that was started before its program waits for the program's name, which may be
// any. Modules that are preloaded may replace Module.runMain; here it is, up to the moment
// in which Node asks for it, and the program finds it as it was.

const { readFileSync } = require('fs');
const Module = require('module');
const { resolve } = require('path');

// Has Node read the FIFO `file` for the name of its program, which is in its place by then,
// and calls `begin`.
exports.wait = (file, begin) => {
  const runMain = Object.getOwnPropertyDescriptor(Module, 'runMain');
  Object.defineProperty(Module, 'runMain', {
    configurable: true,
    enumerable: true,
    get() {
      const path = resolve(readFileSync(file, 'utf8'));
      begin();
      process.argv[1] = path;
      Object.defineProperty(Module, 'runMain', runMain);
      // Node passes the path that it was started with; this one comes before it. A bound
      // function has no line in stack traces.
      return runMain.value.bind(Module, path);
    },
  });
};
