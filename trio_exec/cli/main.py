"""The command line: which commands there are, and what they take. One file a command.

Only the module of the command that runs is imported: `trio-exec config` has no use for a web server.
"""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import sys
from pathlib import Path
from types import ModuleType

import argcomplete

from trio_exec import __version__
from trio_exec.cli.arguments import OF_CLIENTS, add_keys_arguments
from trio_exec.errors import ConfigurationError, TrioExecError
from trio_exec.logs import SPARING

EXIT_FAILURE = 1
EXIT_USAGE = 2


def _parser() -> argparse.ArgumentParser:
    # These may stand before the command and after it.
    general = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    general.add_argument("--config", type=Path, help="TOML file with settings; `trio-exec config` prints one")
    general.add_argument("--verbose", action="store_true", help="log more")
    parser = argparse.ArgumentParser(
        prog="trio-exec",
        description="Runs untrusted code interactively in hardened Docker containers.",
        parents=[general],
    )
    parser.add_argument("--version", action="version", version=f"trio-exec {__version__}")
    commands = parser.add_subparsers(required=True, metavar="command", dest="command")

    def add(name: str, text: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=text, description=text, parents=[general])

    serve_command = add("serve", "serve the API and the page, building missing images first")
    serve_command.add_argument("--host", help="address to listen on")
    serve_command.add_argument("--port", type=int, help="port to listen on; 0 takes a free one")
    build_command = add("build", "build the languages' images, where they are missing")
    build_command.add_argument("languages", nargs="*", help="only these; default: all")
    build_command.add_argument("--rebuild", action="store_true", help="build even those that are there")
    for name, (add_arguments, text) in OF_CLIENTS.items():
        add_arguments(add(name, text))
    add_keys_arguments(add("keys", "make, list and revoke API keys"))
    doctor_command = add("doctor", "check this machine, its engine and the settings, and say what to do")
    doctor_command.add_argument("--url", help="a running server's address, as its clients have it: look at the proxies")
    doctor_command.add_argument("--json", action="store_true", help="as one object, for programs")
    doctor_command.add_argument("--no-probe", dest="probe", action="store_false", help="open no containers")
    doctor_command.add_argument("--build", action="store_true", help="build images that are missing, as a server would")
    add("images", "print the names of the languages' images, for other machines to be given them")
    add("prune", "remove the images that other versions have built for the languages")
    add("config", "print all settings, with their values and what they mean, as TOML")
    return parser


def _command(name: str) -> ModuleType:
    """The module of a command.

    Raises:
        ConfigurationError: it needs the server, which is an extra, and not installed here.
    """
    try:
        return importlib.import_module(f"trio_exec.cli.{name}")
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == "trio_exec":
            raise
        raise ConfigurationError(
            f"`trio-exec {name}` needs the server, which is not installed here: pip install 'trio-exec[server]'"
        ) from error


def main() -> None:
    """Runs the command that the arguments name; exits with 1 and a sentence when it can't."""
    parser = _parser()
    argcomplete.autocomplete(parser)
    arguments = parser.parse_args(namespace=argparse.Namespace(config=None, verbose=False))
    quiet = arguments.command in OF_CLIENTS or arguments.command == "doctor"
    logging.basicConfig(
        level=logging.DEBUG if arguments.verbose else logging.WARNING if quiet else logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        stream=sys.stderr,
    )
    for handler in logging.getLogger().handlers:
        handler.addFilter(SPARING)
    for chatty in ("urllib3", "docker", "hypercorn", "httpx2", "httpcore2", "trio-websocket"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    if arguments.config is not None:
        os.environ["TRIO_EXEC_CONFIG"] = str(arguments.config)
    try:
        _command(arguments.command).run(arguments)
    except ConfigurationError as error:
        sys.stderr.write(f"trio-exec: {error.message}\n")
        sys.exit(EXIT_USAGE)
    except TrioExecError as error:
        sys.stderr.write(f"trio-exec: {error.message}\n")
        sys.exit(EXIT_FAILURE)
    except KeyboardInterrupt:
        sys.exit(130)
