"""Every language, in real containers, over the real API: what a user would try first."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from tests.support import Client
from trio_exec.client import Output


@dataclass(frozen=True)
class Programs:
    """The same things in one language."""

    hello: str
    ask: str  # prompts "name? " without a newline, answers "hello NAME"
    both: str  # "out" to stdout, "err" to stderr, exit code 7
    crash: str  # an uncaught error whose trace is the language's own
    trace: list[str]
    compiled: bool
    broken: str = ""
    diagnostic: list[str] | None = None


PYTHON = Programs(
    hello="print('Hello World')",
    ask="name = input('name? ')\nprint('hello', name)",
    both="import sys\nprint('out')\nprint('err', file=sys.stderr)\nsys.exit(7)",
    crash="def fail():\n    return 1 / 0\nfail()",
    trace=[
        "Traceback (most recent call last):",
        '  File "/workspace/main.py", line 3, in <module>',
        "    fail()",
        '  File "/workspace/main.py", line 2, in fail',
        "    return 1 / 0",
        "           ~~^~~",
        "ZeroDivisionError: division by zero",
    ],
    compiled=False,
)

JAVASCRIPT = Programs(
    hello="console.log('Hello World')",
    ask="""
const rl = require('readline').createInterface({ input: process.stdin });
process.stdout.write('name? ');
rl.once('line', (name) => { console.log('hello ' + name); rl.close(); });
""",
    both="console.log('out'); console.error('err'); process.exitCode = 7;",
    crash="function fail() { throw new Error('broken') }\nfail();",
    trace=[
        "/workspace/main.js:1",
        "function fail() { throw new Error('broken') }",
        "                  ^",
        "",
        "Error: broken",
        "    at fail (/workspace/main.js:1:25)",
        "    at Object.<anonymous> (/workspace/main.js:2:1)",
    ],
    compiled=False,
)

JAVA = Programs(
    hello='public class Main { public static void main(String[] a) { System.out.println("Hello World"); } }',
    ask="""
import java.util.Scanner;
public class Whatever {
    public static void main(String[] args) {
        System.out.print("name? ");
        System.out.println("hello " + new Scanner(System.in).nextLine());
    }
}
""",
    both="""
class Both {
    public static void main(String[] args) {
        System.out.println("out");
        System.err.println("err");
        System.exit(7);
    }
}
""",
    crash="""public class Main {
    static int fail() { return 1 / (int) Math.floor(0.5); }
    public static void main(String[] args) { fail(); }
}""",
    trace=[
        'Exception in thread "main" java.lang.ArithmeticException: / by zero',
        "\tat Main.fail(Main.java:2)",
        "\tat Main.main(Main.java:3)",
    ],
    compiled=True,
    broken="public class Main { public static void main(String[] a) { undefined(); } }",
    diagnostic=["Main.java:1: error: cannot find symbol", "  symbol:   method undefined()", "1 error"],
)

CPP = Programs(
    hello='#include <iostream>\nint main() { std::cout << "Hello World" << std::endl; }',
    ask='#include <cstdio>\nint main() { char n[80]; printf("name? "); scanf("%79s", n); printf("hello %s\\n", n); }',
    both='#include <cstdio>\nint main() { puts("out"); fputs("err\\n", stderr); return 7; }',
    crash='#include <stdexcept>\nint main() { throw std::runtime_error("broken"); }',
    trace=["terminate called after throwing an instance of 'std::runtime_error'", "  what():  broken"],
    compiled=True,
    broken="int main() { undefined(); }",
    diagnostic=[
        "main.cpp: In function ‘int main()’:",
        "main.cpp:1:14: error: ‘undefined’ was not declared in this scope",
    ],
)

LANGUAGES = {"python": PYTHON, "javascript": JAVASCRIPT, "java": JAVA, "cpp": CPP}
each_language = pytest.mark.parametrize("language", LANGUAGES)
each_compiled = pytest.mark.parametrize("language", [name for name, it in LANGUAGES.items() if it.compiled])


@each_language
async def test_hello(client: Client, language: str) -> None:
    run = await client.run(language=language, code=LANGUAGES[language].hello)

    assert run.outcome == ("Hello World\n", "", "run: exit 0")
    stages = ["compiling", "running"] if LANGUAGES[language].compiled else ["running"]
    assert run.state_names == ["waiting", *stages, "finished"]
    assert (run.final.exit_code, run.final.signal, run.final.stage) == (0, None, "run")
    assert run.final.wall_time is not None
    assert run.final.cpu_time is not None
    assert run.final.peak_memory is not None
    assert run.final.cpu_time > 0
    assert 1_000_000 < run.final.peak_memory < 200 * 1024 * 1024
    assert run.final.output_truncated is False


@each_language
async def test_a_prompt_without_newline_is_seen_before_the_answer_is_given(client: Client, language: str) -> None:
    async with client.session(language=language, code=LANGUAGES[language].ask) as session:
        await session.until_stdout("name? ")
        assert session.run.stdout == "name? "
        if language != "javascript":  # An event loop does not tell what it waits for.
            await session.until_waiting()
        await session.input("Ada\n")
        run = await session.to_end()

    assert run.outcome == ("name? hello Ada\n", "", "run: exit 0")


@each_language
async def test_streams_are_apart_and_the_exit_code_is_the_programs(client: Client, language: str) -> None:
    run = await client.run(language=language, code=LANGUAGES[language].both)

    assert run.outcome == ("out\n", "err\n", "run: exit 7")
    assert run.final.state == "finished"


@each_language
async def test_an_uncaught_error_shows_the_languages_own_trace(client: Client, language: str) -> None:
    run = await client.run(language=language, code=LANGUAGES[language].crash)

    assert run.ending == ("run: SIGABRT" if language == "cpp" else "run: exit 1")
    lines = run.stderr.splitlines()
    assert lines[: len(LANGUAGES[language].trace)] == LANGUAGES[language].trace
    if language in {"python", "java"}:
        assert len(lines) == len(LANGUAGES[language].trace), "frames that are not the program's"
    assert run.final.state == "finished"


@each_compiled
async def test_a_compile_error_ends_the_compile_stage(client: Client, language: str) -> None:
    programs = LANGUAGES[language]
    run = await client.run(language=language, code=programs.broken)

    assert run.stdout == ""
    assert programs.diagnostic is not None
    for line in programs.diagnostic:
        assert line in run.stderr.splitlines()
    assert run.state_names == ["waiting", "compiling", "finished"]
    assert (run.final.exit_code, run.final.stage, run.reason) == (1, "compile", None)


@each_language
async def test_arguments_environment_and_files(client: Client, language: str) -> None:
    code = {
        "python": "import sys, os, util\nprint(sys.argv[1:], os.environ['COLOUR'], util.twice(4))",
        "javascript": "console.log(process.argv.slice(2), process.env.COLOUR, require('./util').twice(4))",
        "java": """class Main { public static void main(String[] a) {
            System.out.println(String.join("|", a) + System.getenv("COLOUR") + Util.twice(4)); } }""",
        "cpp": """#include <iostream>
