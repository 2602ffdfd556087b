// A draft as the wizard edits it, and as the API takes it.

/**
 * @typedef {object} Draft
 * @property {string} name
 * @property {string} hypothesis
 * @property {'new' | 'existing'} mode Whether a flag is made, or one is taken that is there.
 * @property {string} flag The name of the new flag.
 * @property {number | null} feature The id of the one that is there.
 * @property {{ key: string, value: string, weight: number }[]} variants Control first.
 * @property {number} rollout
 * @property {string} holdout
 * @property {string} event The event that counts as an exposure; empty for the one of the SDKs.
 * @property {boolean} isFirstSeen
 */

/** @returns {Draft} */
export const emptyDraft = () => ({
  name: '',
  hypothesis: '',
  mode: 'new',
  flag: '',
  feature: null,
  variants: [
    { key: 'control', value: 'control', weight: 50 },
    { key: 'treatment', value: 'treatment', weight: 50 },
  ],
  rollout: 100,
  holdout: '',
  event: '',
  isFirstSeen: false,
});

const isJson = (text) => {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
};

/** A value as it is written in a field: text as it is, unless it would be read as JSON. */
export const text = (value) => (typeof value === 'string' && !isJson(value) ? value : JSON.stringify(value ?? null));

/** What is written is JSON where it is JSON, and text otherwise. */
export const valueOf = (written) => {
  try {
    return JSON.parse(written);
  } catch {
    return written;
  }
};

/** @param {import('#api').ExperimentView} experiment @returns {Draft} */
export const draftOf = (experiment) => ({
  name: experiment.name,
  hypothesis: experiment.hypothesis,
  mode: 'existing',
  flag: experiment.feature.name,
  feature: experiment.feature.id,
  variants: experiment.variants.map((one) => ({ key: one.key, value: text(one.value), weight: one.weight })),
  rollout: experiment.rollout_percentage,
  holdout: experiment.holdout ? String(experiment.holdout.id) : '',
  event: experiment.exposure?.event ?? '',
  isFirstSeen: experiment.exposure?.multiple_variants === 'first_seen',
});

const variants = (draft) => draft.variants.map((one) => ({ key: one.key.trim(), value: valueOf(one.value), weight: Number(one.weight) }));

/** The body that makes the experiment. @param {Draft} draft @returns {import('#api').CreateExperimentBody} */
export const created = (draft) => ({
  name: draft.name.trim(),
  hypothesis: draft.hypothesis.trim(),
  ...(draft.mode === 'new'
    ? { feature: { name: draft.flag.trim(), variants: variants(draft) } }
    : { feature: draft.feature, variants: draft.variants.map((one) => ({ key: one.key, weight: Number(one.weight) })) }),
});

/** The body that changes the draft. @param {Draft} draft @param {import('#api').ExposureCriteria | null} exposure What is there of the criteria.
 * @returns {import('#api').PatchExperimentBody} */
export const patched = (draft, exposure) => ({
  name: draft.name.trim(),
  hypothesis: draft.hypothesis.trim(),
  variants: variants(draft),
  holdout: draft.holdout ? Number(draft.holdout) : null,
  exposure: {
    ...exposure,
    ...(draft.event ? { event: draft.event } : { event: undefined, feature_property: undefined, filters: undefined }),
    multiple_variants: draft.isFirstSeen ? 'first_seen' : 'exclude',
  },
});

/** Weights that are as even as two decimals allow, control taking what is left. */
export const evenly = (list) => {
  const share = Math.floor(10000 / list.length) / 100;
  const rest = Math.round((100 - share * (list.length - 1)) * 100) / 100;
  return list.map((one, n) => ({ ...one, weight: n === 0 ? rest : share }));
};

/** What the first step, or the second, still lacks. @param {Draft} draft @param {number} step */
export const missing = (draft, step) => {
  if (step === 0) {
    return {
      ...(!draft.name.trim() && { name: 'Give it a name.' }),
      ...(!draft.hypothesis.trim() && { hypothesis: 'Say what it is to show.' }),
    };
  }
  const sum = draft.variants.reduce((all, one) => all + Number(one.weight), 0);
  return {
    ...(draft.mode === 'new' && !draft.flag.trim() && { flag: 'Name the flag.' }),
    ...(draft.mode === 'existing' && draft.feature === null && { feature: 'Choose a flag.' }),
    ...(Math.abs(sum - 100) > 0.001 && { variants: `The weights sum to ${Math.round(sum * 100) / 100}, and must sum to 100.` }),
    ...(draft.variants.some((one) => !one.key.trim()) && { variants: 'Every variant needs a key.' }),
  };
};
