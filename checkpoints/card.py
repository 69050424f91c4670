"""The model card: `README.md` of a checkpoint, generated from its `config.json` and never written by hand."""

from __future__ import annotations

from typing import Any

from checkpoints.format import WEIGHTS


def render(config: dict[str, Any]) -> str:
    """Return the model card of a checkpoint as Markdown.

    Args:
        config: a valid config, see `checkpoints.schema`.
    """
    provenance = config["provenance"]
    weights = config["files"][WEIGHTS]
    averaged = " (an exponential moving average)" if config["weights"] == "ema" else ""
    return "\n".join(
        [
            f"# {config['name']}",
            "",
            f"A pretrained checkpoint of `zoo.{config['method'].partition('/')[0]}`, recipe {_code(config['recipe'])}.",
            f"{weights['bytes'] / 1e3:.1f} kB of {config['reference']['dtype']} weights{averaged}, "
            f"sha256 `{weights['sha256']}`.",
            "",
            "```python",
            "import checkpoints",
            "",
            f'module = checkpoints.load("{config["name"]}")  # or the path of this folder',
            "```",
            "",
            "## Results",
            "",
            *_results(config["metrics"], provenance["paper"] or []),
            "",
            "## How it was trained",
            "",
            f"- Split: {_text(provenance['split'])}",
            f"- Protocol: {_text(provenance['protocol'])}",
            f"- Seeds: {', '.join(map(str, provenance['seeds'] or [])) or _text(None)}",
            f"- Hardware: {_text(provenance['hardware'])}",
            f"- Epochs: {_text(provenance['epochs'])}",
            f"- Time: {_duration(provenance['time'])}",
            f"- Code: {_code(provenance['commit'])}",
            f"- Command: {_code(provenance['command'])}",
            "",
            "## Data",
            "",
            *(f"- {key}: {_text(value)}" for key, value in sorted((provenance["data"] or {"source": None}).items())),
            "",
            "## Limits",
            "",
            _text(provenance["limits"]),
            "",
            "## Licence",
            "",
            _text(provenance["licence"]),
            "",
        ]
    )


def _results(metrics: dict[str, float], paper: list[dict[str, Any]]) -> list[str]:
    published = {row["metric"]: row for row in paper}
    variants: dict[str, dict[str, float]] = {}
    for name, value in metrics.items():
        stage, *variant, metric = name.split("/")
        if variant:
            variants.setdefault("/".join(variant), {})[f"{stage}/{metric}"] = value
    # The paper's order first, since it puts the headline first.
    names = [*published, *(name for name in metrics if name not in published and name.count("/") < 2)]
    rows = ["| metric | ours | paper | source |", "|---|---|---|---|"]
    for name in names:
        row = published.get(name, {"value": None, "source": ""})
        rows.append(f"| {name} | {_number(metrics.get(name))} | {_number(row['value'])} | {row['source']} |")
    return rows + _comparison(variants)


def _comparison(variants: dict[str, dict[str, float]]) -> list[str]:
    """Return a table of what was compared in the same test: metrics "<stage>/<variant>/<metric>"."""
    if not variants:
        return []
    columns = sorted({metric for row in variants.values() for metric in row})
    rows = ["", "Compared in the same test:", "", f"| | {' | '.join(columns)} |", f"|---{'|---' * len(columns)}|"]
    return rows + [
        f"| {name} | {' | '.join(_number(row.get(metric)) for metric in columns)} |" for name, row in variants.items()
    ]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def _text(value: object) -> str:
    return "not recorded" if value is None else str(value)


def _code(value: str | None) -> str:
    return "not recorded" if value is None else f"`{value}`"


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return _text(None)
    for unit, length in {"h": 3600, "min": 60}.items():
        if seconds >= 2 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.1f} s"
