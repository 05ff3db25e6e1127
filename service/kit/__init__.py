"""What every part of the service is built with, and that knows no business noun."""
