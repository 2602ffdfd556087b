import { html } from '../lib/preact.js';
import { count, plural } from '../core/format.js';

const COLLECTING = ['Collecting data', 'neutral', '…'];

const TITLE = {
  ship: (one) => [`Ship “${one.variant}”`, 'good', '▲'],
  keep_control: () => ['Keep control', 'bad', '▼'],
  keep_running: () => ['Keep running', 'neutral', '●'],
  start: () => ['Not started', 'neutral', '…'],
  fix_the_experiment: () => ['Fix the experiment', 'bad', '✕'],
};

/**
 * What to do, in a sentence or two.
 * @param {{ results: import('#api').ResultsView }} props
 */
export const Decision = ({ results }) => {
  const { recommendation, progress, is_final: isFinal } = results;
  const isOpen = recommendation.action === 'keep_running';
  const primary = results.metrics.find((metric) => metric.role === 'primary');
  const isCollecting = isOpen && primary?.treatments.every((one) => one.verdict === 'collecting_data');
  const [title, tone, icon] = isCollecting ? COLLECTING : (TITLE[recommendation.action] ?? TITLE.keep_running)(recommendation);
  const left = progress ? Math.max(0, progress.needed - progress.identities) : 0;
  return html`
    <section class="decision ${tone}" role="status" aria-label="Recommendation">
      <div>
        <h2><span aria-hidden="true">${icon}</span> ${title}${isFinal ? ' · final' : ''}</h2>
        <ul>
          ${recommendation.reasons.map(
            (reason, n) => html`
              <li key=${n}>${reason.metric ? html`<a class="keep" href="#metric-${reason.metric}">${reason.text}</a>` : reason.text}</li>
            `,
          )}
          ${isOpen && progress && left > 0 && !isFinal &&
          html`
            <li>
              The plan asks for ${plural(progress.needed, 'identity', 'identities')}: ${count(left)} more${progress.days_left
                ? `, about ${plural(Math.ceil(progress.days_left), 'day')} at this pace`
                : ''}.
            </li>
          `}
        </ul>
      </div>
      ${recommendation.decided_by.length > 0 &&
      html`<p class="small">Decided by ${recommendation.decided_by.map((one) => one.name).join(', ')}</p>`}
    </section>
  `;
};
