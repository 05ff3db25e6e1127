// The page for Amazon Connect's agent workspace: shows the widget for the contact that the workspace opened it for.
// The contact flow has put the account and a token for it into the contact's attributes (docs/guides/widget.md).

import { AmazonConnectApp, ContactClient } from "./connect-sdk.js";
import "../widget.js";

const ACCOUNT = "omni_account", TOKEN = "omni_token", INTENT = "omni_intent";
const GATEWAY_KEY = new URLSearchParams(location.search).get("gateway-key");
const contacts = () => new ContactClient();

function say(text) {
  document.getElementById("said").textContent = text;
}

async function show(contactId) {
  const given = await contacts().getAttributes(contactId, [ACCOUNT, TOKEN, INTENT]);
  if (!given[ACCOUNT] || !given[TOKEN]) {
    say("No customer is known for this contact. The contact flow sets the attributes omni_account and omni_token.");
    return;
  }
  const widget = document.createElement("omni-summary");
  const first = await contacts().getInitialContactId(contactId);
  const attributes = { "account-number": given[ACCOUNT], "contact-id": contactId, "initial-contact-id": first, "ivr-intent": given[INTENT], "gateway-key": GATEWAY_KEY };
  for (const [name, value] of Object.entries(attributes)) if (value) widget.setAttribute(name, value);
  let token = (widget.token = given[TOKEN]);
  widget.addEventListener("omni-token-needed", async () => {
    // A transfer runs a flow, which may have set a new one; the same one again would only be refused again.
    const { [TOKEN]: now } = await contacts().getAttributes(contactId, [TOKEN]);
    if (now && now !== token) token = widget.token = now;
  });
  say("");
  document.getElementById("place").replaceChildren(widget);
}

async function created({ context }) {
  const scope = context.scope ?? context.contactScope;
  if (scope?.type !== "contact") return say("The summary appears when a contact is open.");
  try {
    await show(scope.contactId);
  } catch {
    say("Amazon Connect did not say which customer this contact is about. Open the app again.");
  }
}

if (window.parent === window) say("Open this page as an app of Amazon Connect's agent workspace.");
else {
  const { provider } = AmazonConnectApp.init({
    onCreate: created,
    onDestroy: () => document.getElementById("place").replaceChildren(),
    workspace: { connectionTimeout: 20_000 }, // the SDK gives up after 5 s, which a slow desktop can need to start
  });
  provider.onError(({ key }) => key === "workspaceConnectTimeout" && say("Amazon Connect does not answer. Open the app again."));
}
