"""First help comes before anything else, at any hour, in three languages, and never asks for anything."""

import importlib
import re
from datetime import UTC, datetime
from typing import get_args

import pytest
from assistant_chat import CLOSED, OPEN, Chat
from pydantic import ValidationError

from service.core.run.dialogue.task import DialogueSoFar
from service.core.run.dialogue.turn import DialogueInputs
from service.core.run.task import load_task
from service.core.tasks.assistant import tools
from service.core.tasks.assistant.bank import Bank
from service.core.tasks.assistant.first_help import FirstHelp, first_help
from service.core.tasks.assistant.knowledge import bank_knowledge
from service.core.tasks.assistant.reply import AssistantReply
from service.core.tasks.assistant.rules import rules
from service.core.tasks.assistant.understanding.intent import hear
from service.core.tasks.assistant.understanding.language import language_of
from service.core.tasks.assistant.understanding.trouble import HelpLanguage, TroubleKind, trouble_in

SUNDAY = datetime(2026, 11, 29, 3, 0, tzinfo=UTC)
SAID = {
    "danger_to_life": ("I want to kill myself", "me quiero morir", "nie chcę już żyć"),
    "abuse": ("my husband hits me when I spend money", "mi marido me pega", "mąż mnie bije i zabiera mi pieniądze"),
    "code_given_away": ("I gave the caller my PIN", "le di mi pin a un hombre", "podałam kod przez telefon"),
    "fraud": ("Someone just spent £400 on my card and it wasn't me", "me han estafado", "oszukali mnie"),
    "lost_or_stolen": ("I lost my card", "he perdido mi tarjeta", "zgubiłem kartę"),
    "child": ("I'm 9 and my mum isn't here", "tengo 10 años", "mam 9 lat"),
    "bereavement": ("my dad died on Tuesday", "mi madre ha muerto", "zmarł mój mąż"),
    "confused_caller": ("I don't know where I am", "no sé dónde estoy", "nie wiem gdzie jestem"),
    "cannot_pay": ("I can't pay my loan this month", "no puedo pagar este mes", "nie mogę zapłacić raty"),
}
EACH = [(kind, *each) for kind, texts in SAID.items() for each in zip(("en", "es", "pl"), texts, strict=True)]


def test_every_kind_is_tried_in_every_language():
    assert {(kind, language) for kind, language, _ in EACH} == {
        (kind, language) for kind in get_args(TroubleKind) for language in get_args(HelpLanguage)
    }


@pytest.mark.parametrize(("kind", "language", "text"), EACH)
@pytest.mark.parametrize("at", [OPEN, SUNDAY], ids=["open", "sunday"])
def test_help_comes_at_once_at_any_hour_and_in_the_customers_language(kind, language, text, at):
    reply = Chat(at=at)(text)
    assert first_help().told(kind, language, spoken=False) in reply.reply
    assert (reply.action == "handover") == (at is OPEN)
    assert len(reply.reply.split()) <= 90


@pytest.mark.parametrize(("kind", "language", "text"), EACH)
def test_help_interrupts_an_open_question_and_leaves_it(kind, language, text):
    chat = Chat(at=SUNDAY)
    assert chat("Please call me back").asks == ("phone",)
    assert first_help().told(kind, language, spoken=False) in chat(text).reply


@pytest.mark.parametrize("kind", get_args(TroubleKind))
def test_under_overload_help_comes_without_tools_and_nobody_is_promised_out_of_hours(kind, monkeypatch):
    bank = Bank(knowledge=bank_knowledge(), records={}, clock=lambda: CLOSED)
    monkeypatch.setattr(tools, "live_bank", lambda: bank)
    inputs = DialogueInputs(conversation_id="conv-1", message=SAID[kind][0])
    reply = AssistantReply.model_validate_json(rules(DialogueSoFar(inputs=inputs)))
    assert first_help().told(kind, "en", spoken=False) in reply.reply
    assert reply.action != "handover"


def test_who_calls_hears_numbers_as_words():
    reply = Chat(at=SUNDAY, session={"channel": "voice"})("I want to kill myself").reply
    assert "nine nine nine" in reply
    assert not re.search(r"\d", reply)


@pytest.mark.parametrize("text", ["I want to kill myself", "my husband hits me when I spend money"])
def test_in_danger_neither_hours_nor_a_number_are_spoken_of(text):
    reply = Chat(at=SUNDAY)(text)
    assert reply.asks == ()
    assert "9 AM" not in reply.reply


