"""The environment's variables: which of them are settings, and what to say of those that seem to be."""

from __future__ import annotations

import os
import re
from collections.abc import Collection
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


def no_such(name: str, known: Collection[str], prefix: str = "") -> str:
    """A sentence for a setting that there is not, with the one that may have been meant.

    Args:
        name: what there is not.
        known: what there is, without the prefix.
        prefix: what all names begin with, and so makes none of them likelier.
    """
    near = get_close_matches(name.removeprefix(prefix), known, 1)
    meant = f", did you mean {prefix}{near[0]}?" if near else ";"
    return f"{name}: there is no such setting{meant} `trio-exec config` lists those that there are"


def reject_unknown(prefix: str, settings: Collection[str]) -> None:
    """Returns if every variable with a prefix is a setting. Their case makes no difference.

    Raises:
        ConfigurationError: some are none; names all of them.
    """
    known = {name.upper() for name in settings}
    ours = {name: value for name, value in sorted(os.environ.items()) if name.upper().startswith(prefix)}
    unknown = [
        name
        for name, value in ours.items()
        if name.upper().removeprefix(prefix) not in known and not of_kubernetes(name, value)
    ]
    if unknown:
        raise ConfigurationError("\n".join(no_such(name, known, prefix) for name in unknown))
