// Runs identities through an experiment with posthog-node: asks for the variant, which reports the exposure, and captures a purchase.
import { PostHog } from 'posthog-node';

const [host, key, feature, count] = process.argv.slice(2);
const posthog = new PostHog(key, { host, flushAt: 100 });
const seen = {};
for (let n = 0; n < Number(count); n++) {
  const distinctId = `user-${n}`;
  const variant = await posthog.getFeatureFlag(feature, distinctId);
  const payload = await posthog.getFeatureFlagPayload(feature, distinctId);
  const all = n < 50 ? await posthog.getAllFlags(distinctId) : undefined;
  seen[distinctId] = { variant, payload, all };
  posthog.capture({ distinctId, event: 'purchase', properties: { value: n, plan: 'pro', $set: { country: 'CH' } } });
}
await posthog.shutdown();
console.log(JSON.stringify(seen));
