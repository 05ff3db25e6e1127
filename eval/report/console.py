"""Prints an evaluation: verdicts first, then why, the figures side by side, the comparison with production, the worst cases."""

import re
import sys
import textwrap
from collections.abc import Sequence
from typing import IO, TYPE_CHECKING

from eval.report import conclusions
from eval.report.changes import beside_production
from eval.report.finding_counts import fault_name, findings_sentence, results_with_faults
from eval.report.reasons import CheckGroup, check_groups, with_cause
from eval.report.sentences import sentence_lists
from eval.spine.results import CaseResult, Evaluation, PairResult, Verdict
from eval.spine.suite import Suite
from figures.formatting import NOTE_MARK, format_mde, format_number, format_p, format_signed, metric_lines, plural
from figures.metric import Metric
from service.kit.frame.display.inert import one_line
from service.kit.frame.display.terminal import open_console

if TYPE_CHECKING:  # rich takes 60 ms to import, and `--help` needs none of it
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

WIDTH_WITHOUT_TERMINAL = 120
CHECKS_SHOWN = 8
WORST_SHOWN = 3
FAULTS_SHOWN = 3
_LINES_PER_CASE = 2
_NAME_WIDTH = 20
_COLOURS = {Verdict.PASS: "bold green", Verdict.FAIL: "bold red", Verdict.INCONCLUSIVE: "bold yellow"}


def result_console(stream: IO[str] | None = None) -> "Console":
    """Return a console on ``stream`` (default: standard output); plain and 120 columns wide if it is not a terminal."""
    stream = sys.stdout if stream is None else stream
    return open_console(stream, width=None if stream.isatty() else WIDTH_WITHOUT_TERMINAL)


def render_evaluation(evaluation: Evaluation, suite: Suite, console: "Console | None" = None) -> None:
    """Print ``evaluation`` to ``console`` (default: ``result_console()``); five pairs fit into 100 columns."""
    printer = _Printer(evaluation, suite, result_console() if console is None else console)
    printer.header()
    printer.verdicts()
    printer.reasons()
    printer.metrics()
    printer.comparison()
    printer.ceiling()
    printer.worst_cases()
    printer.conclusion()


def console_text(evaluation: Evaluation, suite: Suite) -> str:
    """Return what ``render_evaluation`` would print on this process's standard output."""
    console = result_console()
    with console.capture() as captured:
        render_evaluation(evaluation, suite, console)
    return captured.get()


