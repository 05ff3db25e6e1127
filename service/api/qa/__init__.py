"""Quality of calls over HTTP: a tenant's figures, the calls behind them, transcripts, and the page for QA leads."""
