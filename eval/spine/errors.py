"""The harness's exceptions; each message says what is wrong and what to do."""


class HarnessError(Exception):
    """Base: the command could not do what was asked."""


class CaseError(HarnessError):
    """A dataset cannot be read; the message names file, line and remedy."""


class AlreadyRunning(HarnessError):
    """Another process does the same work; the message names it."""


class RunAborted(HarnessError):
    """The run cannot continue; the answers so far are in the reply cache."""


class Refused(HarnessError):
    """The gate's evidence does not allow this release."""


class RolloutError(HarnessError):
    """The rollout's plan or share is invalid."""


class RetrievalError(HarnessError):
    """Retrieval cannot be measured: its public data are missing or are not what they should be."""


class AgentDojoError(HarnessError):
    """AgentDojo's suite cannot be run: its public data are missing or are not what they should be."""


class CardError(HarnessError):
    """The data card's table cannot be computed or written into the card."""


class ResultsError(HarnessError):
    """A run's results cannot be found, read or written; the message says which and what to do."""


class SweepError(HarnessError):
    """The matrix of prompts and models cannot be run as asked."""


class OptimizeError(HarnessError):
    """The search for a better prompt cannot run as asked; the message says what to change."""


class ChangesError(HarnessError):
    """Changes cannot be determined: git, the repository or a commit is missing."""


class SigningError(HarnessError):
    """A statement cannot be signed: no key, a damaged key file, one that others may read, or a refusal of AWS KMS."""


class TrafficError(HarnessError):
    """The simulated traffic cannot run as asked."""


class HarvestError(HarnessError):
    """Proposals cannot be made, read or accepted; the message says which and what is missing."""


class InputsUnfit(HarvestError):
    """Kept inputs are none of the task's: it takes others now, or what was redacted was no text."""


class BackfillError(HarnessError):
    """The backfill cannot run as asked."""


class ShadowError(HarnessError):
    """Shadow answers are missing or cannot be judged; the message says which and what to do."""


class CodeGateError(HarnessError):
    """A code change cannot be judged: the base's code does not run here, git fails, or there is no pair to ask."""
