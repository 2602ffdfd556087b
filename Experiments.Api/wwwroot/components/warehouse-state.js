import { html } from '../lib/preact.js';
import { count, ago } from '../core/format.js';
import { Notice } from './states.js';

/** What became of the last read of a warehouse, and what to mend if it failed. */
export const WarehouseState = ({ of }) =>
  of.error
    ? html`<${Notice} tone="bad" icon="!">The warehouse could not be read: ${of.error} What was read before is shown.<//>`
    : of.read_at === null
      ? html`<${Notice} tone="warn" icon="…">The warehouse is being read for the first time.<//>`
      : html`<p class="muted small">Read from the warehouse ${ago(of.read_at)}: ${count(of.rows)} rows in ${of.seconds.toFixed(1)} s.</p>`;
