"""The benchmark's results as Markdown."""

from __future__ import annotations

from typing import Any

from benchmarks.batches import rows
from benchmarks.order import order_row
from benchmarks.tenants import tenants_row


def ms(seconds: float) -> str:
    return f"{seconds * 1000:.3g} ms"


def table(results: dict[str, Any]) -> str:
    """Ratios first: they hold on other machines too."""
    sizes, echo, crowd, rush = (results[name] for name in ("sizes", "echo", "many", "burst"))
    rate = results["throughput"]
    lines = [
        "| request to first output | warm ÷ own shell | warm ÷ container | warm p99 ÷ p50 "
        "| own shell, p50 (p99) | plain container per run | cold | warm |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for language, ways in results["starts"].items():
        warm = ways["warm"]
        ratios = [warm["p50"] / ways["local"]["p50"], warm["p50"] / ways["docker"]["p50"], warm["p99"] / warm["p50"]]
        cells = [f"{ratio:.2f}" for ratio in ratios]
        cells += [f"{ms(times['p50'])} ({ms(times['p99'])})" for times in ways.values()]
        lines.append(f"| {language} | {' | '.join(cells)} |")
    lines += [
        "",
        "| | |",
        "|---|---|",
        f"| {sizes['burst']} sessions at once on a pool of {sizes['pool']}: p50, slowest | {ms(rush['warm']['p50'])}, "
        f"{ms(rush['warm']['slowest'])}; without a pool {ms(rush['cold']['p50'])}, {ms(rush['cold']['slowest'])} |",
        f"| echo round trip, one session, p50 / p99 | {ms(echo['p50'])} / {ms(echo['p99'])} |",
        f"| sessions per second, hello in Python, 8 workers | {rate['ratio']:.2f} × the raw Docker "
        f"cycle's: {rate['ours']:.1f} |",
        *[
            f"| sessions in Python at {float(share):.0%} of that rate, pool of {sizes['pool']}: warm, p50 (p99) "
            f"| {load['warm']:.0%}, {ms(load['p50'])} ({ms(load['p99'])}) |"
            for share, load in results["steady"].items()
        ],
        f"| {sizes['concurrent']} sessions at once: echo p50 / p99 "
        f"| {ms(crowd['echo']['p50'])} / {ms(crowd['echo']['p99'])} |",
        f"| the same: server's processor share, memory per session | {crowd['server_cpu']:.2f}, "
        f"{crowd['memory_per_session'] / 1e6:.2f} MB |",
        *rows(results["batches"], results["ways"]),
        tenants_row(results["tenants"]),
        order_row(results["order"]),
        f"| 1 MB of output delivered, p50 | {ms(results['megabyte']['p50'])} |",
        "",
        f"Machine: {results['machine']}.",
    ]
    return "\n".join(lines)
