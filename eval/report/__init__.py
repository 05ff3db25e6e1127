"""An evaluation for people and machines: console, HTML, Markdown, JUnit."""
