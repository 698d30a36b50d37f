"""Both outputs reach the client in the order in which the program wrote them; as one stream, where one asks for it."""

from __future__ import annotations

import pytest

from tests.programs import JAVA_MAIN
from tests.support import Client

ALTERNATING = {
    "python": "import sys\nfor i in range(500): print('o', i); print('e', i, file=sys.stderr)",
    "javascript": "for (let i = 0; i < 500; i++) { console.log('o', i); console.error('e', i); }",
    "java": JAVA_MAIN
    % (
        "Main",
        'for (int i = 0; i < 500; i++) { System.out.println("o " + i); System.err.println("e " + i); }',
    ),
    "cpp": "#include <iostream>\n"
    "int main() { for (int i = 0; i < 500; i++)"
    " { std::cout << \"o \" << i << '\\n'; std::cerr << \"e \" << i << '\\n'; } }",
}
IN_ORDER = "".join(f"o {i}\ne {i}\n" for i in range(500))


@pytest.mark.parametrize("language", ALTERNATING)
async def test_a_thousand_lines_to_both_streams_in_turns_keep_their_order(client: Client, language: str) -> None:
    for _ in range(3):
        run = await client.run(language=language, code=ALTERNATING[language])
        assert run.output == IN_ORDER
        assert run.stdout.count("\n") == run.stderr.count("\n") == 500


CHILDREN = """
import os, subprocess, sys
for i in range(50):
    print('o', i, flush=True)
    if i % 2:
        subprocess.run([sys.executable, '-S', '-c', f"import os; os.write(2, b'e {i}\\\\n')"], check=True)
    else:
        os.writev(2, [b'e ', str(i).encode(), b'\\n'])
"""


async def test_children_and_other_system_calls_keep_it_too(client: Client) -> None:
    run = await client.run(language="python", code=CHILDREN)

    assert run.output == "".join(f"o {i}\ne {i}\n" for i in range(50))


LARGE = """
import os
def write(to, letter, size):
    data = letter * size
    while data:
        data = data[os.write(to, data):]
for size in (1, 4096, 65536, 65537, 200_000):
    write(1, b'a', size)
    write(2, b'b', size)
    write(1, b'c', 1)
"""


async def test_however_much_is_written_at_a_time(client: Client) -> None:
    run = await client.run(language="python", code=LARGE)

    assert run.output == "".join("a" * size + "b" * size + "c" for size in (1, 4096, 65536, 65537, 200_000))


WITHOUT_READERS = """
import os, subprocess, threading
os.write(1, b'begins ')
for to in (subprocess.DEVNULL, open('file', 'w')):
    for _ in range(100): subprocess.run(['sh', '-c', 'echo lost >&2'], stderr=to)
read, write = os.pipe()
os.dup2(write, 2)
reader = threading.Thread(target=lambda: os.read(read, 6))
reader.start()
os.write(2, b'inside')
reader.join()
os.close(2)
try: os.write(2, b'x')
except OSError as error: os.write(1, error.strerror.encode())
"""


async def test_a_standard_error_that_leads_elsewhere_is_none_of_our_business(client: Client) -> None:
    run = await client.run(language="python", code=WITHOUT_READERS)

    assert (run.stdout, run.stderr) == ("begins Bad file descriptor", "")


INTERRUPTED = """
import os, signal, sys, time
seen = 0
def handle(*_):
    global seen
    seen += 1
signal.signal(signal.SIGALRM, handle)
signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
for i in range(3000): os.write(2, b'x' * 7 + b'\\n')
signal.setitimer(signal.ITIMER_REAL, 0)
print(seen > 0)
"""


async def test_signals_in_the_midst_of_it_lose_nothing(client: Client) -> None:
    run = await client.run(language="python", code=INTERRUPTED)

    assert run.stdout == "True\n"
    assert run.stderr == "xxxxxxx\n" * 3000


@pytest.mark.parametrize("language", ALTERNATING)
async def test_merged_output_is_one_stream_in_exact_order(client: Client, language: str) -> None:
    run = await client.run(language=language, code=ALTERNATING[language], merge=True)

    assert (run.stdout, run.stderr) == (IN_ORDER, "")


async def test_merged_output_of_a_shell_that_names_the_stream_by_another_number(client: Client) -> None:
    script = "for i in $(seq 100); do echo o $i; echo e $i >&2; done"
    code = f"import subprocess\nsubprocess.run(['sh', '-c', {script!r}])"
    run = await client.run(language="python", code=code, merge=True)

    assert run.stdout == "".join(f"o {i}\ne {i}\n" for i in range(1, 101))


async def test_a_compilers_messages_are_merged_too_and_a_terminal_is_one_stream_anyway(client: Client) -> None:
    failed = await client.run(language="cpp", code="int main() { return x; }", merge=True)
    assert (failed.final.stage, failed.stderr) == ("compile", "")
    assert "was not declared in this scope" in failed.stdout

    run = await client.run(language="python", code=ALTERNATING["python"], merge=True, tty=True)
    assert run.stdout.replace("\r", "") == IN_ORDER