@pytest.mark.parametrize(
    ("first", "then"),
    [
        ("my husband hits me", "he hit me again"),
        ("I want to kill myself", "I really want to kill myself"),
        ("I'm 9 and my mum isn't here", "I'm 9 and I'm all alone"),
    ],
)
def test_in_danger_the_next_message_is_told_no_hours_and_asked_no_number_either(first, then):
    chat = Chat(at=SUNDAY)
    told = chat(first).reply
    reply = chat(then)
    assert reply.asks == ()
    assert "9 AM" not in reply.reply
    assert reply.reply in told


def test_help_is_not_repeated_word_for_word_to_who_goes_on():
    chat = Chat(at=SUNDAY)
    first, second = chat("I lost my card").reply, chat("yes, I lost my card in town").reply
    assert "0808 157 0142" in first
    assert "0808 157 0142" not in second


def test_who_asks_how_a_lost_card_is_replaced_gets_help_and_the_answer():
    reply = Chat()("I lost my standard card. What does a replacement cost?")
    assert reply.action == "answer"
    assert "0808 157 0142" in reply.reply
    assert "A replacement" in reply.reply


def test_help_asks_nothing_and_no_secret():
    secret = re.compile(r"\b(?:tell|give|send|enter|type)\b[^.]*\b(?:PIN|password|passcode|code)\b", re.I)
    assert not [text for text in first_help().wordings[:54] if "?" in text or secret.search(text)]


@pytest.mark.parametrize(
    ("place", "wrong"),
    [
        (("help", "fraud", "pl"), None),
        (("help", "fraud", "en"), {"chat": "What is your PIN?", "voice": "Wait."}),
        (("help", "fraud", "en"), {"chat": "Call {nobody}.", "voice": "Wait."}),
        (("help", "fraud", "en"), {"chat": "word " * 61, "voice": "Wait."}),
        (("contacts", "card_line", "owner"), None),
    ],
)
def test_wrong_wording_is_refused(place, wrong):
    content = first_help().model_dump(mode="json")
    inner = content
    for name in place[:-1]:
        inner = inner[name]
    del inner[place[-1]]
    if wrong is not None:
        inner[place[-1]] = wrong
    with pytest.raises(ValidationError):
        FirstHelp.model_validate(content)


@pytest.mark.parametrize(
    "text",
    [
        "my phone died",
        "these prices kill me",
        "I'm dying to get my new card",
        "my battery is about to die, be quick",
        "I nearly had a heart attack when I saw the fee",
        "daylight robbery, those fees",
        "I lost my train of thought",
        "I'm drowning in paperwork",
        "what happens if I lose my card abroad",
        "I forgot my PIN",
        "I entered my code and it does not work",
        "my new card hasn't arrived yet",
        "my daughter is 12, can she have a card",
        "my wife will kill me if I forget this",
        "beats me why it takes so long",
        "it hit me that I need a card",
        "don't hit me with more fees",
        "my husband is going to kill me lol",
    ],
)
def test_pictures_of_speech_and_ordinary_questions_are_no_trouble(text):
    assert trouble_in(text) is None


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("I think I'm having a heart attack", "danger_to_life"),
        ("my dad is having a stroke", "danger_to_life"),
        ("my son had a stroke", "danger_to_life"),
        ("my husband strangled me last night", "abuse"),
        ("my husband is going to kill me", "danger_to_life"),
        ("my wife will kill me", "danger_to_life"),
        ("my mum died of a heart attack", "danger_to_life"),
        ("my husband threatened to strangle me", "danger_to_life"),
        ("my husband beats me", "abuse"),
        ("he beats me up", "abuse"),
        ("my dad hits the kids", "abuse"),
        ("he hit me with a belt", "abuse"),
        ("he hit me that night", "abuse"),
        ("my mum died of shock", "bereavement"),
    ],
)
def test_what_a_picture_of_speech_resembles_keeps_its_trouble(text, kind):
    assert trouble_in(text) == kind


@pytest.mark.parametrize(
    "text", ["bank fraud", "bank scam", "hacked bank app", "con artist fraud", "my PO box: bank card stolen"]
)
def test_few_words_of_english_get_first_help(text):
    assert hear(text).trouble is not None
    assert hear(text).language in (None, "en")


@pytest.mark.parametrize("text", ["bank fraud", "hacked bank app", "o seven seven double o", "ya", "ten", "ha"])
def test_words_that_english_has_too_tell_no_other_language(text):
    assert language_of(text) in (None, "en")


