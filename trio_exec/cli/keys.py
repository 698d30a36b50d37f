"""`trio-exec keys`: makes, lists and revokes API keys."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from trio_exec.cli.output import say
from trio_exec.errors import ConfigurationError
from trio_exec.keys import Key, create_key, load_keys, revoke_key
from trio_exec.languages import Languages
from trio_exec.model import Quota
from trio_exec.settings import Settings

_SHOWN_ID = "te_{}_…"


def run(arguments: argparse.Namespace) -> None:
    """Does what the action says."""
    settings = Settings.load()
    path: Path | None = getattr(arguments, "keys_file", settings.keys_file)
    if path is None:
        raise ConfigurationError("name the file of keys: --keys-file FILE, or the setting keys_file")
    match arguments.action:
        case "create":
            _create(path, arguments, settings)
        case "revoke":
            revoke_key(path, arguments.name)
            say(f"revoked {arguments.name}; what runs by it ends as soon as the server has looked, within seconds")
        case _:
            _list(path, settings.owner_quota, as_json=arguments.json)


def _create(path: Path, arguments: argparse.Namespace, settings: Settings) -> None:
    languages = Languages.load(settings.languages_dir, settings.languages)
    wanted = None if arguments.languages is None else sorted(languages.find(it).name for it in arguments.languages)
    secret, key = create_key(
        path,
        arguments.name,
        max_sessions=arguments.max_sessions,
        max_queued=arguments.max_queued,
        starts_per_minute=arguments.starts_per_minute,
        max_retained_bytes=arguments.max_retained_bytes,
        languages=wanted,
        limits=dict(arguments.limit) or None,
        operator=arguments.operator or None,
    )
    # The key alone on standard output, so that a script can take it.
    sys.stderr.write(
        f"{path}: {arguments.name} may have {_describe(key, settings.owner_quota)}. The key, shown once:\n"
    )
    say(secret)


def _list(path: Path, usual: Quota, *, as_json: bool) -> None:
    keys = load_keys(path)
    if as_json:
        shown = {name: key.model_dump(mode="json", exclude={"hash"}, exclude_none=True) for name, key in keys.items()}
        say(json.dumps({"keys": shown}, indent=2))
        return
    if not keys:
        say(f"{path} has no keys")
    for name, key in keys.items():
        since = "" if key.created is None else f", since {key.created:%Y-%m-%d}"
        say(f"{name} ({_SHOWN_ID.format(key.id)}{since}): {_describe(key, usual)}")


def _describe(key: Key, usual: Quota) -> str:
    quota = key.quota(usual)
    parts = [
        f"{quota.max_sessions} sessions at once",
        f"{quota.max_queued} waiting",
        f"{quota.starts_per_minute:g} starts a minute",
        f"{quota.max_retained_bytes} bytes held",
    ]
    if key.languages is not None:
        parts.append(f"languages {', '.join(sorted(key.languages))}")
    parts += [f"{name} at most {value}" for name, value in key.limits.given.items()]
    if key.operator:
        parts.append("operator")
    return ", ".join(parts)