#include <cstdlib>
int twice(int);
int main(int n, char **a) { for (int i = 1; i < n; i++) std::cout << a[i] << "|";
  std::cout << getenv("COLOUR") << twice(4) << "\\n"; }""",
    }[language]
    files = {
        "python": {"util.py": "def twice(n): return 2 * n"},
        "javascript": {"util.js": "exports.twice = (n) => 2 * n"},
        "java": {"Util.java": "class Util { static int twice(int n) { return 2 * n; } }"},
        "cpp": {"lib/util.cpp": "int twice(int n) { return 2 * n; }"},
    }[language]
    run = await client.run(language=language, code=code, files=files, args=["a b", "-x", "é*"], env={"COLOUR": "blue"})

    expected = {
        "python": "['a b', '-x', 'é*'] blue 8\n",
        "javascript": "[ 'a b', '-x', 'é*' ] blue 8\n",
        "java": "a b|-x|é*blue8\n",
        "cpp": "a b|-x|é*|blue8\n",
    }[language]
    assert run.outcome == (expected, "", "run: exit 0")


async def test_the_first_file_is_the_main_one_under_its_own_name(client: Client) -> None:
    run = await client.run(language="python", files={"tool/start.py": "print(__file__)", "other.py": "boom"})

    assert run.stdout == "/workspace/tool/start.py\n"


@pytest.mark.parametrize("size", [1, 2, 3, 5, 4096])
async def test_text_arrives_intact_in_whatever_chunks_it_is_written(client: Client, size: int) -> None:
    text = "é漢🙂" * 300
    code = f"""
import os, sys, time
data = {text!r}.encode()
for start in range(0, len(data), {size}):
    os.write(1, data[start:start + {size}])
print(sys.stdin.read() == {text!r})
"""
    run = await client.run(language="python", code=code, stdin=text)

    assert run.stdout == f"{text}True\n"
    assert all("�" not in message.data for message in run.messages if isinstance(message, Output))


async def test_bytes_that_are_no_text_are_shown_as_such(client: Client) -> None:
    run = await client.run(language="python", code=r"import os; os.write(1, b'a\xff\xc3'); os.write(1, b'(\xe6\xbc')")

    assert run.stdout == "a��(�"
