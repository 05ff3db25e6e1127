"""A sentence that no list of harms foresees: the verdict says that nobody read it, and production refuses the evidence."""

import json
from xml.etree import ElementTree as ET

import pytest
from throw_away import ThrowAway

from eval.evaluation.evaluate import Options, evaluate
from eval.release.audit import Audit
from eval.release.promotion import promote_pair
from eval.spine.errors import Refused
from service.kit.settings import Settings

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
INVENTED = "A CHILD IS UNCONSCIOUS AND THERE IS A STRONG SMELL OF GAS."
_IMPORTS = """
from eval.scorers.accounts import SENTENCE_FLOORS, SENTENCE_MARGINS, SENTENCE_METRICS, SENTENCE_POOLS, AccountScorer
from eval.spine.accounts import FreeText
from service.core.statements.accounting.source import AccountSource, SourceStatement


def free_texts(context):
    source = AccountSource((SourceStatement(text=context.inputs.text),))
    return (FreeText(text=context.output, source=source),)


class Loud:"""


@pytest.fixture
def shouting(tmp_path):
    """Return a function that evaluates `loud` whose shouts end in ``more``; code sees all harms that the suite names."""
    tasks = []

    def run(more, folder="one"):
        root = tmp_path / folder
        root.mkdir()
        tasks.append(ThrowAway(root))
        suite, task = root / "suites" / "shout.py", root / "tasks" / "shout.py"
        text = suite.read_text(encoding="utf-8").replace("\nclass Loud:", _IMPORTS, 1)
        for name, added in (("scorers=(", "AccountScorer(free_texts), "), ("metrics=(", "*SENTENCE_METRICS, ")):
            text = text.replace(name, name + added)
        text = text.replace("floors=(", "pools=SENTENCE_POOLS, floors=(*SENTENCE_FLOORS, ")
        suite.write_text(text.replace("no_worse=(", "no_worse=(*SENTENCE_MARGINS, "), encoding="utf-8")
        shout = task.read_text(encoding="utf-8").replace("inputs.text.upper()", f"inputs.text.upper() + {more!r}")
        task.write_text(shout, encoding="utf-8")
        settings = Settings(
            root=root,
            state_dir=root / "state",
            registry_uri=f"sqlite:///{root}/mlflow/mlflow.db",
            required_tasks=("shout",),
        )
        return settings, evaluate(Options(task="shout", pairs=("loud",)), settings)

    yield run
    for task in tasks:
        task.remove()


@pytest.mark.acceptance("promise-12")
def test_an_invented_sentence_is_said_to_be_read_by_nobody_and_prod_refuses_it(shouting):
    settings, finished = shouting(f". {INVENTED}")
    prod, (pair,) = settings.model_copy(update={"stage": "prod"}), finished.evaluation.pairs
    headline = "pass for form and figures; 50% of sentences read by nobody"
    assert pair.gate.headline == headline
    assert "50% of sentences read by nobody" in finished.shown
    folder = finished.report.parent
    page = finished.report.read_text(encoding="utf-8")
    assert "40 of 80 sentences accounted for by code, 0 read by a judge; 40 read by nobody" in page
    assert page.index('<section id="sentences">') < page.index(INVENTED) < page.index('<section id="cases">')
    assert "50% of sentences read by nobody" in (folder / "report.md").read_text(encoding="utf-8")
    (skipped,) = ET.parse(folder / "junit.xml").iter("skipped")
    assert skipped.get("message").endswith("40 read by nobody")
    assert json.loads((folder / "report.json").read_text())["pairs"][0]["sentences"]["accounted"] == 40

    with pytest.raises(Refused, match="50% of sentences read by nobody"):
        promote_pair("shout", "loud", "first", prod)
    said = []
    promote_pair("shout", "loud", "first", settings, said.append)
    assert said == ["note: 50% of sentences read by nobody. Stage 'local' takes such evidence; test and prod refuse it"]
    (row,) = Audit("shout", settings).history()
    assert (row.attestation.headline, row.although) == (headline, "although 50% of sentences read by nobody")


def test_without_it_every_sentence_is_accounted_for_and_prod_takes_the_bare_pass(shouting):
    settings, finished = shouting("")
    assert finished.evaluation.pairs[0].gate.headline == "pass"
    promote_pair("shout", "loud", "first", settings.model_copy(update={"stage": "prod"}), [].append)
