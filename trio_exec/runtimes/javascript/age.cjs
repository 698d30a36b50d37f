'use strict';

// A Node that was started before its program has waited for it. To the program it is as
// old as one that was started with it: the wait is cut out of its life. Worker threads
// reckon from the main thread's start.

const { getEnvironmentData, isMainThread, setEnvironmentData } = require('worker_threads');

const KEY = 'trio-exec.wait';

// What a start takes; one on a busy machine, before there was a program, is shortened.
const START_MS = 40;

if (isMainThread) {
  const held = performance.now();
  const wait = { held, start: Math.min(held, START_MS), cut: 0 };
  forget(wait);
  setEnvironmentData(KEY, wait);
  // For the moment in which the program is there.
  exports.begin = () => {
    wait.cut = performance.now() - wait.start;
  };
} else {
  const wait = getEnvironmentData(KEY);
  if (wait !== undefined) forget(wait);
}

function forget(wait) {
  // A moment of its life, in milliseconds; Node has -1 for one that has not come.
  function moment(time) {
    if (time === -1) return time;
    return time <= wait.held ? (time * wait.start) / wait.held : Math.max(wait.start, time - wait.cut);
  }

  const { uptime } = process;
  replace(process, 'uptime', () => moment(uptime() * 1000) / 1000);

  const { mark, measure, now } = performance;
  const prototype = Object.getPrototypeOf(performance);
  replaceGetter(prototype, 'timeOrigin', (time) => time + wait.cut);
  replaceGetter(Event.prototype, 'timeStamp', moment);
  replace(prototype, 'now', function () {
    return moment(now.call(this));
  });
  // What they take for now, unless they are told, is not the above.
  replace(prototype, 'mark', function (...args) {
    const [name, options] = args;
    if (args.length === 0 || (options != null && typeof options !== 'object')) return mark.apply(this, args);
    return mark.call(this, name, { ...options, startTime: options?.startTime ?? this.now() });
  });
  replace(prototype, 'measure', function (...args) {
    const [name, from, to] = args;
    const options = typeof from === 'string' ? { start: from } : Object(from);
    const hasEnd = to !== undefined || options.end !== undefined;
    if (args.length === 0 || hasEnd || (options.start !== undefined && options.duration !== undefined)) {
      return measure.apply(this, args);
    }
    return measure.call(this, name, { ...options, end: this.now() });
  });

  const { nodeTiming } = performance;
  // Not a regular expression: a worker would find in RegExp.input what it was last asked about.
  const moments = ['duration', 'environment', 'Start', 'Exit', 'Complete'];
  for (const name of Object.keys(nodeTiming)) {
    if (moments.some((ending) => name.endsWith(ending))) replaceGetter(nodeTiming, name, moment);
  }
}

function replace(object, name, value) {
  Object.defineProperty(value, 'name', { value: name, configurable: true });
  Object.defineProperty(object, name, { ...Object.getOwnPropertyDescriptor(object, name), value });
}

function replaceGetter(object, name, change) {
  const descriptor = Object.getOwnPropertyDescriptor(object, name);
  Object.defineProperty(object, name, {
    ...descriptor,
    get() {
      return change(descriptor.get.call(this));
    },
  });
}
