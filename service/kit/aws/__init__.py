"""boto3 clients, bounded store calls, DynamoDB queries on the event loop, queues."""
