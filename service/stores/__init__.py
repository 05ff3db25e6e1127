"""Data stores: each translates botocore's errors into ``StoreError``."""
