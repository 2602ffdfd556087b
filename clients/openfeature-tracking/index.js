// What an evaluation showed and what an application tracks, sent to Experiments in batches. A batch that fails is sent again as it was,
// so that its events count once.

const MOST_WAITING = 10_000;
const MOST_IN_BATCH = 100;
// What a browser sends while it leaves may have 64 KiB in all.
const MOST_BYTES_ON_LEAVING = 60_000;
const MOST_REMEMBERED = 50_000;
const ATTEMPTS = 5;

/**
 * Gives a provider of a server or of a page track(), and sends an exposure whenever it evaluates a flag of a running experiment: once for
 * each identity, experiment and variant.
 */
export function withTracking(provider, options) {
  const sender = new Sender(options);
  const hook = exposureHook(sender);
  return new Proxy(provider, {
    get(target, name) {
      switch (name) {
        case 'hooks':
          return [...(target.hooks ?? []), hook];
        case 'track':
          return (event, context, details) => {
            target.track?.(event, context, details);
            sender.add(tracked(event, context, details));
          };
        case 'flush':
          return () => sender.flush();
        case 'onClose':
          return async () => {
            await sender.close();
            await target.onClose?.();
          };
        default: {
          const member = Reflect.get(target, name, target);
          return typeof member === 'function' ? member.bind(target) : member;
        }
      }
    },
  });
}

function exposureHook(sender) {
  const shown = new Set();
  return {
    after({ flagKey, context }, { variant, flagMetadata }) {
      if (!variant || !flagMetadata?.experiment_id) return;
      const unit = flagMetadata.unit ? context[flagMetadata.unit] : context.targetingKey;
      const key = JSON.stringify([unit, flagMetadata.experiment_id, variant]);
      if (shown.has(key)) return;
      if (shown.size >= MOST_REMEMBERED) shown.clear();
      shown.add(key);
      sender.add({
        event: '$flag_exposure',
        feature_name: flagKey,
        identifier: context.targetingKey,
        value: variant,
        traits: traitsOf(context),
        metadata: { experiment_id: flagMetadata.experiment_id },
      });
    },
  };
}

function tracked(event, context, details = {}) {
  const { value, ...metadata } = details;
  return {
    event,
    identifier: context?.targetingKey,
    value: value === undefined ? undefined : String(value),
    traits: traitsOf(context),
    metadata,
  };
}

// What is known of the identity: test identities, breakdowns and units go by it.
function traitsOf({ targetingKey, ...context } = {}) {
  return Object.fromEntries(Object.entries(context).filter(([, value]) => ['string', 'number', 'boolean'].includes(typeof value)));
}

class Sender {
  #url;
  #fetch;
  #interval;
  #waiting = [];
  #inFlight = 0;
  #timer;
  #sending = Promise.resolve();
  #leaving;

  constructor({ baseUrl, environmentKey, flushInterval = 1000, fetch = globalThis.fetch }) {
    const address = `${baseUrl.replace(/\/+$/, '')}/v1/events`;
    // The key goes into the query, and the body is plain text, so that a browser need not ask first, which it cannot while it leaves.
    this.#url = `${address}?environment_key=${encodeURIComponent(environmentKey)}`;
    // A browser refuses to call it as a method of something else.
    this.#fetch = (...request) => fetch(...request);
    this.#interval = flushInterval;
    if (typeof globalThis.addEventListener === 'function' && typeof document !== 'undefined') {
      this.#leaving = () => void this.flush();
      globalThis.addEventListener('pagehide', this.#leaving);
    }
  }

  add(event) {
    if (this.#waiting.length + this.#inFlight >= MOST_WAITING) return;
    this.#waiting.push({ timestamp: Date.now(), ...event });
    if (this.#waiting.length >= MOST_IN_BATCH) void this.flush();
    this.#timer ??= setTimeout(() => void this.flush(), this.#interval);
    this.#timer.unref?.();
  }

  /** Sends what waits. Ends when it has arrived, or has been given up. */
  flush() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    while (this.#waiting.length > 0) {
      const events = this.#waiting.splice(0, MOST_IN_BATCH);
      const sent = this.#send(events);
      this.#sending = Promise.all([this.#sending, sent]).then(() => {});
    }
    return this.#sending;
  }

  async close() {
    if (this.#leaving) globalThis.removeEventListener('pagehide', this.#leaving);
    await this.flush();
  }

  async #send(events) {
    this.#inFlight += events.length;
    try {
      await this.#attempt(events);
    } finally {
      this.#inFlight -= events.length;
    }
  }

  async #attempt(events) {
    for (let attempt = 1; ; attempt++) {
      try {
        const body = JSON.stringify({ events, sent_at: Date.now() });
        const response = await this.#fetch(this.#url, {
          method: 'POST',
          headers: { 'Content-Type': 'text/plain' },
          body,
          keepalive: new TextEncoder().encode(body).length < MOST_BYTES_ON_LEAVING,
        });
        if (response.status < 500 && response.status !== 429) return;
      } catch {
        // The network is away.
      }
      if (attempt === ATTEMPTS) return;
      await new Promise(resolve => setTimeout(resolve, 250 * 2 ** attempt));
    }
  }
}
