import { LightningElement, api } from 'lwc';
import summarise from '@salesforce/apex/OmniSummaries.summarise';
import sendFeedback from '@salesforce/apex/OmniSummaries.rate';
import { savedOf, viewOf } from './answers';

const NOTHING = { state: 'loading', text: '', notice: '', facts: '', support: '' };
const RATEABLE = new Set(['ready', 'cached', 'degraded']);

/** The summary of a record's customer on a record page, with feedback. */
export default class OmniSummary extends LightningElement {
    @api accountNumberField;
    @api contactId;
    @api initialContactId;
    view = NOTHING;
    feedback = '';
    comment = '';
    edited = '';
    editing = false;
    said = '';
    _recordId;
    _asked = 0;
    _timer;

    @api
    get recordId() {
        return this._recordId;
    }
    set recordId(value) {
        this._recordId = value;
        if (this.isConnected) this.reload();
    }

    connectedCallback() {
        this.reload();
    }

    disconnectedCallback() {
        this._asked += 1;
        clearTimeout(this._timer);
    }

    get loading() {
        return this.view.state === 'loading';
    }
    get busy() {
        return String(this.loading || this.view.state === 'waiting');
    }
    get failed() {
        return this.view.state === 'error';
    }
    get rateable() {
        return RATEABLE.has(this.view.state);
    }
    get notEditing() {
        return !this.editing;
    }
    get isHelpful() {
        return String(this.feedback === 'helpful');
    }
    get isNotHelpful() {
        return String(this.feedback === 'not_helpful');
    }
    get helpfulClass() {
        return `slds-button slds-button_${this.feedback === 'helpful' ? 'brand' : 'neutral'}`;
    }
    get notHelpfulClass() {
        return `slds-button slds-button_${this.feedback === 'not_helpful' ? 'brand' : 'neutral'}`;
    }

    @api
    reload() {
        clearTimeout(this._timer);
        this.view = NOTHING;
        this.feedback = this.comment = this.edited = '';
        this.editing = false;
        this.said = "Reading the customer's history…";
        if (this._recordId) this._ask(0);
    }

    async _ask(tries) {
        const asked = (this._asked += 1);
        let answer;
        try {
            answer = await summarise({
                recordId: this._recordId,
                accountNumberField: this.accountNumberField,
                contactId: this.contactId ?? null,
                initialContactId: this.initialContactId ?? null
            });
        } catch (error) {
            answer = { status: 500, body: '{}', retryAfterS: 0 };
        }
        if (asked !== this._asked) return; // another record was opened meanwhile
        this.view = viewOf(answer, tries);
        if (this.view.state === 'waiting') {
            this.said = `Trying again in ${this.view.againInS} s.`;
            // eslint-disable-next-line @lwc/lwc/no-async-operation
            this._timer = setTimeout(() => this._ask(tries + 1), this.view.againInS * 1000);
        } else this.said = this.rateable ? 'Summary ready.' : '';
    }

    rate(event) {
        this.feedback = event.currentTarget.dataset.feedback;
        return this._save('', '');
    }

    edit() {
        this.editing = true;
        this.edited = this.view.text;
    }

    keepComment(event) {
        this.comment = event.detail.value;
    }

    keepEdited(event) {
        this.edited = event.detail.value;
    }

    send() {
        const changed = this.editing && this.edited.trim() !== this.view.text.trim() ? this.edited.trim() : '';
        return this._save(this.comment.trim(), changed);
    }

    async _save(comment, editedSummary) {
        const requestId = this.view.requestId;
        this.said = 'Saving your feedback…';
        let answer;
        try {
            answer = await sendFeedback({ requestId, feedback: this.feedback, comment, editedSummary });
        } catch (error) {
            answer = { status: 0 };
        }
        if (requestId !== this.view.requestId) return;
        const { saved, said } = savedOf(answer);
        this.said = said;
        if (saved && (comment || editedSummary)) {
            this.comment = this.edited = '';
            this.editing = false;
        }
    }
}
