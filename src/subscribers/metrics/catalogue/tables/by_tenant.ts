/** The label of a row that is kept by tenant; without a label for the tenant "". */
export const BY_TENANT = { labels: ["cache_salt"], zero: [{}, { cache_salt: ["_other"] }] } as const;
