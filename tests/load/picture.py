"""The table as one picture: what became of the requests, and how long the answered ones took."""

COLOURS = {"in_time": "#2f7d4f", "late": "#c9a227", "degraded": "#5b8bc9", "failed": "#b5443c", "lost": "#3a3a3a"}


def draw(rows, path, heading):
    """Write an SVG: a stacked bar of shares per scenario, and its p50, p95 and p99 in seconds beside it."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.fonttype"] = "none"  # text stays text
    from matplotlib import pyplot as plt

    shown = [row for row in rows if row.sent][::-1]
    names = [f"{row.name} (n={row.sent:,})" for row in shown]
    figure, (shares, times) = plt.subplots(
        1, 2, sharey=True, figsize=(11, 1.2 + 0.42 * len(shown)), gridspec_kw={"width_ratios": [3, 2]}
    )
    left = [0.0] * len(shown)
    for kind, colour in COLOURS.items():
        width = [getattr(row, kind) / row.sent for row in shown]
        shares.barh(names, width, left=left, color=colour, label=kind.replace("_", " "))
        left = [start + part for start, part in zip(left, width, strict=True)]
    shares.set_xlim(0, 1)
    shares.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    shares.set_xlabel("requests sent")
    for name, row in zip(names, shown, strict=True):
        times.plot([row.p50 / 1000, row.p99 / 1000], [name, name], color="#777777", linewidth=1)
    for attribute, marker in (("p50", "o"), ("p95", "s"), ("p99", "^")):
        seconds = [getattr(row, attribute) / 1000 for row in shown]
        times.plot(seconds, names, marker, color="#222222", markersize=5, label=attribute)
    times.axvline(5, color="#b5443c", linestyle="--", linewidth=1, label="deadline")
    times.set_xlim(left=0)
    times.set_xlabel("seconds to the answer")
    for axes in (shares, times):
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncol=5, frameon=False, fontsize=8)
        axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle(heading, fontsize=11, y=1.0 + 0.1 / figure.get_figheight())
    temporary = path.with_suffix(".tmp.svg")
    figure.savefig(temporary, bbox_inches="tight", metadata={"Date": None})
    plt.close(figure)
    temporary.replace(path)
