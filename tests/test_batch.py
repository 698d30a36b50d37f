"""Batches: one program, compiled once, run for many cases, each as though it were alone."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
import trio

from tests.support import PATIENCE, Answer, Client, ServerProcess
from trio_exec.api.native.outcomes import BatchAnswer

SQUARE_CPP = '#include <iostream>\nint main() { long n; while (std::cin >> n) std::cout << n * n << "\\n"; }'
SQUARE_PYTHON = "import sys\nfor line in sys.stdin: print(int(line) ** 2)"
SQUARE_JAVA = (
    "import java.util.*; public class Main { public static void main(String[] a) { Scanner in = new Scanner(System.in);"
    " while (in.hasNextLong()) { long n = in.nextLong(); System.out.println(n * n); } } }"
)
SQUARE_JAVASCRIPT = (
    "for (const line of require('fs').readFileSync(0, 'utf8').split('\\n')) if (line) console.log(line ** 2)"
)
SQUARES = {"cpp": SQUARE_CPP, "python": SQUARE_PYTHON, "java": SQUARE_JAVA, "javascript": SQUARE_JAVASCRIPT}
ISOLATIONS = ["process", "container"]


async def batch(client: Client, **body: Any) -> BatchAnswer:
    answer = await client.request("POST", "/run", body)
    assert answer.status == 200, answer.body
    return BatchAnswer.model_validate_json(answer.body)


def lines(answer: Answer) -> list[Any]:
    assert answer.status == 200, answer.body
    return [json.loads(line) for line in answer.body.splitlines()]


@pytest.mark.parametrize("isolation", ISOLATIONS)
@pytest.mark.parametrize("language", SQUARES)
async def test_every_case_has_its_own_input_and_verdict(client: Client, language: str, isolation: str) -> None:
    runs = [{"stdin": f"{n}\n", "expected": f"{n * n}\n"} for n in range(6)]
    runs[3]["expected"] = "8\n"
    result = await batch(client, language=language, code=SQUARES[language], runs=runs, isolation=isolation)
    assert (result.state, result.passed, result.failed, result.skipped) == ("finished", 5, 1, 0)
    assert [case.index for case in result.cases] == list(range(6))
    assert [case.stdout for case in result.cases] == [f"{n * n}\n" for n in range(6)]
    assert [case.matches for case in result.cases] == [True, True, True, False, True, True]
    assert [case.passed for case in result.cases] == [True, True, True, False, True, True]
    assert {case.exit_code for case in result.cases} == {0}
    assert (result.compile is None) == (language in {"python", "javascript"})


@pytest.mark.parametrize("isolation", ISOLATIONS)
async def test_a_program_that_does_not_compile_has_no_cases(client: Client, isolation: str) -> None:
    result = await batch(client, language="cpp", code="int main() { return x; }", runs=[{}, {}], isolation=isolation)
    assert (result.state, result.cases, result.skipped) == ("finished", [], 2)
    assert result.compile is not None
    assert result.compile.exit_code == 1
    assert "x" in result.compile.stderr


@pytest.mark.parametrize("isolation", ISOLATIONS)
async def test_limits_hold_for_each_case(client: Client, isolation: str) -> None:
    code = """
import sys, time
match sys.argv[1]:
    case "cpu":
        while True: pass
    case "sleep": time.sleep(600)
    case "output":
        while True: print("y" * 1000)
    case "memory": x = b"x" * 300_000_000
    case "crash": import os; os.kill(os.getpid(), 11)
    case "exit": sys.exit(7)
    case "fork":
        import os
        while True:
            try: os.fork()
            except OSError: pass
