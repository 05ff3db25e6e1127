"""Languages of calls: what no redactor covers is refused with a remedy, and English calls are not."""

import json
from dataclasses import replace

import pytest

from service.calls.failure import CallFailed, FailureReason
from service.calls.redact.languages import require_covered, spoken_languages
from service.calls.redact.transcript import FindingRedactor, PatternRedactor, redacted_call
from service.core.tasks.scorecard.transcript import Turn
from service.kit.settings import REPO_ROOT

ENGLISH = frozenset({"en"})


def turn(text, speaker="customer"):
    return Turn(speaker=speaker, start_s=0, text=text)


def refusal(*turns, covered=ENGLISH):
    with pytest.raises(CallFailed) as caught:
        spoken_languages(turns, covered, "patterns-3")
    assert caught.value.reason is FailureReason.LANGUAGE
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("mein name ist sabine krüger ich wohne in der lindenstraße zwölf", "German"),
        ("meine kontonummer ist vier sieben eins eins null null drei", "German"),
        ("sabine krüger lindenstraße zwölf berlin", "German"),
        ("je m'appelle marie dupont et j'habite douze rue de la paix", "French"),
        ("mi número de cuenta es cuatro siete uno uno cero cero tres", "Spanish"),
        ("mi chiamo giulia rossi abito in via garibaldi dodici", "Italian"),
        ("ik heet jan de vries en ik woon in de kerkstraat twaalf", "Dutch"),
        ("nazywam się anna kowalska mieszkam przy ulicy długiej dwanaście", "Polish"),
        ("benim adım ayşe yılmaz hesap numaram dört yedi bir bir", "Turkish"),
        ("меня зовут анна иванова номер счёта четыре семь", "Russian"),
        ("私の名前は田中花子です", "Japanese"),
        ("আমার নাম রহিম উদ্দিন, আমার হিসাব নম্বর চার এক এক", "Bengali"),
        ("என் பெயர் முருகன் என் கணக்கு எண் நான்கு ஒன்று", "Tamil"),
        ("ਮੇਰਾ ਨਾਮ ਗੁਰਪ੍ਰੀਤ ਸਿੰਘ ਹੈ ਅਤੇ ਮੇਰਾ ਪਤਾ", "Punjabi"),
        ("ჩემი სახელია გიორგი ბერიძე", "Georgian"),
        ("ስሜ አበበ ከበደ ነው", "Ethiopic script"),
        ("unë quhem arben hoxha dhe banoj në rrugën e durrësit", "Albanian"),
        ("nire izena mikel etxeberria da eta bilbon bizi naiz", "Basque"),
        ("fy enw i yw rhys llywelyn ac rwy'n byw yn stryd fawr", "Welsh"),
        ("my naam is pieter botha en ek woon in kerkstraat twaalf", "Afrikaans"),
        ("jina lake ni juma mwangi na ninaishi mtaa wa kenyatta", "Swahili"),
        ("mäin numm ass jang weber an ech wunnen an der groussgaass", "Luxembourgish"),
        ("mwen rele jean baptiste mwen rete nan lari kapwa", "Haitian Creole"),
        ("mera naam rajesh kumar hai aur mera account number chaar ek ek hai", "a language that cannot be told"),
        ("mo fe mo idi ti owo mi fi po ju bee lo", "a language that cannot be told"),
    ],
)
@pytest.mark.acceptance("redaction-04")
def test_a_turn_in_another_language_is_refused_without_being_quoted(text, language):
    said = refusal(turn("Good morning, how can I help you today?", "agent"), turn(text))
    assert f"turn 1 is in {language}, and the redactor patterns-3 covers en alone" in said
    assert not [word for word in text.split() if len(word) > 3 and word in said]


def test_a_sentence_inside_a_long_english_turn_is_found():
    english = "so I told him that the bill was paid and that it would not be due before the end of the month "
    german = "mein name ist sabine krüger und ich wohne in der lindenstraße zwölf in berlin seit drei jahren und habe ein konto "
    assert "German" in refusal(turn(english * 4 + german + english * 4))


def test_what_is_said_in_short_turns_is_read_together():
    pieces = ["ja bitte", "ich heiße", "sabine krüger", "lindenstraße zwölf", "danke schön", "auf wiederhören"]
    said = refusal(*[one for piece in pieces for one in (turn("Okay.", "agent"), turn(piece))])
    assert "what the customer says in short turns is in German" in said


