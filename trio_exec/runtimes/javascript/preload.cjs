'use strict';

// Every Node in the image begins with this, by the command or by NODE_OPTIONS.

// What the first console.log() loads: 10 of the 14 ms that a program takes from its
// text to its first output in a Node that has started already.
require('net');
require('tty');

require('./streams.cjs');
require('./machine.cjs');