class _Printer:
    """One evaluation on one console; each method prints one part."""

    def __init__(self, evaluation: Evaluation, suite: Suite, console: "Console") -> None:
        self._evaluation, self._suite, self._console = evaluation, suite, console

    def say(self, text: str, style: str = "", indent: int = 0) -> None:
        """Print ``text`` wrapped and indented, further lines by two more columns; markup in it is printed literally."""
        from rich.text import Text

        first, further = " " * indent, " " * (indent + 2 if indent else 0)
        lines = textwrap.wrap(text, self._console.width, initial_indent=first, subsequent_indent=further)
        self._console.print(Text("\n".join(lines), style=style), soft_wrap=True)

    def _title(self, text: str) -> None:
        self._console.print()
        self.say(text, "bold")

    def header(self) -> None:
        """Print what was evaluated, where, and how many model calls were live or came from the cache."""
        e = self._evaluation
        self.say(
            f"{e.task} on {e.dataset_name} ({plural(e.case_count, 'case')}, {e.dataset_digest[:8]}) "
            f"in {e.environment}: {conclusions.calls_sentence(e)}",
            "bold",
        )
        warning = conclusions.stand_in_warning(e)
        if warning:
            self.say(f"! {warning}", "yellow")
        for line in conclusions.judge_lines(e):
            self.say(line, "dim")

    def metrics(self) -> None:
        """Print all pairs side by side, one metric per row."""
        from rich.text import Text

        self._title("Figures")
        table = self._table("95% interval below")
        for pair in self._evaluation.pairs:
            name = Text(self._fold(pair.pair_name, len(self._evaluation.pairs)), style="bold")
            if pair.label:
                name.append(f"\n({pair.label})", style="cyan")
            table.add_column(name, overflow="fold", vertical="top")
        for spec in conclusions.table_metrics(self._suite):
            cells = [self._cell(pair.metrics.get(spec.name)) for pair in self._evaluation.pairs]
            arrow = "↑" if spec.higher_is_better else "↓"
            table.add_row(Text.assemble(spec.name, (f" {arrow}", "dim")), *cells)
        table.add_section()
        table.add_row("answered by", *[self._answered_by(pair) for pair in self._evaluation.pairs])
        table.add_row("origin", *[", ".join(pair.origins) or "–" for pair in self._evaluation.pairs])
        self._console.print(table)
        counts = {metric.n for pair in self._evaluation.pairs for metric in pair.metrics.values()}
        legend = "↑ higher is better, ↓ lower is better."
        if counts != {self._evaluation.case_count}:
            legend += f" n = {self._evaluation.case_count} unless given."
        self.say(legend, "dim")
        for note in conclusions.metric_notes(self._evaluation):
            self.say(f"{NOTE_MARK} {one_line(note, 300)}", "dim")

    def ceiling(self) -> None:
        """Print references scored against each other, and the pairs by the same rule, if cases have several references."""
        e = self._evaluation
        if not e.ceiling:
            return
        self._title(conclusions.ceiling_title(e))
        table = self._table("95% interval below")
        columns = [("reference against reference", e.ceiling)]
        columns += [(pair.pair_name, e.like_for_like.get(pair.pair_digest, {})) for pair in e.pairs]
        for name, _ in columns:
            table.add_column(self._fold(name, len(columns)), overflow="fold", vertical="top")
        for spec in conclusions.ceiling_metrics(e, self._suite):
            arrow = "↑" if spec.higher_is_better else "↓"
            cells = [self._cell(metrics.get(spec.name), conclusions.ceiling_cases(e)) for _, metrics in columns]
            table.add_row(f"{spec.name} {arrow}", *cells)
        self._console.print(table)

    def _table(self, corner: str) -> "Table":
        from rich import box
        from rich.table import Table
        from rich.text import Text

        table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False, pad_edge=False)
        table.add_column(Text(corner, style="dim"), overflow="fold", max_width=_NAME_WIDTH)
        return table

    def _cell(self, metric: Metric | None, case_count: int | None = None) -> "Text":
        from rich.text import Text

        if metric is None:
            return Text("–")
        value, *rest = metric_lines(metric, case_count or self._evaluation.case_count)
        return Text.assemble(value, *[("\n" + line, "dim") for line in rest])

    def _answered_by(self, pair: PairResult) -> "Text":
        from rich.text import Text

        count = len(self._evaluation.pairs)
        text = Text("\n".join(self._fold(name, count) for name in pair.answered_by) or "nothing")
        replaced = conclusions.replaced_models(self._evaluation, pair)
        if replaced:
            text.append("".join(f"\n{self._fold(f'NOT {model}', count)}" for model in replaced))
            text.stylize("yellow")
        return text

    def _fold(self, name: str, columns: int) -> str:
        """Break a long name after hyphens, dots and spaces so that ``columns`` such names fit side by side."""
        width = max((self._console.width - _NAME_WIDTH) // max(columns, 1) - 1, 8)
        lines = [""]
        for part in re.findall(r"[^-._: ]*[-._: ]?", one_line(name, 120)):
            if lines[-1] and len(lines[-1]) + len(part.rstrip()) > width:
                lines.append("")
            lines[-1] += part
        return "\n".join(line.rstrip() for line in lines)

    def comparison(self) -> None:
        """Print candidate minus production, or why there is no comparison."""
        from rich.text import Text

        if self._evaluation.production_name is None:
            self._title(conclusions.baseline_sentence(self._evaluation))
            return
        compared = [pair for pair in conclusions.candidates(self._evaluation) if pair.deltas]
        if not compared:
            self._title(f"{conclusions.baseline_sentence(self._evaluation)} No candidate was compared with it.")
            return
        self._title(
            f"Difference from production ({self._evaluation.production_name}) on the same cases; "
            "+ is better for every metric"
        )
        table = self._table("margin allowed")
        looks = {pair.gate.look.looks for pair in compared if pair.gate.look.looks > 1}
        for pair in compared:
            name = Text(self._fold(pair.pair_name, len(compared)), style="bold")
            table.add_column(name, overflow="fold", vertical="top")
        margins = {gate.metric: gate.margin for gate in self._suite.no_worse}
        names = [spec.name for spec in conclusions.table_metrics(self._suite)] + [
            gate.metric for gate in self._suite.no_worse
        ]
        for metric in dict.fromkeys(names):
            deltas = [pair.deltas.get(metric) for pair in compared]
            if not any(deltas):
                continue
            label = Text(metric)
            if metric in margins:
                unit = next(delta.unit for delta in deltas if delta is not None)
                label.append(f"\n{format_number(-margins[metric], unit)}", style="dim")
            table.add_row(label, *[self._delta(pair, delta) for pair, delta in zip(compared, deltas, strict=True)])
        self._console.print(table)
        self.say(
            "p: probability of a difference this large between equal pairs. sees: the smallest true drop that these cases "
            "detect with 80% power." + (f" Intervals are widened for {max(looks)} looks." if looks else ""),
            "dim",
        )

    def _delta(self, pair: PairResult, delta: Metric | None) -> "Text":
        from rich.text import Text

        if delta is None or delta.value is None:
            return Text("not compared" if delta is not None and delta.note else "– n=0")
        check = pair.gate.check("no_worse", delta.name)
        text = Text(format_signed(delta.value, delta.unit))
        if check is not None:
            text.append(f" {conclusions.VERDICT_SIGNS[check.verdict]}", style=_COLOURS[check.verdict])
        if delta.low is not None and delta.high is not None:
            ends = f"[{format_signed(delta.low, delta.unit)}, {format_signed(delta.high, delta.unit)}]"
            text.append(f"\n{ends}", style="dim")
        for line in (format_p(delta), format_mde(delta)):
            if line:
                text.append(f"\n{line}", style="dim")
        if delta.n != self._evaluation.case_count:
            text.append(f"\nn={delta.n}", style="dim")
        return text

    def verdicts(self) -> None:
        """Print one line per pair: verdict, how many checks passed, and why, or what a pass is limited to."""
        from rich.text import Text

        self._console.print()
        table = self._table("pair")
        table.columns[0].max_width = None
        for title in ("verdict", "checks passed", "why"):
            table.add_column(title, overflow="fold", vertical="top")
        for pair in self._evaluation.pairs:
            checks = pair.gate.checks
            name = Text(one_line(pair.pair_name, 60), style="bold")
            if pair.label:
                name.append(f"\n({pair.label})", style="cyan")
            passed = sum(check.verdict is Verdict.PASS for check in checks)
            verdict = Text(conclusions.VERDICT_WORDS[pair.gate.verdict], style=_COLOURS[pair.gate.verdict])
            said = Text(with_cause(pair, self._suite, conclusions.why(pair)))
            limit = Text(conclusions.limit_text(pair), style="yellow")
            parts = [limit, said] if pair.gate.verdict is Verdict.PASS else [said, limit]
            cell = Text("\n").join([part for part in parts if part.plain])
            table.add_row(name, verdict, f"{passed} of {len(checks)}", cell)
        self._console.print(table)

    def reasons(self) -> None:
        """Print each pair's checks that did not pass by reason, then what nobody looked at."""
        for pair in self._evaluation.pairs:
            gate, groups = pair.gate, check_groups(pair, self._suite)
            if groups or gate.look.words or gate.small_slices:
                self._title(one_line(pair.pair_name, 60))
            if gate.look.words:
                self.say(f"{gate.look.words}, decided with {gate.look.confidence:.2%} intervals", "dim", indent=2)
            self._print_groups(groups)
            if gate.small_slices:
                small = "; ".join(conclusions.small_slice_text(check) for check in gate.small_slices)
                self.say(f"slices too small to gate: {small}", "dim", indent=2)
        for found in sentence_lists(self._evaluation):
            self.say(f"{one_line(found.pair, 60)}: {found.counts}", "dim")
        unseen = conclusions.unseen_kinds(self._evaluation, self._suite)
        if unseen:
            names = ", ".join(kind.name for kind in unseen)
            self._console.print()
            self.say(conclusions.unseen_title(unseen), "yellow")
            self.say(f"{names}: the report describes each", "dim", indent=2)

    def _print_groups(self, groups: Sequence[CheckGroup]) -> None:
        left = CHECKS_SHOWN
        for group in groups:
            if left <= 0:
                break
            first, *rest = group.lines
            self.say(one_line(first, 400), _COLOURS[group.verdict].removeprefix("bold "), indent=2)
            for line in rest[:left]:
                self.say(one_line(line, 400), indent=4)
            left -= max(len(rest), 1)
        hidden = sum(len(group.checks) for group in groups) - CHECKS_SHOWN
        if hidden > 0:
            self.say(f"and {plural(hidden, 'check')} more, and why each bound: see the report", "dim", indent=2)

    def worst_cases(self) -> None:
        """Print each pair's failures by code and its worst cases with their findings."""
        self._title("Worst cases")
        for pair in self._evaluation.pairs:
            results = conclusions.results_of(pair)
            bad = conclusions.worst_results(results, self._suite)
            name = one_line(pair.pair_name, 60)
            self.say(f"{name}: {findings_sentence(results, self._suite)}")
            codes = conclusions.failures_by_code(results)
            if codes:
                self.say("failed: " + ", ".join(f"{code} {count}" for code, count in codes), "red", indent=2)
                for message, count in conclusions.failures_by_message(results):
                    self.say(f"{count} x {one_line(message, 170)}", indent=4)
            faulty = results_with_faults(results, self._suite)
            if faulty:
                self.say(f"{fault_name(self._suite, many=True)}:", "red", indent=2)
                self._list_cases(faulty[:FAULTS_SHOWN], len(faulty))
            graded = [item for item in bad if item not in faulty and item.result.failure is None]
            if graded:
                self.say("other findings, worst first:", indent=2)
                self._list_cases(graded[:WORST_SHOWN], None)
        self._console.print()

    def conclusion(self) -> None:
        """Print how each candidate compares with production, and last the outcome in a sentence."""
        for pair in conclusions.candidates(self._evaluation):
            if said := beside_production(pair, self._evaluation, self._suite):
                self.say(f"{one_line(pair.pair_name, 60)} is {said}.")
        self.say(conclusions.headline(self._evaluation), "bold")

    def _list_cases(self, items: list[CaseResult], total: int | None) -> None:
        for item in items:
            lines = conclusions.problem_lines(item, self._suite)
            more = f" (+{len(lines) - _LINES_PER_CASE} more)" if len(lines) > _LINES_PER_CASE else ""
            shown = "; ".join(one_line(line, 170) for line in lines[:_LINES_PER_CASE])
            self.say(f"{item.case_id}: {shown}{more}", indent=4)
        if total is not None and total > len(items):
            self.say(f"and {total - len(items)} more: see the report", indent=4)
