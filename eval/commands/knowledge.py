"""``knowledge measure``: how often the search finds what a question needs."""

from typing import Annotated

import typer


def measure_knowledge(
    tune: Annotated[
        bool, typer.Option("--tune", help="Compare settings on the dev split only; several minutes.")
    ] = False,
) -> None:
    """Measure recall@5 and @10 of words, meaning and both on public data (`OMNI_PUBLIC_DATA_DIR`)."""
    from service.commands.knowledge import BuildLines, open_model
    from service.kit.settings import Settings

    settings = Settings()
    model = open_model(settings)
    from eval.instruments.retrieval.measure import Bench, measure

    bench = Bench(folder=settings.state_dir / "knowledge" / "measured", embedder=model, progress=BuildLines)
    measure(settings.public_data_dir, bench, tune=tune)