print("fine")
"""
    names = ["cpu", "fine", "sleep", "fine", "output", "fine", "memory", "fine", "crash", "exit", "fork", "fine"]
    limits = {"cpu": {"cpuTime": 0.3}, "sleep": {"executionTimeout": 1}, "fork": {"cpuTime": 0.5}}
    result = await batch(
        client,
        language="python",
        code=code,
        isolation=isolation,
        limits={"outputBytes": 100_000},
        runs=[{"args": [name], "limits": limits.get(name, {})} for name in names],
    )
    found = {name: case.reason or case.signal or case.exit_code for name, case in zip(names, result.cases, strict=True)}
    assert found == {
        "cpu": "cpu_time_limit",
        "fine": 0,
        "sleep": "execution_timeout",
        "output": "output_limit",
        "memory": "memory_limit",
        "crash": "SIGSEGV",
        "exit": 7,
        "fork": "cpu_time_limit",
    }
    assert [case.passed for case in result.cases] == [name == "fine" for name in names]
    assert result.state == "finished"


async def test_what_a_case_does_not_say_is_the_requests(client: Client) -> None:
    result = await batch(
        client,
        language="python",
        code="import os, sys; print(sys.argv[1:], sys.stdin.read(), os.environ['A'], os.environ.get('B'))",
        args=["all"],
        stdin="in",
        env={"A": "1"},
        runs=[{}, {"args": []}, {"stdin": "own"}, {"env": {"B": "2"}}, {"env": {"A": "3"}}],
    )
    assert [case.stdout for case in result.cases] == [
        "['all'] in 1 None\n",
        "[] in 1 None\n",
        "['all'] own 1 None\n",
        "['all'] in 1 2\n",
        "['all'] in 3 None\n",
    ]


@pytest.mark.parametrize(
    ("compare", "verdicts"), [("exact", [True, False, False, False]), ("trimmed", [True, True, True, False])]
)
async def test_comparisons(client: Client, compare: str, verdicts: Sequence[bool]) -> None:
    expected = ["a\nb\n", "a  \nb", "a\r\nb\n\n\n", "a\n\nb\n"]
    code = "print('a'); print('b')"
    result = await batch(
        client, language="python", code=code, compare=compare, runs=[{"expected": it} for it in expected]
    )
    assert [case.matches for case in result.cases] == verdicts


@pytest.mark.parametrize("isolation", ISOLATIONS)
async def test_the_first_failure_can_be_the_last_case(client: Client, isolation: str) -> None:
    runs = [{"args": [code]} for code in "0010"]
    code = "import sys; sys.exit(int(sys.argv[1]))"
    result = await batch(client, language="python", code=code, runs=runs, isolation=isolation, stopOnFailure=True)
    assert [case.index for case in result.cases] == [0, 1, 2]
    assert (result.passed, result.failed, result.skipped) == (2, 1, 1)


async def test_cases_are_told_as_they_end(client: Client) -> None:
    told = lines(
        await client.request(
            "POST",
            "/run",
            {"language": "cpp", "code": SQUARE_CPP, "runs": [{"stdin": "3"}, {"stdin": "4"}], "stream": True},
        )
    )
    assert [it["type"] for it in told] == ["compile", "case", "case", "batch"]
    assert [it["stdout"] for it in told[1:3]] == ["9\n", "16\n"]
    assert told[3] == {"type": "batch", "state": "finished", "passed": 2, "failed": 0, "skipped": 0}


async def test_cases_in_parallel_are_all_run(client: Client) -> None:
    runs = [{"stdin": str(n), "expected": str(n * n)} for n in range(8)]
    result = await batch(
        client, language="cpp", code=SQUARE_CPP, runs=runs, isolation="container", parallel=4, compare="trimmed"
    )
    assert sorted(case.index for case in result.cases) == list(range(8))
    assert result.passed == 8


REFUSED = [
    ([], {}, "runs"),
    ([{}] * 257, {}, "runs"),
    ([{}, {}, {}, {"args": ["a", "\0"]}], {}, "runs[3].args[1]"),
    ([{}, {"args": ["x" * 20_000]}], {}, "runs[1].args"),
    ([{}, {"stdin": {"data": "?", "encoding": "base64"}}], {}, "runs[1].stdin"),
    ([{}, {"limits": {"memoryBytes": 2**50}}], {}, "runs[1].limits.memoryBytes"),
    ([{}, {"limits": {"pids": 10}}], {}, "runs[1].limits.pids"),
    ([{}, {"limits": {"workspaceBytes": 100_000}}], {}, "runs[1].limits.workspaceBytes"),
    ([{}, {"code": "print(2)"}], {}, "runs[1].code"),
    ([{}, {"collect": ["a/../../b"]}], {}, "runs[1].collect[0]"),
    ([{}], {"parallel": 2}, "parallel"),
    ([{}], {"isolation": "none"}, "isolation"),
    ([{}], {"compare": "none"}, "compare"),
    ([{}], {"limits": {"memoryBytes": 2**50}}, "limits.memoryBytes"),
]


@pytest.mark.parametrize(("runs", "more", "field"), REFUSED, ids=[f"{it[2]} {n}" for n, it in enumerate(REFUSED)])
async def test_one_bad_case_refuses_the_batch(
    client: Client, runs: Sequence[Any], more: dict[str, Any], field: str
) -> None:
    answer = await client.request("POST", "/run", {"language": "python", "code": "print(1)", "runs": runs, **more})
    assert answer.status == 400, answer.body
    assert answer.json()["field"] == field
    assert answer.json()["error"].startswith(f"{field}: ")


async def test_what_cases_of_a_container_can_differ_in(client: Client) -> None:
    """With containers of their own, in everything; in one, in all that can be changed while it runs."""
    result = await batch(
        client,
        language="python",
        code="print(open('/proc/self/limits').read()[:0] + 'ran')",
        runs=[{"limits": {"memoryBytes": 100_000_000}}, {"limits": {"cpus": 0.2, "idleTimeout": 5}}, {}],
    )
    assert [case.stdout for case in result.cases] == ["ran\n"] * 3
    apart = await batch(
        client, language="python", code="print('ran')", isolation="container", runs=[{"limits": {"pids": 8}}, {}]
    )
    assert [case.stdout for case in apart.cases] == ["ran\n"] * 2


SMUGGLE = """
import ctypes, os, socket, subprocess, sys, time
libc = ctypes.CDLL(None)
HOLD = "import time\\nwhile True: time.sleep(1)"

