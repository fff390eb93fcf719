"""A model's card as a person reads it: what it is, from which data, how good, its limits, who let it serve."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from models.gates import BASELINE, report_of

WIDTH = 100


def readable(
    card: Mapping[str, Any], metrics: Mapping[str, Any], history: Sequence[Mapping[str, Any]], serving: bool
) -> str:
    """The card as text; a figure that was not measured says so."""
    return "\n".join(_lines(card, metrics, history, serving)) + "\n"


def _lines(
    card: Mapping[str, Any], metrics: Mapping[str, Any], history: Sequence[Mapping[str, Any]], serving: bool
) -> Iterator[str]:
    architecture = card.get("architecture", {})
    yield f"{card.get('name', 'a model')}{'  (serves)' if serving else ''}"
    if card.get("synthetic"):
        yield "TRAINED ON SIMULATION ONLY: it never serves unless it is forced to"
    if card.get("imported"):
        yield "IMPORTED: " + ", ".join(f"{each['file']} ({each['format']})" for each in card["imported"])
    yield ""
    yield f"  network     {architecture.get('name', 'resnet1d')}, {_count(card.get('parameters'))} values, " + (
        f"{card.get('members', '?')} members, computed in {card.get('precision', 'float32')}"
    )
    yield f"  tells       {', '.join(card.get('reasons', [])) or 'planets'}" + (
        f" (no example of {', '.join(card['absent reasons'])})" if card.get("absent reasons") else ""
    )
    recipe = card.get("recipe", {})
    if recipe:
        yield f"  recipe      {recipe.get('name')}, seed {card.get('seed')}, version {card.get('version')}"
    if card.get("code"):
        yield f"  code        sha256 {card['code'][:16]}"
    parent = card.get("parent")
    yield f"  parent      {parent['name']} (sha256 {parent['sha256'][:16]})" if parent else "  parent      none"
    yield from _data(card.get("data", {}))
    yield from _wrapped("labels", card.get("labels", ""))
    yield from _wrapped("prior", card.get("prior", ""))
    yield from _wrapped("limits", card.get("limits", ""))
    yield ""
    yield from _figures(metrics)
    yield ""
    yield "history"
    for event in history:
        yield "  " + event_text(event)
    if not history:
        yield "  it was never promoted here"


def _data(data: Mapping[str, Any]) -> Iterator[str]:
    yield f"  data        {'id ' + data['id'][:16] if data.get('id') else data.get('reason', 'not known')}"
    for name in data.get("sets", []):
        yield f"              {name}"
    rows, planets = data.get("rows", {}), data.get("planets", {})
    if rows:
        each = (f"{split} {count:,} ({planets.get(split, 0):,} planets)" for split, count in rows.items())
        yield f"  rows        {', '.join(each)}"
    dropped = [f"{why}: {count:,}" for why, count in data.get("dropped", {}).items() if count]
    if dropped:
        yield f"  left out    {'; '.join(dropped)}"
    if data.get("simulated"):
        yield from _wrapped("simulated", data["simulated"])


def _figures(metrics: Mapping[str, Any]) -> Iterator[str]:
    mine, trees = report_of(metrics), metrics.get(BASELINE, {})
    if not mine:
        yield f"figures: none ({metrics.get('reason', 'nothing was measured')})"
        return
    yield f"figures on {metrics.get('on', 'its test stars')}"
    yield f"  {'':<58}{'this model':<26}{'the trees beside it'}"
    for place, figures in mine.items():
        if not isinstance(figures, Mapping) or place.startswith("stated for"):
            continue
        for metric, found in figures.items():
            if isinstance(found, Mapping) and "value" in found:
                other = trees.get(place, {}).get(metric) if isinstance(trees.get(place), Mapping) else None
                yield f"  {place + ', ' + metric:<58}{figure(found):<26}{figure(other)}"
    folds = metrics.get("folds", {})
    for place, figures in folds.items():
        if isinstance(figures, Mapping) and isinstance(figures.get("auc"), Mapping):
            auc, ap = figures["auc"], figures["ap"]
            yield (
                f"  {len(auc['folds'])} folds, {place}: ROC-AUC lowest {_number(auc['lowest'])}, "
                f"mean {_number(auc['mean'])}; AP pooled {figure(ap['pooled'])}"
            )


def figure(found: Mapping[str, Any] | None) -> str:
    """``0.9912 [0.9871, 0.9950]``, or a dash."""
    if found is None or found.get("value") is None:
        return "–"
    low, high = found.get("low"), found.get("high")
    return f"{found['value']:.4f}" + ("" if low is None or high is None else f" [{low:.4f}, {high:.4f}]")


def event_text(event: Mapping[str, Any]) -> str:
    """One promotion or rollback in a line."""
    words = [str(event.get("at", ""))[:16], str(event.get("what", "")), str(event.get("model", ""))]
    words += [f"by {event['by']}"] if event.get("by") else []
    words += [f"because: {event['why']}"] if event.get("why") else []
    words += [f"in spite of: {'; '.join(event['gates missed'])}"] if event.get("gates missed") else []
    return " ".join(word for word in words if word)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def _count(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else "?"


def _wrapped(title: str, text: object) -> Iterator[str]:
    import textwrap

    for number, line in enumerate(textwrap.wrap(str(text), WIDTH - 14)):
        yield f"  {title if number == 0 else '':<12}{line}"
