// node web.mjs ADDRESS ENVIRONMENT_KEY
// Keeps OpenFeature's web provider alive: each line on standard input makes it ask again, and prints what it was
// answered and which flags it then has.
import { createInterface } from 'node:readline';
import { OpenFeature } from '@openfeature/web-sdk';
import { OFREPWebProvider } from '@openfeature/ofrep-web-provider';

const [address, key] = process.argv.slice(2);
const answers = [];
const provider = new OFREPWebProvider({
  baseUrl: address,
  headers: [['X-Environment-Key', key]],
  cacheMode: 'disabled',
  changeDetection: 'none',
  fetchImplementation: async (request, options) => {
    const answer = await fetch(request, options);
    answers.push({ status: answer.status, etag: answer.headers.get('etag') });
    return answer;
  },
});
const context = { targetingKey: 'user-1' };
const show = () => console.log(JSON.stringify({ ...answers.at(-1), flags: provider.flagCache }));

await OpenFeature.setProviderAndWait(provider, context);
show();
for await (const _ of createInterface({ input: process.stdin })) {
  await OpenFeature.setContext(context);
  show();
}
