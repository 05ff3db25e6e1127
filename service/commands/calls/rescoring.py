"""``calls rescore``: tries a form's version on stored calls, or lets its scorecards replace the old ones."""

from decimal import Decimal
from typing import TYPE_CHECKING, Annotated

import typer

from service.commands.calls.pipeline import PairName, Tenant, here, work_with
from service.kit.frame.display.terminal import say
from service.kit.frame.errors import ConfigurationError

if TYPE_CHECKING:
    from service.calls.worker.worker import CallWorker
    from service.core.tasks.scorecard.form import Form


def rescore_calls(
    tenant: Tenant,
    form_id: Annotated[str, typer.Option("--form", help="Id of the form.")],
    version: Annotated[str, typer.Option(help="draft, active, or a number.")] = "draft",
    most: Annotated[
        int | None, typer.Option(help="Calls: the newest to try, or with --keep the bound of all runs.")
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Let the new scorecards replace the old ones.")] = False,
    most_usd: Annotated[
        str | None, typer.Option(help="With --keep: dollars that all runs may use, as in 2.50.")
    ] = None,
    pair: PairName = None,
) -> None:
    """Try another version of a form on stored calls; with --keep the new scorecards replace the old ones.

    With --keep it first prints what is left and what that may cost. It scores only within --most and --most-usd; run again, it
    continues, and asks and pays for no call twice.
    """
    bound = None if most_usd is None else _dollars(most_usd)

    async def score(worker: "CallWorker") -> None:
        from service.calls.worker.people import find_form, rescore

        form = await find_form(worker, tenant, form_id, version)
        if keep:
            await _replace_scorecards(worker, form, most, bound)
        else:
            say("\n".join((await rescore(worker, form, most=most)).lines()))

    if keep and version == "draft":
        raise ConfigurationError("a draft may still change: activate it, then rescore with --version active")
    work_with(here(), score, pair=pair)


async def _replace_scorecards(worker: "CallWorker", form: "Form", most: int | None, most_usd: Decimal | None) -> None:
    from service.calls.worker.rescoring import RescoreBound, Rescoring

    again = Rescoring(worker=worker, form=form)
    say("\n".join(again.estimate().lines(form)))
    if most is None or most_usd is None:
        say("nothing was scored: give --most and --most-usd, which bound the calls and dollars of all runs")
        return
    tally = await again.run(RescoreBound(calls=most, usd=most_usd))
    say("\n".join(tally.lines()))


def _dollars(text: str) -> Decimal:
    try:
        found = Decimal(text)
    except ArithmeticError:
        found = Decimal("NaN")
    if not found.is_finite():
        raise ConfigurationError(f"{text[:20]!r} is no amount: write it as 2.50")
    return found
