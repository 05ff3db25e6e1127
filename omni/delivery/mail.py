"""Sends a report as an e-mail that shows its page and has it attached: through a mail server, or Amazon SES."""

import hashlib
import smtplib
import ssl
from collections.abc import Mapping
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import PurePath

from omni.delivery.destinations import MailDestination, SesDestination, SmtpDestination
from omni.delivery.outgoing import DeliveryFailed, Outgoing, delivering
from service.kit.frame.display.inert import one_line
from service.kit.settings import Settings

_TIMEOUT_S = 30.0
_LONGEST_SUBJECT = 180


def build_mail(report: Outgoing, destination: MailDestination) -> EmailMessage:
    """Return the e-mail: plain text, the report's page in its place where a program shows HTML, and the page as an attachment.

    The Message-ID is made of the report's id, so that a mail server can recognise a repetition.
    """
    mail = EmailMessage(policy=SMTP)
    mail["Subject"] = one_line(report.title, _LONGEST_SUBJECT)
    mail["From"] = destination.sender
    mail["To"] = ", ".join(destination.to)
    mail["Date"] = report.made_at
    digest = hashlib.sha256(f"{report.report_id} {' '.join(destination.to)}".encode()).hexdigest()[:32]
    mail["Message-ID"] = f"<{digest}@{destination.sender.rpartition('@')[2]}>"
    page, link = next(iter(report.files), None), destination.page_link
    name = "" if page is None else f"{report.report_id}{PurePath(page.name).suffix}"
    mail.set_content(
        report.text(
            f"The page is attached: {name}. It runs no script and loads nothing." if page is not None else "",
            f"On the web: {link.format(report=report.report_id)}" if link else "",
            f"Report {report.report_id}",
        )
    )
    if page is not None:
        main, _, sub = page.media_type.partition("/")
        if page.media_type == "text/html":
            mail.add_alternative(page.content.decode(), subtype="html")
        mail.add_attachment(page.content, maintype=main, subtype=sub, filename=name, params={"charset": "utf-8"})
    return mail


def send_by_smtp(report: Outgoing, destination: SmtpDestination, environment: Mapping[str, str]) -> str:
    """Send the e-mail through a mail server; return which receivers it refused while others got it, "" if all got it.

    Raises:
        DeliveryFailed: the server cannot be reached, or refuses the mail or all its receivers.
    """
    password = "" if destination.password_from is None else _secret(destination.password_from, environment)
    mail = build_mail(report, destination)
    try:
        with _connect(destination) as server:
            if destination.user is not None:
                server.login(destination.user, password)
            refused = server.send_message(mail)
    except smtplib.SMTPRecipientsRefused as err:
        codes = sorted({code for code, _ in err.recipients.values()})
        passing = all(400 <= code < 500 for code in codes)
        raise DeliveryFailed(f"{destination.server} refuses every receiver ({codes[0]})", passing=passing) from None
    except smtplib.SMTPResponseException as err:
        passing = 400 <= err.smtp_code < 500
        raise DeliveryFailed(f"{destination.server} answered {err.smtp_code}", passing=passing) from None
    except smtplib.SMTPNotSupportedError:
        what = "STARTTLS" if destination.tls == "starttls" else "what the mail needs"
        raise DeliveryFailed(f"{destination.server} does not offer {what}", passing=False) from None
    except ssl.SSLError as err:
        raise DeliveryFailed(f"{destination.server}: {err.reason or 'TLS failed'}", passing=False) from None
    except (OSError, smtplib.SMTPException) as err:
        raise DeliveryFailed(f"{destination.server} cannot be reached: {type(err).__name__}", passing=True) from None
    return f"refused for {', '.join(sorted(refused))}" if refused else ""


def send_by_ses(report: Outgoing, destination: SesDestination, settings: Settings) -> None:
    """Send the e-mail through Amazon SES; ``DeliveryFailed`` if SES cannot be reached or refuses the mail."""
    mail = build_mail(report, destination)
    with delivering("ses", "SES", settings) as ses:
        ses.send_raw_email(
            Source=destination.sender,
            Destinations=list(destination.to),
            RawMessage={"Data": mail.as_bytes()},
        )


def _connect(destination: SmtpDestination) -> smtplib.SMTP:
    trust = ssl.create_default_context()
    if destination.tls == "tls":
        return smtplib.SMTP_SSL(destination.host, destination.port, timeout=_TIMEOUT_S, context=trust)
    server = smtplib.SMTP(destination.host, destination.port, timeout=_TIMEOUT_S)
    if destination.tls == "starttls":
        try:
            server.starttls(context=trust)
        except BaseException:
            server.close()
            raise
    return server


def _secret(name: str, environment: Mapping[str, str]) -> str:
    found = environment.get(name)
    if not found:
        raise DeliveryFailed(f"the environment variable {name} is not set", passing=False)
    return found
