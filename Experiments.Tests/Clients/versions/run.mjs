// node run.mjs KIND MODULE ADDRESS ENVIRONMENT_KEY FEATURE COUNT
// Asks for the value of a feature as user-0 to user-COUNT with one version of a client, sends what was seen as exposures, each with a
// purchase, and prints {identifier: value}.
const [kind, module, address, key, feature, count] = process.argv.slice(2);
const api = `${address}/api/v1/`;
const awake = setInterval(() => {}, 1000);

// Some have their classes in a default export, and some of those in another one.
const load = async (name) => {
  const loaded = await import(name);
  return { ...loaded.default?.default, ...loaded.default, ...loaded };
};
const clients = {
  // Flagsmith in a page: one identity after the other.
  flagsmith: async () => {
    const { createFlagsmithInstance } = await load(`${module}/isomorphic.js`).catch(() => load(`${module}/isomorphic`));
    const flagsmith = createFlagsmithInstance();
    await flagsmith.init({ environmentID: key, api, fetch, preventFetch: true, defaultFlags: {} });
    return async (identifier, traits) => {
      await flagsmith.identify(identifier, traits);
      return flagsmith.getValue(feature);
    };
  },
  // Flagsmith on a server, before version 2.
  first: async () => {
    const flagsmith = (await import(module)).default;
    flagsmith.init({ environmentID: key, api: api.slice(0, -1) });
    return (identifier) => flagsmith.getValue(feature, identifier);
  },
  // Flagsmith on a server.
  server: async () => {
    const loaded = await load(module);
    const Flagsmith = loaded.Flagsmith ?? loaded.default;
    const flagsmith = new Flagsmith({ environmentKey: key, apiUrl: api });
    return async (identifier, traits) => (await flagsmith.getIdentityFlags(identifier, traits)).getFeatureValue(feature);
  },
  // Flagsmith's hooks for React, in the strict mode of development.
  react: async () => {
    const [React, { renderToString }, { FlagsmithProvider, useFlags }, { createFlagsmithInstance }] = await Promise.all([
      load('react'), load('react-dom/server'), load('@flagsmith/flagsmith/react'), load('@flagsmith/flagsmith/isomorphic'),
    ]);
    const flagsmith = createFlagsmithInstance();
    await flagsmith.init({ environmentID: key, api, fetch, preventFetch: true, defaultFlags: {} });
    let seen;
    const Button = () => {
      seen = useFlags([feature])[feature].value;
      return null;
    };
    return async (identifier, traits) => {
      await flagsmith.identify(identifier, traits);
      renderToString(
        React.createElement(React.StrictMode, null,
          React.createElement(FlagsmithProvider, { flagsmith, serverState: flagsmith.getState() }, React.createElement(Button))));
      return seen;
    };
  },
  // OpenFeature's provider of Flagsmith for a page.
  'openfeature-client': async () => {
    const [{ OpenFeature }, { FlagsmithClientProvider }, { createFlagsmithInstance }] = await Promise.all([
      load('@openfeature/web-sdk'), load('@openfeature/flagsmith-client-provider'), load('flagsmith/isomorphic.js'),
    ]);
    const flagsmithInstance = createFlagsmithInstance();
    await OpenFeature.setProviderAndWait(
      new FlagsmithClientProvider({ environmentID: key, api, fetch, flagsmithInstance, defaultFlags: {} }), { targetingKey: 'nobody' });
    return async (identifier, traits) => {
      await OpenFeature.setContext({ targetingKey: identifier, traits });
      return OpenFeature.getClient().getStringValue(feature, 'missing');
    };
  },
  // OpenFeature's provider of Flagsmith for a server.
  'openfeature-server': async () => {
    const [{ OpenFeature }, provider, { Flagsmith }] = await Promise.all([
      load('@openfeature/server-sdk'), load('@openfeature/flagsmith-provider'), load('flagsmith-nodejs'),
    ]);
    const Provider = provider.FlagsmithOpenFeatureProvider ?? provider.default;
    await OpenFeature.setProviderAndWait(new Provider(new Flagsmith({ environmentKey: key, apiUrl: api })));
    return (identifier, traits) => OpenFeature.getClient().getStringValue(feature, 'missing', { targetingKey: identifier, traits });
  },
  // OpenFeature's hooks for React, over OFREP.
  'openfeature-react': async () => {
    const [React, { renderToString }, { OpenFeature, OpenFeatureProvider, useStringFlagValue }, { OFREPWebProvider }] =
      await Promise.all([
        load('react'), load('react-dom/server'), load('@openfeature/react-sdk'), load('@openfeature/ofrep-web-provider'),
      ]);
    await OpenFeature.setProviderAndWait(
      new OFREPWebProvider({ baseUrl: address, headers: [['X-Environment-Key', key]], pollInterval: -1 }), { targetingKey: 'nobody' });
    let seen;
    const Button = () => {
      seen = useStringFlagValue(feature, 'missing');
      return null;
    };
    return async (identifier) => {
      await OpenFeature.setContext({ targetingKey: identifier });
      renderToString(React.createElement(OpenFeatureProvider, null, React.createElement(Button)));
      return seen;
    };
  },
  // OFREP first and another provider behind it, observed by OpenTelemetry's hooks.
  'openfeature-multi': async () => {
    const [{ OpenFeature, InMemoryProvider }, { MultiProvider }, { OFREPProvider }, hooks] = await Promise.all([
      load('@openfeature/server-sdk'), load('@openfeature/multi-provider'), load('@openfeature/ofrep-provider'),
      load('@openfeature/open-telemetry-hooks'),
    ]);
    await OpenFeature.setProviderAndWait(new MultiProvider([
      { provider: new OFREPProvider({ baseUrl: address, headers: [['X-Environment-Key', key]] }) },
      { provider: new InMemoryProvider({ [feature]: { variants: { other: 'other' }, defaultVariant: 'other', disabled: false } }) },
    ]));
    const observed = [];
    OpenFeature.addHooks(new hooks.MetricsHook(), new hooks.SpanEventHook(), { after: (_, details) => observed.push(details.variant) });
    return async (identifier) => {
      const value = await OpenFeature.getClient().getStringValue(feature, 'missing', { targetingKey: identifier });
      if ((value === 'blue' ? 'control' : value) !== observed.pop()) throw new Error(`The hooks saw another variant than ${value}.`);
      return value;
    };
  },
};

const ask = await clients[kind]();
const seen = {};
const events = [];
for (let n = 0; n < count; n++) {
  const identifier = `user-${n}`;
  const value = await ask(identifier, { plan: n % 2 ? 'pro' : 'free' });
  seen[identifier] = value;
  events.push(
    { event: '$flag_exposure', feature_name: feature, identifier, value: value === 'blue' ? 'control' : value, timestamp: Date.now() },
    { event: 'purchase', identifier, value: String(n), timestamp: Date.now() + 1 });
}
const answer = await fetch(`${address}/v1/events`, {
  method: 'POST',
  headers: { 'Content-Type': 'application/json', 'X-Environment-Key': key },
  body: JSON.stringify({ events }),
});
clearInterval(awake);
console.log(JSON.stringify(seen));
// Some keep connections or timers that nothing closes.
process.exit(answer.status === 202 ? 0 : 1);
