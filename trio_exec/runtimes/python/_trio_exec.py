"""What every Python in the image begins with: `_trio_exec.pth` has it imported.

Standard output behaves as on a terminal. A pipe makes Python keep what is printed until 8 KiB are together, and nobody
would see a program ask. Its switch against that, `-u`, does too much: it writes each piece of a `print` by itself, so
lines of threads and processes mix, and a signal handler cuts a long one short (cpython#85393). It does too little as
well: children don't inherit it.

Python counts no more processors than PYTHON_CPU_COUNT says, as Python 3.13 does without help.

A Python that was started before its program waits for the program's name, which may be any. It has not looked for its
script by then, and goes on as though the name had been on its command line.

A `.pth` file, since programs may bring a sitecustomize.py of their own, and `-E` and `-I` leave it alone.
"""

import os
import stat
import sys
from io import FileIO

TYPE_CHECKING = False  # As in typing, which every start would have to load.
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TextIO


def _write_lines(stdin: "Any", stdout: "Any") -> None:
    if stdout is None or stdout.write_through:
        return  # Closed, or the user's own -u or PYTHONUNBUFFERED.
    mode = os.fstat(stdout.fileno()).st_mode
    if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode):
        stdout.reconfigure(line_buffering=True)
    elif not stdout.isatty():
        return  # Nobody watches a file grow.
    if stdin is not None:
        # Below all ways to read, and asked only when the buffer is empty. The objects above stay what they are.
        stdin.buffer.__init__(_flushing(stdin.name, stdout))


def _flushing(name: str, stdout: "TextIO") -> FileIO:
    """Standard input which has standard output flushed before anything is read."""

    def flush_before(method: str) -> property:
        read = getattr(FileIO, method)

        def flush(file: FileIO) -> "Callable[..., Any]":
            try:  # noqa: SIM105 - contextlib takes longer to load than all of this
                stdout.flush()
            except (OSError, ValueError):
                pass  # Nobody listens any more, or the program has closed it: it may read all the same.
            return read.__get__(file)

        # Not a method: no line of ours is in the traceback when Ctrl-C interrupts a read that waits.
        return property(flush)

    methods = {method: flush_before(method) for method in ("read", "readall", "readinto")}
    raw = type("FileIO", (FileIO,), {"__module__": FileIO.__module__, **methods})(0, "rb", closefd=False)
    raw.name = name
    return raw


def _count_processors(most: "str | None") -> None:
    """A pool has a process for each, and the machine's may be more than the limit on processes allows."""
    if most is None or not most.isdecimal() or int(most) == 0:
        return
    of_the_machine = os.cpu_count

    def cpu_count() -> "int | None":
        return min(int(most), of_the_machine() or 1)

    os.cpu_count = cpu_count


_NAME = ".tmp/name"
"""A FIFO that the launcher makes for a Python that it starts ahead, and opens once the program is in its place."""


def _is_held() -> bool:
    if os.getppid() != 1:
        return False  # The program has started it, not the launcher, and whatever is there is the program's.
    try:
        return stat.S_ISFIFO(os.lstat(_NAME).st_mode)
    except OSError:
        return False


class _Wait:
    """Finds no module, and waits when asked for the last one that Python looks for before its script."""

    def __init__(self) -> None:
        # Made of _trio_exec_main.c; the program need not find it among the modules.
        self._set_script: Callable[[str, str], None] = __import__("_trio_exec_main").set_script
        del sys.modules["_trio_exec_main"]

    def find_spec(self, module: str, _path: object = None, _target: object = None) -> None:
        if module != "usercustomize":
            return
        sys.meta_path.remove(self)
        with FileIO(_NAME) as file:
            name = os.fsdecode(file.readall())
        # Python itself makes no more of a name on its command line.
        self._set_script(name, os.path.join(os.getcwd(), name))
        sys.argv[0] = sys.orig_argv[-1] = name


_write_lines(sys.stdin, sys.stdout)
_count_processors(os.environ.get("PYTHON_CPU_COUNT"))
if _is_held():
    sys.meta_path.append(_Wait())
