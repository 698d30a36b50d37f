"""Node.js in a session against Node.js on one's own machine: nothing that a program writes is lost."""

from __future__ import annotations

import json
from collections.abc import Generator

import pytest
import trio

from tests.support import GENEROUS, Client, ServerProcess, running_server

BOTH = pytest.mark.parametrize("tty", [False, True])

WRITES = {
    "lines": "for (let i = 0; i < 60; i++) console.{log}('x'.repeat(9_999));",
    "one line": "console.{log}('x'.repeat(599_999));",
    "stream": "process.{stream}.write('x'.repeat(599_999) + '\\n');",
    "many pieces": "for (let i = 0; i < 5_000; i++) process.{stream}.write('x'.repeat(119) + '\\n');",
    "buffers": "process.{stream}.write(Buffer.alloc(599_999, 'x')); process.{stream}.write('\\n');",
    "then the descriptor": "console.{log}('x'.repeat(299_999)); fs.writeSync({fd}, 'x'.repeat(300_000));",
    "descriptor first": "fs.writeSync({fd}, 'x'.repeat(300_000)); console.{log}('x'.repeat(299_999));",
    "a file": "console.{log}('x'.repeat(299_999)); fs.appendFileSync('/dev/{stream}', 'x'.repeat(300_000));",
}
ENDS = {
    "nothing": ("", "exit 0"),
    "exit": ("process.exit(3);", "exit 3"),
    "exitCode": ("process.exitCode = 4;", "exit 4"),
    "throw": ("throw new Error('the end');", "exit 1"),
    "rejection": ("Promise.reject(new Error('the end'));", "exit 1"),
    "abort": ("process.abort();", "SIGABRT"),
    "kill": ("process.kill(process.pid, 'SIGKILL');", "SIGKILL"),
    "handler": (
        "process.on('SIGTERM', () => process.exit(5)); process.kill(process.pid, 'SIGTERM'); setTimeout(Date, 1e9);",
        "exit 5",
    ),
    "exit handler": ("process.on('exit', () => process.reallyExit(6)); process.exit();", "exit 6"),
}
STREAMS = {"stdout": ("log", 1), "stderr": ("error", 2)}


def write(how: str, stream: str) -> str:
    log, fd = STREAMS[stream]
    return "const fs = require('fs');\n" + WRITES[how].replace("{log}", log).replace("{stream}", stream).replace(
        "{fd}", str(fd)
    )


@pytest.mark.parametrize("stream", STREAMS)
@pytest.mark.parametrize("end", ENDS)
async def test_whatever_ends_a_program_all_that_it_wrote_arrives(client: Client, end: str, stream: str) -> None:
    code, ending = ENDS[end]
    for how in ("lines", "one line"):
        run = await client.run(language="javascript", code=write(how, stream) + code)

        written = run.stdout if stream == "stdout" else run.stderr
        assert (written[:600_000].count("x"), run.final.ending) == (600_000 - written[:600_000].count("\n"), ending)
        assert len(written) >= 600_000


@pytest.mark.parametrize("stream", STREAMS)
@pytest.mark.parametrize("how", WRITES)
async def test_however_a_program_writes_all_of_it_arrives(client: Client, how: str, stream: str) -> None:
    for tty in (False, True):
        run = await client.run(language="javascript", code=write(how, stream) + "process.exit();", tty=tty)

        written = (run.stdout + run.stderr).replace("\r\n", "\n")
        assert (len(written), set(written), run.ending) == (600_000, {"x", "\n"}, "run: exit 0")


async def test_what_is_written_without_waiting_arrives_as_well(client: Client) -> None:
    code = """
const fs = require('fs');
console.log('x'.repeat(199_999));
fs.write(1, 'x'.repeat(200_000), (error, written) => {
  console.log('x'.repeat(199_999));
  process.exit(error ? 1 : 0);
});
"""
    run = await client.run(language="javascript", code=code)

    assert (run.stdout.count("x"), run.stderr, run.ending) == (599_998, "", "run: exit 0")


CHILDREN = {
    "fork": "child.fork('./job.js').on('exit', done);",
    "cluster": "cluster.setupPrimary({ exec: './job.js' }); cluster.fork().on('exit', done);",
    "spawn": "child.spawn('node', ['job.js'], { stdio: 'inherit' }).on('exit', done);",
    "spawn execPath": "child.spawn(process.execPath, ['job.js'], { stdio: 'inherit' }).on('exit', done);",
    "piped": """
        const job = child.spawn('node', ['job.js']).on('close', done);
        job.stdout.pipe(process.stdout);
        job.stderr.pipe(process.stderr);""",
    "execSync": """
        const options = { maxBuffer: 1e7, stdio: ['inherit', 'pipe', 'inherit'] };
        process.stdout.write(child.execSync('node job.js; true', options));
        done();""",
    "shell": "child.spawnSync('node job.js | cat', { shell: true, stdio: 'inherit' }); done();",
    "worker": "new Worker('./job.js').on('exit', done);",
}
CHILDREN_BEGIN = """
const child = require('child_process'), cluster = require('cluster'), { Worker } = require('worker_threads');
const done = () => { console.log('x'.repeat(299_999)); process.exit(4); };
"""


