"""Shouts are harvested from the answers that the service keeps."""

from service.core.tasks.shout import ShoutInputs

from eval.harvest.kept import KeptSource

SOURCE = KeptSource(ShoutInputs)
