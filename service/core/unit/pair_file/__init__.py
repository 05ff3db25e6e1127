"""Reads pair files (``prompts/<task>/<pair>.prompty``); every error names the file, the line and the remedy."""

from service.core.unit.pair_file.load import load_pair as load_pair
from service.core.unit.pair_file.load import pair_of_text as pair_of_text
