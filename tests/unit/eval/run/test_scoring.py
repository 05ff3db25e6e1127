"""What the scorers' process is given."""

import threading

from eval.run.scoring import Scoring

pickled_in = []


class Changing:
    """An object that another thread changes while the calls go on, such as a case that has no digest yet."""

    def __reduce__(self):
        pickled_in.append(threading.current_thread())
        return int, ()


def test_what_is_sent_is_pickled_before_the_caller_can_change_it():
    with Scoring("summarize", []) as scoring:
        assert scoring.compute(str, Changing()).result() == "0"
    assert pickled_in == [threading.current_thread()]
