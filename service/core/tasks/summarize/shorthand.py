"""Writes the shorthand of contact-centre notes out: "cust recd ltr w/ bal" becomes "customer received letter with balance"."""

import re

from service.core.statements.grounding.lexicon import OPENERS, ORDINARY

# Each meaning with its abbreviations; only those that have one meaning in this trade.
_MEANINGS = """
about: abt approx
account: acct
accounts: accts
additional: addl
address: addr
advised: adv advd adv'd
agreement: agrmt
amount: amt
amounts: amts
appointment: appt apptmt
appointments: appts
arrangement: arrgmt
authorized: auth auth'd
average: avg
back: bk
balance: bal
because: bc
between: btwn
business days: bd bds
callback: cb
called: cld clld
called back: cb'd
caller: clr
cancel: cncl
certificate: cert
changed: chgd
charge: chg
charges: chgs
check: ck
checked: ck'd
confirmed: conf'd confd
customer: cust
customer's: cust's
customers: custs
daughter: dghtr
declined: decl
department: dept
deposit: dep
didn't: didnt
disconnect: disc disco
disconnected: disc'd
documents: docs
duplicate: dup
each: ea
effective: eff
eligible: elig
equipment: eqpt
escalated: escal escl
estimated: est est'd
field: fld
forwarded: fwd fwd'd fwded
from: fr
government: govt
hasn't: hasnt
hours: hrs
household: hh
including: incl
inspection: insp
installment: instl
language: lang
letter: ltr
letters: ltrs
management: mgmt
manager: mgr
managers: mgrs
member: mbr
message: msg
messages: msgs
meter: mtr
meters: mtrs
month: mo
months: mos
neighbor: nbr
neighbors: nbrs
night: nite
no match: nomatch
office: ofc
paid: pd
payment: pmt pymt
payments: pmts pymts
please: pls plz
possible: poss
premises: prem
previous: prev
quarter: qtr
receipt: rcpt
received: rcvd rec'd recd
reconnect: recon
referred: refd
reinstatement: reinst
report: rpt
request: req
requested: req'd reqd
requests: reqs
rescheduled: resched
return: rtn
scheduled: sched sched'd
service: svc
services: svcs
statement: stmt
states: sts
supervisor: sup supv supvr
through: thru
ticket: tkt
tickets: tkts
transfer: trf xfer xfr
transferred: xferd xfer'd
until: til
verified: vfd
voicemail: vm
week: wk
weeks: wks
with: w/
within: w/in
without: w/o
year: yr
years: yrs
"""
_MEANING_OF = {
    short: meaning
    for line in _MEANINGS.split("\n")
    if line
    for meaning, _, all_of in [line.partition(": ")]
    for short in all_of.split()
}
_SHORT = re.compile(
    rf"(?<![\w/.@#&'-])(?:{'|'.join(sorted(map(re.escape, _MEANING_OF), key=len, reverse=True))})(?![\w/@&'-]|\.\w)",
    re.I,
)


def written_out(text: str) -> str:
    """Return ``text`` with known abbreviations written out; everything else, amounts and ids included, stays as it is."""
    return _SHORT.sub(_meaning, text)


def _meaning(match: re.Match[str]) -> str:
    # In capitals, or in two letters with a capital, it may be a time zone, initials or a name.
    short = match[0]
    if short.isupper() or (len(short) == 2 and not short.islower()):
        return short
    meaning = _MEANING_OF[short.lower()]
    # A capitalised word that no interaction holds may read like a name: only those that never do get the capital.
    return (
        meaning.capitalize()
        if short[0].isupper() and meaning.split()[0].removesuffix("'s") in ORDINARY | OPENERS
        else meaning
    )
