"""What was measured, as tables and plots."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any, Final

import matplotlib as mpl
from matplotlib import pyplot as plt

mpl.use("agg")
mpl.rcParams["svg.hashsalt"] = "elt-operator"  # the same results, the same file

COLOURS: Final = {"bare batch Jobs": "#b8bcc4", "the same batch Jobs": "#8a8f98", "eltjobs": "#1f6feb"}
MAKESPANS: Final = ("default-300", "default-1000", "tuned-300", "tuned-1000")
"""The parts that are drawn."""
PROCESSES: Final = ("API server", "etcd", "controllers", "scheduler", "fake node", "benchmark", "operator")


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _spread(values: Sequence[float], form: str = ".1f") -> str:
    """Return the median, and least and most where there are several."""
    middle = format(median(values), form)
    return middle if len(values) == 1 else f"{middle} ({min(values):{form}}-{max(values):{form}})"


def _milliseconds(run: dict[str, Any], process: str) -> float:
    """Return what a process had of the cores for one job; ``idle``: what nobody had."""
    costs = run["costs"]
    seconds = costs["idle"] if process == "idle" else costs["cpu"].get(process, 0.0)
    return float(seconds * 1000 / run["jobs"])


def _makespans(results: dict[str, Any]) -> Iterator[tuple[str, str, list[dict[str, Any]]]]:
    """Yield the parts that are of many jobs at once: the name, the system, its runs."""
    for part in (*MAKESPANS, "changes"):
        for system, runs in results.get(part, {}).items():
            yield part, system, runs


def _makespan_rows(results: dict[str, Any]) -> list[list[str]]:
    return [
        [
            part,
            system,
            _spread([run["seconds"] for run in runs]),
            f"{median(run['jobs_per_minute'] for run in runs):,.0f}",
            f"{max(run['costs']['operator_peak'] for run in runs):.0f}",
            f"{median(sum(run['writes'].values()) / run['jobs'] for run in runs):.2f}",
        ]
        for part, system, runs in _makespans(results)
    ]


def _cost_rows(results: dict[str, Any]) -> list[list[str]]:
    return [
        [
            part,
            system,
            *(f"{median(_milliseconds(run, process) for run in runs):.1f}" for process in (*PROCESSES, "idle")),
        ]
        for part, system, runs in _makespans(results)
    ]


def _latency_rows(results: dict[str, Any]) -> list[list[str]]:
    rows = []
    for name, told in results.get("latency", {}).items():
        if not name.startswith("writes"):
            for words, key in (("created to run", "created_to_run"), ("created to pod", "created_to_pod"),
                               ("pod ended to job ended", "pod_ended_to_job_ended")):  # fmt: skip
                shares = [f"{told[key][share]:.3f}" for share in ("p50", "p90", "p99")]
                rows.append([name, words, *shares])
    return rows


def _growth_rows(results: dict[str, Any]) -> list[list[str]]:
    return [
        [
            f"{told['pipelines']:,}",
            f"{told['finished']:,}",
            f"{told['seconds_to_ready']:.1f}",
            f"{told['megabytes_at_rest']:.0f}",
            f"{told['costs']['operator_peak']:.0f}",
            f"{told['seconds']:.1f}",
            f"{_milliseconds(told, 'operator'):.1f}",
        ]
        for told in results.get("growth", {}).get("steps", [])
    ]


def _writes(results: dict[str, Any]) -> str:
    """Return how many writes there are for a Job on a cluster at rest."""
    rows = []
    for exit_code in (0, 1):
        for kind, count in sorted(results.get("latency", {}).get(f"writes, exit code {exit_code}", {}).items()):
            jobs = results["latency"][f"eltjobs, exit code {exit_code}"]["jobs"]
            rows.append([str(exit_code), kind, f"{count / jobs:.2f}"])
    return _table(["exit code", "write", "for each Job"], rows)


def tables(results: dict[str, Any]) -> str:
    """Return all tables, in Markdown."""
    parts = [
        _table(["part", "system", "makespan, s", "jobs a minute", "operator, most MiB", "operator's writes a job"],
               _makespan_rows(results)),
        _table(["CPU, ms a job", "system", *PROCESSES, "nobody"], _cost_rows(results)),
        _table(["system", "from, to", "p50, s", "p90, s", "p99, s"], _latency_rows(results)),
        _writes(results),
        _table(["Pipelines", "finished Jobs", "start to ready, s", "MiB at rest", "most MiB", "100 Jobs, s",
                "ms CPU a Job"], _growth_rows(results)),
    ]  # fmt: skip
    if requests := results.get("requests"):
        rows = [[name, *(f"{costs[process]:.2f}" for process in PROCESSES[:3])] for name, costs in requests.items()]
        parts.append(_table(["CPU, ms a request", *PROCESSES[:3]], rows))
    if queue := results.get("one-pipeline"):
        parts.append(f"{queue['jobs']} Jobs of one Pipeline: {queue['seconds']:.0f} s, "
                     f"{_milliseconds(queue, 'operator'):.1f} ms CPU of the operator a Job, "
                     f"{queue['overtaken']} overtaken")  # fmt: skip
    if schedules := results.get("schedules"):
        shares = schedules["seconds after the minute"].items()
        rows = [[word, f"{told['p50']:.2f}", f"{told['p99']:.2f}"] for word, told in shares]
        parts.append(_table([f"{schedules['pipelines']} schedules, one minute", "p50, s", "p99, s"], rows))
    if churn := results.get("churn"):
        rows = [[str(number), f"{found:.1f}"] for number, found in enumerate(churn["megabytes"], 1)]
        parts.append(_table([f"times that {churn['count']} Pipelines have come and gone", "MiB"], rows))
    if idle := results.get("idle"):
        parts.append(f"idle for {idle['seconds']:.0f} s: {sum(idle['writes'].values())} writes, "
                     f"{idle['cpu_share']:.2%} of a core, {idle['megabytes']:.0f} MiB")  # fmt: skip
    return "\n\n".join(parts)


def _save(figure: Any, folder: Path, name: str) -> None:
    figure.tight_layout()
    figure.savefig(folder / f"{name}.svg", metadata={"Date": None})
    figure.savefig(folder / f"{name}.png", dpi=110, metadata={"Software": None})
    plt.close(figure)


def _plot_makespans(results: dict[str, Any], folder: Path) -> None:
    there = [part for part in MAKESPANS if part in results]
    figure, axes = plt.subplots(1, max(1, len(there)), figsize=(3.2 * max(1, len(there)), 3.6), squeeze=False)
    for axis, part in zip(axes[0], there, strict=False):
        for place, (system, runs) in enumerate(results[part].items()):
            seconds = [run["seconds"] for run in runs]
            middle = median(seconds)
            spread = [[middle - min(seconds)], [max(seconds) - middle]]
            axis.bar(place, middle, yerr=spread, color=COLOURS[system], label=system, capsize=4)
            axis.text(place, middle, f" {middle:.1f} s", va="bottom", ha="center")
        plane, _, count = part.partition("-")
        axis.set_title(f"{int(count):,} jobs, {plane}", fontsize=10)
        axis.set_xticks([])
        axis.margins(y=0.15)
    axes[0][0].set_ylabel("seconds until the last has ended")
    axes[0][-1].legend(fontsize=8)
    _save(figure, folder, "makespan")


def _plot_latency(results: dict[str, Any], folder: Path) -> None:
    told = results.get("latency")
    if not told:
        return
    cases = [(system, code) for code in (0, 1) for system in ("bare batch Jobs", "eltjobs")]
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6))
    for axis, key, title in ((left, "created_to_pod", "created to pod created"),
                             (right, "pod_ended_to_job_ended", "pod ended to job ended")):  # fmt: skip
        for system, code in cases:
            shares = [told[f"{system}, exit code {code}"][key][share] for share in ("p50", "p90", "p99")]
            style = "-" if code == 0 else "--"
            words = f"{system}, {'succeeds' if code == 0 else 'fails'}"
            axis.plot(["p50", "p90", "p99"], shares, style, marker="o", color=COLOURS[system], label=words)
        axis.set_title(title, fontsize=10)
        axis.set_ylim(bottom=0)
    left.set_ylabel("seconds")
    right.legend(fontsize=8)
    _save(figure, folder, "latency")


def _plot_growth(results: dict[str, Any], folder: Path) -> None:
    steps = results.get("growth", {}).get("steps")
    if not steps:
        return
    figure, axes = plt.subplots(1, 3, figsize=(11, 3.8))
    around = [f"{step['pipelines']:,}\n{step['finished']:,}" for step in steps]
    figures = {
        "seconds from start to ready": [step["seconds_to_ready"] for step in steps],
        "operator's memory at rest, MiB": [step["megabytes_at_rest"] for step in steps],
        "operator's CPU for a Job, ms": [_milliseconds(step, "operator") for step in steps],
    }
    for axis, (words, values) in zip(axes, figures.items(), strict=True):
        axis.plot(around, values, marker="o", color=COLOURS["eltjobs"])
        axis.set_ylim(bottom=0)
        axis.set_title(words, fontsize=10)
        axis.tick_params(labelsize=8)
    axes[0].set_xlabel("Pipelines, and finished Jobs, that lie around", fontsize=8)
    _save(figure, folder, "growth")


def plots(results: dict[str, Any], folder: Path) -> None:
    """Draw what was measured, as SVG and PNG."""
    _plot_makespans(results, folder)
    _plot_latency(results, folder)
    _plot_growth(results, folder)
