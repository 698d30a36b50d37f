'use strict';

// What the first console.log() loads: 10 of the 14 ms that a program takes from its
// text to its first output in a Node that has started already.
require('net');
require('tty');

// Node reading from a terminal ends when the program has paused or closed its
// input, as after readline's close(). Reading from a pipe it does not, and waits
// for input that nobody will take. Here a pipe behaves like a terminal: paused,
// it does not keep the process alive; asked for more, it does again.

const { get } = Object.getOwnPropertyDescriptor(process, 'stdin');

// Only on first use: a program that never touches its input pays nothing.
Object.defineProperty(process, 'stdin', {
  configurable: true,
  enumerable: true,
  get() {
    const stdin = get.call(process);
    Object.defineProperty(process, 'stdin', { configurable: true, enumerable: true, get });
    if (!stdin.isTTY && typeof stdin.unref === 'function') {
      stdin.on('pause', () => {
        if (stdin.listenerCount('readable') === 0) stdin.unref();
      });
      stdin.on('resume', () => stdin.ref());
      stdin.on('newListener', (event) => {
        if (event === 'readable' || event === 'data') stdin.ref();
      });
    }
    return stdin;
  },
});
