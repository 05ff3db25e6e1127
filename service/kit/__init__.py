"""What every room of the service builds on; it knows no business noun."""