def test_a_file_that_cannot_be_read_says_so(monkeypatch, tmp_path):
    module = importlib.import_module("service.core.tasks.assistant.first_help")
    monkeypatch.setattr(module, "FILE", tmp_path / "first_help.yaml")
    module.first_help.cache_clear()
    try:
        with pytest.raises(module.ConfigurationError, match=r"first_help\.yaml"):
            module.first_help()
        (tmp_path / "first_help.yaml").write_text("contacts: {}\nhelp: {}\nlanguages: {}\n")
        with pytest.raises(module.ConfigurationError, match="danger_to_life"):
            module.first_help()
    finally:
        module.first_help.cache_clear()


@pytest.mark.parametrize("at", [OPEN, SUNDAY], ids=["open", "sunday"])
@pytest.mark.parametrize("message", ["I don't know", "please", "ok thanks", "are you there", "no"])
def test_danger_stays_what_the_conversation_is_about(at, message):
    """The third message once got the ordinary reply, with a lovely day."""
    chat = Chat(at=at)
    chat("I want to kill myself")
    chat("nobody can help me")
    reply = chat(message)
    assert first_help().told("danger_to_life", "en", spoken=False) in reply.reply
    assert not reply.asks


def test_after_a_lost_card_what_nobody_understands_is_about_it_and_other_wishes_are_met():
    chat = Chat(at=SUNDAY)
    chat("I lost my card")
    chat("no, don't call me")
    assert first_help().told("lost_or_stolen", "en", spoken=False) in chat("hmm what else").reply
    assert "£12" in chat("how much is the premium card a month").reply
    assert chat("thanks, bye").reply == "You're welcome. Please take care."


@pytest.mark.parametrize("thanks", ["thanks, bye", "ok thanks, that's all", "no"])
@pytest.mark.parametrize("trouble", ["I lost my card", "someone just spent £400 on my card", "my mum died last week"])
def test_nobody_in_trouble_is_wished_a_lovely_day(trouble, thanks):
    chat = Chat(at=SUNDAY)
    chat(trouble)
    chat("no, don't call me")
    goodbye = chat(thanks)
    assert (goodbye.action, goodbye.reply) == ("close", "You're welcome. Please take care.")


def test_a_number_is_checked_on_a_day_or_unverified_and_the_doctor_is_told():
    raw = first_help().model_dump()
    raw["contacts"]["childline"]["checked"] = "2026-11-25"
    with pytest.raises(ValidationError, match="either unverified, or has the day"):
        FirstHelp.model_validate(raw)
    assert any("0800 1111" in each for each in load_task("assistant").unverified())


