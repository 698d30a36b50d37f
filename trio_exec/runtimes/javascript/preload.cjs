'use strict';

// Every Node in the image begins with this, by the command or by NODE_OPTIONS.

// What the first console.log() loads: 10 of the 14 ms that a program takes from its
// text to its first output in a Node that has started already.
require('net');
require('tty');

require('./streams.cjs');
require('./machine.cjs');

const main = process.argv[1];
let waits = false;
if (process.ppid === 1) {
  // The launcher's child. The command's options are nobody's but ours, and forks have
  // them by NODE_OPTIONS, unless the request brought its own.
  if (process.env.NODE_OPTIONS?.includes(__filename)) process.execArgv.length = 0;
  // It may have to wait for its program, in whose place there is a FIFO.
  waits = main !== undefined && require('fs').lstatSync(main, { throwIfNoEntry: false })?.isFIFO();
}
// Worker threads, in which setuid() is disabled, are as old as their process.
if (waits || process.setuid.disabled) require('./age.cjs');
