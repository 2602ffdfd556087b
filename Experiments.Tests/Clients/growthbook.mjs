// Runs identities through an experiment with GrowthBook's SDK, which evaluates remotely, and sends what it tracks as exposures.
import { GrowthBook } from '@growthbook/growthbook';

const [apiHost, clientKey, feature, count] = process.argv.slice(2);
const seen = {};
const events = [];
for (let n = 0; n < Number(count); n++) {
  const gb = new GrowthBook({
    apiHost, clientKey, remoteEval: true, attributes: { id: `user-${n}` },
    trackingCallback: (experiment, result) => events.push({
      event: '$flag_exposure', feature_name: result.featureId, identifier: result.hashValue, value: result.key,
      timestamp: Date.now(), metadata: { experiment_id: experiment.id },
    }),
  });
  await gb.init();
  const tracked = events.length;
  const value = gb.getFeatureValue(feature, 'default');
  gb.getFeatureValue(feature, 'default');
  seen[`user-${n}`] = { value, tracked: events.length - tracked };
  gb.destroy();
}
const response = await fetch(`${apiHost}/v1/events`, {
  method: 'POST', headers: { 'X-Environment-Key': clientKey, 'Content-Type': 'application/json' }, body: JSON.stringify({ events, sent_at: Date.now() }),
});
if (response.status !== 202) throw new Error(await response.text());
console.log(JSON.stringify(seen));
