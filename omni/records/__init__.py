"""Small records and larger objects that schedulers share: on this machine's disk, or in DynamoDB and S3."""
