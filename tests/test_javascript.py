"""Node.js in a session against Node.js on one's own machine: nothing that a program writes is lost."""

from __future__ import annotations

import pytest

from tests.support import Client

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
