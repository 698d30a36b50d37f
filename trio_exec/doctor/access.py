"""Who may use the server, by its settings; that these can be used at all was looked at before."""

from __future__ import annotations

import ipaddress
import stat
from collections.abc import Collection
from pathlib import Path

from trio_exec.addresses import is_loopback
from trio_exec.doctor.findings import Finding, broken, ok, skipped, warning
from trio_exec.errors import ConfigurationError
from trio_exec.keys import Key, load_keys
from trio_exec.settings import Settings
from trio_exec.variables import none_of


def access_findings(settings: Settings, languages: Collection[str]) -> list[Finding]:
    """What the settings mean for who asks; reads the file of keys.

    Args:
        settings: of the server.
        languages: that it offers.
    """
    return [*_who_asks(settings, languages), *_embedding(settings)]


def _who_asks(settings: Settings, languages: Collection[str]) -> list[Finding]:
    match settings.auth_mode:
        case "keys" if settings.keys_file is not None:
            return [*_keys(settings.keys_file, languages), *_everybody_is_trusted(settings)]
        case "proxy":
            words = f"{settings.auth_header} says who asks, where it comes from {', '.join(settings.trusted_proxies)}"
            return _everybody_is_trusted(settings) or [ok("access.auth", words)]
        case _:
            return [_nobody_asked(settings), *_everybody_is_trusted(settings)]


def _embedding(settings: Settings) -> list[Finding]:
    if not settings.embed_origins:
        return []
    if "*" not in settings.embed_origins:
        return [ok("access.embed", f"pages of {', '.join(settings.embed_origins)} may show /embed in a frame")]
    return [
        warning(
            "access.embed",
            "any page in the world may show /embed in a frame, and have its visitors run programs here",
            "Name the origins that are meant in embed_origins, unless it is meant so.",
        )
    ]


def _nobody_asked(settings: Settings) -> Finding:
    if is_loopback(settings.host):
        return ok(
            "access.auth", f"no keys are needed, and only this machine reaches {settings.host}, but for proxies on it"
        )
    return warning(
        "access.auth",
        f"whoever reaches {settings.host} port {settings.port} may run programs: no keys are needed (auth = none)",
        "Make keys (trio-exec keys create NAME --keys-file FILE) and set keys_file, unless something in front of the "
        "server lets in only those who may; docs/access.md has the ways.",
    )


def _everybody_is_trusted(settings: Settings) -> list[Finding]:
    networks = [it for it in settings.trusted_proxies if ipaddress.ip_network(it).prefixlen == 0]
    if not networks:
        return []
    remedy = "Name the addresses of the proxies in trusted_proxies, and no more."
    if settings.auth_mode == "proxy":
        return [
            broken(
                "access.auth",
                f"whoever reaches the server may call themselves what they like: trusted_proxies has {networks[0]}, "
                f"and {settings.auth_header} of all of these is believed",
                remedy,
            )
        ]
    return [
        warning(
            "access.proxies",
            f"trusted_proxies has {networks[0]}: every client may say what its address is, and so evade its quota",
            remedy,
        )
    ]


def _keys(path: Path, languages: Collection[str]) -> list[Finding]:
    try:
        keys, mode = load_keys(path), path.stat().st_mode
    except (ConfigurationError, OSError) as error:  # It was there a moment ago.
        return [skipped("access.auth", f"{path} changes just now: {error}")]
    if not keys:
        auth = warning(
            "access.auth",
            f"{path} has no keys: nobody can use the server",
            f"trio-exec keys create NAME --keys-file {path}",
        )
    else:
        auth = ok("access.auth", f"who asks needs one of {len(keys)} keys in {path}")
    return [auth, _mode(path, mode), *_languages_of(keys, languages)]


def _mode(path: Path, mode: int) -> Finding:
    shown = f"{path} has the mode {stat.S_IMODE(mode):04o}"
    if mode & stat.S_IWOTH:
        return broken("access.keys_file", f"{shown}: every user of this machine can make keys", f"chmod o-rwx {path}")
    if mode & stat.S_IROTH:
        return warning(
            "access.keys_file", f"{shown}: every user of this machine can see who has keys", f"chmod o-rwx {path}"
        )
    return ok("access.keys_file", shown)


def _languages_of(keys: dict[str, Key], languages: Collection[str]) -> list[Finding]:
    return [
        warning(
            f"access.keys.{name}", f"the key {name} is for languages that there are not: {none_of(unknown, languages)}"
        )
        for name, key in keys.items()
        if (unknown := sorted((key.languages or frozenset()) - set(languages)))
    ]
