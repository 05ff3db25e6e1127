"""A process that is the assistant's model over Converse: it answers as the rules do, each call after SECONDS.

``python tests/assistant_model.py SECONDS`` prints its address. It is a process of its own, as a model is.
"""

import sys
import threading

from assistant_by_model import bank_model

if __name__ == "__main__":
    with bank_model(float(sys.argv[1])) as (address, _):
        print(address, flush=True)
        threading.Event().wait()
