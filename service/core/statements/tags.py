"""The tags that redaction leaves in a text in place of personal data."""

import re

# Ours, and those of Amazon Transcribe: "[PII]", "[BANK_ACCOUNT_NUMBER]".
ANY_TAG = re.compile(r"\[(?:[a-z]{2,10}|[A-Z][A-Z_]{2,40})\]")