@pytest.mark.parametrize(
    ("kind", "language", "text"),
    [
        ("danger_to_life", "es", "Ya no aguanto más, estoy pensando en acabar con mi vida esta noche"),
        ("danger_to_life", "es", "Mi padre se ha caído y no reacciona, no sé a quién llamar"),
        ("danger_to_life", "es", "Huele mucho a gas y me estoy mareando"),
        ("abuse", "es", "Mi marido mira todos mis movimientos y si gasto algo me grita y me pega"),
        ("abuse", "es", "Mi hijo me amenaza para que le dé dinero"),
        ("abuse", "es", "Necesito una cuenta que él no pueda ver, le tengo miedo"),
        ("code_given_away", "es", "Acabo de decirle por teléfono a un señor el código que me llegó al móvil"),
        ("code_given_away", "es", "Metí mis claves en una página que no era la vuestra"),
        ("code_given_away", "es", "Les leí el número que viene detrás de la tarjeta"),
        ("fraud", "es", "Veo tres compras en mi extracto que yo no he hecho"),
        ("fraud", "es", "Me han vaciado la cuenta"),
        ("fraud", "es", "Un tal técnico me pide que pase mis ahorros a otra cuenta para protegerlos"),
        ("lost_or_stolen", "es", "Me he dejado la tarjeta en un taxi"),
        ("lost_or_stolen", "es", "No sé dónde está mi tarjeta desde ayer"),
        ("lost_or_stolen", "es", "Me abrieron el bolso en el metro y se llevaron todo"),
        ("child", "es", "Hola tengo 9 años y he cogido la tarjeta de mamá"),
        ("child", "es", "soy pequeña y no sé qué hacer, mi papá no está"),
        ("child", "es", "tengo once años, ¿puedo abrir una cuenta yo sola?"),
        ("bereavement", "es", "Mi madre falleció la semana pasada y tenía una cuenta con ustedes"),
        ("bereavement", "es", "Se ha muerto mi esposo y no sé qué hacer con sus recibos"),
        ("bereavement", "es", "Soy la viuda de un cliente vuestro"),
        ("confused_caller", "es", "No me acuerdo de para qué llamaba"),
        ("confused_caller", "es", "¿Con quién hablo? ¿Es usted mi hija?"),
        ("confused_caller", "es", "Estoy hecho un lío, no sé qué día es hoy"),
        ("cannot_pay", "es", "Este mes no puedo con la cuota del préstamo"),
        ("cannot_pay", "es", "Me quedé sin trabajo y no llego a fin de mes"),
        ("cannot_pay", "es", "Debo dinero en todas partes y no tengo ni para comer"),
        ("danger_to_life", "pl", "Mam dość życia i chcę z tym skończyć"),
        ("danger_to_life", "pl", "Ojciec upadł i nie reaguje, co mam robić"),
        ("danger_to_life", "pl", "Czuć gaz w całym mieszkaniu i kręci mi się w głowie"),
        ("abuse", "pl", "Mąż sprawdza każdy mój wydatek i mnie bije"),
        ("abuse", "pl", "Syn grozi mi, jeśli nie dam mu pieniędzy"),
        ("abuse", "pl", "Potrzebuję konta, o którym on nie będzie wiedział, boję się go"),
        ("code_given_away", "pl", "Podałam właśnie przez telefon kod, który przyszedł SMS-em"),
        ("code_given_away", "pl", "Wpisałem hasło na stronie, która nie była wasza"),
        ("code_given_away", "pl", "Przeczytałam im numer z tyłu karty"),
        ("fraud", "pl", "Widzę na wyciągu trzy zakupy, których nie zrobiłam"),
        ("fraud", "pl", "Ktoś wyczyścił mi konto"),
        ("fraud", "pl", "Pan z pomocy technicznej każe mi przelać oszczędności na inne konto"),
        ("lost_or_stolen", "pl", "Zostawiłam kartę w taksówce"),
        ("lost_or_stolen", "pl", "Od wczoraj nie wiem, gdzie jest moja karta"),
        ("lost_or_stolen", "pl", "W metrze wyciągnęli mi portfel"),
        ("child", "pl", "Cześć, mam 9 lat i wzięłam kartę mamy"),
        ("child", "pl", "jestem mała i nie wiem co zrobić, taty nie ma"),
        ("child", "pl", "mam jedenaście lat, czy mogę sama założyć konto?"),
        ("bereavement", "pl", "W zeszłym tygodniu zmarła moja mama, miała u was konto"),
        ("bereavement", "pl", "Umarł mi mąż i nie wiem, co z jego rachunkami"),
        ("bereavement", "pl", "Jestem wdową po waszym kliencie"),
        ("confused_caller", "pl", "Nie pamiętam, po co dzwonię"),
        ("confused_caller", "pl", "Z kim rozmawiam? Czy to moja córka?"),
        ("confused_caller", "pl", "Wszystko mi się plącze, jaki dziś dzień?"),
        ("cannot_pay", "pl", "W tym miesiącu nie dam rady z ratą"),
        ("cannot_pay", "pl", "Straciłem pracę i nie starcza mi do pierwszego"),
    ],
)
def test_trouble_is_heard_as_people_word_it_in_spanish_and_polish(kind, language, text):
    assert (hear(text).trouble, hear(text).language) == (kind, language)


@pytest.mark.parametrize(
    "text",
    [
        "Estas comisiones me matan",
        "¿Tienen sucursal cerca de Atocha?",
        "¿Cómo protege el banco mis datos?",
        "Mi hija quiere una cuenta de estudiante",
        "¿Me pueden llamar mañana por la mañana?",
        "Se me ha muerto el teléfono, la batería",
        "¿Qué pasa si pierdo la tarjeta algún día?",
        "Te opłaty mnie zabijają",
        "Czy macie oddział blisko dworca?",
        "Jak bank chroni moje dane?",
        "Moja córka chce konto studenckie",
        "Czy możecie zadzwonić jutro rano?",
        "Padł mi telefon, bateria",
        "Co się stanie, jeśli kiedyś zgubię kartę?",
        "I lost my card last month and the new one came today, how do I activate it?",
        "Do you charge for a replacement if a card gets stolen?",
        "What is your policy on fraud refunds?",
        "I was robbed of an hour by your phone menu",
        "How long does probate take in your branch?",
        "I'd like to give to a funeral fund, which account is right for a club?",
    ],
)
def test_rules_pictures_and_what_is_over_are_no_trouble(text):
    assert hear(text).trouble is None
