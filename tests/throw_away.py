"""The throw-away task ``shout``: its pair text, and a way to drop it into the house for a while."""

import json
import sys
import textwrap
from pathlib import Path

import eval.harvest.sources
import eval.suites
import service.tasks


class ThrowAway:
    """A task, its suite and its source from tests/throwaway, importable between in and out, as in ``service.tasks.shout``."""

    def __init__(self, root):
        self.root = root
        self.packages = (
            (service.tasks, root / "tasks"),
            (eval.suites, root / "suites"),
            (eval.harvest.sources, root / "sources"),
        )
        here = Path(__file__).parent / "throwaway"
        for (package, folder), code in zip(self.packages, ("task.py", "suite.py", "source.py"), strict=True):
            folder.mkdir()
            (folder / "shout.py").write_text((here / code).read_text(encoding="utf-8"), encoding="utf-8")
            package.__path__.append(str(folder))
        self._forget()
        prompts, datasets = root / "prompts" / "shout", root / "datasets" / "shout"
        prompts.mkdir(parents=True)
        datasets.mkdir(parents=True)
        (root / "prompts" / "models.yaml").write_text(
            (here / "models.yaml").read_text(encoding="utf-8"), encoding="utf-8"
        )
        for name, model in (("loud", "local.shout-v1"), ("quiet", "local.whisper-v1")):
            (prompts / f"{name}.prompty").write_text(self.pair(name, model), encoding="utf-8")
        lines = [json.dumps({"id": f"case-{n}", "inputs": {"text": f"hello {n}"}}) for n in range(40)]
        (datasets / "dev.jsonl").write_text("\n".join(lines), encoding="utf-8")

    def remove(self):
        for package, folder in self.packages:
            package.__path__.remove(str(folder))
        self._forget()

    def _forget(self):
        # Another test's copy of the same module would answer for this one.
        for package, _ in self.packages:
            sys.modules.pop(f"{package.__name__}.shout", None)
            vars(package).pop("shout", None)

    @staticmethod
    def pair(name, model, version="1.0.0"):
        return textwrap.dedent(f"""\
            ---
            name: {name}
            task: shout
            version: {version}
            model:
              id: {model}
              options: {{maxOutputTokens: 10}}
            inputs:
              text: {{kind: string}}
            output: {{schema: text-v1, max_words: 50}}
            ---
            system:
            Shout what stands between <text> and </text>.
            user:
            <text>{{{{text}}}}</text>
            """)
