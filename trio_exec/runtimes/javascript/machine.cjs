'use strict';

// The machine as a program may use it.

const os = require('os');

// A cluster forks a worker for each processor, and the machine's may be more than the
// limit on processes and threads allows.
const most = Number(process.env.TRIO_EXEC_PROCESSORS);
if (most >= 1) {
  const { availableParallelism, cpus } = os;
  Object.assign(os, {
    cpus() {
      return cpus().slice(0, most);
    },
    availableParallelism() {
      return Math.min(availableParallelism(), most);
    },
  });
}

// The main process, which the launcher started, has libuv's four threads for files and
// hashes; those that it starts have one. Five Nodes then take 29 processes and threads,
// of 32.
if (process.ppid !== 1) process.env.UV_THREADPOOL_SIZE ??= '1';

// To ask the kernel takes a socket that the sandbox refuses, and there is nothing but
// the loopback interface.
const { networkInterfaces } = os;
Object.assign(os, {
  networkInterfaces() {
    try {
      return networkInterfaces();
    } catch {
      return { lo: loopback() };
    }
  },
});

function loopback() {
  const common = { mac: '00:00:00:00:00:00', internal: true };
  const addresses = [
    { address: '127.0.0.1', netmask: '255.0.0.0', family: 'IPv4', ...common, cidr: '127.0.0.1/8' },
  ];
  if (hasIPv6()) {
    const netmask = new Array(8).fill('ffff').join(':');
    addresses.push({ address: '::1', netmask, family: 'IPv6', ...common, cidr: '::1/128', scopeid: 0 });
  }
  return addresses;
}

function hasIPv6() {
  try {
    return /\slo$/m.test(require('fs').readFileSync('/proc/net/if_inet6', 'latin1'));
  } catch {
    return false;
  }
}

// For those who import { cpus } from 'node:os'.
require('module').syncBuiltinESMExports();
