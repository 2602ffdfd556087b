// node flagsmith.mjs ADDRESS ENVIRONMENT_KEY FEATURE COUNT
// Identifies user-0 to user-COUNT with Flagsmith's SDK, asks each for its variant, tracks a purchase of the
// identity's number, and prints {identifier: variant}; null for those who take no part.
import { createFlagsmithInstance } from '@flagsmith/flagsmith/isomorphic';

const [address, environmentID, feature, count] = process.argv.slice(2);
const workers = 8;
// The SDK's own timers do not keep the process alive.
const awake = setInterval(() => {}, 1000);
let failures = 0;

const watched = async (url, options) => {
  const answer = await fetch(url, options);
  if (!answer.ok) failures++;
  return answer;
};

const variants = {};
await Promise.all(Array.from({ length: workers }, async (_, worker) => {
  const flagsmith = createFlagsmithInstance();
  await flagsmith.init({
    environmentID,
    api: `${address}/api/v1/`,
    fetch: watched,
    preventFetch: true,
    defaultFlags: {},
    enableEvents: true,
    eventProcessorConfig: { eventsApiUrl: address, flushInterval: 0 },
  });
  for (let n = worker; n < count; n += workers) {
    const identifier = `user-${n}`;
    await flagsmith.identify(identifier, n % 2 ? { plan: 'pro' } : undefined);
    const flag = flagsmith.getExperimentFlag(feature);
    variants[identifier] = flag.experiment?.inExperiment ? flag.variant : null;
    flagsmith.trackEvent('purchase', { value: String(n) });
  }
  await flagsmith.flushEvents();
}));

clearInterval(awake);
console.log(JSON.stringify(variants));
process.exitCode = failures === 0 ? 0 : 1;
