import { html } from '../lib/preact.js';

const PARTS = [
  ['Value', 'Of a share, how many identities did it at least once. Of a sum or a count, the mean over all identities of the variant, those without an event included. Of a mean and a ratio, the sum divided by the number of events or by the other sum. An identity counts from its first exposure on, in the variant that it saw.'],
  ['Effect', 'The difference of the two values, relative to that of control. Where control is so small that the relative effect has no bounds, the interval says so with ∞.'],
  ['95 % interval for a single look', 'Welch’s t interval of the difference, carried over to the relative effect by Fieller’s method. It holds if you look once, at a time that was fixed in advance.'],
  ['Always-valid interval and p-value', 'A confidence sequence (a mixture sequential probability ratio test; for conversions an exact test martingale). It holds at every moment, however often you look. Verdicts rest on it, so an experiment may be stopped as soon as it says so.'],
  ['Verdict', 'Winning or losing when the always-valid p-value, after Holm’s adjustment over the variants and metrics of the same role, is below 5 %. Before that there are floors: 50 identities with a value, and without one, in each variant.'],
  ['Guardrail', 'Harmed when it is shown to be worse by more than its margin; safe when it is shown not to be. Between the two it is unclear. No variant is recommended past a guardrail that is harmed.'],
  ['Chance to win', 'The posterior chance that the variant is better than control, with a flat prior; exact for conversions and counts. It is shown as > 99 % at most, because no amount of data makes it certain. It decides nothing.'],
  ['Split as meant', 'A sequential multinomial test of the numbers of identities against the configured weights. When it fails, some identities of a variant are lost, and nothing is compared until the cause is found.'],
  ['Expected loss', 'What keeping control, or shipping the variant, costs on average if it is the wrong decision.'],
];

/** How each number of the results comes about. */
export const How = () => html`
  <div class="page-head"><h1>How the numbers come about</h1></div>
  <div class="card stack-wide how">
    ${PARTS.map(([name, text]) => html`<section key=${name}><h2>${name}</h2><p>${text}</p></section>`)}
    <p class="muted">Formulas, sources, limits and simulations are in <code>docs/statistics.md</code> of the source.</p>
  </div>
`;
