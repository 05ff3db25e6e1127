"""The project's one command line: the commands of eval, reports and service, composed."""
