"""Builds what the API needs of calls by the settings; contacts nothing."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from service.calls.rescorings import RescoringDesk, build_rescorings
from service.calls.reviews import CallReviews, build_reviews
from service.calls.store.form_store import FormStore, build_forms
from service.calls.tenants.desk import TenantDesk, build_desk
from service.core.unit.cards import ModelCards
from service.kit.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class CallDesks:
    """What the API does with calls: their reviews, forms, re-scorings and tenants; None without stores."""

    reviews: CallReviews | None = None
    forms: FormStore | None = None
    rescorings: RescoringDesk | None = None
    tenants: TenantDesk | None = None


def build_call_desks(
    settings: Settings, cards: ModelCards, *, dynamodb: Any, s3: Any, now: Callable[[], datetime]
) -> CallDesks:
    """Return the desks over the tables and the bucket of ``settings``, which two boto3 clients reach."""
    forms = build_forms(settings, dynamodb=dynamodb, now=now)
    return CallDesks(
        reviews=build_reviews(settings, dynamodb=dynamodb, s3=s3, now=now),
        forms=forms,
        rescorings=build_rescorings(settings, forms=forms, dynamodb=dynamodb, s3=s3, now=now),
        tenants=build_desk(settings, cards, dynamodb=dynamodb),
    )
