// Numbers and instants as people read them. A minus is a minus, and nothing is shown that is not known.

const MINUS = '−';
const integer = new Intl.NumberFormat('en-US');

/** @param {number | null | undefined} value */
export const count = (value) => (value === null || value === undefined ? '–' : integer.format(value));

/** @param {number} value @param {number} [digits] */
const fixed = (value, digits = 1) => (value < 0 ? MINUS : '') + Math.abs(value).toFixed(digits);

/** A share, such as 0.1234, as 12.34 %. */
export const percent = (value, digits = 1) =>
  value === null || value === undefined || !Number.isFinite(value) ? '–' : `${fixed(value * 100, digits)} %`;

/** A relative effect with its sign, such as +36.3 %. */
export const effect = (value) =>
  value === null || value === undefined || !Number.isFinite(value) ? '–'
  : Math.abs(value) >= 10 ? `${value < 0 ? MINUS : '+'}${integer.format(Math.round(Math.abs(value) * 100))} %`
  : `${value < 0 ? MINUS : '+'}${(Math.abs(value) * 100).toFixed(1)} %`;

/** A bound of an interval, which may be missing because it is unbounded. */
const bound = (value, infinite) => (value === null || value === undefined ? infinite : effect(value));

/** @param {(number | null)[] | null | undefined} ci */
export const interval = (ci) => (ci ? `${bound(ci[0], `${MINUS}∞`)} to ${bound(ci[1], '+∞')}` : '–');

/** A chance, which is never 0 or 1. */
export const chance = (value) =>
  value === null || value === undefined ? '–' : value > 0.99 ? '> 99 %' : value < 0.01 ? '< 1 %' : `${Math.round(value * 100)} %`;

/** A p-value. */
export const pValue = (value) =>
  value === null || value === undefined ? '–' : value < 0.0001 ? '< 0.0001' : value >= 0.1 ? value.toFixed(2) : value.toFixed(4);

/** The same after “p”. */
export const equals = (value) => {
  const text = pValue(value);
  return text.startsWith('<') ? text : `= ${text}`;
};

/** A sum, without digits that tell nothing. */
export const sum = (value) =>
  value === null || value === undefined ? '–' : integer.format(Math.abs(value) >= 100 ? Math.round(value) : Math.round(value * 100) / 100);

/** The mean of a metric, in as many digits as tell something. */
export const mean = (value, isShare) =>
  value === null || value === undefined ? '–'
  : isShare ? percent(value, 2)
  : Math.abs(value) >= 1000 ? integer.format(Math.round(value))
  : (value < 0 ? MINUS : '') + Math.abs(value).toPrecision(4).replace(/\.?0+$/, '');

const date = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', year: 'numeric' });
const moment = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit' });

const plain = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', year: 'numeric', timeZone: 'UTC' });

/** The day of an instant here, or a day that is given as such. */
export const day = (instant) => (instant ? (instant.length === 10 ? plain : date).format(new Date(instant)) : '–');
export const time = (instant) => (instant ? moment.format(new Date(instant)) : '–');

/** How long ago, in the largest unit that fits. */
export const ago = (instant) => {
  if (!instant) return '–';
  const seconds = Math.max(0, (Date.now() - new Date(instant).getTime()) / 1000);
  for (const [unit, size] of /** @type {[string, number][]} */ ([['day', 86400], ['hour', 3600], ['minute', 60]])) {
    if (seconds >= size) {
      const number = Math.floor(seconds / size);
      return `${number} ${unit}${number === 1 ? '' : 's'} ago`;
    }
  }
  return 'just now';
};

/** How many days something has run, from its start to its end or to now. */
export const daysBetween = (from, until) =>
  from ? Math.max(0, Math.floor(((until ? new Date(until) : new Date()).getTime() - new Date(from).getTime()) / 86400000)) : null;

export const plural = (number, one, many = `${one}s`) => `${count(number)} ${number === 1 ? one : many}`;
