"""AgentDojo's banking suite, prompt injection through tools' answers, as conversations of ours: it checks the instruments."""
