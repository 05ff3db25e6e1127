"""How much better than production the best release of the last year was, by figure, from what the releases attest.

Each release attests its differences from the pair that it replaced, measured on the same cases by the same code. Their sums place
all pairs of a year on one scale, whatever became of cases and scorers in between.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from eval.tracking.store import FIGURES_FILE, Tracking
from figures.metric import Lead
from service.core.release.attestation import read_attestation
from service.core.release.release import RELEASE_TAG_PREFIX, Release, attestation_tag, read_release
from service.core.release.statements import TrustedKeys
from service.kit.frame.canonical import sha256_hex
from service.kit.frame.errors import RegistryError

_YEAR = timedelta(days=365)
Deltas = Mapping[str, float]


def leads_of_year(task: str, tracking: Tracking, keys: TrustedKeys, now: datetime) -> dict[str, Lead]:
    """Return the leads over the newest release's pair, by metric; none where that pair is the best, or nothing is known.

    A release whose statement, attestation or figures are gone or do not verify joins nothing: `omni verify` reports it.
    """
    tags = {name: text for _, found in tracking.version_tags(task) for name, text in found.items()}
    releases = []
    for name, text in tags.items():
        if name.startswith(RELEASE_TAG_PREFIX):
            try:
                releases.append(read_release(text, keys, name)[0])
            except RegistryError:
                continue
    recent = [item for item in releases if item.moment >= now - _YEAR]
    ordered = sorted(recent, key=lambda item: -item.sequence)
    return leads_over_newest([(item, _deltas(item, tags, tracking, keys)) for item in ordered])


def leads_over_newest(releases: Sequence[tuple[Release, Deltas]]) -> dict[str, Lead]:
    """Return the leads by metric; ``releases`` come newest first, each with its differences from the pair that it replaced."""
    if not releases:
        return {}
    leads: dict[str, Lead] = {}
    for metric in sorted({name for _, deltas in releases for name in deltas}):
        places = {releases[0][0].pair_digest: 0.0}  # of each pair: how much better than the newest release's it is
        for release, deltas in releases:
            ours, before, delta = release.pair_digest, release.from_digest, deltas.get(metric)
            if release.kind != "promote" or before is None or delta is None:
                continue
            if ours in places:
                places.setdefault(before, places[ours] - delta)
            elif before in places:
                places[ours] = places[before] + delta
        for release, _ in releases:
            ahead = places.get(release.pair_digest, 0.0)
            if ahead > (leads[metric].ahead if metric in leads else 1e-9):
                leads[metric] = Lead(ahead=ahead, release=release.sequence)
    return leads


def _deltas(release: Release, tags: Mapping[str, str], tracking: Tracking, keys: TrustedKeys) -> Deltas:
    if release.kind != "promote" or release.from_digest is None:
        return {}
    envelope = tags.get(attestation_tag(release.attestation))
    figures = tracking.artifact(release.gate_run_id, FIGURES_FILE)
    try:
        attestation, _ = read_attestation(envelope or "", keys, f"the attestation of release {release.sequence}")
    except RegistryError:
        return {}
    if figures is None or sha256_hex(figures) != attestation.figures_digest:
        return {}
    if attestation.baseline_digest != release.from_digest:
        return {}
    found: Mapping[str, Mapping[str, float | None]] = json.loads(figures)["deltas"]
    return {name: value for name, delta in found.items() if (value := delta["value"]) is not None}
