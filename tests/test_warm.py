"""Warm starts: everything is as in a cold start, but sooner, and nothing is left behind."""

from __future__ import annotations

from collections.abc import Callable, Generator

import docker
import pytest
import trio

from tests.support import Client, Run, ServerProcess, running_server
from trio_exec.messages import ResizeMessage

WARM = {"python": 2, "javascript": 2, "java": 2, "cpp": 2}
POOL = ",".join(f"{language}={size}" for language, size in WARM.items())


@pytest.fixture(scope="module")
def warm_server(images: dict[str, str]) -> Generator[ServerProcess]:
    with running_server(pool=POOL) as process:
        yield process
    process.assert_no_containers()


@pytest.fixture
def warm(warm_server: ServerProcess) -> Client:
    warm_server.wait_warm({"python": WARM["python"]})
    return Client(warm_server)


JAVA_MAIN = "public class %s { public static void main(String[] args) throws Exception { %s } }"

PROGRAMS: list[tuple[str, str, str, str]] = [
    # name, language, code, stdin
    ("hello", "python", "print('hello')", ""),
    ("empty", "python", "", ""),
    ("only a comment", "python", "# -*- coding: utf-8 -*-", ""),
    ("latin-1", "python", "# -*- coding: latin-1 -*-\nprint('caf\u00e9'.encode())", ""),
    ("a byte order mark", "python", "\ufeffprint('mark')", ""),
    ("no newline at the end", "python", "print(1)\nprint(2)", ""),
    ("windows newlines", "python", "print('''a\r\nb''')\r\nprint(2)\r\n", ""),
    ("longer than a pipe", "python", f"x = '''{'y' * 200_000}'''\nprint(len(x))", ""),
    ("much longer", "python", "x = 0\n" + "x += 1\n" * 60_000 + "print(x)", ""),
    ("syntax error", "python", "print('a')\nprint('b'\nx = = 3", ""),
    ("indentation error", "python", "if 1:\nprint(2)", ""),
    ("uncaught error", "python", "def f():\n    return {}['key']\n\nf()", ""),
    ("a chain of errors", "python", "try:\n    1/0\nexcept Exception as e:\n    raise ValueError('x') from e", ""),
    ("exit codes", "python", "import sys\nsys.exit(42)", ""),
    ("exit with words", "python", "raise SystemExit('bye')", ""),
    ("input", "python", "for _ in range(2): print(repr(input('? ')))", "a\nb\n"),
    ("end of input", "python", "input()", ""),
    (
        "names",
        "python",
        "print(__name__, __file__, __builtins__)\nimport sys\nprint(sys.argv, sys.path, sys.flags)",
        "",
    ),
    ("source", "python", "import inspect, sys\nprint(inspect.getsource(sys.modules['__main__']))", ""),
    ("itself", "python", "print(open(__file__).read())\nimport os\nprint(sorted(os.listdir('.')))", ""),
    ("main module again", "python", "if __name__ == '__main__':\n    import main\nprint(__name__)", ""),
    (
        "processes",
        "python",
        "from multiprocessing import Pool\nif __name__ == '__main__':\n    print(Pool(2).map(abs, [-1]))",
        "",
    ),
    ("environment", "python", "import os\nfor item in sorted(os.environ.items()): print(item)", ""),
    ("limits", "python", "import resource\nprint([resource.getrlimit(i) for i in range(16)])", ""),
    ("descriptors", "python", "import os\nprint(sorted(os.listdir('/proc/self/fd'))[:3])", ""),
    ("killed by itself", "python", "import os\nprint(1, flush=True)\nos.kill(os.getpid(), 9)", ""),
    ("null bytes", "python", "print('a\\0b')", ""),
    ("hello", "javascript", "console.log('hello')", ""),
    ("empty", "javascript", "", ""),
    ("syntax error", "javascript", "console.log(1", ""),
    ("uncaught error", "javascript", "function f() { null.x }\nf()", ""),
    ("rejection", "javascript", "Promise.reject(new Error('no'))", ""),
    ("exit code", "javascript", "process.exitCode = 9", ""),
    ("strict mode", "javascript", "'use strict'; try { undeclared = 1 } catch (e) { console.log(e.message) }", ""),
    (
        "an ES module",
        "javascript",
        "import fs from 'node:fs';\nconsole.log(fs.existsSync('main.js'), import.meta.url)",
        "",
    ),
    ("top-level await", "javascript", "const x = await Promise.resolve(3);\nconsole.log(x)", ""),
    ("names", "javascript", "console.log(__filename, process.argv, require.main === module, module.paths)", ""),
    (
        "itself",
        "javascript",
        "console.log(require('fs').readFileSync(__filename, 'utf8'), require('fs').readdirSync('.'))",
        "",
    ),
    ("longer than a pipe", "javascript", f"const x = '{'y' * 300_000}'; console.log(x.length)", ""),
    ("input", "javascript", "process.stdin.on('data', (d) => console.log(String(d)))", "a\nb\n"),
    (
        "lines",
        "javascript",
        "require('readline').createInterface({input: process.stdin}).on('line', console.log)",
        "a\nb",
    ),
    ("hashbang", "javascript", "#!/usr/bin/env node\nconsole.log('bang')", ""),
    ("hello", "java", JAVA_MAIN % ("Main", 'System.out.println("hello");'), ""),
    ("another name", "java", JAVA_MAIN % ("Other", 'System.out.println("other");'), ""),
    ("a package", "java", "package a.b;\n" + JAVA_MAIN % ("Main", "System.out.println(Main.class);"), ""),
    (
        "two classes",
        "java",
        "class Helper { static int f() { return 3; } }\n" + JAVA_MAIN % ("X", "System.out.println(Helper.f());"),
        "",
    ),
    (
        "record and lambda",
        "java",
        "record P(int x) {}\n" + JAVA_MAIN % ("X", "Runnable r = () -> System.out.println(new P(1)); r.run();"),
        "",
    ),
    ("uncaught error", "java", JAVA_MAIN % ("Main", "int[] a = {}; System.out.println(a[3]);"), ""),
    (
        "in a thread",
        "java",
        JAVA_MAIN % ("Main", 'var t = new Thread(() -> { throw new RuntimeException("t"); }); t.start(); t.join();'),
        "",
    ),
    (
        "daemon",
        "java",
        JAVA_MAIN
        % (
            "Main",
            'var t = new Thread(() -> { while (true); }); t.setDaemon(true); t.start(); System.out.println("end");',
        ),
        "",
    ),
    (
        "not a daemon",
        "java",
        JAVA_MAIN
        % (
            "Main",
            'new Thread(() -> { try { Thread.sleep(200); } catch (Exception e) {} System.out.println("late"); }).start();',
        ),
        "",
    ),
    (
        "exit in a static initialiser",
        "java",
        "class Main { static { System.exit(5); } public static void main(String[] a) {} }",
        "",
    ),
    (
        "stack overflow",
        "java",
        "class Main { static int f(int n) { return f(n + 1) + 1; } public static void main(String[] a) { try { f(0); } catch (StackOverflowError e) { System.out.println(e.getClass()); } } }",
        "",
    ),
    ("compile errors", "java", 'class Main { void f() { int x = "a"; undefined(); } }', ""),
    ("a syntax error", "java", "class Main {", ""),
    (
        "a warning",
        "java",
        "import java.util.*;\n" + JAVA_MAIN % ("Main", "List l = new ArrayList(); l.add(1); System.out.println(l);"),
        "",
    ),
    ("no main", "java", "class Main {}", ""),
    ("nothing", "java", "", ""),
    (
        "scanner",
        "java",
        "import java.util.*;\n"
        + JAVA_MAIN % ("Main", "var s = new Scanner(System.in); System.out.println(s.nextInt() + s.nextInt());"),
        "3 4\n",
    ),
    (
        "reader",
        "java",
        "import java.io.*;\n"
        + JAVA_MAIN % ("Main", "System.out.println(new BufferedReader(new InputStreamReader(System.in)).readLine());"),
        "line\n",
    ),
    (
        "longer than a pipe",
        "java",
        "/*" + "x" * 200_000 + "*/" + JAVA_MAIN % ("Main", "System.out.println(1);"),
        "",
    ),
    (
        "the virtual machine",
        "java",
        JAVA_MAIN
        % (
            "Main",
            """
            System.out.println(Runtime.getRuntime().maxMemory() + " " + Runtime.getRuntime().availableProcessors());
            System.out.println(Thread.currentThread() + " " + Main.class.getClassLoader().getName());
            for (var name : System.getProperties().stringPropertyNames().stream().sorted().toList())
                System.out.println(name + "=" + System.getProperty(name));
            """,
        ),
        "",
    ),
    (
        "the stack",
        "java",
        JAVA_MAIN
        % (
            "Main",
            """
            for (var frame : Thread.currentThread().getStackTrace()) System.out.println(frame);
            System.out.println(StackWalker.getInstance().walk(frames -> frames.count()));
            Thread.getAllStackTraces().keySet().stream().map(Thread::getName).sorted().forEach(System.out::println);
            throw new IllegalStateException("one", new java.io.IOException("two"));
            """,
        ),
        "",
    ),
    (
        "what is in the workspace",
        "java",
        """import java.nio.file.*;
        class Files_ { public static void main(String[] a) throws Exception {
            try (var all = Files.walk(Path.of("."))) {
                all.sorted().forEach(path -> System.out.println(path + " " + Files.isRegularFile(path)));
            }
            System.out.println(Files.readString(Path.of("Main.java")).length());
        } }""",
        "",
    ),
    (
        "an error in main while a thread runs on",
        "java",
        JAVA_MAIN
        % (
            "Main",
            'new Thread(() -> { try { Thread.sleep(300); } catch (Exception e) {} System.out.println("on"); }).start();'
            'throw new Exception("main");',
        ),
        "",
    ),
    (
        "hooks",
        "java",
        JAVA_MAIN
        % (
            "Main",
            'Runtime.getRuntime().addShutdownHook(new Thread(() -> System.out.println("hook")));'
            "Thread.setDefaultUncaughtExceptionHandler((t, e) -> { System.out.println(t.getName() + e); });"
            'throw new Exception("x");',
        ),
        "",
    ),
    (
        "an error in a static initialiser",
        "java",
        "class M { static int x = 1 / 0; public static void main(String[] a) {} }",
        "",
    ),
    ("halted", "java", JAVA_MAIN % ("Main", "Runtime.getRuntime().halt(7);"), ""),
    (
        "out of heap",
        "java",
        JAVA_MAIN % ("Main", "var all = new java.util.ArrayList<long[]>(); while (true) all.add(new long[100_000]);"),
        "",
    ),
    ("main in an enum", "java", "enum E { A; public static void main(String[] a) { System.out.println(A); } }", ""),
    ("main in an interface", "java", "interface I { static void main(String[] a) { System.out.println(1); } }", ""),
    ("main is inherited", "java", "class A extends B {} " + JAVA_MAIN[7:] % ("B", "System.out.println(2);"), ""),
    ("main is not static", "java", "class A { public void main(String[] a) {} }", ""),
    ("main returns something", "java", "class A { public static int main(String[] a) { return 1; } }", ""),
    ("a name beyond ASCII", "java", JAVA_MAIN % ("Größe", "System.out.println(Größe.class);"), ""),
    (
        "names that are not there",
        "java",
        JAVA_MAIN % ("Main", "Warm w = new Warm(); Warm.Pair p; Compile c; foo.Bar b;"),
        "",
    ),
    (
        "its own class of the JDK's name",
        "java",
        "class String { } class Warm { public static void main(java.lang.String[] a) { System.out.println(new String().getClass()); } }",
        "",
    ),
    (
        "more errors than are told",
        "java",
        "class Main {" + "".join(f" int f{i}() {{ return x{i}; }}\n" for i in range(120)) + "}",
        "",
    ),
    (
        "deprecation",
        "java",
        JAVA_MAIN % ("Main", "new Integer(3); Thread.currentThread().getId(); System.out.println(1);"),
        "",
    ),
    (
        "a warning and an error",
        "java",
        "import java.util.*;\n" + JAVA_MAIN % ("Main", "List l = new ArrayList(); l.add(1); int x = l;"),
        "",
    ),
    ("an empty package", "java", "package p;", ""),
    ("duplicate classes", "java", "class A {} class A {}", ""),
    ("preview", "java", "void main() { System.out.println(1); }", ""),
    ("hello", "cpp", "#include <iostream>\nint main() { std::cout << 1; return 3; }", ""),
    ("compile error", "cpp", "#include <vector>\nint main() { std::string s; }", ""),
]


