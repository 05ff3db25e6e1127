"""What the harness raises on purpose; each message says what is wrong and what to do."""


class HarnessError(Exception):
    """Base: the command could not do what was asked."""


class CaseError(HarnessError):
    """A dataset that cannot be read; the message names file, line and remedy."""


class RunAborted(HarnessError):
    """The run cannot go on; what was answered is in the call cache."""


class Refused(HarnessError):
    """The gate's evidence does not allow this release."""


class RolloutError(HarnessError):
    """The rollout's plan or share makes no sense."""


class CardError(HarnessError):
    """The data card's table cannot be made, or not be put into the card."""


class SweepError(HarnessError):
    """The matrix of prompts and models cannot be run as asked."""


class ChangesError(HarnessError):
    """What changed cannot be told: git, the repository or a commit is missing."""


class SigningError(HarnessError):
    """No statement could be signed: no key, a damaged or readable-by-others key file, or a refusal of AWS KMS."""


class TrafficError(HarnessError):
    """The simulated traffic cannot run as asked."""


class HarvestError(HarnessError):
    """Proposals cannot be made, read or accepted; the message says which and what is missing."""


class BackfillError(HarnessError):
    """History cannot be worked off as asked."""
