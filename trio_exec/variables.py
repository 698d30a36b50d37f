"""The environment's variables: which of them are settings, and what to say of those that seem to be."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable
from difflib import get_close_matches

from trio_exec.errors import ConfigurationError

_SERVICE_NAME = re.compile(
    r"_(SERVICE_(HOST|PORT(_\w+)?)|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$", re.IGNORECASE
)
_SERVICE_VALUE = re.compile(r"(tcp|udp|sctp)://")


def of_kubernetes(name: str, value: str) -> bool:
    """Whether a variable is one that Kubernetes sets in every pod for a service, such as one that is called as we are.

    Source: https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
    """
    return bool(_SERVICE_NAME.search(name) or (name.upper().endswith("_PORT") and _SERVICE_VALUE.match(value)))


def nearest(name: str, known: Iterable[str], prefix: str = "") -> str | None:
    """The name that may have been meant; None if there is none like it.

    Case, and how words are joined, make no difference.

    Args:
        name: what somebody wrote.
        known: what there is, without the prefix.
        prefix: what all names may begin with, and so makes none of them likelier.
    """
    plain = {_plain(it): it for it in known}
    written = _plain(name)
    near = get_close_matches(written.removeprefix(_plain(prefix)), plain, 1)
    return plain[near[0]] if near else None


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def no_such(name: str, known: Collection[str], prefix: str = "", shown: str = "") -> str:
    """A sentence for a setting that there is not, with the one that may have been meant.

    Args:
        name: what there is not.
        known: what there is, without the prefix.
        prefix: what names may begin with; see `nearest`.
        shown: what the right name begins with.
    """
    near = nearest(name, known, prefix)
    meant = f", did you mean {shown}{near}?" if near else ";"
    return f"{name}: there is no such setting{meant} `trio-exec config` lists those that there are"


def none_of(unknown: Iterable[str], known: Collection[str]) -> str:
    """What to say of names that there are not, each with the one that may have been meant."""

    def told(name: str) -> str:
        near = nearest(name, known)
        return f"{name} (did you mean {near}?)" if near else name

    return f"unknown: {', '.join(map(told, unknown))}; available: {', '.join(known)}"


def reject_unknown(prefix: str, settings: Collection[str], others: Collection[str] = ()) -> None:
    """Returns if every variable with a prefix is a setting. Their case makes no difference.

    One whose prefix is not quite right, such as TRIOEXEC_PORT, would go unheard: it counts if the rest is a setting's
    name, or nearly.

    Args:
        prefix: of all settings.
        settings: their names, without the prefix.
        others: names that are none, but have the prefix as well.

    Raises:
        ConfigurationError: some are none; names all of them.
    """
    known = {name.upper() for name in settings}
    passed = known | {name.upper() for name in others}
    unknown: list[str] = []
    for name, value in sorted(os.environ.items()):
        if of_kubernetes(name, value):
            continue
        if name.upper().startswith(prefix):
            if name.upper().removeprefix(prefix) not in passed:
                unknown.append(name)
        elif _plain(name).startswith(_plain(prefix)) and nearest(name, passed, prefix):
            unknown.append(name)
    if unknown:
        raise ConfigurationError("\n".join(no_such(name, known, prefix, shown=prefix) for name in unknown))