def leave():
    open("left", "w").write("x")
    os.makedirs("folder/deep")
    open(".hidden", "w").write("x")
    open("main.py", "a").write("\\nprint('changed')")
    open(".tmp/left", "w").write("x")
    open("/tmp/also", "w").write("x")
    open("/dev/shm/left", "w").write("x")
    print(libc.shmget(4711, 4096, 0o1000), libc.semget(4711, 1, 0o1600), libc.msgget(4711, 0o1600), file=sys.stderr)
    os.symlink("/etc/passwd", "link")
    os.mkfifo("fifo")
    os.link("main.py", "hard")
    os.chmod(".", 0o700)
    subprocess.Popen([sys.executable, "-c", HOLD], start_new_session=True)
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            listener = socket.socket(socket.AF_UNIX)
            listener.bind("\\0abstract")
            listener.listen()
            server = socket.create_server(("127.0.0.1", 8080))
            os.write(1, b"listening\\n")
            time.sleep(600)
        os._exit(0)
    time.sleep(0.5)

def look():
    found = []
    for folder, folders, files in os.walk("."):
        found += [os.path.join(folder, name) for name in folders + files]
    found += ["/tmp/" + name for name in os.listdir("/tmp")] + ["/dev/shm/" + name for name in os.listdir("/dev/shm")]
    print(sorted(found), oct(os.stat(".").st_mode), "changed" in open("main.py").read().split("def leave")[0])
    print(sorted(int(it) for it in os.listdir("/proc") if it.isdigit() and int(it) != os.getpid()))
    for family, address in [(socket.AF_UNIX, "\\0abstract"), (socket.AF_INET, ("127.0.0.1", 8080))]:
        try:
            socket.socket(family).connect(address)
        except OSError as error:
            print(type(error).__name__)
    print(libc.shmget(4711, 0, 0), libc.semget(4711, 0, 0), libc.msgget(4711, 0))
    socket.create_server(("127.0.0.1", 8080), reuse_port=False)

{"leave": leave, "look": look}[sys.argv[1]]()
"""


@pytest.mark.parametrize("isolation", ISOLATIONS)
async def test_a_case_finds_nothing_of_those_before_it(client: Client, isolation: str) -> None:
    runs = [{"args": ["look"]}, {"args": ["leave"]}, {"args": ["look"]}, {"args": ["leave"]}, {"args": ["look"]}]
    result = await batch(client, language="python", code=SMUGGLE, runs=runs, isolation=isolation)
    first, left, second, again, third = result.cases
    assert left.stdout.endswith("listening\n")
    assert left.exit_code == again.exit_code == 0, left.stderr
    assert first.exit_code == 0, first.stderr
    assert first.stdout == second.stdout == third.stdout
    assert first.stdout == (
        "['./.tmp', './main.py'] 0o40755 False\n[1]\nConnectionRefusedError\nConnectionRefusedError\n-1 -1 -1\n"
    )


async def test_cases_leave_files_of_their_own(client: Client) -> None:
    code = "import sys; open(f'{sys.argv[1]}.txt', 'w').write(sys.argv[1])"
    for isolation in ISOLATIONS:
        result = await batch(
            client,
            language="python",
            code=code,
            isolation=isolation,
            collect=["*.txt"],
            runs=[{"args": ["a"]}, {"args": ["b"]}, {"args": ["c"], "collect": []}],
        )
        listed = [[(file.name, file.size) for file in case.files or []] for case in result.cases]
        assert listed == [[("a.txt", 1)], [("b.txt", 1)], []]


async def test_a_batch_ends_with_its_client(start_server: Any) -> None:
    server: ServerProcess = start_server()
    client = Client(server)
    body = json.dumps({"language": "python", "code": "import time; time.sleep(600)", "runs": [{}, {}]}).encode()
    head = "POST /run HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    async with await trio.open_tcp_stream("127.0.0.1", server.port) as stream:
        await stream.send_all(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        await until_running(client, 1)
    await until_running(client, 0)
    server.assert_no_containers()


async def test_a_batch_ends_with_the_server_and_in_its_time(start_server: Any) -> None:
    server: ServerProcess = start_server(batch_timeout=3, drain_timeout=1)
    client = Client(server)
    slow = {"language": "python", "code": "import time; time.sleep(2)", "runs": [{}, {}, {}]}
    result = await batch(client, **slow)
    assert (result.state, result.reason) == ("terminated", "execution_timeout")
    assert (result.passed, result.skipped) == (1, 2)
    assert "3 seconds" in (result.message or "")
    answers: list[Answer] = []

    async def ask() -> None:
        answers.append(await client.request("POST", "/run", {**slow, "code": "import time; time.sleep(600)"}))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        await until_running(client, 1)
        server.terminate()
    assert answers[0].json()["reason"] == "shutdown"
    assert server.wait() == 0
    server.assert_no_containers()


async def until_running(client: Client, count: int) -> None:
    with trio.fail_after(PATIENCE):
        while (await client.request("GET", "/readyz")).json()["running"] != count:  # noqa: ASYNC110 - there is only asking
            await trio.sleep(0.05)