def seen(run: Run) -> tuple[object, ...]:
    final = run.final
    return (run.stdout, run.stderr, final.exit_code, final.signal, final.reason, final.stage, run.state_names)


@pytest.mark.parametrize(
    ("language", "code", "stdin"), [pytest.param(*row[1:], id=f"{row[1]}: {row[0]}") for row in PROGRAMS]
)
async def test_warm_is_as_cold(
    client: Client, warm_server: ServerProcess, language: str, code: str, stdin: str
) -> None:
    cold_run = await client.run(language=language, code=code, stdin=stdin)
    warm_server.wait_warm({language: WARM[language]})
    warm_run = await Client(warm_server).run(language=language, code=code, stdin=stdin)

    assert seen(warm_run) == seen(cold_run)


AGE = """
with open("/proc/uptime") as file: now = float(file.read().split()[0])
with open("/proc/self/stat") as file: started = int(file.read().rsplit(")", 1)[1].split()[19]) / 100
print(now - started > 0.5, end="")
"""


@pytest.mark.parametrize("tty", [False, True])
async def test_the_program_really_was_started_before(warm: Client, tty: bool) -> None:
    await trio.sleep(1)
    run = await warm.run(language="python", code=AGE, tty=tty)

    assert run.stdout == "True"
    assert run.final.cpu_time is not None
    assert run.final.cpu_time < 0.5


