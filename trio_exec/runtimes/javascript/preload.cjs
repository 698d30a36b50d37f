'use strict';

// Every Node in the image begins with this, by the command or by NODE_OPTIONS.

// What the first console.log() loads: 10 of the 14 ms that a program takes from its
// text to its first output in a Node that has started already.
require('net');
require('tty');

require('./streams.cjs');
require('./machine.cjs');

// Only the launcher's child waits for its program, in whose place there is a FIFO.
// Worker threads, in which setuid() is disabled, are as old as their process.
const main = process.argv[1];
const waits = process.ppid === 1 && main && require('fs').lstatSync(main, { throwIfNoEntry: false })?.isFIFO();
if (waits || process.setuid.disabled) require('./age.cjs');
