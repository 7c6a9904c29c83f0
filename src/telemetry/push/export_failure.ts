/** ExportResultCode.SUCCESS of @opentelemetry/core. */
const SUCCESS = 0;

/** Why an exporter's push failed; undefined if it arrived. */
export function exportFailure({ code, error }: { readonly code: number; readonly error?: Error }): Error | undefined {
  return code === SUCCESS ? undefined : error ?? new Error("push: the collector did not take it");
}
