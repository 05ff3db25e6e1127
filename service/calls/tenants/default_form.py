"""The form that a new tenant begins with (R-QA-FLOW): five criteria, a threshold of 70%."""

from decimal import Decimal

from service.core.tasks.scorecard.form import Criterion, Form, Section

DEFAULT_FORM = "default"


def default_form(tenant: str) -> Form:
    """Return the first version of the default form, for a tenant's own changes."""
    return Form(
        form_id=DEFAULT_FORM,
        tenant=tenant,
        name="Customer service",
        version=1,
        pass_threshold=Decimal("0.7"),
        sections=(
            Section(id="conversation", title="The conversation", criteria=_CRITERIA[:4]),
            Section(id="compliance", title="Compliance", criteria=_CRITERIA[4:]),
        ),
    )


_CRITERIA = (
    Criterion(
        id="greet_01",
        question="Did the agent greet the customer politely at the start?",
        guidance="A greeting in the agent's first turns.",
        weight=Decimal(1),
        required=True,
    ),
    Criterion(
        id="empathy_02",
        question="Did the agent acknowledge or empathize with the customer's issue?",
        guidance="Words that name the trouble or an apology for it; a bare 'okay' is none.",
        weight=Decimal(1),
        required=True,
    ),
    Criterion(
        id="resolve_03",
        question="Did the agent provide a clear resolution or next step?",
        guidance="A solution, or a next step with who does it and by when.",
        weight=Decimal(1),
        required=True,
    ),
    Criterion(
        id="confirm_04",
        question="Did the agent confirm customer satisfaction before closing?",
        guidance="The agent asks whether the matter is settled or anything else is needed, before the end of the call.",
        weight=Decimal("0.5"),
    ),
    Criterion(
        id="compliance_05",
        question="Was the required compliance statement read?",
        guidance="The notice that the call is recorded, and what for; put your own statement here.",
        weight=Decimal(1),
        required=True,
    ),
)
