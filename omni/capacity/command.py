"""``capacity``: what traffic a deployment carries and what it costs."""

from pathlib import Path
from typing import Annotated

import typer

from service.kit.frame.display.terminal import say

_PAGE = Path("docs") / "capacity.md"
_NEEDED = Path("infra") / "capacity.yaml"


def capacity(
    write: Annotated[
        bool,
        typer.Option("--write", help="Write docs/capacity.md and infra/capacity.yaml instead of printing the page."),
    ] = False,
) -> None:
    """Reckon tasks, limits and cost at 1, 10 and 100 times the required traffic, from measured figures."""
    import yaml

    from omni.capacity.model import CapacityModel, CapacityTask, read_figures
    from omni.capacity.page import capacity_page, needed_tasks
    from service.core.unit.cards import ModelCards
    from service.kit.frame.errors import ConfigurationError
    from service.kit.frame.files import write_whole
    from service.kit.settings import Settings

    settings = Settings()
    environments = settings.root / "infra" / "cdk" / "environments.yaml"
    if not environments.is_file():
        raise ConfigurationError(f"{environments} does not exist: run this in a checkout of the project")
    tasks = yaml.safe_load(environments.read_text(encoding="utf-8"))["prod"]["tasks"]
    size = CapacityTask(
        vcpu=tasks["cpu"] / 1024, memory_gb=tasks["memory_mb"] / 1024, least=tasks["least"], most=tasks["most"]
    )
    cards = ModelCards.load(settings.prompts_dir / "models.yaml")
    model = CapacityModel(figures=read_figures(), cards=cards, size=size)
    page = capacity_page(model)
    if not write:
        say(page)
        return
    write_whole(settings.root / _PAGE, page)
    write_whole(settings.root / _NEEDED, needed_tasks(model))
    say(f"{_PAGE} and {_NEEDED} written")
