// node flagsmith-local.mjs ADDRESS SERVER_KEY FEATURE COUNT
// Evaluates a feature for each identity inside this process, and prints {identifier: value}.
import { Flagsmith } from 'flagsmith-nodejs';

const [address, environmentKey, feature, count] = process.argv.slice(2);
const flagsmith = new Flagsmith({ environmentKey, apiUrl: `${address}/api/v1/`, enableLocalEvaluation: true });
await flagsmith.updateEnvironment();
const seen = {};
for (let n = 0; n < Number(count); n++) {
  const flags = await flagsmith.getIdentityFlags(`user-${n}`);
  seen[`user-${n}`] = { enabled: flags.isFeatureEnabled(feature), value: flags.getFeatureValue(feature) };
}
console.log(JSON.stringify(seen));
process.exit(0);
