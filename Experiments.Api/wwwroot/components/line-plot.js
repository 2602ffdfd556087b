import { html } from '../lib/preact.js';

const WIDTH = 760;
const HEIGHT = 240;
const LEFT = 58;
const RIGHT = 96;
const TOP = 12;
const BOTTOM = 26;
const DASHES = ['', '7 4', '2 4', '9 3 2 3', '1 3'];

/**
 * Lines over time, each with its name at its end and a dash of its own.
 * @param {{ label: string, instants: string[], series: { name: string, values: (number | null)[], low?: (number | null)[],
 *   high?: (number | null)[], colour: number }[], scale: { limit: number, ticks: number[], floor?: number },
 *   show: (value: number) => string, date: (instant: string) => string,
 *   marks?: { at: string, text: string }[] }} props
 */
export const LinePlot = ({ label, instants, series, scale, show, date, marks = [] }) => {
  const floor = scale.floor ?? 0;
  const x = (n) => LEFT + (instants.length < 2 ? 0.5 : n / (instants.length - 1)) * (WIDTH - LEFT - RIGHT);
  const y = (value) =>
    TOP + (1 - (Math.max(floor, Math.min(scale.limit, value)) - floor) / (scale.limit - floor)) * (HEIGHT - TOP - BOTTOM);
  const path = (values) =>
    values
      .map((value, n) => (value === null ? null : `${x(n).toFixed(1)},${y(value).toFixed(1)}`))
      .filter(Boolean)
      .join('L');
  const named = [0, Math.floor((instants.length - 1) / 2), instants.length - 1].filter((n, at, all) => n >= 0 && all.indexOf(n) === at);
  const ends = labelsApart(
    series.map((one) => ({ ...one, at: y(one.values.filter((value) => value !== null).at(-1) ?? floor) })),
  );
  return html`
    <svg class="plot" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label=${label}>
      ${scale.ticks.map(
        (tick) => html`
          <line key=${tick} class=${tick === 0 && floor < 0 ? 'zero' : 'grid'} x1=${LEFT} x2=${WIDTH - RIGHT} y1=${y(tick)} y2=${y(tick)} />
          <text x=${LEFT - 8} y=${y(tick) + 4} text-anchor="end">${show(tick)}</text>
        `,
      )}
      ${named.map((n) => html`<text key=${n} x=${x(n)} y=${HEIGHT - 6} text-anchor="middle">${date(instants[n])}</text>`)}
      ${series.map(
        (one) => html`
          ${one.low &&
          html`<path d="M${path(one.high)}L${path(one.low).split('L').reverse().join('L')}Z" fill="var(--series-${one.colour})" opacity="0.13" />`}
          <path d="M${path(one.values)}" fill="none" stroke="var(--series-${one.colour})" stroke-width="2.2"
            stroke-dasharray=${DASHES[one.colour % DASHES.length]} stroke-linejoin="round" />
        `,
      )}
      ${marks.map((mark) => html`<${Mark} key=${mark.at} mark=${mark} x=${x(placeOf(mark.at, instants))} />`)}
      ${ends.map((one) => html`<text key=${one.name} x=${WIDTH - RIGHT + 8} y=${one.at + 4}>${one.name}</text>`)}
    </svg>
  `;
};

const Mark = ({ mark, x }) => html`
  <line class="zero" x1=${x} x2=${x} y1=${TOP} y2=${HEIGHT - BOTTOM} />
  <text x=${x + 4} y=${TOP + 9}>${mark.text}</text>
`;

// Between which of the instants it lies.
const placeOf = (at, instants) => {
  const [from, until] = [new Date(instants[0]).getTime(), new Date(instants.at(-1)).getTime()];
  return until === from ? 0 : Math.max(0, Math.min(1, (new Date(at).getTime() - from) / (until - from))) * (instants.length - 1);
};

// Names that would lie on each other are moved apart.
const labelsApart = (ends) => {
  const sorted = [...ends].sort((one, other) => one.at - other.at);
  for (let n = 1; n < sorted.length; n++) sorted[n].at = Math.max(sorted[n].at, sorted[n - 1].at + 13);
  return sorted;
};
