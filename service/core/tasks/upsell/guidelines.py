"""The brands' guidelines, an artifact of the pair: who speaks, what a message must and must not say, and how long it may be."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from service.core.tasks.upsell.customer import UpsellChannel
from service.core.unit.customer import TenantId
from service.core.unit.pair import Artifact, Pair
from service.core.unit.pair_file.artifacts import artifact_of, rules_in
from service.kit.frame.errors import PairError

# Of pairs that name no guidelines, and what the suite holds every pair to.
OWN_GUIDELINES = Artifact(
    name="guidelines",
    file="guidelines.yaml",
    sha256="677811b6cdd45a49156902ffcdb90ae590161bef77065642b6056eba061737cd",
)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Brand(_Strict):
    """One tenant's voice: ``opt_out`` ends each message; ``never`` are words that it never uses, ``rules`` are for the model."""

    name: str = Field(min_length=1, max_length=60)
    opt_out: Mapping[UpsellChannel, str]
    rules: tuple[str, ...] = ()
    never: tuple[str, ...] = ()


class Guidelines(_Strict):
    """What holds for every brand, and each brand's own, by tenant.

    ``most_characters`` are per channel. ``approve_at`` is the least score with which a message leaves. After a complaint and
    after a message nothing is sold for as many days as ``quiet`` says. ``pressure`` and ``personal`` are phrases that hurry a
    customer and that speak of who somebody is; ``competitors`` are companies that no message names.
    """

    version: str
    approve_at: int = Field(ge=1, le=10)
    quiet: Mapping[str, int]
    most_characters: Mapping[UpsellChannel, int]
    pressure: tuple[str, ...]
    personal: tuple[str, ...]
    competitors: tuple[str, ...] = ()
    brands: Mapping[TenantId, Brand]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if set(self.quiet) != {"complaint", "message"}:
            raise ValueError("quiet needs the days after a complaint and after a message, and nothing else")
        for tenant, brand in self.brands.items():
            missing = [channel for channel in self.most_characters if channel not in brand.opt_out]
            if missing:
                raise ValueError(f"brand {tenant!r} has no opt_out for {', '.join(missing)}")
            said = " ".join((brand.name, *brand.opt_out.values())).casefold()
            for words in (*brand.never, *self.pressure, *self.personal):
                if words.casefold() in said:
                    raise ValueError(f"brand {tenant!r} must say {words!r} in its opt-out or name, and must not say it")
        return self

    def brand(self, tenant: str) -> Brand:
        """Return a tenant's brand.

        Raises:
            PairError: there are no guidelines for the tenant.
        """
        if tenant not in self.brands:
            raise PairError(
                f"the pair's guidelines {self.version} have no brand for tenant {tenant!r}; they have {', '.join(self.brands)}"
            )
        return self.brands[tenant]


def guidelines_of(pair: Pair | None = None) -> Guidelines:
    """Return the guidelines of ``pair``, or the task's own.

    Raises:
        PairError: they are wrong, or the file is another one.
    """
    return read_guidelines(artifact_of(pair, "upsell", OWN_GUIDELINES))


@lru_cache(maxsize=16)
def read_guidelines(content: bytes) -> Guidelines:
    """Return the guidelines in an artifact's bytes.

    Raises:
        PairError: they cannot be read, or contradict themselves; the message says where.
    """
    return rules_in(content, Guidelines, "the guidelines")
