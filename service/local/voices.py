"""Makes sample recordings with eSpeak NG (extra ``voices``): the agent on the left channel, the customer on the right."""

import array
import ctypes
import importlib.util
import io
import wave
from collections.abc import Sequence
from typing import Any

_SYNCHRONOUS, _UTF8 = 2, 1
_RATE_PARAMETER, _WORDS_PER_MINUTE = 1, 150
_VOICES = {"agent": b"en-us", "customer": b"en-gb"}


def is_installed() -> bool:
    """Return whether eSpeak NG's library is installed."""
    return importlib.util.find_spec("espeakng_loader") is not None


def spoken(turns: Sequence[tuple[str, str]]) -> bytes:
    """Return (speaker, text) turns as a stereo WAV file; turns of other speakers than agent and customer are left out."""
    import espeakng_loader

    library = ctypes.CDLL(espeakng_loader.get_library_path())
    heard = bytearray()

    def collect(samples: int | None, count: int, _events: Any) -> int:
        if samples and count > 0:
            heard.extend(ctypes.string_at(samples, count * 2))
        return 0

    # Keep a reference: the library calls it after the registration.
    callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)(collect)
    rate = library.espeak_Initialize(_SYNCHRONOUS, 0, espeakng_loader.get_data_path().encode(), 0)
    library.espeak_SetSynthCallback(callback)
    sides = {"agent": array.array("h"), "customer": array.array("h")}
    for speaker, text in turns:
        if speaker not in sides:
            continue
        heard.clear()
        library.espeak_SetVoiceByName(_VOICES[speaker])
        library.espeak_SetParameter(_RATE_PARAMETER, _WORDS_PER_MINUTE, 0)
        said = text.encode()
        library.espeak_Synth(said, len(said) + 1, 0, 0, 0, _UTF8, None, None)
        library.espeak_Synchronize()
        voice = array.array("h", bytes(heard)) + array.array("h", bytes(rate))  # followed by half a second of silence
        for name, side in sides.items():
            side.extend(voice if name == speaker else array.array("h", bytes(2 * len(voice))))
    stereo = array.array("h")
    for pair in zip(sides["agent"], sides["customer"], strict=True):
        stereo.extend(pair)
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(2)
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes(stereo.tobytes())
    return file.getvalue()