@pytest.mark.parametrize("child", CHILDREN)
async def test_what_children_write_arrives(client: Client, child: str) -> None:
    job = "console.log('x'.repeat(299_999)); console.error('y'.repeat(299_999)); process.exit(3);"
    code = CHILDREN_BEGIN + CHILDREN[child]
    for _ in range(2):
        run = await client.run(language="javascript", code=code, files={"job.js": job})

        assert (run.stdout.count("x"), run.stderr.count("y"), run.ending) == (599_998, 299_999, "run: exit 4")


async def test_options_of_a_requests_own_lose_nothing_either(client: Client) -> None:
    code = "console.log(typeof gc, 'x'.repeat(600_000)); process.exit();"
    run = await client.run(language="javascript", code=code, env={"NODE_OPTIONS": "--expose-gc"})

    assert (run.stdout[:8], run.stdout.count("x"), run.ending) == ("function", 600_000, "run: exit 0")


async def test_a_program_that_closed_its_input_ends_though_it_waits_for_nothing_else(client: Client) -> None:
    code = """
const rl = require('readline').createInterface({ input: process.stdin });
rl.on('line', (line) => { console.log(line); rl.close(); });
"""
    async with client.session(language="javascript", code=code) as session:
        await session.input("a\n")
        run = await session.to_end()

    assert run.outcome == ("a\n", "", "run: exit 0")


@BOTH
async def test_locales_are_those_of_an_american_machine(client: Client, tty: bool) -> None:
    code = """
console.log((1234.5).toLocaleString('en-US', { style: 'currency', currency: 'USD' }), (1234.5).toLocaleString());
console.log(Intl.DateTimeFormat().resolvedOptions().locale, process.env.LANG);
console.log(require('child_process').execSync('locale -k currency_symbol 2>&1; locale 2>&1 >&-').toString().trim());
"""
    run = await client.run(language="javascript", code=code, tty=tty)

    assert run.stdout.split() == ["$1,234.50", "1,234.5", "en-US", "en_US.UTF-8", 'currency_symbol="$"']


CLUSTER = """
import cluster from 'node:cluster';
import { readFile } from 'node:fs/promises';
import { availableParallelism, cpus } from 'node:os';
if (cluster.isPrimary) {
  await readFile('main.js');
  let ended = 0;
  for (let i = 0; i < 4; i++) {
    cluster.fork().on('message', ({ id, length }) => console.log('worker', id, length)).on('exit', (code) => {
      if (code !== 0 || ++ended === 4) console.log(code, cpus().length === availableParallelism());
    });
  }
} else {
  // Files and hashes start libuv's own threads.
  const { length } = await readFile('main.js');
  await new Promise((resolve) => crypto.subtle.digest('SHA-256', new Uint8Array(9)).then(resolve));
  process.send({ id: cluster.worker.id, length }, () => setTimeout(() => process.exit(), 500));
}
"""


async def test_a_cluster_of_four_workers_runs(client: Client) -> None:
    for _ in range(3):
        run = await client.run(language="javascript", code=CLUSTER)

        expected = [f"worker {number} {len(CLUSTER)}" for number in (1, 2, 3, 4)]
        assert (sorted(run.stdout.splitlines()), run.stderr, run.ending) == (["0 true", *expected], "", "run: exit 0")


async def test_worker_threads_and_hashes_fit_the_limit(client: Client) -> None:
    code = """
const { Worker, isMainThread, parentPort } = require('worker_threads');
const { pbkdf2, randomBytes } = require('crypto');
const hash = (done) => pbkdf2('a', 'b', 1000, 16, 'sha1', (error, key) => done(key.toString('hex')));
if (isMainThread) {
  for (let i = 0; i < 8; i++) new Worker(__filename).on('message', console.log);
  for (let i = 0; i < 8; i++) hash(console.log);
} else {
  hash((key) => parentPort.postMessage(key));
}
"""
    run = await client.run(language="javascript", code=code)

    assert (len(run.stdout.splitlines()), len(set(run.stdout.splitlines())), run.stderr) == (16, 1, "")
    assert run.ending == "run: exit 0"


