import { createElement } from 'lwc';
import OmniSummary from 'c/omniSummary';
import summarise from '@salesforce/apex/OmniSummaries.summarise';
import sendFeedback from '@salesforce/apex/OmniSummaries.rate';
import { savedOf, viewOf } from '../answers';

jest.mock('@salesforce/apex/OmniSummaries.summarise', () => ({ default: jest.fn() }), { virtual: true });
jest.mock('@salesforce/apex/OmniSummaries.rate', () => ({ default: jest.fn() }), { virtual: true });

// The service's own example of an answer, which a test compares with its schema (openapi.json, InsightsResponse).
const SUMMARY = {
    request_id: 'req-0123456789ab',
    summary: 'Customer called 3 times about a $45 charge.',
    date_range: '2025-11-08 to 2025-12-08',
    interactions_considered: 5,
    max_history_days: 90,
    cache_hit: false,
    degraded: false
};
const answer = (changes = {}) => ({ status: 200, body: JSON.stringify({ ...SUMMARY, ...changes }), retryAfterS: 0 });
const problem = (status, code, retryAfterS = 0) => ({ status, body: JSON.stringify({ code, request_id: 'req-1' }), retryAfterS });
const settled = async () => {
    for (let i = 0; i < 10; i++) await Promise.resolve();
};

async function shown(...answers) {
    for (const each of answers) summarise.mockResolvedValueOnce(each);
    const element = createElement('c-omni-summary', { is: OmniSummary });
    Object.assign(element, { recordId: '001000000000001AAA', accountNumberField: 'AccountNumber' });
    document.body.appendChild(element);
    await settled();
    return element.shadowRoot;
}

afterEach(() => {
    document.body.replaceChildren();
    jest.resetAllMocks();
    jest.useRealTimers();
});

describe('a summary', () => {
    it('is loaded for the record and shown with its facts', async () => {
        const root = await shown(answer());
        expect(summarise).toHaveBeenCalledWith({
            recordId: '001000000000001AAA', accountNumberField: 'AccountNumber', contactId: null, initialContactId: null
        });
        expect(root.querySelector('.summary').textContent).toBe(SUMMARY.summary);
        expect(root.textContent).toContain('5 interactions · 2025-11-08 to 2025-12-08');
        expect(root.querySelector('[role=status]').textContent).toBe('Summary ready.');
    });

    it('is loading until it is there', async () => {
        const root = await shown(new Promise(() => {}));
        expect(root.querySelector('lightning-spinner')).not.toBeNull();
        expect(root.querySelector('[aria-busy]').getAttribute('aria-busy')).toBe('true');
    });

    it.each([
        [{ cache_hit: true }, 'written a few minutes ago', true],
        [{ degraded: true }, 'No model answered in time', true],
        [{ interactions_considered: 0, summary: 'No interactions found' }, 'No earlier contacts in the last 90 days', false]
    ])('with %p says so', async (changes, said, rateable) => {
        const root = await shown(answer(changes));
        expect(root.querySelector('.notice').textContent).toContain(said);
        expect(root.querySelector('fieldset') !== null).toBe(rateable);
    });

    it('of a record that was left is not shown', async () => {
        let arrive;
        const root = await shown(new Promise((resolve) => { arrive = resolve; }), answer({ summary: 'The second customer.' }));
        root.host.recordId = '001000000000002AAA';
        await settled();
        arrive(answer({ summary: 'The first customer.' }));
        await settled();
        expect(root.querySelector('.summary').textContent).toBe('The second customer.');
    });
});

describe('an error', () => {
    it.each([
        [problem(403, 'FORBIDDEN'), 'You may not see summaries of this customer.'],
        [problem(401, 'UNAUTHORIZED'), 'Salesforce has no access'],
        [problem(422, 'NO_ACCOUNT_NUMBER'), 'This record has no account number.'],
        [problem(500, 'INTERNAL_ERROR'), 'not available just now']
    ])('of %p is named and can be tried again', async (refused, said) => {
        const root = await shown(refused, answer());
        expect(root.querySelector('.notice').textContent).toContain(said);
        root.querySelector('.again').click();
        await settled();
        expect(root.querySelector('.summary').textContent).toBe(SUMMARY.summary);
    });

    it('of a busy service is waited out as long as the service says, three times', async () => {
        jest.useFakeTimers();
        const busy = problem(429, 'RATE_LIMITED', 7);
        const root = await shown(busy, busy, busy, busy);
        for (let tries = 1; tries <= 3; tries++) {
            expect(root.querySelector('[role=status]').textContent).toBe('Trying again in 7 s.');
            jest.advanceTimersByTime(6999);
            expect(summarise).toHaveBeenCalledTimes(tries);
            jest.advanceTimersByTime(1);
            await settled();
        }
        expect(summarise).toHaveBeenCalledTimes(4);
        expect(root.querySelector('.again')).not.toBeNull();
    });

    it('in Apex is an error and no blank card', async () => {
        const root = await shown(Promise.reject(new Error('a field that is none')));
        expect(root.querySelector('.notice')).not.toBeNull();
    });
});

describe('feedback', () => {
    it('is one click, then a comment and a corrected summary', async () => {
        sendFeedback.mockResolvedValue({ status: 200, body: '{}' });
        const root = await shown(answer());
        const button = root.querySelector('[data-feedback=not_helpful]');
        button.click();
        await settled();
        expect(button.getAttribute('aria-pressed')).toBe('true');
        root.querySelector('.edit').click();
        await settled();
        root.querySelector('.comment').dispatchEvent(new CustomEvent('change', { detail: { value: 'The refund is missing.' } }));
        root.querySelector('.edited').dispatchEvent(new CustomEvent('change', { detail: { value: 'A refund was promised.' } }));
        root.querySelector('.send').click();
        await settled();
        const about = { requestId: 'req-0123456789ab', feedback: 'not_helpful' };
        expect(sendFeedback.mock.calls.map(([sent]) => sent)).toEqual([
            { ...about, comment: '', editedSummary: '' },
            { ...about, comment: 'The refund is missing.', editedSummary: 'A refund was promised.' }
        ]);
        expect(root.querySelector('[role=status]').textContent).toBe('Thank you. Your feedback is saved.');
    });

    it('that fails keeps what the agent wrote', async () => {
        sendFeedback.mockResolvedValueOnce({ status: 200, body: '{}' }).mockRejectedValueOnce(new Error('no network'));
        const root = await shown(answer());
        root.querySelector('[data-feedback=helpful]').click();
        await settled();
        root.querySelector('.comment').dispatchEvent(new CustomEvent('change', { detail: { value: 'It saved me a minute.' } }));
        root.querySelector('.send').click();
        await settled();
        expect(root.querySelector('[role=status]').textContent).toContain('Not saved yet');
        expect(root.querySelector('.comment').value).toBe('It saved me a minute.');
    });
});

describe('the logic', () => {
    it('takes a body that is no JSON for an error', () => {
        expect(viewOf({ status: 502, body: '<html>', retryAfterS: 0 }).state).toBe('error');
    });

    it('sends again only what may succeed', () => {
        expect([0, 404, 429, 503].map((status) => savedOf({ status }).retry)).toEqual([true, true, true, true]);
        expect([403, 409, 422].map((status) => savedOf({ status }).retry)).toEqual([false, false, false]);
    });
});
