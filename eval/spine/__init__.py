"""What every evaluation is made of: suites, cases, results, scorer and pool ports, digests, errors."""
