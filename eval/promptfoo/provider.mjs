// Sends a case's inputs to the running service. Requests are looked up by id, because promptfoo renders templates in
// variables: a history that holds {{ }} would be changed on its way, and those are the very cases to test.
import { readFileSync } from "node:fs";

export default class ServiceProvider {
  constructor(options) {
    this.config = options.config;
    this.requests = JSON.parse(readFileSync(this.config.requests, "utf8"));
  }

  id() {
    return "service";
  }

  async callApi(prompt, context) {
    const caseId = context.vars.case_id;
    const began = performance.now();
    try {
      const response = await fetch(this.config.url, {
        method: "POST",
        // A service that runs elsewhere wants a token (make token); the harness's own on loopback does not.
        headers: {
          "content-type": "application/json",
          ...(process.env.OMNI_TOKEN && { authorization: `Bearer ${process.env.OMNI_TOKEN}` }),
        },
        body: JSON.stringify(this.requests[caseId]),
        signal: AbortSignal.timeout(this.config.timeout_ms),
      });
      const body = await response.json();
      if (!response.ok) return { error: `HTTP ${response.status} ${body.code ?? ""}: ${body.detail ?? ""}` };
      if (body.pair_digest !== this.config.pair_digest)
        return { error: `answered by another pair: ${body.pair} ${String(body.pair_digest).slice(0, 12)}` };
      return {
        output: body.output,
        // An answer of a model without prices has no cost; promptfoo's own assertion says so.
        ...(body.cost_usd != null && { cost: Number(body.cost_usd) }),
        latencyMs: Math.round(performance.now() - began),
        metadata: { arm: body.arm, answered_by: body.answered_by },
      };
    } catch (err) {
      return { error: `no answer from the service: ${err.name}: ${err.message}` };
    }
  }
}
