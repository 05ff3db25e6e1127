"""The labels of a routing situation: where the message may go, and how urgent it is."""

from typing import Self

from pydantic import Field, model_validator

from eval.spine.cases import Case, Expectations
from service.core.tasks.route.decision import RouteDestination


class RouteExpectations(Expectations):
    """``agents`` are those whom the floor's manager accepts; ``urgency`` is the least and the most raw urgency.

    ``asks_for_person``: the customer asks for one in words. ``place`` in the queue counts from 1.
    """

    destination: RouteDestination
    agents: tuple[str, ...] = ()
    urgency: tuple[int, int]
    asks_for_person: bool = False
    place: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.destination == "agent") != bool(self.agents):
            raise ValueError("give agents where the destination is agent, and only there")
        if (self.destination == "queue") != (self.place is not None):
            raise ValueError("give place where the destination is queue, and only there")
        if self.urgency[0] > self.urgency[1]:
            raise ValueError("urgency is the least and the most, in this order")
        if self.asks_for_person and self.destination == "automation":
            raise ValueError("who asks for a person is not answered by automation")
        return self


def labels_of(case: Case) -> RouteExpectations:
    """Return the case's labels.

    Raises:
        TypeError: the case was not read as one of this task.
    """
    if not isinstance(case.expectations, RouteExpectations):
        raise TypeError(f"case {case.id!r} has no labels of route")
    return case.expectations
