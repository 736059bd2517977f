"""Results of the benchmark as tables that a person reads."""

# What the ratios are of, and the bound that each is meant to keep.
RATIOS = {
    "f32_vs_torch_eager": ("times as fast", "at least", 1.0),
    "f32_vs_best_torch_f32": ("times as fast", "at least", 0.97),
    "bf16_vs_torch_eager": ("times as fast", "at least", 2.2),
    "best_vs_best_torch": ("times as fast", "at least", 0.97),
    "f32_vs_conv_ceiling": ("of the ceiling's speed", "at least", 0.95),
    "bf16_vs_conv_ceiling": ("of the ceiling's speed", "at least", 0.92),
    "other_share_of_step": ("of a step's time", "at most", 0.05),
    "memory_600_vs_60_steps": ("times the memory", "at most", 1.02),
    "sample_4096_vs_64x64": ("times the time", "at most", 1.05),
}
SECTIONS = {
    "chains": "A Langevin step",
    "training": "A training step, by phase",
    "sampling": "Sampling n images",
    "memory": "Peak memory of sampling",
    "startup": "Start-up",
    "growth": "A step of a chain, against what it grows with",
    "threads": "A step of a chain, against the threads of an operation",
}


def ratios(results):
    """The ratios beside their targets: a list of rows, the first a header."""
    rows = [("ratio", "value", "95% interval", "", "target", "kept")]
    for name, (what, bound, target) in RATIOS.items():
        value, interval = results["ratios"][name], results["intervals"][name]
        rows.append(
            (
                name,
                _number(value),
                "" if value is None else " to ".join(map(_number, interval)),
                what,
                f"{bound} {target:g}",
                _kept(value, bound, target),
            )
        )
    return rows


def aligned(rows):
    """Rows of strings as lines of columns of equal width."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    return "\n".join(
        "  ".join(map(str.ljust, row, widths)).rstrip() for row in rows
    )


def markdown(results):
    """All results: where and how they were taken, ratios and sections."""
    parts = [
        "# Benchmark",
        _origin(results),
        "Times are medians over rounds (quartiles in brackets); a round's is "
        "of the fastest of its calls where it has several.",
        "## Ratios",
        _table(ratios(results)),
        section("The same for each network", results["chains"]["by_network"]),
    ]
    for name, title in SECTIONS.items():
        key = "phases" if name == "training" else "rows"
        parts.append(section(title, results[name][key]))
    if results["skipped"]:
        rows = [("skipped", "reason"), *results["skipped"].items()]
        parts += ["## Skipped", _table(rows)]
    return "\n\n".join(parts) + "\n"


def section(title, rows):
    """A title and a table of rows, dicts of which some may lack a column."""
    return f"## {title}\n\n{_table(_cells(rows))}"


def _origin(results):
    machine, versions = results["machine"], results["versions"]
    named = ", ".join(f"{k} {v}" for k, v in versions.items() if v)
    return (
        f"`{results['command']}`, {results['date']}, "
        f"{results['seconds'] / 60:.0f} minutes. {machine['cpu']}, "
        f"{machine['cores']} cores ({', '.join(machine['flags'])}), "
        f"{machine['memory_gb']} GB. {named}."
    )


def _table(rows):
    header, *body = ["| " + " | ".join(row) + " |" for row in rows]
    rule = "|" + " --- |" * len(rows[0])
    return "\n".join([header, rule, *body])


def _cells(rows):
    names = list(dict.fromkeys(name for row in rows for name in row))
    header = [name.replace("_", " ") for name in names]
    return [header] + [[_cell(row.get(n)) for n in names] for row in rows]


def _cell(value):
    if isinstance(value, dict):
        low, high = _number(value["low"]), _number(value["high"])
        return f"{_number(value['median'])} ({low} to {high})"
    return _number(value) if isinstance(value, float) else str(value or "")


def _number(value):
    """Three digits, or more before the point."""
    if value is None:
        return "none"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _kept(value, bound, target):
    if value is None:
        return ""
    kept = value >= target if bound == "at least" else value <= target
    return "yes" if kept else "no"
