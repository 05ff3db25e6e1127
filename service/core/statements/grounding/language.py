"""Detects texts in another language than English, from their letters and function words.

No trained language identifier is used: notes such as "cld bk, rebk Wed 8-12" differ too much from its training texts, and it
would add a numeric library to the service's container.
"""

import re

from service.core.statements.grounding.prefilters import holds_word

_LETTERS = re.compile(r"[^\W\d_]+")
_SCRIPTS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("Japanese", re.compile(r"[\u3040-\u30ff]")),
    ("Korean", re.compile(r"[\u1100-\u11ff\uac00-\ud7af]")),
    ("Chinese", re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]")),
    ("Arabic script", re.compile(r"[\u0600-\u06ff\u0750-\u077f]")),
    ("Cyrillic script", re.compile(r"[\u0400-\u052f]")),
    ("another script", re.compile(r"[\u0370-\u03ff\u0530-\u05ff\u0900-\u0e7f\u10a0-\u10ff]")),
    ("Vietnamese", re.compile("[ăđơưạảấầẩẫậắằẳẵặẹẻẽếềểễệỉịọỏốồổỗộớờởỡợụủứừửữựỳỵỷỹ]", re.I)),
)
# Without words that are also English ("no", "die", "war", "an", "on", "me").
_WORDS: dict[str, frozenset[str]] = {
    "Spanish": frozenset(
        "que los las del por para con una su sus mi se es está esta estoy pero porque como muy más ya hoy ayer hay fue "
        "sin hasta cuando dónde cómo qué usted ustedes nos le lo al yo tengo tiene quiero puede pueden"
        " gracias servicio "
        "cuenta factura saldo pago pague llame luz semana días mes este desde también dice señor señora sr"
        " sra el la de".split()
    ),
    "Portuguese": frozenset(
        "que não uma para com por mas você vocês está estou meu minha obrigado obrigada conta fatura muito"
        " isso ele ela "
        "dos das nos nas foi são tem tenho quero mais até ontem hoje também pagamento luz do da de".split()
    ),
    "French": frozenset(
        "le la les des une est et je vous nous pas que qui dans pour avec sur mon ma mes votre notre mais ce cette il "
        "elle ne au aux du été suis avez merci bonjour facture compte aussi depuis jusqu très de".split()
    ),
    "German": frozenset(
        "der das und ist nicht ich sie wir ein eine einen dem den mit für auf zu von bei nach seit dass sind"
        " haben habe "
        "hat wird wurde kein keine bitte danke rechnung konto strom mein meine ihr ihre auch noch aber wenn".split()
    ),
    "Italian": frozenset(
        "che non il gli una di per con sono è mio mia grazie bolletta conto anche ma perché questo della delle nella "
        "ho hanno stato molto più oggi ieri".split()
    ),
}
# Words of customer service, for clauses too short to hold many function words.
_OF_SERVICE: dict[str, frozenset[str]] = {
    "Spanish": frozenset(
        "cliente clienta quiere pide solicita llamó dijo respuesta problema reembolso cargo pagar llamar"
        " teléfono correo "
        "empresa molesto molesta enojado enojada contenta contento necesita espera fecha compañía agente"
        " ella son tienen ser ha han no un".split()
    ),
    "Portuguese": frozenset(
        "cliente quer pede ligou disse resposta problema reembolso telefone empresa precisa espera um ao está".split()
    ),
    "French": frozenset(
        "client cliente demande veut réponse problème remboursement téléphone appelé appeler courriel"
        " entreprise attend elle sont "
        "été encore toujours mécontente mécontent satisfaite par sa son leur un".split()
    ),
    "German": frozenset(
        "kunde kundin kunden möchte will wartet antwort sehr verärgert zufrieden rückerstattung anruf"
        " zahlung betrag hat nicht "
        "wurde noch schon sofort bereits dass durch über muss soll kann im am vom zum zur er es sich als"
        " oder nur mehr".split()
    ),
    "Italian": frozenset(
        "cliente vuole chiede risposta problema rimborso telefono azienda attende è sono ha molto il la un i lo".split()
    ),
    "Dutch": frozenset(
        "de het een en klant wil niet heeft wordt is was met voor op aan van naar over ook nog maar zij hij"
        " rekening betaling "
        "antwoord bedrag terugbetaling boos tevreden geen deze die dat zijn haar".split()
    ),
    "Polish": frozenset(
        "klient klientka nie jest się na do z w i że to za od po rachunek płatność odpowiedź czeka chce"
        " został była był".split()
    ),
    "Turkish": frozenset(
        "müşteri bir bu için ile ve da değil istiyor var yok çok olarak daha sonra fatura ödeme tekrar henüz".split()
    ),
    "Tagalog": frozenset("ang ng mga sa na ay siya hindi po at kanyang bayad gusto niya ito para may".split()),
}
_ALSO_ENGLISH = frozenset(
    "a an as at am all do de die had hat he i im is it la man may me met no of on over pay per po"
    " problem so son to un us via was war will e o"
    " client sign bill agent para ha sa na mo ng con pat is dos den".split()
)
_BOTH = {name: (_WORDS.get(name, frozenset()) | words) - _ALSO_ENGLISH for name, words in _OF_SERVICE.items()}
_TELLING = frozenset[str]().union(*_BOTH.values())
_NAME_PARTS = frozenset("de la el los las del da do dos das di san le les der von".split())
_ENGLISH = frozenset(
    "the a an and or of to in is was were be been for on with at by from not no it he she they we you i his her their "
    "our my your this that has have had will would can could but as if so me him them us do does did are am about "
    "until til after before when who cust acct pmt pd svc appt req reqd told said asked wants adv".split()
)
_CLAUSES = re.compile(r"[,;:()|/]|\s-\s|\b(?:and|but|y|e|et|und|pero|mais|aber)\b", re.I)
_LEAST_CLAUSE = 3
_ENGLISH_ALONE = _ENGLISH - _ALSO_ENGLISH
# Without capitals: names have accents, too.
_SMALL_WORDS = re.compile(r"(?<!\w)[^\W\d_A-Z]+(?!\w)")
_SAMPLE_CHARS = 2000
_LEAST_WEIGHT = 2.0


