from service.core.statements.answers.echoes import echoes_in
from service.core.unit.pair import PromptMessage

RULES = (
    PromptMessage(
        role="system", content="Copy amounts, dates and names as they stand; never round, add up or convert them."
    ),
)


def test_eight_words_of_the_pair_s_messages_are_an_echo():
    [finding] = echoes_in("Fee stands. Copy amounts, dates and names as they stand, always.", RULES)
    assert (finding.kind, finding.value) == ("prompt rule", "copy amounts dates and names as they stand")


def test_seven_words_are_none():
    assert echoes_in("Amounts, dates and names as they stand.", RULES) == ()
    assert echoes_in("", RULES) == ()
