"""What the harness raises on purpose; each message says what is wrong and what to do."""


class HarnessError(Exception):
    """Base: the command could not do what was asked."""


class CaseError(HarnessError):
    """A dataset that cannot be read; the message names file, line and remedy."""


class RunAborted(HarnessError):
    """The run cannot go on; what was answered is in the call cache."""


class Refused(HarnessError):
    """The gate's evidence does not allow this release."""


class SigningError(HarnessError):
    """No statement could be signed: no key, a damaged or readable-by-others key file, or a refusal of AWS KMS."""
