"""What is kept of an answer is made without holding up other requests."""

import threading

import pytest

from service.api import keeping


@pytest.mark.parametrize(("length", "on_the_loop"), [(5_000, True), (5_001, False)])
async def test_a_long_output_loses_its_persons_in_a_thread(length, on_the_loop):
    class Noted(keeping.Persons):
        def clean_output(self, output):
            self.thread = threading.get_ident()
            return super().clean_output(output)

    persons = Noted()
    assert await keeping._cleaned("x" * length, persons) == ("x" * length, ())
    assert (persons.thread == threading.get_ident()) is on_the_loop