@pytest.mark.parametrize("pids", [16, 32])
async def test_as_many_processors_as_there_is_room_for(client: Client, pids: int) -> None:
    code = """
import os, { availableParallelism, cpus } from 'node:os';
import { execSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
const machine = readdirSync('/sys/devices/system/cpu').filter((name) => /^cpu\\d+$/.test(name)).length;
const child = execSync('node -p "os.cpus().length"').toString();
console.log(machine, cpus().length, os.cpus()[0].model !== undefined, availableParallelism(), Number(child));
"""
    run = await client.run(language="javascript", code=code, limits={"pids": pids})

    machine = int(run.stdout.split()[0])
    expected = min(machine, pids // 8)
    assert run.outcome == (f"{machine} {expected} true {expected} {expected}\n", "", "run: exit 0")


async def test_the_loopback_interface_is_told(client: Client) -> None:
    code = """
import os, { networkInterfaces } from 'node:os';
import { Worker } from 'node:worker_threads';
console.log(Object.keys(networkInterfaces()), os.networkInterfaces().lo[0]);
new Worker("console.log(require('os').networkInterfaces().lo[0].cidr)", { eval: true });
"""
    run = await client.run(language="javascript", code=code)

    assert run.outcome == (
        "[ 'lo' ] {\n  address: '127.0.0.1',\n  netmask: '255.0.0.0',\n  family: 'IPv4',\n"
        "  mac: '00:00:00:00:00:00',\n  internal: true,\n  cidr: '127.0.0.1/8'\n}\n127.0.0.1/8\n",
        "",
        "run: exit 0",
    )


async def test_programs_for_terminals_are_there(client: Client) -> None:
    code = "console.log(require('child_process').execSync('clear; ps -o comm= | head -n 1; echo $TERM').toString());"

    assert (await client.run(language="javascript", code=code)).outcome == ("node\ndumb\n\n", "", "run: exit 0")


@pytest.fixture(scope="module")
def warm_server(images: dict[str, str]) -> Generator[ServerProcess]:
    with running_server(languages="javascript", pool="javascript=2", **GENEROUS) as process:
        yield process
    process.assert_no_containers()


HEADS = {
    "CommonJS": """
const { readFileSync } = require('fs');
const { performance: imported } = require('perf_hooks');
const { isMainThread, Worker } = require('worker_threads');
const file = __filename;
""",
    "an ES module": """
import { readFileSync } from 'node:fs';
import { performance as imported } from 'node:perf_hooks';
import { isMainThread, Worker } from 'node:worker_threads';
const file = new URL(import.meta.url);
""",
}
AGE = """
const [now, hrtime, date] = [performance.now(), process.hrtime.bigint(), Date.now()];
const mark = performance.mark('mark', { detail: 1 });
const { nodeTiming } = performance;
const started = Number(readFileSync('/proc/self/stat', 'utf8').split(') ')[1].split(' ')[19]) * 10;
const ages = {
  now, uptime: process.uptime() * 1000, imported: imported.now(), mark: mark.startTime, event: new Event('a').timeStamp,
  since: date - performance.timeOrigin, duration: nodeTiming.duration, measure: performance.measure('all').duration,
  to: performance.measure('to', { end: 'mark' }).duration,
};
const zeros = {
  sinceMark: performance.measure('some', 'mark').duration - (performance.now() - mark.startTime),
  between: performance.measure('some', { start: 'mark', duration: 7 }).duration - 7,
  marks: performance.measure('none', 'mark', 'mark').duration,
  clocks: Number(process.hrtime.bigint() - hrtime) / 1e6 - (performance.now() - now),
};
const { nodeStart, v8Start, environment, bootstrapComplete } = nodeTiming;
const steps = [0, nodeStart, v8Start, ...(isMainThread ? [environment, bootstrapComplete] : []), now];
const old = Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0]) * 1000 - started;
console.log(JSON.stringify({ ages, zeros, steps, old, loop: nodeTiming.loopExit, detail: mark.detail }));
if (isMainThread) setTimeout(() => new Worker(file), 100);
"""


@pytest.mark.parametrize("head", HEADS.values(), ids=list(HEADS))
async def test_a_program_is_no_older_than_its_run_however_long_its_node_has_waited(
    warm_server: ServerProcess, head: str
) -> None:
    warm_server.wait_warm({"javascript": 1})
    await trio.sleep(2)  # So that it is old.
    run = await Client(warm_server).run(language="javascript", code=head + AGE)

    assert (run.stderr, run.ending) == ("", "run: exit 0")
    assert run.final.wall_time is not None
    threads = [json.loads(line) for line in run.stdout.splitlines()]
    assert len(threads) == 2
    for seen in threads:
        assert seen["old"] > 1000
        # The start, which came before, counts as forty milliseconds.
        assert all(0 < age <= 1000 * run.final.wall_time + 45 for age in seen["ages"].values()), seen
        assert all(abs(zero) < 1000 for zero in seen["zeros"].values()), seen
        assert seen["steps"] == sorted(seen["steps"])
        assert (seen["loop"], seen["detail"]) == (-1, 1)
    assert threads[1]["ages"]["now"] > threads[0]["ages"]["now"] + 90


async def test_a_node_that_did_not_wait_is_as_old_as_it_is(client: Client) -> None:
    code = """
const { timeOrigin } = performance;
console.log(performance.now.name, Object.getOwnPropertyNames(performance), process.uptime.toString());
"""
    run = await client.run(language="javascript", code=code)

    assert run.outcome == ("now [] function uptime() { [native code] }\n", "", "run: exit 0")
