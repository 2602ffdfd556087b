// node openfeature.mjs ADDRESS ENVIRONMENT_KEY COUNT STRING NUMBER BOOLEAN OBJECT
// Evaluates flags of each type, and one that does not exist, with OpenFeature for user-0 to user-COUNT.
import { OpenFeature } from '@openfeature/server-sdk';
import { OFREPProvider } from '@openfeature/ofrep-provider';

const [address, key, count, string, number, boolean, object] = process.argv.slice(2);
await OpenFeature.setProviderAndWait(new OFREPProvider({ baseUrl: address, headers: { Authorization: `Bearer ${key}` } }));
const client = OpenFeature.getClient();
const evaluations = [];
for (let n = 0; n < count; n++) {
  const context = { targetingKey: `user-${n}`, plan: 'pro' };
  evaluations.push({
    identifier: context.targetingKey,
    string: await client.getStringDetails(string, 'default', context),
    number: await client.getNumberDetails(number, -1, context),
    boolean: await client.getBooleanDetails(boolean, false, context),
    object: await client.getObjectDetails(object, {}, context),
    missing: await client.getStringDetails('missing', 'default', context),
    mistyped: await client.getNumberDetails(string, -1, context),
  });
}

await OpenFeature.close();
console.log(JSON.stringify(evaluations));
