"""Documents that answers rest on: split into passages, indexed, and searched by words and by meaning (extra ``knowledge``)."""