JAVA_AGE = JAVA_MAIN % (
    "Main",
    """
    var started = ProcessHandle.current().info().startInstant().get();
    System.out.print(java.time.Duration.between(started, java.time.Instant.now()).toMillis() > 500);
    """,
)


@pytest.mark.parametrize("tty", [False, True])
async def test_the_virtual_machine_really_was_started_before(warm_server: ServerProcess, tty: bool) -> None:
    warm_server.wait_warm({"java": WARM["java"]})
    await trio.sleep(1)
    run = await Client(warm_server).run(language="java", code=JAVA_AGE, tty=tty)

    assert run.stdout == "true"


JAVA_LIMITS = JAVA_MAIN % (
    "Main",
    """
    for (var name : new String[] {"memory.max", "memory/memory.limit_in_bytes"}) {
        var path = java.nio.file.Path.of("/sys/fs/cgroup", name);
        if (java.nio.file.Files.exists(path)) System.out.print(java.nio.file.Files.readString(path));
    }
    long start = System.nanoTime(), used = java.lang.management.ManagementFactory.getThreadMXBean().getCurrentThreadCpuTime();
    while (System.nanoTime() - start < 2_000_000_000L) {}
    used = java.lang.management.ManagementFactory.getThreadMXBean().getCurrentThreadCpuTime() - used;
    System.out.println(used < 0.75 * (System.nanoTime() - start));
    """,
)


