"""Failures and complaints about messages become cases as the service kept them."""

from eval.harvest.kept import KeptSource
from service.core.tasks.upsell.customer import UpsellInputs

SOURCE = KeptSource(UpsellInputs)
