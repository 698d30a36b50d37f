"""What clients are told of how a session stands, when it is time to: beside the log, and without a task of its own."""

from __future__ import annotations

from dataclasses import replace

import trio

from trio_exec.model import Reason
from trio_exec.session.output import OutputLog
from trio_exec.session.watchdog import Notice, Watchdog

WATCHERS_PAUSE = 1.0
"""Seconds between two numbers of watchers: all of them are told each, so many that come at once are told at once."""


class Notices:
    """One session's.

    Args:
        log: beside which clients are told.
        watchdog: sleeps until it is time.
        idle_timeout: seconds without input and output after which the session ends.
    """

    def __init__(self, log: OutputLog, watchdog: Watchdog, idle_timeout: float) -> None:
        self._log = log
        self._watchdog = watchdog
        self._idle_timeout = idle_timeout
        self._watchers = 0

    def touched(self) -> None:
        """Has the idle timeout begin anew."""
        now = trio.current_time()
        self._watchdog.set(Reason.IDLE_TIMEOUT, now + self._idle_timeout)
        self._watchdog.set(Notice.IDLE, now + self._idle_timeout / 2)
        self._show_idle(None)

    def command_ended(self) -> None:
        """Says that nothing is waited for any more that could be idle, or take too long."""
        self._watchdog.clear(Reason.EXECUTION_TIMEOUT, Reason.IDLE_TIMEOUT, Notice.IDLE)
        self._show_idle(None)

    def waits(self, *, waiting: bool, sleeping: bool) -> None:
        """Says whether the program waits for its input, and whether it sleeps."""
        self._log.show(replace(self._log.present, waiting=waiting, sleeping=sleeping))

    def count_watchers(self, count: int) -> None:
        """Says how many watch."""
        self._watchers = count
        if self._watchdog.deadline(Notice.WATCHERS) == float("inf"):
            self._show_watchers()

    def due(self, notice: Notice) -> None:
        """Tells what it is time for."""
        self._watchdog.clear(notice)
        match notice:
            case Notice.IDLE:
                until = self._watchdog.deadline(Reason.IDLE_TIMEOUT)
                if until < self._watchdog.deadline(Reason.EXECUTION_TIMEOUT):  # Else activity would not help.
                    self._show_idle(until)
            case Notice.WATCHERS:
                if self._log.present.watchers != self._watchers:
                    self._show_watchers()

    def _show_idle(self, until: float | None) -> None:
        self._log.show(replace(self._log.present, idle_until=until))

    def _show_watchers(self) -> None:
        self._log.show(replace(self._log.present, watchers=self._watchers))
        self._watchdog.set(Notice.WATCHERS, trio.current_time() + WATCHERS_PAUSE)
