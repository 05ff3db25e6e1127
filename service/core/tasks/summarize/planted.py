"""Finds texts that ask a model to write or to behave: not one of a customer's or an agent's statements about a contact."""

import re


def _one_of(words: str) -> str:
    return f"(?:{'|'.join(words.split())})"


# Verbs that order a text or a manner of answering. Customers and agents use some of them too ("add my son", "list the fees"), so
# that the rest of the sentence decides.
_PRODUCE = _one_of(
    """
    write generate create compose translate encode encrypt decode convert modify rewrite rephrase paraphrase
    summari[sz]e append insert include incorporate integrate embed add list describe explain imagine act pretend
    respond answer reply replace output print repeat compare provide give craft design develop draft suggest
    recommend discuss analy[sz]e identify evaluate use make alter change infuse present structure format mask
    substitute reverse capitali[sz]e omit remove tell share offer invent brainstorm outline conclude begin start end
    finish shift engage inject execute deploy utili[sz]e apply incite highlight mention introduce promote direct
    find plan schedule calculate teach help show send search classify extract enumerate render enhance elevate
    improve evolve complete determine enrich augment attempt consider invert detail extend build blend merge fuse
    run
    """
)
_THE_TEXT = _one_of(
    """
    response reply replies answers? output sentences? words? vowels? letters?\\s(?:in|of) consonants? characters?
    code text tone conclusion explanation solution algorithm program function sentiment coding
    """
)
_A_TEXT = _one_of(
    """
    your\\smessages? story stories poem poetry essay paragraph haiku limerick song lyrics novel dialogue tale
    screenplay emoji\\w* base64 pig\\slatin leetspeak backwards cipher python javascript sql html algorithm joke
    riddle slogan speech insights? book advertis\\w+ hashtags? alliteration passive\\svoice past\\stense
    present\\stense fictional blog
    """
)
_ORDERED = re.compile(
    r"(?:^|[.!?:;,\n]\s*|\b(?:please|kindly|to|can you|could you|now|then|and|also) )(?:please |kindly |then |now )?"
    rf"{_PRODUCE}\b[^.?!\n]{{0,120}}?\b"
    rf"(?:(?:your|the|this|each|every|all|its) (?:\w{{1,14}} ){{0,2}}{_THE_TEXT}|{_A_TEXT}\b)",
    re.I,
)
_ADDRESSED = re.compile(
    r"\b(?:(?:in|with|from|to|throughout|of) your (?:next |own |final )?(?:response|repl(?:y|ies)|answer|output|explanation)s?\b"
    r"|(?:from now on|you are going to|i want you to|you (?:will|must|shall|should)) (?:\w{1,12} ){0,3}"
    r"(?:act|pretend|respond|reply|answer|role-?play|play|simulate|always|never|imagine|speak|behave)\b"
    r"|role-?play|in character\b|persona\b|unfiltered\b|uncensored\b|morals?\b|ethical?(?:ly)?\b|openai\b|gpt\b"
    r"|(?:an?|the|this) (?:ai|chatbot|language model|llm)\b|prompts\b|(?:the|your|this|system|initial|original) prompt\b"
    r"|(?:computer|machine|robot|software),? (?:forget|ignore|write|put|note|say|record)\b|forget what\b.{0,30}\btold\b"
    r"|(?:put|write|mark|log|note) (?:it |me |this |that )?down (?:that|as)\b"
    r"|hypothetical\b|fictional\b|stay in\b.{0,12}\bmode\b"
    r"|what (?:were|are) you(?:r)? (?:told|instruct\w*|rules?|initial|original)\b"
    r"|(?:the|this) (?:code|coding) (?:snippet|block|solution)\b|(?:subsequent|following) code\b"
    r"|import (?:os|sys|requests|socket|subprocess)\b)",
    re.I,
)
_CODE = re.compile(
    r"^\s*(?:import \w|from [\w.]{1,40} import\b|def \w{1,40}\(|for \w{1,40} in\b|while (?:true|\w{1,40}\()|with open\(|try:"
    r"|except\b.{0,40}:|class \w{1,40}[:(]|@\w{1,40}\.)"
    r"|```|\w\.\w{1,40}\(|\w\([\"'\w]{1,40}[\"'.,\w ]{0,40}\)\s*[:;)\]]|\w\([\"'\[{]|\]\)|\}\)"
    r"|\w = (?:[a-z_]\w{0,40}[.(\[]|[\[{\"'])|\(\s*$|^\s*[)\]}]",
    re.I | re.M,
)


def asks_for_a_text(text: str) -> bool:
    """Return whether ``text`` asks for a piece of writing, a manner of answering, or a role, or holds program code."""
    return any(pattern.search(text) is not None for pattern in (_ADDRESSED, _ORDERED, _CODE))
