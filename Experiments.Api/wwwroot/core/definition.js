/** The names of all events that a definition mentions. */
export const eventsOf = (definition) =>
  definition === null || typeof definition !== 'object'
    ? []
    : Object.entries(definition).flatMap(([name, value]) => (name === 'event' && typeof value === 'string' ? [value] : eventsOf(value)));