def language_of(text: str) -> str | None:
    """Return the name of the language of ``text`` if it is clearly not English, else None; reads the first 2,000 characters.

    The parts of a name such as "Maria de la Cruz" count half. A mixed text counts as English unless the other language has
    more than twice as many function words.
    """
    words = _LETTERS.findall(text[:_SAMPLE_CHARS].lower())
    if not words:
        return None
    if not text.isascii():
        letters = "".join(words)
        for name, script in _SCRIPTS:
            if len(script.findall(letters)) * 8 >= len(letters):
                return name
    english = sum(word in _ENGLISH for word in words)
    weights = {
        name: sum(0.5 if word in _NAME_PARTS else 1.0 for word in words if word in known)
        for name, known in _WORDS.items()
    }
    weights["Spanish"] += sum(text[:_SAMPLE_CHARS].count(mark) for mark in "ñ¿¡")
    name = max(weights, key=lambda key: weights[key])
    plain = weights[name] >= _LEAST_WEIGHT and weights[name] > 2 * english and weights[name] * 6 >= len(words)
    return name if plain else None


def foreign_clause(sentence: str) -> str:
    """Return the first clause of ``sentence``, of three words or more, that is in another language than English, else "".

    A clause counts if it holds at least two words of the other language, and none of English that the other has not as well.
    """
    if sentence.isascii() and not holds_word(sentence, _TELLING):
        return ""
    for part in (sentence, *_CLAUSES.split(sentence)):
        words = _LETTERS.findall(part.lower())
        if not part.isascii() and words:
            letters = "".join(words)
            if any(len(script.findall(letters)) * 4 >= len(letters) for _, script in _SCRIPTS):
                return part.strip()
        if len(words) < _LEAST_CLAUSE:
            continue
        accented = sum(not word.isascii() for word in _SMALL_WORDS.findall(part)) if not part.isascii() else 0
        for known in _BOTH.values():
            # Names of places and people ("Maria de la Cruz") hold such words, too; they have capitals around them.
            found = [word for word in words if word in known]
            telling = sum(word not in _NAME_PARTS for word in found)
            english = sum(word in _ENGLISH_ALONE and word not in known for word in words)
            if (
                len(found) + accented >= _LEAST_WEIGHT
                and telling + accented
                and not english
                and (len(found) + accented) * 4 >= len(words)
                and _all_small(part)
            ):
                return part.strip()
    return ""


def _all_small(part: str) -> bool:
    """Return whether most words of ``part`` have no capital: a list of names is in no language."""
    words = _LETTERS.findall(part)
    capitals: int = sum(word[0].isupper() for word in words[1:])
    return capitals <= len(words) // 2
