"""The report's tables in reStructuredText."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

__all__ = ["render_report"]

FIGURES = (
    (
        "learning_curve.png",
        "Macro-F1 and accuracy of every method against the share of labels",
        "Means over seeds; the bands are one standard deviation.",
    ),
    (
        "confusion.png",
        "Confusion matrices, a panel a method",
        "Share of each true class that is given each class, all seeds together.",
    ),
    (
        "reliability.png",
        "Reliability diagrams, a panel a method",
        "How often predictions are right against how sure they are; the bars are the share of "
        "predictions.",
    ),
)


def render_report(report: Mapping[str, Any], prefix: str = "", *, figures: bool = True) -> str:
    """Write a report as reStructuredText without titles of sections.

    Parameters
    ----------
    report : mapping
        What `summarise` gave.
    prefix : str, optional
        Put before the figures' names.
    figures : bool, optional
        Whether there are figures.

    Returns
    -------
    text : str
        Paragraphs, tables and figures.
    """
    parts = [_about(report)]
    parts.append(_scores(report, "macro_f1", "Macro-F1"))
    parts.append(_scores(report, "accuracy", "Accuracy, in the natural class balance"))
    parts.append(
        _scores(report, "balanced_accuracy", "Balanced accuracy, as the reference code evaluates")
    )
    ece = "Expected calibration error (in parentheses what exactly true probabilities would show)"
    parts.append(_scores(report, "ece", ece))
    parts.append(_class_f1(report))
    if report["paired"]:
        parts += [_paired_t(report), _mcnemar(report)]
    if figures:
        parts += [_figure(prefix + name, alt, caption) for name, alt, caption in FIGURES]
    return "\n\n".join(parts) + "\n"


def _about(report: Mapping[str, Any]) -> str:
    """What was measured, on what, with what."""
    data, protocol, model = (report[key] for key in ("data", "protocol", "model"))
    classes = ", ".join(f"{_plain(name)} {n}" for name, n in data["classes"].items())
    commit = f"; commit ``{report['commit']}``" if report["commit"] else ""
    lines = [
        f"- Data: {_plain(data['data_set'])}, {data['images']:,} images of {data['side']} px "
        f"({classes}).",
        f"- Split: {protocol['split']}, {protocol['test_images']:,} test images, "
        f"{len(protocol['seeds'])} seed(s); labels at each fraction: "
        + ", ".join(
            f"{_percent(f)} {n}"
            for f, n in zip(protocol["fractions"], protocol["labels"], strict=True)
        )
        + ".",
        f"- Model: ``{model['name']}``, weights ``{model['weights_sha256'][:12]}``{commit}.",
        *map(_computed, report["computed"]),
    ]
    left_out = ", ".join(f"{n} with {why}" for why, n in data.get("left_out", {}).items())
    if left_out:
        lines.insert(1, f"- Left out: {left_out}.")
    if report["leakage"] is not None:
        lines.append(_leakage(report["leakage"]))
    lines.append(
        "- Scores are means over seeds ± one standard deviation; in brackets the 95 % bootstrap "
        "interval over galaxies."
    )
    return "\n".join(lines)


def _computed(part: Mapping[str, Any]) -> str:
    """Where some of the methods were computed, and with what."""
    machine = part["machine"]  # cells of earlier versions do not say
    place = f"{machine['device']}, {machine['precision']}" if machine else "a machine not recorded"
    versions = ", ".join(f"{name} {version}" for name, version in part["versions"].items())
    methods = ", ".join(map(_plain, part["methods"]))
    return f"- Computed on {place}, with {versions}: {methods}."


def _leakage(leakage: Mapping[str, Any]) -> str:
    alike = leakage["alike"]
    which = (
        f" ({', '.join(map(_plain, alike[:5]))}{', ...' if len(alike) > 5 else ''})"
        if alike
        else ""
    )
    return (
        f"- Leakage: of these images {len(alike)}{which} are within "
        f"{leakage['same_galaxy_bits']} of 256 bits of one of the model's "
        f"{leakage['training_images']:,} training images; the nearest pair differs in "
        f"{leakage['smallest_bits']}."
    )


def _scores(report: Mapping[str, Any], name: str, title: str) -> str:
    """Methods down, fractions across."""

    def cell(result: Mapping[str, Any]) -> str:
        score = result["scores"][name]
        text = _mean_and_spread(score)
        if "interval_95" in score:
            text += " [{:.3f}, {:.3f}]".format(*score["interval_95"])
        if "by_chance" in score:
            text += f" ({score['by_chance']:.3f})"
        return text

    return _by_fraction(report, title, cell)


def _by_fraction(
    report: Mapping[str, Any], title: str, cell: Callable[[Mapping[str, Any]], str]
) -> str:
    fractions = report["protocol"]["fractions"]
    rows: dict[str, list[str]] = {}
    for result in report["results"]:
        name = result["method"] + ("" if result["needs_labels"] else " (no labels)")
        rows.setdefault(name, []).append(cell(result))
    return _table(title, ["method", *map(_percent, fractions)], [[k, *v] for k, v in rows.items()])


def _class_f1(report: Mapping[str, Any]) -> str:
    """F1 of each class at the largest fraction."""
    most = report["protocol"]["fractions"][-1]
    names = list(report["data"]["classes"])
    rows = [
        [result["method"], *(_mean_and_spread(result["class_f1"][name]) for name in names)]
        for result in report["results"]
        if result["fraction"] == most
    ]
    words = [name.replace("_", " ") for name in names]
    return _table(f"F1 of each class at {_percent(most)} of the labels", ["method", *words], rows)


def _paired_t(report: Mapping[str, Any]) -> str:
    def cell(pair: Mapping[str, Any]) -> str:
        test = pair["macro_f1_t"]
        p = "" if test["p"] is None else f" (p {_p_value(test['p'])})"
        return f"{test['difference']:+.3f}{p}"

    title = (
        "Difference in macro-F1 between two methods on the same splits, and p of the corrected "
        "resampled t-test"
    )
    return _pairs(report, title, cell)


def _mcnemar(report: Mapping[str, Any]) -> str:
    def cell(pair: Mapping[str, Any]) -> str:
        test = pair["mcnemar"]
        return f"{test['only_a']} : {test['only_b']} (p {_p_value(test['p'])})"

    title = (
        "Galaxies on which only the first or only the second method is right, each galaxy once, "
        "and p of McNemar's exact test"
    )
    return _pairs(report, title, cell)


def _pairs(report: Mapping[str, Any], title: str, cell: Callable[[Mapping[str, Any]], str]) -> str:
    rows: dict[str, list[str]] = {}
    for pair in report["paired"]:
        rows.setdefault(" against ".join(pair["methods"]), []).append(cell(pair))
    header = ["methods", *map(_percent, report["protocol"]["fractions"])]
    return _table(title, header, [[k, *v] for k, v in rows.items()])


def _table(title: str, header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [f".. list-table:: {title}", "   :header-rows: 1", "   :stub-columns: 1", ""]
    for row in (header, *rows):
        lines.append(f"   * - {_plain(row[0])}")
        lines += [f"     - {_plain(value)}" for value in row[1:]]
    return "\n".join(lines)


def _plain(text: str) -> str:
    """Keep names such as a path from being read as markup."""
    return "".join(f"\\{c}" if c in "\\*`|_" else c for c in text)


def _figure(name: str, alt: str, caption: str) -> str:
    return f".. figure:: {name}\n   :alt: {alt}\n   :width: 100%\n\n   {caption}"


def _percent(fraction: float) -> str:
    return f"{100 * fraction:g} %"


def _mean_and_spread(score: Mapping[str, float | None]) -> str:
    if score["mean"] is None:
        return "none"
    spread = "" if score["std"] is None else f" ± {score['std']:.3f}"
    return f"{score['mean']:.3f}{spread}"


def _p_value(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"{p:.3f}"
