'use strict';

// Standard streams that are pipes behave as those of a terminal do.

const prepared = {
  // Node reading from a terminal ends when the program has paused or closed its
  // input, as after readline's close(). Reading from a pipe it does not, and waits
  // for input that nobody will take. Paused, it does not keep the process alive;
  // asked for more, it does again.
  stdin(stream) {
    if (stream.isTTY || typeof stream.unref !== 'function') return;
    stream.on('pause', () => {
      if (stream.listenerCount('readable') === 0) stream.unref();
    });
    stream.on('resume', () => stream.ref());
    stream.on('newListener', (event) => {
      if (event === 'readable' || event === 'data') stream.ref();
    });
  },
  stdout: block,
  stderr: block,
};

// Node does not wait until a pipe has room: what a program wrote before it ended, in
// whatever way, is lost, and fs.writeSync() fails with EAGAIN. A worker's streams,
// which have no handle, go through those of the main thread.
function block(stream) {
  if (!stream.isTTY) stream._handle?.setBlocking?.(true);
}

// Only on first use: a program that never touches a stream pays nothing for it.
for (const [name, prepare] of Object.entries(prepared)) {
  const described = { configurable: true, enumerable: true };
  const { get } = Object.getOwnPropertyDescriptor(process, name);
  Object.defineProperty(process, name, {
    ...described,
    get() {
      const stream = get.call(process);
      Object.defineProperty(process, name, { ...described, get });
      prepare(stream);
      return stream;
    },
  });
}
