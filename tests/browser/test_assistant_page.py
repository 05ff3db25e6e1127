"""The bank's assistant in a browser: a question answered from its tools, then a person who knows the story and answers."""

import re

import pytest
from assistant_service import assistant_runtime
from loopback import serving
from playwright.sync_api import expect

from service.core.tasks.assistant.knowledge import bank_knowledge
from service.core.tasks.assistant.persona import discloses

pytestmark = pytest.mark.slow


def say(page, message, heard):
    """Say something as the customer and wait for the reply with ``heard`` in it."""
    page.get_by_label("Your message").fill(message)
    page.keyboard.press("Enter")
    reply = page.locator("#said li").last
    expect(reply).to_contain_text("AI assistant")
    expect(reply).to_contain_text(heard)
    return reply.inner_text()


@pytest.mark.acceptance("handover-15", "bot-test-06")
def test_a_customer_is_answered_from_the_tools_and_then_by_a_person(open_page, api_runtime, monkeypatch):
    with serving(assistant_runtime(api_runtime, monkeypatch)) as address:
        chat, desk = open_page(), open_page()
        chat.goto(f"http://{address}/chat#task=assistant")
        greeting = chat.locator("#said li").first
        expect(greeting).to_be_visible()
        assert discloses(greeting.inner_text())
        documents = bank_knowledge().accounts["savings"].branch.documents_required
        told = say(chat, "I'd like to open a savings account in a branch", "you need these documents")
        assert [each for each in documents if each.lower() not in told.lower()] == []
        say(chat, "Let me speak to a person please", "specialist")
        expect(chat.get_by_text("You were talking to an AI assistant.")).to_be_visible()
        desk.goto(f"http://{address}/agent")
        desk.get_by_label("Your name, as customers see it").fill("Anna")
        desk.get_by_role("button", name=re.compile("^Take: Asked for a person")).click()
        expect(desk.locator("#facts")).to_contain_text("I'd like to open a savings account in a branch")
        expect(desk.locator("#said")).to_contain_text(documents[0], ignore_case=True)
        expect(chat.get_by_text("You are talking with Anna from our team.")).to_be_visible()
        desk.get_by_label("Your message to the customer").fill("Hello, please bring your papers on Monday.")
        desk.keyboard.press("Enter")
        answer = re.compile("Anna.*please bring your papers on Monday", re.DOTALL)
        expect(chat.locator("#said li").last).to_have_text(answer)
        assert (chat.complaints, desk.complaints) == ([], [])


def test_a_phone_number_stays_on_one_line_of_a_phone(open_page, api_runtime, monkeypatch):
    with serving(assistant_runtime(api_runtime, monkeypatch)) as address:
        chat = open_page(420)
        chat.goto(f"http://{address}/chat#task=assistant")
        told = say(chat, "I lost my card", "card line")
        number = chat.get_by_text("0808 157 0142", exact=True)
        for width in range(280, 460, 20):
            chat.set_viewport_size({"width": width, "height": 900})
            assert number.evaluate("each => each.getClientRects().length") == 1, width
        assert "answers day and night: 0808 157 0142." in told
        assert chat.complaints == []


def test_the_last_reply_is_read_whole_after_a_handover_on_a_phone(open_page, api_runtime, monkeypatch):
    with serving(assistant_runtime(api_runtime, monkeypatch)) as address:
        chat = open_page(420)
        chat.goto(f"http://{address}/chat#task=assistant")
        say(chat, "I lost my card", "card line")
        expect(chat.locator("#notice")).to_be_visible()
        expect(chat.locator("#queue")).to_be_visible()
        below = "() => document.querySelector('#log').scrollHeight - document.querySelector('#log').clientHeight"
        chat.wait_for_function(f"Math.abs(({below})() - document.querySelector('#log').scrollTop) < 2")
        lists = "How do I order the premium card, step by step?"
        again = open_page(420)
        again.goto(f"http://{address}/chat#task=assistant")
        told = say(again, lists, "2. Open Cards")
        assert told.count("\n") >= 8
