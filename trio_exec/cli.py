"""The command line: `trio-exec serve`, `build`, `prune` and `config`."""

from __future__ import annotations

import argparse
import gc
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path

import trio

from trio_exec import __version__
from trio_exec.errors import ConfigurationError, TrioExecError
from trio_exec.executor.docker.api import DockerAPI
from trio_exec.executor.docker.images import build_missing, prune
from trio_exec.languages import Languages
from trio_exec.logs import Sparing
from trio_exec.server.process import serve
from trio_exec.settings import Settings

EXIT_FAILURE = 1
EXIT_USAGE = 2


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _serve(arguments: argparse.Namespace) -> None:
    chosen = {name: value for name in ("host", "port") if (value := getattr(arguments, name)) is not None}
    settings = Settings.load(**chosen)

    def listening(address: str) -> None:
        _say(f"trio-exec {__version__} listens on {address}")

    # What was imported stays. The collector would look through it again every few sessions: a tenth of their cost.
    gc.collect()
    gc.freeze()
    trio.run(serve, settings, listening)


def _build(arguments: argparse.Namespace) -> None:
    settings = Settings.load()
    languages = Languages.load(settings.languages_dir, settings.languages)
    chosen = [languages.find(name) for name in arguments.languages] or list(languages.values())
    tags = build_missing(DockerAPI(), chosen, progress=_say, started=_say, rebuild=arguments.rebuild)
    for name, tag in tags.items():
        _say(f"{name}: {tag}")


def _prune(_: argparse.Namespace) -> None:
    settings = Settings.load()
    languages = Languages.load(settings.languages_dir, settings.languages)
    prune(
        DockerAPI(),
        languages.values(),
        removed=lambda tag: _say(f"removed {tag}"),
        kept=lambda tag: _say(f"kept {tag}: a container needs it"),
    )


def _config(_: argparse.Namespace) -> None:
    _say(Settings.load().describe())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="trio-exec", description="Runs untrusted code interactively in hardened Docker containers."
    )
    parser.add_argument("--version", action="version", version=f"trio-exec {__version__}")
    parser.add_argument("--config", type=Path, help="TOML file with settings; `trio-exec config` prints one")
    parser.add_argument("--verbose", action="store_true", help="log more")
    commands = parser.add_subparsers(required=True, metavar="command")

    def add(name: str, run: Callable[[argparse.Namespace], None], text: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text)
        command.set_defaults(run=run)
        return command

    serve_command = add("serve", _serve, "serve the API and the page, building missing images first")
    serve_command.add_argument("--host", help="address to listen on")
    serve_command.add_argument("--port", type=int, help="port to listen on; 0 takes a free one")
    build_command = add("build", _build, "build the languages' images, where they are missing")
    build_command.add_argument("languages", nargs="*", help="only these; default: all")
    build_command.add_argument("--rebuild", action="store_true", help="build even those that are there")
    add("prune", _prune, "remove the images that other versions have built for the languages")
    add("config", _config, "print all settings, with their values and what they mean, as TOML")
    return parser


def main() -> None:
    """Runs the command that the arguments name; exits with 1 and a sentence when it can't."""
    arguments = _parser().parse_args()
    logging.basicConfig(
        level=logging.DEBUG if arguments.verbose else logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        stream=sys.stderr,
    )
    for handler in logging.getLogger().handlers:
        handler.addFilter(Sparing())
    for chatty in ("urllib3", "docker", "hypercorn"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    if arguments.config is not None:
        os.environ["TRIO_EXEC_CONFIG"] = str(arguments.config)
    try:
        arguments.run(arguments)
    except ConfigurationError as error:
        sys.stderr.write(f"trio-exec: {error.message}\n")
        sys.exit(EXIT_USAGE)
    except TrioExecError as error:
        sys.stderr.write(f"trio-exec: {error.message}\n")
        sys.exit(EXIT_FAILURE)
    except KeyboardInterrupt:
        sys.exit(130)
