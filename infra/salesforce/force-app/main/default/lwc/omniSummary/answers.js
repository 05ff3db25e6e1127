// What an answer of the service means for the agent; no Salesforce in it.

const AGAIN = new Set([0, 429, 503, 504]);
const REASONS = {
    0: 'The summary service cannot be reached.',
    401: 'Salesforce has no access to the summary service. Please tell your administrator.',
    403: 'You may not see summaries of this customer.',
    429: 'Too many requests just now.',
    502: 'The summary did not pass its checks and is not shown.'
};

function parsed(body) {
    try {
        return JSON.parse(body) ?? {};
    } catch {
        return {};
    }
}

/** Return what to show for an answer: state, text, notice, facts, requestId, and after how many seconds to ask again (0: not). */
export function viewOf({ status, body, retryAfterS }, tries = 0) {
    const found = parsed(body);
    if (status !== 200) {
        const again = AGAIN.has(status) && tries < 3;
        const notice =
            found.code === 'NO_ACCOUNT_NUMBER' ? 'This record has no account number.' : REASONS[status] ?? 'The summary is not available just now.';
        const support = [found.code, found.request_id].filter(Boolean).join(', ');
        return { state: again ? 'waiting' : 'error', text: '', notice, facts: '', support, againInS: again ? Math.max(retryAfterS || 0, 2 ** tries) : 0 };
    }
    const count = found.interactions_considered;
    const facts = [`${count} ${count === 1 ? 'interaction' : 'interactions'}`, found.date_range].filter(Boolean).join(' · ');
    const shown = { text: found.summary, facts, notice: '', support: '', requestId: found.request_id, againInS: 0 };
    if (!count) return { ...shown, state: 'empty', text: '', facts: '', notice: `No earlier contacts in the last ${found.max_history_days} days.` };
    if (found.degraded) return { ...shown, state: 'degraded', notice: "No model answered in time. These are statements taken from the customer's history." };
    if (found.cache_hit) return { ...shown, state: 'cached', notice: 'This summary was written a few minutes ago. The history has not changed since.' };
    return { ...shown, state: 'ready' };
}

/** Return what to say about an answer to feedback, and whether the same may be sent again. */
export function savedOf({ status }) {
    if (status === 200) return { saved: true, retry: false, said: 'Thank you. Your feedback is saved.' };
    // 404: the summary is stored a moment after it was sent.
    const retry = AGAIN.has(status) || status === 404 || status >= 500;
    return { saved: false, retry, said: retry ? 'Not saved yet. Press Send to try again; what you wrote is kept.' : 'This feedback cannot be saved.' };
}
