"""What the commands of clients take. Nothing is imported here that any other command could do without."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from trio_exec.cli.defaults import DEFAULT_URL, URL_VARIABLE

SHELLS = ("bash", "zsh", "fish")


def run(parser: argparse.ArgumentParser) -> None:
    """What `trio-exec run` takes."""
    parser.add_argument("file", metavar="FILE", help="the program; - reads it from standard input")
    parser.add_argument("args", metavar="ARGS", nargs=argparse.REMAINDER, help="arguments of the program, untouched")
    parser.add_argument("-l", "--language", help="its language; by default that of the file's extension")
    parser.add_argument("--files", metavar="DIR", type=Path, help="a folder whose files the program finds beside it")
    parser.add_argument("-e", "--env", metavar="NAME=VALUE", type=_pair, action="append", default=[])
    parser.add_argument(
        "--limit", metavar="NAME=NUMBER", type=_limit, action="append", default=[], help="such as cpu_time=2"
    )
    parser.add_argument(
        "--collect", metavar="PATTERN", action="append", default=[], help="files to bring back: '*.png'"
    )
    parser.add_argument(
        "--output-dir", metavar="DIR", type=Path, default=Path(), help="where these go; by default here"
    )
    parser.add_argument("--merge", action="store_true", help="one stream of both outputs, in their exact order")
    parser.add_argument("-t", "--tty", action="store_true", default=None, help="give it a terminal in any case")
    parser.add_argument("-T", "--no-tty", dest="tty", action="store_false", help="give it none")
    parser.add_argument("--stats", action="store_true", help="tell time and memory at the end, on standard error")
    parser.add_argument("--json", action="store_true", help="print all that came of it as one object, at the end")
    parser.add_argument("-q", "--quiet", action="store_true", help="say nothing of one's own")
    _add_url(parser)


def _add_url(parser: argparse.ArgumentParser) -> None:
    """The option that names a server."""
    parser.add_argument("--url", help=f"the server's; by default ${URL_VARIABLE}, or {DEFAULT_URL}")


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form NAME=VALUE")
    return name, value


def _limit(text: str) -> tuple[str, float]:
    name, value = _pair(text)
    try:
        number = float(value)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: {value!r} is no number") from None
    return name, int(number) if number.is_integer() else number


def attach(parser: argparse.ArgumentParser) -> None:
    """What `trio-exec attach` takes."""
    parser.add_argument("id", metavar="ID", help="the session's id")
    parser.add_argument("--watch", action="store_true", help="only look on; what is typed is not for the program")
    parser.add_argument("--stats", action="store_true", help="tell time and memory at the end, on standard error")
    parser.add_argument("-q", "--quiet", action="store_true", help="say nothing of one's own")
    _add_url(parser)


def format_file(parser: argparse.ArgumentParser) -> None:
    """What `trio-exec format` takes."""
    parser.add_argument("file", metavar="FILE", help="the file")
    parser.add_argument("-l", "--language", help="its language; by default that of the file's extension")
    parser.add_argument("-w", "--write", action="store_true", help="change the file instead of printing it")
    _add_url(parser)


def languages(parser: argparse.ArgumentParser) -> None:
    """What `trio-exec languages` takes."""
    parser.add_argument("--json", action="store_true", help="as one object, with the server's limits")
    _add_url(parser)


def completion(parser: argparse.ArgumentParser) -> None:
    """What `trio-exec completion` takes."""
    parser.add_argument("shell", choices=SHELLS)


def add_keys_arguments(parser: argparse.ArgumentParser) -> None:
    """What `trio-exec keys` takes."""
    parser.add_argument(
        "--keys-file", metavar="FILE", type=Path, default=argparse.SUPPRESS, help="the file; default: keys_file"
    )
    actions = parser.add_subparsers(required=True, metavar="action", dest="action")
    create = actions.add_parser("create", help="make a key, and print it: once, since it is stored nowhere")
    create.add_argument("name", metavar="NAME", help="whose it is; quotas, logs and metrics go by it")
    create.add_argument("--max-sessions", metavar="N", type=int, help="sessions that run at once; more wait")
    create.add_argument("--max-queued", metavar="N", type=int, help="sessions that may wait")
    create.add_argument("--starts-per-minute", metavar="N", type=float, help="sessions that are started in a minute")
    create.add_argument("--max-retained-bytes", metavar="N", type=int, help="bytes that the server holds for them")
    create.add_argument(
        "--languages", metavar="NAME,...", type=lambda text: text.split(","), help="those that may be used"
    )
    create.add_argument(
        "--limit", metavar="NAME=NUMBER", type=_limit, action="append", default=[], help="such as memory_bytes=67108864"
    )
    create.add_argument("--operator", action="store_true", help="may see what only operators should, such as /metrics")
    revoke = actions.add_parser("revoke", help="end a key's use, and what runs by it; servers notice by themselves")
    revoke.add_argument("name", metavar="NAME", help="whose it is")
    show = actions.add_parser("list", help="list the keys, and what each may take")
    show.add_argument("--json", action="store_true", help="as one object")
    for action in (create, revoke, show):
        action.add_argument("--keys-file", metavar="FILE", type=Path, default=argparse.SUPPRESS, help=argparse.SUPPRESS)


OF_CLIENTS: dict[str, tuple[Callable[[argparse.ArgumentParser], None], str]] = {
    "run": (run, "run a local program on a server, as though it ran here"),
    "attach": (attach, "watch a session, or join it"),
    "format": (format_file, "print a local file as it should look, or change it so"),
    "languages": (languages, "list what a server runs"),
    "completion": (completion, "print what a shell needs to complete this command's words"),
}
"""Commands that need no server of one's own."""
