// What an integrator writes with the generated JavaScript client; prints what came back as JSON. Arguments: see the test.
import { feedback, omniChannelInsights, readAssistant, sayAssistant, startAssistant } from "omni-insights-client";
import { createClient, createConfig } from "omni-insights-client/client";

const [summaries, assistant, token] = process.argv.slice(2);
const reaching = (baseUrl, auth) => createClient(createConfig({ baseUrl, auth }));
const [client, bank, stranger] = [reaching(summaries, token), reaching(assistant, token), reaching(summaries, "expired")];
const contact = { account_number: "1234567890", contact_id: "abc-123-xyz" };
const told = {};

const { data: summary } = await omniChannelInsights({ client, body: contact });
[told.summary, told.interactions] = [summary.summary, summary.interactions_considered];
const { data: kept } = await feedback({
  client,
  body: { request_id: summary.request_id, feedback: "not_helpful", comment: "The refund is missing.", edited_summary: "A refund was promised." },
});
told.feedback = kept.feedback;
const { error: refused } = await omniChannelInsights({ client, body: { ...contact, account_number: "123" } });
told.invalid = [refused.status, refused.code, refused.errors[0].field];
told.expired = (await omniChannelInsights({ client: stranger, body: contact })).error.code;

const { data: started } = await startAssistant({ client: bank, body: {} });
const path = { conversation_id: started.conversation_id };
const { data: turn } = await sayAssistant({ client: bank, path, body: { message: "Which accounts do you offer?", message_id: "m-1" } });
[told.state, told.reply] = [turn.state, turn.reply];
told.said = (await readAssistant({ client: bank, path })).data.said.map((each) => each.by);
told.missing = (await readAssistant({ client: bank, path: { conversation_id: `conv-${"0".repeat(24)}` } })).error.code;
console.log(JSON.stringify(told));
