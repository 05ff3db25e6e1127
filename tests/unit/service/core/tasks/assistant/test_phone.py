import pytest

from service.core.tasks.assistant.phone import uk_number


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("07700 900123", "+447700900123"),
        ("+44 7700 900123", "+447700900123"),
        ("+44 (0)7700-900-123", "+447700900123"),
        ("00447700900123", "+447700900123"),
        ("447700900123", "+447700900123"),
        ("020 7946 0118", "+442079460118"),
        ("(0161) 496 0186", "+441614960186"),
        ("01539 52345", "+44153952345"),  # one of the few areas with nine digits
        ("0808 157 0192", "+448081570192"),
        ("0300 123 4567", "+443001234567"),
    ],
)
def test_numbers_in_every_spelling_are_one(text, number):
    assert uk_number(text) == number


@pytest.mark.parametrize(
    "text",
    [
        "",
        "my number",
        "07700 90012",
        "07700 9001234",
        "7700 900123",
        "+1 202 555 0100",
        "0900 123 4567",
        "0871 123 4567",
        "070 1234 5678",
        "076 1234 5678",
        "０7700 900123 call now",
        "07700 900123; also 07700 900124",
    ],
)
def test_what_is_no_uk_number_or_costs_to_call_is_none(text):
    assert uk_number(text) is None
