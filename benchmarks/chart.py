"""Draws the start-up times as an SVG: bars on a logarithmic scale, since they span three orders of magnitude."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

_COLOURS = {"local": "#8a94a6", "docker": "#c9a227", "cold": "#5b8def", "warm": "#1f9d6b"}
_LABELS = {"local": "your own shell", "docker": "plain container", "cold": "trio-exec, cold", "warm": "trio-exec, warm"}
_LEFT, _WIDTH, _BAR, _GAP, _TOP = 110, 520, 14, 18, 46
_LOWEST, _HIGHEST = 0.001, 3.0


def _x(seconds: float) -> float:
    share = math.log(max(seconds, _LOWEST) / _LOWEST) / math.log(_HIGHEST / _LOWEST)
    return _LEFT + _WIDTH * min(share, 1.0)


def draw(starts: Mapping[str, Any], ways: Sequence[str]) -> str:
    """The SVG's text.

    Args:
        starts: by language and way, a mapping with `p50` in seconds.
        ways: the ways, in order.
    """
    parts: list[str] = []
    y = _TOP
    for language, times in starts.items():
        middle = y + len(ways) * _BAR / 2 + 4
        parts.append(f'<text x="{_LEFT - 10}" y="{middle}" text-anchor="end" font-weight="600">{language}</text>')
        for way in ways:
            seconds = times[way]["p50"]
            width = _x(seconds) - _LEFT
            parts.append(
                f'<rect x="{_LEFT}" y="{y}" width="{width:.1f}" height="{_BAR - 3}" rx="2" fill="{_COLOURS[way]}"/>'
                f'<text x="{_LEFT + width + 6:.1f}" y="{y + _BAR - 4}">{seconds * 1000:.3g} ms</text>'
            )
            y += _BAR
        y += _GAP
    x = _LEFT
    for way in ways:
        parts.append(
            f'<rect x="{x}" y="14" width="10" height="10" rx="2" fill="{_COLOURS[way]}"/>'
            f'<text x="{x + 15}" y="23">{_LABELS[way]}</text>'
        )
        x += 135
    parts += [
        f'<line x1="{_x(tick):.1f}" y1="{_TOP - 8}" x2="{_x(tick):.1f}" y2="{y - 8}" stroke="#8884"/>'
        f'<text x="{_x(tick):.1f}" y="{y + 8}" text-anchor="middle" fill="#777">{tick * 1000:g} ms</text>'
        for tick in (0.001, 0.01, 0.1, 1.0)
    ]
    height = y + 20
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_LEFT + _WIDTH + 90} {height}" role="img" '
        'aria-label="Time to first output by language" font-family="system-ui, sans-serif" font-size="11" fill="#555">'
        f"{''.join(parts)}</svg>\n"
    )
