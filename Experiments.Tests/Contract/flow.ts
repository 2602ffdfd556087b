// The whole flow with the generated client: the arguments are the address, an API key and the key of an environment.
import { client } from './client/client.gen.js';
import * as api from './client/index.js';

declare const process: { argv: string[] };

const [baseUrl, secret, environment_key] = process.argv.slice(2) as [string, string, string];
client.setConfig({ baseUrl, headers: { Authorization: `Bearer ${secret}`, 'X-Environment-Key': environment_key } });
const path = { environment_key };

const demand: (holds: boolean, what: string) => asserts holds = (holds, what) => {
  if (!holds) {
    throw new Error(`not ${what}`);
  }
};

const got = <T>(answer: { data?: T; error?: unknown }): NonNullable<T> => {
  if (answer.data === undefined || answer.data === null) {
    throw new Error(JSON.stringify(answer.error));
  }
  return answer.data as NonNullable<T>;
};

demand(got(await api.getMe()).name.length > 0, 'me');
const feature = got(
  await api.createFeature({
    path,
    body: { name: 'banner', initial_value: 'blue', multivariate_options: [{ key: 'green', value: 'green' }] },
  }),
);
const metric = got(
  await api.createMetric({ path, body: { name: 'Purchases', aggregation: 'occurrence', definition: { event: 'purchase' } } }),
);
const created = await api.createExperiment({
  path,
  body: { name: 'Green', hypothesis: 'Green sells.', feature: feature.id, metrics: [{ metric: metric.id, role: 'primary' }] },
});
const experiment = got(created);
demand(created.response!.status === 201 && experiment.holdout === null && experiment.parameters === null, 'created');
const one = { ...path, id: experiment.id };

const list = got(await api.listExperiments({ path, query: { status: ['created'], feature: feature.id } }));
demand(list.count === 1 && list.results[0]!.id === experiment.id, 'listed');
const tag = (await api.getExperiment({ path: one })).response!.headers.get('ETag')!;
demand(got(await api.patchExperiment({ path: one, body: { name: 'Greener' }, headers: { 'If-Match': tag } })).name === 'Greener', 'renamed');
const stale = await api.patchExperiment({ path: one, body: { name: 'x' }, headers: { 'If-Match': tag } });
demand(stale.error?.code === 'etag.stale', 'stale');
demand(got(await api.getResults({ path: one })).recommendation.action === 'start', 'without results before the start');
demand(got(await api.startExperiment({ path: one })).status === 'running', 'started');
demand((await api.startExperiment({ path: one })).error?.code === 'experiment.illegal_transition', 'refused');

for (let n = 0; n < 20; n++) {
  const identifier = `u${n}`;
  let variant: string | undefined;
  for (let attempt = 0; variant === undefined && attempt < 200; attempt++) {
    const evaluated = got(await api.evaluateFlag({ path: { key: 'banner' }, body: { context: { targetingKey: identifier } } }));
    variant = evaluated.variant;
    if (variant === undefined) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
  const timestamp = Date.now();
  const receipt = got(
    await api.sendEvents({
      body: {
        events: [
          { event: '$flag_exposure', feature_name: 'banner', identifier, value: variant!, timestamp },
          { event: 'purchase', identifier, timestamp: timestamp + 1 },
        ],
      },
    }),
  );
  demand(receipt.accepted === 2, 'accepted');
}

while (got(await api.getExposures({ path: one })).total < 20) {
  await new Promise((resolve) => setTimeout(resolve, 50));
}
const results = got(await api.getResults({ path: one, query: { refresh: true } }));
demand(results.metrics[0]!.arms.reduce((sum, arm) => sum + arm.n, 0) === 20, 'counted');
const over = got(await api.completeExperiment({ path: one, body: { conclusion: 'stopped_early' } }));
demand(over.status === 'completed' && over.ended_at !== null, 'completed');
console.log('done');
