import { html } from '../lib/preact.js';
import { effect, interval } from '../core/format.js';
import { verdictOf } from '../core/words.js';

const HEIGHT = 44;
const PAD = 16;
const MIDDLE = HEIGHT / 2;

/** Where values go on an axis of this width. */
const placing = (limit, width) => (value) =>
  PAD + ((Math.max(-limit, Math.min(limit, value)) + limit) / (2 * limit)) * (width - 2 * PAD);

/** The axis that all plots of a table share. */
export const EffectAxis = ({ scale, width = 200 }) => html`
  <svg class="plot" viewBox="0 0 ${width} 18" aria-hidden="true">
    ${[scale.ticks[0], 0, scale.ticks.at(-1)].map(
      (tick, n, shown) => html`
        <text key=${n} x=${placing(scale.limit, width)(tick)} y="13" text-anchor=${n === 0 ? 'start' : n === shown.length - 1 ? 'end' : 'middle'}
          dx=${n === 0 ? -PAD : n === shown.length - 1 ? PAD : 0}>${tick === 0 ? '0' : effect(tick).replace('.0', '')}</text>
      `,
    )}
  </svg>
`;

// How likely each effect is: a normal posterior with this interval, drawn on both sides of the line.
const posterior = (ci, place) => {
  const [from, until] = ci;
  const [mean, deviation] = [(from + until) / 2, (until - from) / (2 * 1.96)];
  const points = Array.from({ length: 41 }, (_, n) => {
    const z = -3 + (6 * n) / 40;
    return [place(mean + z * deviation), 13 * Math.exp((-z * z) / 2)];
  });
  const side = (sign) => points.map(([x, height]) => `${x.toFixed(1)},${(MIDDLE + sign * height).toFixed(1)}`);
  return `M${[...side(-1), ...side(1).reverse()].join('L')}Z`;
};

const Whisker = ({ ci, limit, place, tone }) => {
  const [from, until] = [ci[0] ?? -Infinity, ci[1] ?? Infinity];
  const [x1, x2] = [place(from), place(until)];
  return html`
    <line class="whisker" x1=${x1} x2=${x2} y1=${MIDDLE} y2=${MIDDLE} stroke="var(--${tone})" />
    ${from < -limit && html`<path d="M${x1 - 8},${MIDDLE}l8,-5v10z" fill="var(--${tone})" />`}
    ${until > limit && html`<path d="M${x2 + 8},${MIDDLE}l-8,-5v10z" fill="var(--${tone})" />`}
  `;
};

/** What is said of a plot to whoever does not see it. */
export const effectSentence = (metric, treatment) =>
  treatment.effect === null || treatment.effect === undefined
    ? `${treatment.key} on ${metric.name}: nothing to compare yet.`
    : `${treatment.key} on ${metric.name}: ${effect(treatment.effect)} against control; always-valid 95 % interval ` +
      `${interval(treatment.sequential?.ci)}, for a single look ${interval(treatment.frequentist?.ci)}. ${verdictOf(treatment).label}.`;

/**
 * The effect of one variant: thick for one look, thin however often one looks, and the shape of what is likely.
 * @param {{ metric: Pick<import('#api').MetricResult, 'name' | 'expected_direction' | 'margin'>, treatment: import('#api').TreatmentResult, scale: { limit: number }, width?: number }} props
 */
export const EffectPlot = ({ metric, treatment, scale: { limit }, width = 200 }) => {
  const place = placing(limit, width);
  const tone = treatment.effect === null ? 'neutral' : verdictOf(treatment).tone;
  const look = treatment.frequentist?.ci;
  const always = treatment.sequential?.ci;
  const likely = treatment.bayesian?.ci;
  const isBounded = (ci) => ci && ci[0] !== null && ci[1] !== null;
  const isUp = metric.expected_direction === 'increase' || metric.expected_direction === 'not_decrease';
  const edge = metric.margin === undefined || metric.margin === null ? null : (isUp ? -1 : 1) * metric.margin;
  return html`
    <svg class="plot" viewBox="0 0 ${width} ${HEIGHT}" role="img" aria-label=${effectSentence(metric, treatment)}>
      ${edge !== null &&
      html`<rect class="margin" x=${Math.min(place(0), place(edge))} y="2" height=${HEIGHT - 4}
        width=${Math.abs(place(edge) - place(0))} />`}
      <line class="zero" x1=${place(0)} x2=${place(0)} y1="0" y2=${HEIGHT} />
      ${isBounded(likely) && html`<path d=${posterior(likely, place)} fill="var(--${tone})" opacity="0.18" />`}
      ${always && html`<${Whisker} ci=${always} limit=${limit} place=${place} tone=${tone} />`}
      ${look &&
      html`<line class="look" x1=${place(look[0] ?? -Infinity)} x2=${place(look[1] ?? Infinity)} y1=${MIDDLE} y2=${MIDDLE}
        stroke="var(--${tone})" />`}
      ${treatment.effect !== null && treatment.effect !== undefined &&
      html`<circle class="estimate" cx=${place(treatment.effect)} cy=${MIDDLE} r="4.5" stroke="var(--${tone})" />`}
    </svg>
  `;
};

export const EffectLegend = () => html`
  <p class="legend">
    <span><b aria-hidden="true">━</b> thick: 95 % for a single look</span>
    <span><b aria-hidden="true">─</b> thin: 95 % however often you look; verdicts use it</span>
    <span>shape: how likely each effect is</span>
    <span>shaded: a guardrail’s margin</span>
  </p>
`;
