"""Scores whether an output is written in English, the language in which agents work."""

import hashlib
import lzma
from array import array
from contextlib import suppress
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from eval.spine.results import Score
from eval.spine.scorer import ScorerContext
from service.kit.frame.files import write_whole
from service.kit.settings import Settings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from py3langid.langid import LanguageIdentifier


class LanguageScorer:
    """Scores ``english``: 1.0 when py3langid (Lui and Baldwin 2012) takes the whole output for English, else 0.0.

    A foreign quotation inside an English summary is fine; fewer than ``min_words`` words tell no language and score 1.0.
    Measured on 2026-11-21: all 360 references and 160 calibration summaries are taken for English, 0.4 ms each.
    """

    name = "language"
    scores = ("english",)

    def __init__(self, *, min_words: int = 4) -> None:
        self._min = min_words

    def score(self, context: ScorerContext) -> dict[str, Score]:
        """Return the score; the finding names the language that was found (ISO 639-1)."""
        if len(context.output.split()) < self._min:
            return {"english": Score(value=1.0, rationale="too short to tell")}
        language, _ = _identifier().classify(context.output)
        finding = () if language == "en" else (f"not recognised as English (taken for {language!r})",)
        return {"english": Score(value=0.0 if finding else 1.0, findings=finding)}


@cache
def _identifier() -> "LanguageIdentifier":
    # Loaded at the first answer, in the child that scores. py3langid's own loading takes 0.6 s of CPU, most of it to unpack the
    # file: what is unpacked is kept (68 MB) under the digest of the packed file.
    import numpy as np
    from py3langid.langid import MODEL_DIR, MODEL_FILE, LanguageIdentifier

    packed = (MODEL_DIR / MODEL_FILE).read_bytes()
    folder = Settings().state_dir / "cache"
    kept = folder / f"langid-{hashlib.sha256(packed).hexdigest()[:16]}.npz"
    source: Path | BytesIO = kept
    if not kept.exists():
        unpacked = lzma.decompress(packed)
        source = BytesIO(unpacked)
        with suppress(OSError):  # a disk that takes nothing costs the next run's time, and never this answer's score
            folder.mkdir(parents=True, exist_ok=True)
            write_whole(kept, unpacked)
    with np.load(source, allow_pickle=False) as model:
        return LanguageIdentifier(
            model["ptc"],
            model["pc"],
            model["classes"].tolist(),
            _plain(model["nextmove"]),
            model["out_feat"].tolist(),
            tk_row=_plain(model["nextmove_row"]),
        )


def _plain(numbers: "NDArray[np.unsignedinteger]") -> "array[int]":
    """Return ``numbers`` as an array whose items are read faster, one by one."""
    found = array({2: "H", 4: "I"}[numbers.itemsize])
    found.frombytes(numbers.tobytes())
    return found
