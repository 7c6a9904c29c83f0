/** What threads ask each other over the bus. */
export const QUESTION = {
  /** Worker to main: the Prometheus text. */
  metrics: "metrics",
  /** Worker to main: everything inside, as JSON. */
  status: "status",
  /** Main to worker: its storage manager's status, as JSON. */
  storage: "storage",
} as const;