@pytest.mark.acceptance("redaction-04")
def test_a_refusal_names_the_remedy_that_there_is():
    assert "until a redactor covers it" in refusal(turn("ich habe die rechnung noch nicht bekommen"))
    assert "OMNI_REDACTOR=comprehend" in refusal(turn("no he recibido la factura de este mes"))


@pytest.mark.acceptance("redaction-03")
def test_a_covered_language_is_counted():
    turns = [
        turn("no he recibido la factura de este mes"),
        turn("I have not received the bill for this month"),
        turn("ok"),
    ]
    assert spoken_languages(turns[:2], frozenset({"en", "es"}), "x") == {"en": 1, "es": 1}
    assert spoken_languages([*turns[1:], turn("")], ENGLISH, "x") == {"en": 3}
    assert spoken_languages([], ENGLISH, "x") == {}


def test_a_declared_language_is_believed():
    require_covered("en-GB", ENGLISH, "patterns-3")
    require_covered(None, ENGLISH, "patterns-3")
    with pytest.raises(CallFailed, match="the call is in German"):
        require_covered("de-DE", ENGLISH, "patterns-3")
    with pytest.raises(CallFailed, match="the call is in German"):
        redacted_call(PatternRedactor(), [turn("I have not received the bill")], "de-DE")


@pytest.mark.acceptance("redaction-04")
def test_labelled_english_calls_are_taken_for_english():
    refused, calls = [], 0
    for name in ("dev", "gate"):
        for line in (REPO_ROOT / "datasets" / "scorecard" / f"{name}.jsonl").read_text(encoding="utf-8").splitlines():
            turns = [Turn.model_validate(one) for one in json.loads(line)["inputs"]["turns"]]
            calls += 1
            try:
                spoken_languages(turns, ENGLISH, "patterns-3")
            except CallFailed as err:
                refused.append(str(err))
    assert calls == 176
    # Five callers have a phrase of Spanish, such as "No. Gracias por nada."; three English calls have few words beside names.
    assert len(refused) == 8
    assert sum("is in Spanish" in said for said in refused) == 5


def test_names_numbers_and_a_machines_words_in_an_english_call_pass():
    said = "I have a question about the bill that you sent me, because it was much higher than the one before."
    turns = [
        turn(said),
        turn("2 Swallow Mews, LM7 7LL."),
        turn("four one one one, double two"),
        turn("M-A-R-C-H-E-T-T-I"),
    ]
    assert spoken_languages([*turns, turn("[line closed; customer redials]", "system")], ENGLISH, "x") == {"en": 5}
    # Of somebody who says little else the same few words are no English.
    assert "turn 1 is in" in refusal(turn(said, "agent"), turn("mera payment ho gaya hai"))


def test_a_name_that_one_turn_gives_away_is_removed_from_the_others():
    turns = [
        turn("My name is Delphine Marchetti, from the bank."),
        turn("Delphine, I see it. Marchetti. Bank holiday.", "agent"),
    ]
    assert PatternRedactor().redact(turns).turns[1].text.startswith("Delphine")  # alone, the first word could be any
    found = redacted_call(PatternRedactor(), turns, None)
    assert "Delphine" not in found.turns[1].text
    assert "Marchetti" not in found.turns[1].text
    assert "ank holiday" in found.turns[1].text
    assert found.found == {"name": 3}
    assert (found.by, found.left, found.languages) == ("patterns-3+names-1", {}, {"en": 2})


@pytest.mark.acceptance("redaction-02")
def test_a_name_in_small_letters_that_stays_is_said():
    turns = [turn("My name is Delphine Marchetti."), turn("thanks delphine, that is all done for you", "agent")]
    assert redacted_call(PatternRedactor(), turns, None).left == {"name": 1}


def test_a_redactor_covers_what_its_finder_reads():
    class Finder:
        by, languages = "finder-1", frozenset({"es"})

        def find(self, passages):
            return [[] for _ in passages]

    redactor = FindingRedactor(Finder())
    assert redactor.languages == {"en", "es"}
    found = redacted_call(redactor, [turn("no he recibido la factura de este mes")], "es-US")
    assert (found.by, found.languages) == ("finder-1+patterns-3+names-1", {"es": 1})


def test_a_redactor_that_drops_a_turn_fails_the_call():
    class Short(PatternRedactor):
        def redact(self, turns, own=None):
            found = super().redact(turns)
            return replace(found, turns=found.turns[:-1])

    with pytest.raises(CallFailed, match="1 of 2 turns came back"):
        redacted_call(Short(), [turn("one"), turn("two")], None)
