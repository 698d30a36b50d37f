'use strict';

// Every Node in the image begins with this, by the command or by NODE_OPTIONS.

// What the first console.log() loads: 10 of the 14 ms that a program takes from its
// text to its first output in a Node that has started already.
require('net');
require('tty');

require('./streams.cjs');
require('./machine.cjs');

// Worker threads begin with this as well; setuid() is disabled there.
const isWorker = process.setuid.disabled;
if (process.ppid === 1) {
  // The launcher's child. The command's options are nobody's but ours, and forks have
  // them by NODE_OPTIONS, unless the request brought its own.
  if (process.env.NODE_OPTIONS?.includes(__filename)) process.execArgv.length = 0;
  // It may have to wait for its program, whose name then comes through a FIFO.
  const file = '.tmp/name';
  if (!isWorker && require('fs').lstatSync(file, { throwIfNoEntry: false })?.isFIFO()) {
    require('./script.cjs').wait(file, require('./age.cjs').begin);
    // The program finds the modules that it would find in a Node that did not wait.
    for (const name of ['script', 'age']) delete require.cache[require.resolve(`./${name}.cjs`)];
    module.children.length -= 2;
  }
}
// Workers are as old as their process.
if (isWorker) require('./age.cjs');
