import { html } from '../lib/preact.js';

/** The weights of variants as one bar. */
export const SplitBar = ({ variants }) => html`
  <div class="split-bar" role="img" aria-label=${variants.map((one) => `${one.key} ${one.weight} %`).join(', ')}>
    ${variants.map((one, n) => html`<span key=${n} style="width: ${one.weight}%; background: var(--series-${n % 5})"></span>`)}
  </div>
`;
