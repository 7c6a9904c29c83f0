/** The default of ServeOptions.endlessPatienceMs. */
export const ENDLESS_PATIENCE_MS = 1000;
