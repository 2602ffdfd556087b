// node tracking.mjs ADDRESS ENVIRONMENT_KEY FEATURE COUNT
// Evaluates a flag for each identity through openfeature-tracking, twice, tracks a purchase, and prints {identifier: variant}. The first
// request of each batch is lost after it has arrived.
import { OpenFeature } from '@openfeature/server-sdk';
import { OFREPProvider } from '@openfeature/ofrep-provider';
import { withTracking } from 'openfeature-tracking';

const [baseUrl, environmentKey, feature, count] = process.argv.slice(2);
let lost = 0;
const lossy = async (url, options) => {
  const response = await fetch(url, options);
  if (lost++ % 2 === 0) throw new Error('The answer is lost.');
  return response;
};
const provider = new OFREPProvider({ baseUrl, headers: [['X-Environment-Key', environmentKey]] });
await OpenFeature.setProviderAndWait(withTracking(provider, { baseUrl, environmentKey, fetch: lossy }));
const client = OpenFeature.getClient();
const seen = {};
for (let n = 0; n < Number(count); n++) {
  const context = { targetingKey: `user-${n}`, plan: 'pro', nested: { a: 1 } };
  seen[`user-${n}`] = (await client.getStringDetails(feature, 'default', context)).variant ?? null;
  await client.getStringValue(feature, 'default', context);
  client.track('purchase', context, { value: n, currency: 'CHF' });
}
await OpenFeature.close();
console.log(JSON.stringify(seen));