async def test_the_run_limits_hold_from_the_first_instruction_of_what_was_started_before_them(
    warm_server: ServerProcess,
) -> None:
    warm_server.wait_warm({"java": WARM["java"]})
    run = await Client(warm_server).run(language="java", code=JAVA_LIMITS)

    assert (run.stdout, run.stderr) == (f"{200 * 2**20}\ntrue\n", "")


@pytest.mark.parametrize(
    "options", [{"args": ["x"]}, {"env": {"A": "1"}}, {"files": {"other.py": ""}}, {"limits": {"pids": 16}}]
)
async def test_what_was_started_ahead_is_not_used_for_anything_else(warm: Client, options: dict[str, object]) -> None:
    code = AGE + "\nimport os, sys\nprint(sys.argv[1:], os.environ.get('A'), sorted(os.listdir('.')))"
    run = await warm.run(language="python", code=code, **options)

    expected = ["x"] if "args" in options else []
    value = "1" if "env" in options else None
    files = [".tmp", "main.py", *options.get("files", {})]
    assert (run.stdout, run.stderr) == (f"False{expected} {value} {files}\n", "")


async def test_a_terminal_has_the_clients_size_and_not_the_pools(warm: Client) -> None:
    code = "import os\nprint(os.get_terminal_size())\ninput()\nprint(os.get_terminal_size())"
    async with warm.session(language="python", code=code, tty=True, rows=51, cols=97) as session:
        await session.until_stdout("columns=97, lines=51)")
        await session.send(ResizeMessage(rows=10, cols=20))
        await session.input("\n")
        await session.until_stdout("columns=20, lines=10)")


async def test_a_burst_is_served_whole(warm: Client) -> None:
    runs: list[Run] = []

    async def one(number: int) -> None:
        runs.append(await warm.run(language="python", code=f"print({number})"))

    async with trio.open_nursery() as nursery:
        for number in range(30):
            nursery.start_soon(one, number)

    assert sorted(int(run.stdout) for run in runs) == list(range(30))


async def test_a_warm_container_that_dies_is_replaced(start_server: Callable[..., ServerProcess]) -> None:
    server = start_server(pool="python=2")
    server.wait_warm({"python": 2})
    engine = docker.from_env()
    killed = set(server.containers())
    for name in killed:
        engine.api.kill(name)
    engine.close()
    with trio.fail_after(30):
        while killed & set(server.containers()):  # noqa: ASYNC110 - there is only asking
            await trio.sleep(0.1)
    server.wait_warm({"python": 2})
    assert (await Client(server).run(language="python", code="print(1)")).stdout == "1\n"


def test_a_killed_server_leaves_no_warm_container(start_server: Callable[..., ServerProcess]) -> None:
    server = start_server(pool="python=2,java=1")
    server.wait_warm({"python": 2, "java": 1})
    server.process.kill()
    server.wait()

    server.assert_no_containers(within=5)


async def test_a_drain_lets_the_pool_go_and_the_borrowed_finish(start_server: Callable[..., ServerProcess]) -> None:
    client = Client(start_server(pool="python=2"))
    client.server.wait_warm({"python": 2})
    async with client.session(language="python", code="print(input())") as session:
        await session.until_waiting()
        client.server.terminate()
        with trio.fail_after(15):
            while len(client.server.containers()) != 1:  # noqa: ASYNC110 - there is only asking
                await trio.sleep(0.1)
        await session.input("still\n")
        assert (await session.to_end()).stdout == "still\n"

    assert await trio.to_thread.run_sync(client.server.wait) == 0
    client.server.assert_no_containers()
