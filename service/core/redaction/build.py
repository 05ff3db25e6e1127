"""Builds the finder that the settings name, for calls and for the warehouse."""

from service.core.redaction import presidio
from service.core.redaction.finder import EntityFinder
from service.core.redaction.texts import TextRedactor
from service.kit.frame.errors import ConfigurationError
from service.kit.settings import RedactorName, Settings


def build_finder(settings: Settings, wanted: RedactorName | None, variable: str) -> EntityFinder | None:
    """Return the finder called ``wanted``; None for patterns alone.

    By default it is Amazon Comprehend in `aws`, and elsewhere Presidio if it is installed.

    ``variable`` is the environment variable of the setting, for messages.

    Raises:
        ConfigurationError: Presidio is named and not installed; or Comprehend for an unsupported language or with a stand-in for
            AWS.
    """
    if wanted is None and settings.environment == "aws":
        wanted = "comprehend"
    elif wanted is None:
        wanted = "presidio" if presidio.is_installed() else "patterns"
    if wanted == "presidio":
        if not presidio.is_installed():
            raise ConfigurationError(
                f"{variable} is presidio, which is not installed: make setup EXTRAS=1 (pip: 'omni-insights[redaction]')"
            )
        return presidio.PresidioFinder()
    if wanted == "patterns":
        return None
    from service.core.redaction.comprehend import LANGUAGES, ComprehendFinder
    from service.kit.aws.clients import client

    if settings.aws.endpoint is not None:
        raise ConfigurationError(
            f"{variable} is comprehend, which the local AWS does not have: unset OMNI_AWS_ENDPOINT"
        )
    language = settings.calls.transcribe_language.partition("-")[0].lower()
    if language not in LANGUAGES:
        raise ConfigurationError(
            f"Amazon Comprehend redacts {', '.join(sorted(LANGUAGES))} and not {language!r}: set {variable}=patterns"
        )
    return ComprehendFinder(client("comprehend", settings, attempts=1), language=language)


def build_text_redactor(settings: Settings) -> TextRedactor:
    """Return the redactor of the warehouse's texts, by ``OMNI_WAREHOUSE_REDACTOR``.

    Raises:
        ConfigurationError: see ``build_finder``.
    """
    return TextRedactor(build_finder(settings, settings.warehouse.redactor, "OMNI_WAREHOUSE_REDACTOR"))
