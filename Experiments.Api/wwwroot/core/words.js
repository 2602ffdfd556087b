// What the words of the API mean, in the words of the pages.

/** @type {Record<string, { label: string, icon: string, tone: string }>} */
export const STATUS = {
  created: { label: 'Draft', icon: '✎', tone: 'neutral' },
  running: { label: 'Running', icon: '●', tone: 'good' },
  paused: { label: 'Paused', icon: '❚❚', tone: 'warn' },
  completed: { label: 'Completed', icon: '✓', tone: 'info' },
};

/** @type {Record<string, { label: string, icon: string, tone: string }>} */
export const VERDICT = {
  winning: { label: 'Winning', icon: '▲', tone: 'good' },
  losing: { label: 'Losing', icon: '▼', tone: 'bad' },
  inconclusive: { label: 'Not decided', icon: '●', tone: 'neutral' },
  collecting_data: { label: 'Collecting data', icon: '…', tone: 'neutral' },
  invalid: { label: 'Not comparable', icon: '✕', tone: 'bad' },
};

const GUARDRAIL = {
  guardrail_safe: { label: 'Safe', icon: '✓', tone: 'good' },
  guardrail_within_margin: { label: 'Within its margin', icon: '✓', tone: 'good' },
  guardrail_harmed: { label: 'Harmed', icon: '▼', tone: 'bad' },
  guardrail_worse: { label: 'Worse', icon: '▼', tone: 'warn' },
  guardrail_unclear: { label: 'Unclear', icon: '●', tone: 'neutral' },
};

/** The word, icon and tone of the verdict on one variant. */
export const verdictOf = (treatment) => GUARDRAIL[treatment.reason] ?? VERDICT[treatment.verdict] ?? VERDICT.inconclusive;

/** @type {Record<string, string>} */
export const DIRECTION = {
  increase: 'should increase',
  decrease: 'should decrease',
  not_increase: 'must not increase',
  not_decrease: 'must not decrease',
};

/** @type {Record<string, { name: string, plural: string }>} */
export const ROLE = {
  primary: { name: 'Primary', plural: 'Primary metric' },
  secondary: { name: 'Secondary', plural: 'Secondary metrics' },
  guardrail: { name: 'Guardrail', plural: 'Guardrails' },
};

/** @type {Record<string, string>} */
export const AGGREGATION = {
  occurrence: 'share who did it at least once',
  count: 'events per identity',
  count_distinct: 'different values per identity',
  sum: 'sum per identity',
  max: 'highest value per identity',
  min: 'lowest value per identity',
  mean: 'mean per event',
  ratio: 'ratio of two events',
  funnel: 'share who completed the funnel',
  retention: 'share who came back',
};

/** @type {Record<string, { label: string, means: string, todo: string }>} */
export const EXCLUDED = {
  several_variants: {
    label: 'Saw several variants',
    means: 'They were shown more than one variant, so what they did belongs to none.',
    todo: 'Look for identities that change, such as anonymous visitors who sign in, or set “first seen” in the exposure criteria.',
  },
  not_its_own_variant: {
    label: 'Saw another variant than assigned',
    means: 'The application showed a variant that the service did not assign.',
    todo: 'Look for caches, forced values and stale configurations.',
  },
  not_enrolled: {
    label: 'Not enrolled',
    means: 'The rollout did not include them when they were exposed.',
    todo: 'Nothing, unless the application decides by itself who takes part.',
  },
  while_paused: {
    label: 'Only seen during a pause',
    means: 'They were exposed only while the experiment was paused.',
    todo: 'Nothing: they count when they come back.',
  },
  before_start: {
    label: 'Exposed before the start',
    means: 'Their exposures name the experiment, but precede its start.',
    todo: 'Look for clocks that are slow.',
  },
  no_identifier: {
    label: 'Without an identifier',
    means: 'These exposures say of nobody whose they are.',
    todo: 'Send the identifier, or the key of the unit, with each exposure.',
  },
  test_identity: {
    label: 'Test identities',
    means: 'The exposure criteria leave them out.',
    todo: 'Nothing.',
  },
};

/** @type {Record<string, string>} */
export const CONCLUSION = {
  won: 'Won',
  lost: 'Lost',
  inconclusive: 'Inconclusive',
  stopped_early: 'Stopped early',
  invalid: 'Invalid',
};

/** Whether the means of a metric are shares. */
export const isShare = (aggregation) => ['occurrence', 'funnel', 'retention'].includes(aggregation);
