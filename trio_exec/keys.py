"""API keys: the file that holds them, and what each may take.

The file is TOML. Operators read it, edit it, keep it in version control or mount it from a secret; few ever write it,
and never many at once, so it needs no database. Keys are random and long, so a plain hash of one gives nothing away,
and is quick enough to be compared on every request.
"""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import os
import re
import secrets
import tomllib
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, cast

import tomlkit
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from tomlkit.exceptions import TOMLKitError

from trio_exec.bounds import Cpus, CpuTime, MemoryBytes, OutputBytes, Pids, Timeout, WorkspaceBytes
from trio_exec.errors import ConfigurationError
from trio_exec.model import Owner, Quota

_PREFIX = "te"
"""Keys that are found where they should not be, such as in a repository, show what they are for."""
_ID_BYTES = 4
_SECRET_BYTES = 20
_HASH = "sha256:"
_FORM = re.compile(rf"{_PREFIX}_([0-9a-f]{{{2 * _ID_BYTES}}})_[0-9a-f]{{{2 * _SECRET_BYTES}}}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_HEAD = "Keys of trio-exec. `trio-exec keys` writes here; what it wrote can be edited. Servers notice by themselves."
_MODE = 0o640
"""For the server's group to read. Hashes are no secret, but who has a key need not be known to all."""


class KeyLimits(BaseModel):
    """What an owner's sessions may use at most, as in `trio_exec.limits.Limits`; None for what the server says."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    memory_bytes: MemoryBytes | None = None
    cpus: Cpus | None = None
    pids: Pids | None = None
    workspace_bytes: WorkspaceBytes | None = None
    output_bytes: OutputBytes | None = None
    stdout_bytes: OutputBytes | None = None
    stderr_bytes: OutputBytes | None = None
    idle_timeout: Timeout | None = None
    execution_timeout: Timeout | None = None
    compile_timeout: Timeout | None = None
    cpu_time: CpuTime | None = None

    @property
    def given(self) -> dict[str, float]:
        """Those that are given."""
        return self.model_dump(exclude_none=True)


class Key(BaseModel):
    """One key, as the file has it. What is None, the server's settings say.

    Attributes:
        id: the part of it that is no secret.
        hash: of the whole key.
        created: when.
        max_sessions: see `trio_exec.model.Quota`, as the next three.
        languages: those that may be used; None for all.
        limits: what sessions may use where that is less than the server's limits.
        operator: whether it may also see what only operators should, such as metrics.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: Annotated[str, Field(pattern=rf"^[0-9a-f]{{{2 * _ID_BYTES}}}$")]
    hash: Annotated[str, Field(pattern=rf"^{_HASH}[0-9a-f]{{64}}$")]
    created: datetime | None = None
    max_sessions: Annotated[int, Field(ge=1)] | None = None
    max_queued: Annotated[int, Field(ge=0)] | None = None
    starts_per_minute: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    max_retained_bytes: Annotated[int, Field(ge=1024)] | None = None
    languages: frozenset[str] | None = None
    limits: KeyLimits = KeyLimits()
    operator: bool = False

    def matches(self, secret: str) -> bool:
        """Whether this is the key; takes as long for every wrong one."""
        return hmac.compare_digest(self.hash, _hash(secret))

    def quota(self, usual: Quota) -> Quota:
        """What the owner may take, where others may take what is usual."""
        return Quota(
            max_sessions=self.max_sessions or usual.max_sessions,
            max_queued=usual.max_queued if self.max_queued is None else self.max_queued,
            starts_per_minute=self.starts_per_minute or usual.starts_per_minute,
            max_retained_bytes=self.max_retained_bytes or usual.max_retained_bytes,
        )


class Keys:
    """The keys that count now.

    Args:
        keys: by their owners' names.
    """

    def __init__(self, keys: Mapping[str, Key]) -> None:
        self._keys: dict[str, Key] = {}
        self._names: dict[str, str] = {}
        self.replace(keys)

    def __len__(self) -> int:
        return len(self._keys)

    def find(self, secret: str) -> tuple[Owner, Key] | None:
        """Whose key this is; None if it is none, or not any more."""
        form = _FORM.fullmatch(secret)
        name = None if form is None else self._names.get(form[1])
        if name is None or not self._keys[name].matches(secret):
            return None
        return Owner(name), self._keys[name]

    def replace(self, keys: Mapping[str, Key]) -> frozenset[Owner]:
        """Lets other keys count, and says whose do not any more."""
        gone = {Owner(name) for name, key in self._keys.items() if name not in keys or keys[name].hash != key.hash}
        self._keys = dict(keys)
        self._names = {key.id: name for name, key in keys.items()}
        return frozenset(gone)


def load_keys(path: Path) -> dict[str, Key]:
    """Reads a file of keys, by their owners' names.

    Raises:
        ConfigurationError: it can't be read, or what it says can't be used.
    """
    try:
        return _parse(path, tomllib.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise ConfigurationError(
            f"keys_file: there is no file {path}; make it: trio-exec keys create NAME --keys-file {path}"
        ) from None
    except OSError as error:
        raise ConfigurationError(f"keys_file: {path} can't be read: {error.strerror}") from error
    except ValueError as error:  # It is no TOML, or no UTF-8.
        raise ConfigurationError(f"keys_file: {path}: {error}") from error


def _parse(path: Path, content: Mapping[str, Any]) -> dict[str, Key]:
    if unknown := [name for name in content if name != "keys"]:
        raise ConfigurationError(f"keys_file: {path}: there is no {unknown[0]!r}; each key is a table [keys.NAME]")
    found: dict[str, Key] = {}
    tables = content.get("keys", {})
    if not isinstance(tables, dict):
        raise ConfigurationError(f"keys_file: {path}: keys: each key is a table [keys.NAME]")
    for name, table in cast("dict[str, object]", tables).items():
        try:
            found[check_name(name)] = Key.model_validate(table)
        except ValidationError as error:
            detail = error.errors(include_url=False)[0]
            where = ".".join(["keys", name, *(str(part) for part in detail["loc"])])
            message = detail["msg"].removeprefix("Value error, ")
            if detail["type"] == "extra_forbidden":
                message = _no_such(str(detail["loc"][-1]), KeyLimits if len(detail["loc"]) > 1 else Key)
            raise ConfigurationError(f"keys_file: {path}: {where}: {message}") from error
    ids = [key.id for key in found.values()]
    if double := [name for name, key in found.items() if ids.count(key.id) > 1]:
        raise ConfigurationError(f"keys_file: {path}: these are one and the same key: {', '.join(double)}")
    return found


def _no_such(name: str, model: type[BaseModel]) -> str:
    known = list(model.model_fields)
    near = get_close_matches(name, known, 1)
    meant = f", did you mean {near[0]}?" if near else f"; there are {', '.join(known)}"
    return f"there is no such setting of a key{meant}"


def check_name(name: str) -> str:
    """Returns a name that a key can have.

    Raises:
        ConfigurationError: it can't.
    """
    if not _NAME.fullmatch(name):
        raise ConfigurationError(
            f"{name!r} can't be a key's name; take 1 to 64 letters, digits, and, behind the first, . _ @ -"
        )
    return name


def create_key(path: Path, name: str, **settings: Any) -> tuple[str, Key]:
    """Makes a key and writes it to a file, which is made if there is none.

    Args:
        path: the file.
        name: the owner's.
        settings: as in `Key`; None for what is to be left to the server's settings.

    Returns:
        The key itself, which is stored nowhere, and what the file says of it.

    Raises:
        ConfigurationError: there is one of that name, or the file can't be used.
    """
    check_name(name)
    identifier = secrets.token_hex(_ID_BYTES)
    secret = f"{_PREFIX}_{identifier}_{secrets.token_hex(_SECRET_BYTES)}"
    given = {setting: value for setting, value in settings.items() if value is not None}
    table = {"id": identifier, "hash": _hash(secret), "created": datetime.now(UTC).replace(microsecond=0), **given}
    with _changing(path) as document:
        keys = document.setdefault("keys", tomlkit.table(is_super_table=True))
        if name in keys:
            raise ConfigurationError(
                f"there is a key of that name already; revoke it first (trio-exec keys revoke {name}), or take another"
            )
        keys[name] = table
    return secret, load_keys(path)[name]


def revoke_key(path: Path, name: str) -> None:
    """Takes a key out of a file.

    Raises:
        ConfigurationError: there is none of that name, or the file can't be used.
    """
    known = load_keys(path)
    if name not in known:
        raise ConfigurationError(f"there is no key of the name {name!r}; there are: {', '.join(known) or 'none'}")
    with _changing(path) as document:
        del document["keys"][name]


@contextmanager
def _changing(path: Path) -> Generator[Any]:
    """The file's content, to be changed; it is replaced as a whole, and by one process at a time."""
    try:
        lock = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise ConfigurationError(f"keys_file: {path.parent}: {error.strerror}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        there = path.exists()
        try:
            document: Any = tomlkit.parse(path.read_text(encoding="utf-8")) if there else tomlkit.document()
        except TOMLKitError as error:
            raise ConfigurationError(f"keys_file: {path}: {error}") from error
        if not there:
            document.add(tomlkit.comment(_HEAD))
        yield document
        text = tomlkit.dumps(document)
        _parse(path, tomllib.loads(text))
        _replace(path, text)
    except OSError as error:
        raise ConfigurationError(f"keys_file: {path} can't be written: {error.strerror}") from error
    finally:
        os.close(lock)


def _replace(path: Path, text: str) -> None:
    new = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _MODE)
        with open(descriptor, "w", encoding="utf-8") as it:
            if path.exists():
                before = path.stat()
                os.fchmod(it.fileno(), before.st_mode & 0o777)
                os.fchown(it.fileno(), before.st_uid, before.st_gid)
            it.write(text)
            it.flush()
            os.fsync(it.fileno())
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)


def _hash(secret: str) -> str:
    return _HASH + hashlib.sha256(secret.encode()).hexdigest()
