// Scales of plots: where numbers go, and which of them are written down.

/** The step of about this many ticks, as 1, 2 or 5 times a power of ten. */
export const niceStep = (range, ticks = 4) => {
  const raw = range / ticks || 1;
  const power = 10 ** Math.floor(Math.log10(raw));
  return power * ([1, 2, 5, 10].find((factor) => factor * power >= raw) ?? 10);
};

/**
 * A scale that is symmetric round zero and wide enough for the one-look intervals; always-valid ones may be cut off, as arrows.
 * @param {any[]} treatments
 */
export const effectScale = (treatments, margins = []) => {
  const known = (values) => values.filter((value) => Number.isFinite(value)).map(Math.abs);
  const looks = known(treatments.flatMap((one) => one.frequentist?.ci ?? []));
  const always = known(treatments.flatMap((one) => one.sequential?.ci ?? []));
  const widest = Math.max(0.02, ...looks, ...known(margins));
  const most = Math.min(Math.max(widest, ...always), 1.8 * widest);
  const step = niceStep(most, 2);
  const limit = Math.ceil((most * 1.02) / step) * step;
  const ticks = [];
  for (let value = -limit; value <= limit + step / 2; value += step) ticks.push(Math.abs(value) < step / 10 ? 0 : value);
  return { limit, ticks };
};

/** A scale from zero, for numbers of identities. */
export const countScale = (most) => {
  const step = Math.max(1, niceStep(Math.max(1, most)));
  const limit = Math.max(step, Math.ceil(most / step) * step);
  return { limit, ticks: Array.from({ length: Math.round(limit / step) + 1 }, (_, n) => n * step) };
};
